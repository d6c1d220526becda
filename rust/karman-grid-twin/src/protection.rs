//! Breakers, UPSs and the watts through them: true power of every element, modes, overload
//! accumulators and trips.
//!
//! Owns the electrical state of all elements. Power flows from the cords up to the source along
//! each element's first living parent; a UPS on battery draws nothing from its parent. An element
//! that trips takes all below it down, which is how a cascade happens. Curves accumulate as in
//! `karman_grid_core::curve`.

use crate::faults::Level;
use crate::params::ProtectionParams;
use crate::ups::Ups;
use karman_grid_core::curve::Accumulator;
use karman_grid_core::ids::{ElementIx, RackIx};
use karman_grid_core::site::{CurveMode, ElementKind};
use karman_grid_core::topology::Topology;
use std::sync::Arc;

mod voltage;

pub use voltage::Probe;

/// How an element runs; what is not a UPS knows only `Line` and `Off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Energised; a UPS converts.
    Line,
    /// A UPS feeds its output from its battery.
    Battery,
    /// A UPS connects its input straight to its output.
    Bypass,
    /// Dead: lost, tripped or without supply.
    Off,
}

/// What tripped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TripPlace {
    /// A breaker or a UPS.
    Element(ElementIx),
    /// The power supplies of a rack on one cord.
    Psu {
        /// The rack.
        rack: RackIx,
        /// Its cord, in file order.
        cord: usize,
    },
}

/// Why it tripped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TripCause {
    /// Its overload curve was used up.
    Overload,
    /// The battery is empty.
    BatteryEmpty,
    /// The input failed while the load was on bypass.
    BypassInputLost,
}

/// One trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trip {
    /// When.
    pub at_ns: u64,
    /// What.
    pub place: TripPlace,
    /// Why.
    pub cause: TripCause,
    /// Mode afterwards: `Bypass` for a UPS that transferred, else `Off`.
    pub mode: Mode,
}

/// Electrical state of all elements.
#[derive(Clone, Debug)]
pub struct Network {
    topology: Arc<Topology>,
    params: ProtectionParams,
    failed: Vec<u32>,
    tripped: Vec<bool>,
    source_lost: Vec<u32>,
    sags: Vec<f64>,
    alive: Vec<bool>,
    parent: Vec<Option<ElementIx>>,
    modes: Vec<Mode>,
    ups: Vec<Option<Ups>>,
    flow_w: Vec<f64>,
    input_w: Vec<f64>,
    accumulator: Vec<f64>,
    own_level: Vec<Level>,
    input_level: Vec<Level>,
    grid_level: Level,
    droop_ratio: f64,
    trips: Vec<Trip>,
}

impl Network {
    /// Everything energised, batteries full.
    pub fn new(topology: Arc<Topology>, params: ProtectionParams, droop_ratio: f64) -> Network {
        let count = topology.elements.len();
        let ups = topology.elements.iter().map(|element| {
            (element.kind == ElementKind::Ups).then(|| Ups::new(element.limit_w, &params))
        });
        let ups = ups.collect();
        let mut network = Network {
            params,
            failed: vec![0; count],
            tripped: vec![false; count],
            source_lost: vec![0; count],
            sags: Vec::new(),
            alive: vec![true; count],
            parent: vec![None; count],
            modes: vec![Mode::Line; count],
            ups,
            flow_w: vec![0.0; count],
            input_w: vec![0.0; count],
            accumulator: vec![0.0; count],
            own_level: vec![Level::NOMINAL; count],
            input_level: vec![Level::NOMINAL; count],
            grid_level: Level::NOMINAL,
            droop_ratio,
            trips: Vec::new(),
            topology,
        };
        network.refresh(0);
        network
    }

    /// Whether each element is energised.
    pub fn alive(&self) -> &[bool] {
        &self.alive
    }

    /// True power out of each element, W.
    pub fn flows_w(&self) -> &[f64] {
        &self.flow_w
    }

    /// True power into each element, W: its flow and a UPS's recharge; 0 for a UPS on battery.
    pub fn inputs_w(&self) -> &[f64] {
        &self.input_w
    }

    /// Mode of each element.
    pub fn modes(&self) -> &[Mode] {
        &self.modes
    }

    /// How much of its curve each element has used up.
    pub fn accumulator_ratio(&self) -> &[f64] {
        &self.accumulator
    }

    /// Element that each one draws from now.
    pub fn parents(&self) -> &[Option<ElementIx>] {
        &self.parent
    }

    /// Trips since the last call.
    pub fn take_trips(&mut self) -> Vec<Trip> {
        std::mem::take(&mut self.trips)
    }

    /// Files a trip found elsewhere.
    pub fn record(&mut self, trip: Trip) {
        self.trips.push(trip);
    }

    /// The bus of `element` is lost.
    pub fn fail(&mut self, element: ElementIx, at_ns: u64, backfeed_tau_ns: u64) {
        let at = element.at();
        self.failed[at] += 1;
        self.own_level[at] = self.own_level[at].decays(0.0, at_ns, backfeed_tau_ns);
    }

    /// The bus of `element` is back, unless another fault holds it or it has tripped.
    pub fn restore(&mut self, element: ElementIx, at_ns: u64) {
        let at = element.at();
        self.failed[at] = self.failed[at].saturating_sub(1);
        if self.failed[at] == 0 && !self.tripped[at] {
            let length_ns = (self.params.walk_in_ms * 1e6) as u64;
            self.own_level[at] = self.own_level[at].ramps(1.0, at_ns, length_ns);
        }
    }

    /// The supply of one UPS dies or comes back.
    pub fn set_source(&mut self, ups: ElementIx, lost: bool, at_ns: u64) {
        let at = ups.at();
        let count = self.source_lost[at];
        self.source_lost[at] = if lost {
            count + 1
        } else {
            count.saturating_sub(1)
        };
        let to = if self.source_lost[at] == 0 { 1.0 } else { 0.0 };
        let tau_ns = (self.params.open_tau_ms * 1e6) as u64;
        self.input_level[at] = if to > 0.0 {
            self.input_level[at].ramps(to, at_ns, (self.params.walk_in_ms * 1e6) as u64)
        } else {
            self.input_level[at].decays(to, at_ns, tau_ns)
        };
    }

    /// A sag of the utility to `value` begins or ends; the deepest of several counts.
    pub fn set_sag(&mut self, value: f64, begins: bool, at_ns: u64) {
        if begins {
            self.sags.push(value);
        } else if let Some(at) = self.sags.iter().position(|sag| *sag == value) {
            self.sags.remove(at);
        }
        self.grid_level = self.grid_level.decays(self.sag(), at_ns, 0);
    }

    fn sag(&self) -> f64 {
        self.sags.iter().copied().fold(1.0, f64::min)
    }

    /// Works out what is energised and from where after anything changed; whether that differs.
    pub fn refresh(&mut self, now_ns: u64) -> bool {
        let topology = Arc::clone(&self.topology);
        let sag = self.sag();
        let mut changed = false;
        for (at, element) in topology.elements.iter().enumerate() {
            let parent = element.parents.iter().copied().find(|p| self.alive[p.at()]);
            let whole = self.failed[at] == 0 && !self.tripped[at];
            let fed = match element.kind {
                ElementKind::Utility => sag >= self.params.supply_min_ratio,
                _ => element.parents.is_empty() || parent.is_some(),
            };
            let mode = if self.ups[at].is_some() {
                let healthy = sag >= self.params.input_min_ratio;
                let input_good = fed && self.source_lost[at] == 0 && healthy;
                self.ups_mode(at, input_good, whole, now_ns)
            } else if fed && whole {
                Mode::Line
            } else {
                Mode::Off
            };
            changed |= mode != self.modes[at] || parent != self.parent[at];
            self.alive[at] = mode != Mode::Off;
            self.parent[at] = parent;
            self.modes[at] = mode;
        }
        changed
    }

    fn ups_mode(&mut self, at: usize, input_good: bool, whole: bool, now_ns: u64) -> Mode {
        let judged = self.ups[at].as_mut().map(|ups| ups.judge(input_good));
        match judged {
            Some(Ok(mode)) if whole => mode,
            Some(Err(cause)) if whole => {
                self.open(at, cause, now_ns);
                Mode::Off
            }
            _ => Mode::Off,
        }
    }

    /// Opens an element for good.
    fn open(&mut self, at: usize, cause: TripCause, at_ns: u64) {
        self.tripped[at] = true;
        let tau_ns = (self.params.open_tau_ms * 1e6) as u64;
        self.own_level[at] = self.own_level[at].decays(0.0, at_ns, tau_ns);
        let place = TripPlace::Element(ElementIx::of(at));
        self.trips.push(Trip {
            at_ns,
            place,
            cause,
            mode: Mode::Off,
        });
    }

    /// Adds up the power of all elements from what the cords draw.
    pub fn carry(&mut self, cords: impl Iterator<Item = (ElementIx, f64)>) {
        self.flow_w.fill(0.0);
        for (element, power_w) in cords {
            self.flow_w[element.at()] += power_w;
        }
        for at in (0..self.flow_w.len()).rev() {
            if !self.alive[at] {
                self.input_w[at] = 0.0;
                continue;
            }
            self.flow_w[at] += self.params.loss_w;
            let mut input_w = self.flow_w[at];
            if self.modes[at] == Mode::Battery {
                input_w = 0.0;
            } else if let Some(ups) = &self.ups[at] {
                input_w += ups.recharge_w();
            }
            self.input_w[at] = input_w;
            if let Some(parent) = self.parent[at] {
                self.flow_w[parent.at()] += input_w;
            }
        }
    }

    /// Lives through a step that ends at `now_ns` under the flows last carried; whether anything
    /// changed its mode.
    pub fn advance(&mut self, now_ns: u64, step_ns: u64, droop_keep: f64) -> bool {
        let topology = Arc::clone(&self.topology);
        let step_s = step_ns as f64 / 1e9;
        let mut changed = false;
        for (at, element) in topology.elements.iter().enumerate() {
            if let Some(ups) = &mut self.ups[at] {
                let (energised, flow_w) = (self.modes[at] != Mode::Off, self.flow_w[at]);
                let limit_w = element.limit_w;
                changed |= ups.advance(
                    energised,
                    flow_w,
                    limit_w,
                    step_ns,
                    droop_keep,
                    &self.params,
                );
            }
            let mode = match self.modes[at] {
                Mode::Battery => CurveMode::Battery,
                Mode::Bypass => CurveMode::Bypass,
                Mode::Line | Mode::Off => CurveMode::Line,
            };
            let Some(curve) = element.curve(mode) else {
                continue;
            };
            let mut used = Accumulator {
                ratio: self.accumulator[at],
            };
            used.advance(curve, self.flow_w[at] / element.limit_w, step_s);
            self.accumulator[at] = used.ratio;
            if used.ratio < 1.0 || self.modes[at] == Mode::Off {
                continue;
            }
            changed = true;
            let bypass = element.curves[CurveMode::Bypass as usize].is_some();
            if bypass && self.ups[at].as_mut().is_some_and(Ups::bypass) {
                self.accumulator[at] = 0.0;
                let place = TripPlace::Element(ElementIx::of(at));
                let cause = TripCause::Overload;
                self.trips.push(Trip {
                    at_ns: now_ns,
                    place,
                    cause,
                    mode: Mode::Bypass,
                });
            } else {
                self.open(at, TripCause::Overload, now_ns);
            }
        }
        changed
    }

    /// Takes the present load of every UPS as the one it has settled at.
    pub fn settle(&mut self) {
        for (ups, flow_w) in self.ups.iter_mut().zip(&self.flow_w) {
            if let Some(ups) = ups {
                ups.settle(*flow_w);
            }
        }
    }
}
