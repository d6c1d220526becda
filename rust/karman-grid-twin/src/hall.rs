//! The plant: demand, GPUs, racks, network and meters advanced together, grain by grain.
//!
//! Owns the order of things inside a step and nothing else. Pure and deterministic from a seed; a
//! clone goes on exactly as the original, so a run can be rewound. A step may have any length: 1 ms
//! normally, up to 100 ms where nothing happens; faults inside it are honoured to the nanosecond by
//! cutting it there.

use crate::demand::Demand;
use crate::faults::{Change, Fault, FaultBook, FaultId};
use crate::gpu::Gpus;
use crate::meters::Meters;
use crate::params::{DemandKind, PlantParams};
use crate::protection::{Mode, Network, Trip};
use crate::racks::Racks;
use crate::waves::{Waves, frame_after};
use karman_grid_core::error::SiteError;
use karman_grid_core::ids::{DeviceIx, ElementIx, MeterIx, RackIx};
use karman_grid_core::topology::Topology;
use karman_grid_core::units::Power;
use std::sync::Arc;

/// A hall with everything in it.
#[derive(Clone, Debug)]
pub struct Plant {
    topology: Arc<Topology>,
    now_ns: u64,
    step_ns: u64,
    level_ratio: Vec<(FaultId, f64)>,
    kind: DemandKind,
    demand: Demand,
    gpus: Gpus,
    racks: Racks,
    network: Network,
    meters: Meters,
    waves: Waves,
    faults: FaultBook,
    droop_tau_ms: f64,
    droop: (u64, f64),
    energy_j: f64,
}

impl Plant {
    /// The hall of `topology` at time 0, settled at its demand.
    ///
    /// # Errors
    /// [`SiteError`] where a parameter cannot be.
    pub fn new(topology: &Topology, params: PlantParams, seed: u64) -> Result<Plant, SiteError> {
        let topology = Arc::new(topology.clone());
        let droop_ratio = params.wave.droop_ratio;
        let network = Network::new(Arc::clone(&topology), params.protection, droop_ratio);
        let idle_w = params.gpu.idle_w;
        let mut plant = Plant {
            now_ns: 0,
            step_ns: 0,
            level_ratio: Vec::new(),
            demand: Demand::new(&topology, params.demand.clone(), idle_w, seed),
            kind: params.demand,
            gpus: Gpus::new(&topology, params.gpu, seed),
            racks: Racks::new(Arc::clone(&topology), params.rack, seed)?,
            meters: Meters::new(&topology, &network, params.meter, seed),
            droop_tau_ms: params.wave.droop_tau_ms,
            waves: Waves::new(&topology, &network, params.wave, seed),
            network,
            faults: FaultBook::default(),
            droop: (0, 0.0),
            energy_j: 0.0,
            topology,
        };
        plant.stand();
        Ok(plant)
    }

    /// Caps that have been in force since long before the first instant, one for each device;
    /// returns what the registers hold. Only before the first step.
    pub fn begin_at(&mut self, caps: &[Power]) -> Vec<Power> {
        let devices = caps.iter().enumerate();
        let taken = devices
            .map(|(d, cap)| self.gpus.settle_at(DeviceIx::of(d), *cap))
            .collect();
        self.stand();
        taken
    }

    /// Everything follows from demand and caps as they stand.
    fn stand(&mut self) {
        self.gpus.advance(self.demand.demand_w(), 0, 0);
        self.racks.advance(&mut self.gpus, 0, 0, &mut Vec::new());
        self.network.carry(self.racks.cords_w());
        self.network.settle();
        self.meters.settle(&self.network);
        self.waves.mark(&self.network, 0);
    }

    /// Advances by `step_ns`.
    pub fn step(&mut self, step_ns: u64) {
        self.step_ns = step_ns;
        self.waves.begin();
        let end_ns = self.now_ns + step_ns;
        self.change();
        while self.now_ns < end_ns {
            let next_ns = self.faults.next_ns().unwrap_or(u64::MAX);
            self.live(end_ns.min(next_ns.max(self.now_ns)));
            if self.now_ns < end_ns {
                self.change();
            }
        }
    }

    /// Lives until `to_ns`, without any fault beginning or ending on the way.
    fn live(&mut self, to_ns: u64) {
        let (from_ns, step_ns) = (self.now_ns, to_ns - self.now_ns);
        if self.droop.0 != step_ns {
            let tau_ms = self.droop_tau_ms.max(1e-6);
            self.droop = (step_ns, libm::exp(-(step_ns as f64) / 1e6 / tau_ms));
        }
        self.racks.update(self.network.alive(), from_ns, false);
        self.demand.advance(from_ns);
        self.gpus.advance(self.demand.demand_w(), from_ns, to_ns);
        let mut trips = Vec::new();
        let psu = self
            .racks
            .advance(&mut self.gpus, to_ns, step_ns, &mut trips);
        trips.into_iter().for_each(|trip| self.network.record(trip));
        self.network.carry(self.racks.cords_w());
        let changed = self.network.advance(to_ns, step_ns, self.droop.1);
        self.now_ns = to_ns;
        let load_w: f64 = self.racks.load_w().iter().sum();
        self.energy_j += load_w * step_ns as f64 / 1e9;
        self.meters
            .advance(&self.network, self.gpus.power_w(), to_ns, step_ns);
        self.waves.extend(&self.network, from_ns, to_ns);
        if changed || psu {
            self.settle();
        }
    }

    /// Lets what changed at this instant take its effect on who carries what.
    fn settle(&mut self) {
        while self.network.refresh(self.now_ns) {}
        self.racks.update(self.network.alive(), self.now_ns, true);
        self.racks.redraw();
        self.network.carry(self.racks.cords_w());
        self.waves.mark(&self.network, self.now_ns);
    }

    /// Begins and ends the faults that are due now.
    fn change(&mut self) {
        let mut changed = false;
        while let Some(change) = self.faults.pop(self.now_ns) {
            let (id, begins) = match change {
                Change::Begin(id) => (id, true),
                Change::End(id) => (id, false),
            };
            if let Some(fault) = self.faults.fault(id).cloned() {
                self.apply(&fault, id, begins);
                changed = true;
            }
        }
        if changed {
            self.settle();
        }
    }

    fn apply(&mut self, fault: &Fault, id: FaultId, begins: bool) {
        let now_ns = self.now_ns;
        match fault {
            Fault::FeedLoss {
                element,
                backfeed_tau_ns,
            } if begins => {
                self.network.fail(*element, now_ns, *backfeed_tau_ns);
            }
            Fault::FeedLoss { element, .. } => self.network.restore(*element, now_ns),
            Fault::SourceLoss { ups } => self.network.set_source(*ups, begins, now_ns),
            Fault::GridSag { value } => self.network.set_sag(*value, begins, now_ns),
            Fault::WriteIgnored { devices } => {
                devices
                    .iter()
                    .for_each(|device| self.gpus.set_ignores(*device, begins));
            }
            Fault::MeterFrozen { meter } => {
                self.waves.freeze(&self.network, *meter, now_ns);
                self.meters.set_frozen(*meter, begins, now_ns);
            }
            Fault::MeterScale { meter, .. } | Fault::MeterOffset { meter, .. } => {
                self.remeter(*meter);
            }
            Fault::DemandStep { level_ratio } => {
                self.level_ratio.retain(|(known, _)| *known != id);
                if begins {
                    self.level_ratio.push((id, *level_ratio));
                }
                self.demand.set_kind(self.kind.clone(), now_ns);
                if let Some((_, level)) = self.level_ratio.last() {
                    self.demand.set_level(*level, now_ns);
                }
            }
        }
    }

    fn remeter(&mut self, meter: MeterIx) {
        let (mut scale, mut offset_w) = (1.0, 0.0);
        for fault in self.faults.active() {
            match fault {
                Fault::MeterScale { meter: of, value } if *of == meter => scale *= value,
                Fault::MeterOffset { meter: of, value_w } if *of == meter => offset_w += value_w,
                _ => {}
            }
        }
        self.meters.set_fault(meter, scale, offset_w);
    }
}

/// What acts on the plant.
impl Plant {
    /// Files a fault that begins at `at_ns` (now at the earliest).
    pub fn inject(&mut self, fault: Fault, at_ns: u64) -> FaultId {
        self.faults.inject(fault, at_ns.max(self.now_ns))
    }

    /// Ends a fault at `at_ns` (now at the earliest).
    pub fn clear(&mut self, id: FaultId, at_ns: u64) {
        self.faults.clear(id, at_ns.max(self.now_ns));
    }

    /// The driver of `device` has taken a cap at `at_ns`, now or inside the next step. The register
    /// holds it (clamped to the hardware's range, and returned) at once; watts follow.
    pub fn set_cap(&mut self, device: DeviceIx, cap: Power, at_ns: u64) -> Power {
        self.gpus.set_cap(device, cap, at_ns.max(self.now_ns), true)
    }

    /// As [`Plant::set_cap`], but the device takes the cap into its register only.
    pub fn set_cap_ignored(&mut self, device: DeviceIx, cap: Power, at_ns: u64) -> Power {
        self.gpus
            .set_cap(device, cap, at_ns.max(self.now_ns), false)
    }

    /// Replaces the kind of demand from now on.
    pub fn set_demand(&mut self, kind: DemandKind) {
        self.kind = kind.clone();
        self.demand.set_kind(kind, self.now_ns);
    }

    /// Sets the demand of every host from outside from now on: ratio of its devices' highest cap.
    pub fn set_host_demand_ratio(&mut self, ratios: &[f32]) {
        self.kind = DemandKind::External;
        self.demand.set_host_ratios(ratios);
    }
}

/// What there is to see. All but meters and device readings is truth, for the checker and for the
/// protocols that the plant serves.
impl Plant {
    /// The site.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Now, ns since the start.
    pub fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// Register of `device`.
    pub fn cap(&self, device: DeviceIx) -> Power {
        self.gpus.caps()[device.at()]
    }

    /// Registers of all devices.
    pub fn caps(&self) -> &[Power] {
        self.gpus.caps()
    }

    /// Register of `device`, W.
    pub fn cap_w(&self, device: DeviceIx) -> f64 {
        self.cap(device).w()
    }

    /// True power of each device, W.
    pub fn power_w(&self) -> &[f32] {
        self.gpus.power_w()
    }

    /// What each device would draw without a cap, W.
    pub fn demand_w(&self) -> &[f32] {
        self.demand.demand_w()
    }

    /// What the servers of each rack consume, W. In the ms after a cord was lost the other cords
    /// carry less than that: the servers live on their capacitors.
    pub fn rack_power_w(&self) -> &[f64] {
        self.racks.load_w()
    }

    /// Whether `rack` has power (it may still boot).
    pub fn rack_on(&self, rack: RackIx) -> bool {
        self.racks.on(rack)
    }

    /// Energy that the servers consumed since the start, J.
    pub fn energy_j(&self) -> f64 {
        self.energy_j
    }

    /// True power out of each element, W.
    pub fn flows_w(&self) -> &[f64] {
        self.network.flows_w()
    }

    /// True power into each element, W: its flow, for a UPS also its recharge; 0 on battery.
    pub fn inputs_w(&self) -> &[f64] {
        self.network.inputs_w()
    }

    /// Element that each one draws from now.
    pub fn parents(&self) -> &[Option<ElementIx>] {
        self.network.parents()
    }

    /// Mode of each element.
    pub fn modes(&self) -> &[Mode] {
        self.network.modes()
    }

    /// How much of its overload curve each element has used up.
    pub fn accumulator_ratio(&self) -> &[f64] {
        self.network.accumulator_ratio()
    }

    /// Trips since the last call.
    pub fn trips(&mut self) -> Vec<Trip> {
        self.network.take_trips()
    }

    /// What a power meter at this place shows now, W.
    pub fn meter_power_w(&self, meter: MeterIx) -> f64 {
        self.meters.power_w(meter, self.now_ns)
    }

    /// What the driver of `device` reports: its mean over the last second, W.
    pub fn device_power_w(&self, device: DeviceIx) -> f64 {
        self.meters.device_w(device)
    }

    /// Time between frames of a waveform meter, ps; `None`: it gives no waveform.
    pub fn period_ps(&self, meter: MeterIx) -> Option<u64> {
        self.waves.period_ps(meter)
    }

    /// Volts and amperes in one count of `meter`'s channels.
    pub fn count_scale(&self, meter: MeterIx) -> [f32; 2] {
        self.topology.meters[meter.at()]
            .scale
            .map(|full| (full / 32_767.0) as f32)
    }

    /// Absolute index of the first frame of the last step, and how many frames lie in it: those
    /// with a time in `[now - step, now)`.
    pub fn frames_due(&self, meter: MeterIx) -> (u64, usize) {
        let Some(period_ps) = self.waves.period_ps(meter) else {
            return (0, 0);
        };
        let first = frame_after(self.now_ns - self.step_ns, period_ps);
        (
            first,
            (frame_after(self.now_ns, period_ps) - first) as usize,
        )
    }

    /// Appends frames of `meter` to `out`: `va vb vc ia ib ic`, i16, frame by frame. They should
    /// lie in the last step ([`Plant::frames_due`]); outside it the power at its ends is used.
    pub fn fill(&self, meter: MeterIx, first_frame: u64, frames: usize, out: &mut Vec<i16>) {
        self.waves
            .fill(&self.network, &self.meters, meter, first_frame, frames, out);
    }
}
