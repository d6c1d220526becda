//! Where the truth of a run goes: a trait by index, and the buffer that a run writes into until
//! what it wrote can no longer be taken back (an adaptive run may rewind its last seconds).
//!
//! A sink is fed in order of time. It sees what the plant, the agents and the controller did; it
//! gives nothing back, so no judgement can reach the engine.

use crate::protection::Mode;
use crate::result::Series;
use crate::scenario::EventKind;
use karman_grid_core::ids::{DeviceIx, ElementIx, HostIx};
use karman_grid_core::time::NS_PER_MS;
use karman_grid_core::units::Power;
use sha2::{Digest, Sha256};

/// A listener of one run. All times are simulated `mono_ns`; the run-in starts at 0.
pub trait Sink {
    /// Before anything else: when the run-in ends, and what each device may hold without a lease.
    fn start(&mut self, start_mono_ns: u64, fallbacks: &[Power]);
    /// True power through every element from now on, W; modes when one changed.
    fn flow(&mut self, mono_ns: u64, power_w: &[f64], modes: Option<&[Mode]>);
    /// Cap register truly in force from now on.
    fn cap(&mut self, mono_ns: u64, device: DeviceIx, cap: Power);
    /// An agent accepted a lease.
    fn lease(&mut self, mono_ns: u64, lease: LeaseRecord);
    /// The agent of a host extended the live leases of all its devices.
    fn renew(&mut self, mono_ns: u64, host: HostIx, ttl_ns: u64);
    /// The controller sent a raise.
    fn raise(&mut self, mono_ns: u64, device: DeviceIx, cap: Power, data_age_ns: u64);
    /// The controller's ledger.
    fn books(&mut self, mono_ns: u64, devices_accounted: Power);
    /// The plant's own protection opened.
    fn trip(&mut self, mono_ns: u64, element: ElementIx);
    /// Something was done to the plant, to these devices where it strikes devices.
    fn event(
        &mut self,
        mono_ns: u64,
        kind: EventKind,
        devices: &[DeviceIx],
        duration_ns: Option<u64>,
    );
}

/// A lease as an agent accepted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseRecord {
    /// Device.
    pub device: DeviceIx,
    /// Highest cap that it permits.
    pub cap: Power,
    /// Epoch of the controller.
    pub epoch: u64,
    /// Order within the epoch.
    pub seq: u64,
    /// Time to live from now, ns.
    pub ttl_ns: u64,
}

/// A sink that keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSink;

impl Sink for NoSink {
    fn start(&mut self, _: u64, _: &[Power]) {}
    fn flow(&mut self, _: u64, _: &[f64], _: Option<&[Mode]>) {}
    fn cap(&mut self, _: u64, _: DeviceIx, _: Power) {}
    fn lease(&mut self, _: u64, _: LeaseRecord) {}
    fn renew(&mut self, _: u64, _: HostIx, _: u64) {}
    fn raise(&mut self, _: u64, _: DeviceIx, _: Power, _: u64) {}
    fn books(&mut self, _: u64, _: Power) {}
    fn trip(&mut self, _: u64, _: ElementIx) {}
    fn event(&mut self, _: u64, _: EventKind, _: &[DeviceIx], _: Option<u64>) {}
}

#[derive(Clone, Copy, Debug)]
enum Item {
    Flow {
        elements: usize,
        modes: bool,
    },
    Cap {
        device: DeviceIx,
        cap: Power,
    },
    Lease(LeaseRecord),
    Renew {
        host: HostIx,
        ttl_ns: u64,
    },
    Raise {
        device: DeviceIx,
        cap: Power,
        data_age_ns: u64,
    },
    Books(Power),
    Trip(ElementIx),
    Event {
        kind: EventKind,
        devices: usize,
        duration_ns: Option<u64>,
    },
    Course {
        values: usize,
    },
}

/// Records not yet handed on; its buffers are kept, so that a steady run allocates nothing.
#[derive(Clone, Debug, Default)]
pub struct Records {
    items: Vec<(u64, Item)>,
    power_w: Vec<f64>,
    modes: Vec<Mode>,
    devices: Vec<DeviceIx>,
    /// Numbers for the digest, in order.
    digest: Vec<u64>,
}

impl Records {
    pub(crate) fn flow(&mut self, mono_ns: u64, power_w: &[f64], modes: Option<&[Mode]>) {
        self.power_w.extend_from_slice(power_w);
        self.modes.extend_from_slice(modes.unwrap_or_default());
        let item = Item::Flow {
            elements: power_w.len(),
            modes: modes.is_some(),
        };
        self.items.push((mono_ns, item));
    }

    pub(crate) fn cap(&mut self, mono_ns: u64, device: DeviceIx, cap: Power) {
        self.items.push((mono_ns, Item::Cap { device, cap }));
    }

    pub(crate) fn lease(&mut self, mono_ns: u64, lease: LeaseRecord) {
        self.items.push((mono_ns, Item::Lease(lease)));
    }

    pub(crate) fn renew(&mut self, mono_ns: u64, host: HostIx, ttl_ns: u64) {
        self.items.push((mono_ns, Item::Renew { host, ttl_ns }));
    }

    pub(crate) fn raise(&mut self, mono_ns: u64, device: DeviceIx, cap: Power, data_age_ns: u64) {
        self.items.push((
            mono_ns,
            Item::Raise {
                device,
                cap,
                data_age_ns,
            },
        ));
    }

    pub(crate) fn books(&mut self, mono_ns: u64, devices_accounted: Power) {
        self.items.push((mono_ns, Item::Books(devices_accounted)));
    }

    pub(crate) fn trip(&mut self, mono_ns: u64, element: ElementIx) {
        self.items.push((mono_ns, Item::Trip(element)));
    }

    pub(crate) fn event(
        &mut self,
        mono_ns: u64,
        kind: EventKind,
        devices: &[DeviceIx],
        duration_ns: Option<u64>,
    ) {
        self.devices.extend_from_slice(devices);
        let item = Item::Event {
            kind,
            devices: devices.len(),
            duration_ns,
        };
        self.items.push((mono_ns, item));
    }

    /// A point of the course of the run: load and demand of the hall, then the power of each feed,
    /// then the accumulator of each.
    pub(crate) fn course(&mut self, mono_ns: u64, values: impl Iterator<Item = f64>) {
        let before = self.power_w.len();
        self.power_w.extend(values);
        let values = self.power_w.len() - before;
        self.items.push((mono_ns, Item::Course { values }));
    }

    /// Adds numbers to what the run's digest is taken of.
    pub(crate) fn digest(&mut self, numbers: &[u64]) {
        self.digest.extend_from_slice(numbers);
    }

    /// Hands everything to `sink` and `keep`, and forgets it.
    pub(crate) fn flush(&mut self, sink: &mut dyn Sink, keep: &mut Keep) {
        let (mut power_at, mut mode_at, mut device_at) = (0, 0, 0);
        for (mono_ns, item) in self.items.drain(..) {
            match item {
                Item::Flow { elements, modes } => {
                    let power_w = &self.power_w[power_at..power_at + elements];
                    power_at += elements;
                    let modes = modes.then(|| &self.modes[mode_at..mode_at + elements]);
                    mode_at += modes.map_or(0, <[Mode]>::len);
                    sink.flow(mono_ns, power_w, modes);
                }
                Item::Cap { device, cap } => sink.cap(mono_ns, device, cap),
                Item::Lease(lease) => sink.lease(mono_ns, lease),
                Item::Renew { host, ttl_ns } => sink.renew(mono_ns, host, ttl_ns),
                Item::Raise {
                    device,
                    cap,
                    data_age_ns,
                } => {
                    sink.raise(mono_ns, device, cap, data_age_ns);
                }
                Item::Books(devices_accounted) => sink.books(mono_ns, devices_accounted),
                Item::Trip(element) => sink.trip(mono_ns, element),
                Item::Event {
                    kind,
                    devices,
                    duration_ns,
                } => {
                    let struck = &self.devices[device_at..device_at + devices];
                    device_at += devices;
                    sink.event(mono_ns, kind, struck, duration_ns);
                }
                Item::Course { values } => {
                    keep.course(mono_ns, &self.power_w[power_at..power_at + values]);
                    power_at += values;
                }
            }
        }
        self.power_w.clear();
        self.modes.clear();
        self.devices.clear();
        for number in self.digest.drain(..) {
            keep.hash.update(number.to_le_bytes());
        }
    }
}

/// What is kept of a run beside its figures: the digest in the making and its course.
#[derive(Clone, Debug)]
pub(crate) struct Keep {
    start_ns: u64,
    pub hash: Sha256,
    pub series: Series,
    /// Older points of the course than this many are forgotten.
    pub course_max: usize,
}

impl Keep {
    pub(crate) fn new(start_ns: u64, series: Series) -> Keep {
        Keep {
            start_ns,
            hash: Sha256::new(),
            series,
            course_max: usize::MAX,
        }
    }

    fn course(&mut self, mono_ns: u64, values: &[f64]) {
        let series = &mut self.series;
        let feeds = series.feeds.len();
        series
            .at_ms
            .push((mono_ns - self.start_ns) as f64 / NS_PER_MS as f64);
        series.load_w.push(values[0]);
        series.demand_w.push(values[1]);
        series.feed_power_w.push(values[2..2 + feeds].to_vec());
        series
            .feed_accumulator_ratio
            .push(values[2 + feeds..].to_vec());
        // Forgotten by halves, so that forgetting costs nothing on average.
        let beyond = series.at_ms.len().saturating_sub(self.course_max);
        if beyond > self.course_max / 2 {
            series.at_ms.drain(..beyond);
            series.load_w.drain(..beyond);
            series.demand_w.drain(..beyond);
            series.feed_power_w.drain(..beyond);
            series.feed_accumulator_ratio.drain(..beyond);
        }
    }
}
