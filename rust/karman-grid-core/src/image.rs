//! The frozen world of one tick: the newest value of every meter and device with its age, and what
//! the engine may conclude about demand. Stale means worst case, never zero.

use crate::ids::{DeviceIx, ElementIx, MeterIx};
use crate::limits::STALE_MIN_NS;
use crate::rows::Case;
use crate::sample::{PowerSample, Validity};
use crate::site::MeterPosition;
use crate::time::{MonoNs, NS_PER_S, ns_from_s};
use crate::topology::Topology;

/// How long a device's highest reading is remembered as its demand, ns.
const DEMAND_WINDOW_NS: u64 = 5 * NS_PER_S;
/// A device that uses this much of its cap would use more.
const STARVED_RATIO: f64 = 0.98;
/// A device that has used this much of its ceiling lately may use all of it in a moment.
const CLOSE_RATIO: f64 = 0.93;
/// So many readings in a row make it starved: one may be a burst, and caps do not chase bursts.
const STARVED_READINGS: u8 = 3;
/// Room above the highest reading that a request asks for.
const REQUEST_MARGIN_RATIO: f64 = 1.04;

const _: () = assert!(STARVED_RATIO * REQUEST_MARGIN_RATIO > 1.0);

/// Newest reading of a meter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Active power, W.
    pub power_active_w: f64,
    /// When it was taken.
    pub taken_mono_ns: MonoNs,
    /// Quality.
    pub validity: Validity,
}

/// What is known of a device's use.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Use {
    /// Last reading, W; absent: never heard.
    pub power_w: Option<f64>,
    /// When it was taken.
    pub taken_mono_ns: MonoNs,
    peak_w: [f64; 2],
    window_mono_ns: MonoNs,
    /// Readings in a row that were close to the cap in force.
    close: u8,
}

impl Use {
    fn note(&mut self, power_w: f64, cap_w: f64, taken: MonoNs) {
        if taken.since(self.window_mono_ns) >= DEMAND_WINDOW_NS {
            self.peak_w = [0.0, self.peak_w[0]];
            self.window_mono_ns = taken;
        }
        self.peak_w[0] = self.peak_w[0].max(power_w);
        self.power_w = Some(power_w);
        self.taken_mono_ns = taken;
        let close = power_w >= STARVED_RATIO * cap_w;
        self.close = if close {
            self.close.saturating_add(1)
        } else {
            0
        };
    }

    /// Whether the device would use more than its cap, or has never been heard.
    pub fn is_starved(&self) -> bool {
        self.power_w.is_none() || self.close >= STARVED_READINGS
    }

    /// What the device would use, W: its ceiling where that cannot be seen.
    pub fn request_w(&self, floor_w: f64, ceiling_w: f64) -> f64 {
        let peak_w = self.peak_w[0].max(self.peak_w[1]);
        if self.is_starved() || peak_w >= CLOSE_RATIO * ceiling_w {
            ceiling_w
        } else {
            (REQUEST_MARGIN_RATIO * peak_w).clamp(floor_w, ceiling_w)
        }
    }
}

/// Newest values.
#[derive(Clone, Debug)]
pub struct ProcessImage {
    meters: Vec<Option<Reading>>,
    stale_ns: Vec<u64>,
    devices: Vec<Use>,
    /// Meters that show the load of each element: on itself, or on another that carries the same.
    load_meters: Vec<Vec<MeterIx>>,
}

impl ProcessImage {
    /// Nothing heard yet. `intact`: the network with nothing lost; elements of one of its rows
    /// carry the same load, so a meter on one shows the load of all.
    pub fn new(topology: &Topology, intact: &Case) -> ProcessImage {
        let mut load_meters = vec![Vec::new(); topology.elements.len()];
        for (at, meter) in topology.meters.iter().enumerate() {
            if meter.position == MeterPosition::UpsInput {
                continue;
            }
            let row = intact
                .rows
                .iter()
                .find(|r| r.members.contains(&meter.element));
            for element in row.map_or(std::slice::from_ref(&meter.element), |r| &r.members) {
                load_meters[element.at()].push(MeterIx::of(at));
            }
        }
        let stale_ns = topology
            .meters
            .iter()
            .map(|m| m.period_s.map_or(0, |s| 2 * ns_from_s(s)).max(STALE_MIN_NS))
            .collect();
        ProcessImage {
            meters: vec![None; topology.meters.len()],
            stale_ns,
            devices: vec![Use::default(); topology.devices.len()],
            load_meters,
        }
    }

    /// Takes a meter's value; one that is not newer or not usable is left out. True: this meter is
    /// good from now on and was not before.
    pub fn meter(&mut self, meter: MeterIx, sample: Reading) -> bool {
        let old = self.meters[meter.at()];
        let newer = old.is_none_or(|old| sample.taken_mono_ns > old.taken_mono_ns);
        let usable = sample.validity != Validity::Invalid && sample.power_active_w.is_finite();
        if !(usable && newer) {
            return false;
        }
        self.meters[meter.at()] = Some(sample);
        let good = |reading: &Reading| reading.validity == Validity::Good;
        good(&sample) && !old.as_ref().is_some_and(good)
    }

    /// Takes a device's value.
    pub fn device(&mut self, device: DeviceIx, sample: &PowerSample, cap_w: f64) {
        let usable = sample.validity == Validity::Good
            && sample.power_active_w.is_finite()
            && sample.power_active_w >= 0.0;
        if usable {
            let taken = sample.taken_mono_ns;
            self.devices[device.at()].note(sample.power_active_w, cap_w, taken);
        }
    }

    /// What is known of a device.
    pub fn use_of(&self, device: DeviceIx) -> &Use {
        &self.devices[device.at()]
    }

    /// Newest value of a meter and its age.
    pub fn reading(&self, meter: MeterIx, now: MonoNs) -> Option<(Reading, u64)> {
        self.meters[meter.at()].map(|r| (r, now.since(r.taken_mono_ns)))
    }

    /// Whether a meter's value is fresh.
    pub fn is_fresh(&self, meter: MeterIx, now: MonoNs) -> bool {
        self.reading(meter, now)
            .is_some_and(|(_, age_ns)| age_ns <= self.stale_ns[meter.at()])
    }

    /// Measured load of an element; absent without a fresh meter.
    pub fn load_w(&self, element: ElementIx, now: MonoNs) -> Option<f64> {
        let fresh = self.load_meters[element.at()]
            .iter()
            .filter(|m| self.is_fresh(**m, now));
        // Two meters that disagree: the higher one counts.
        fresh
            .filter_map(|m| self.meters[m.at()])
            .map(|r| r.power_active_w)
            .reduce(f64::max)
    }

    /// Whether any load meter of the element is fresh and good.
    pub fn sees(&self, element: ElementIx, now: MonoNs) -> bool {
        let good = |m: &MeterIx| {
            let reading = self.meters[m.at()];
            self.is_fresh(*m, now) && reading.is_some_and(|r| r.validity == Validity::Good)
        };
        self.load_meters[element.at()].iter().any(good)
    }

    /// Age of the oldest load meter's newest value, ns; the age of a meter never heard is `now`.
    pub fn oldest_age_ns(&self, now: MonoNs) -> u64 {
        let ages = self.load_meters.iter().flatten();
        ages.map(|m| self.reading(*m, now).map_or(now.0, |(_, age)| age))
            .max()
            .unwrap_or(0)
    }

    /// Whether every load meter is fresh.
    pub fn all_fresh(&self, now: MonoNs) -> bool {
        self.load_meters
            .iter()
            .flatten()
            .all(|m| self.is_fresh(*m, now))
    }
}
