//! Plant, agents and engine stepped together through simulated time.
//!
//! Owns the order of everything inside a step: what is done to the plant, the plant itself, then
//! waveform blocks, messages and writes in order of time, then the tick. All times are ns from the
//! start of the run-in; a clone goes on exactly as the original, so that a run can be rewound. The
//! engine gets sample blocks, power samples, messages of agents and time, and nothing else.

use crate::agenda::Agenda;
use crate::agents::{Agents, Around};
use crate::demandfeed::DemandFeed;
use crate::faults::FaultId;
use crate::hall::Plant;
use crate::measure::Measure;
use crate::planned::{self, Planned};
use crate::protection::{Mode, TripPlace};
use crate::scenario::Scenario;
use crate::setup::{self, Turn};
use crate::sink::Records;
use crate::wavefeed::WaveFeed;
use karman_grid_core::command::ToAgent;
use karman_grid_core::engine::Engine;
use karman_grid_core::error::SiteError;
use karman_grid_core::ids::{ContingencyIx, DeviceIx, HostIx, MeterIx};
use karman_grid_core::journal::Entry;
use karman_grid_core::site::SiteSpec;
use karman_grid_core::time::{MonoNs, NS_PER_MS, NS_PER_S, ns_from_ms};
use karman_grid_core::topology::Topology;
use karman_grid_core::units::Power;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

pub use crate::demandfeed::Workload;

/// Before its first instant a run lives this long, so that the controller itself brings the hall
/// from the fallback into its steady state, ns.
pub const RUN_IN_NS: u64 = 60 * NS_PER_S;
/// Grain of the plant where anything happens, ns.
pub const FINE_NS: u64 = NS_PER_MS;
/// Grain where nothing does, ns.
pub const COARSE_NS: u64 = 100 * NS_PER_MS;
/// The engine's tick, ns.
const TICK_NS: u64 = 2 * NS_PER_MS;
/// Readings of devices are spread over a second, in slots of this length, ns.
pub(crate) const SLOT_NS: u64 = 10 * NS_PER_MS;
/// Flows are recorded at least this often, ns.
const FLOW_MAX_NS: u64 = 100 * NS_PER_MS;
/// A flow that moved by more than this since it was last recorded is recorded, ratio of the limit.
const FLOW_MOVED_RATIO: f64 = 0.002;
/// Every step is recorded for this long after an event and after a cap was written, ns.
pub(crate) const EVENT_WINDOW_NS: u64 = NS_PER_S;
const CAP_WINDOW_NS: u64 = 200 * NS_PER_MS;
/// Epoch of the controller in a run of its own.
pub const FIRST_EPOCH: u64 = 1;

/// Who holds the caps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Control {
    /// The engine.
    On,
    /// Nobody: every cap at its highest.
    Off,
    /// Nobody: every cap at its fallback, the static N-1-safe share.
    #[serde(rename = "static-75")]
    Static75,
}

impl Control {
    /// As the command line spells it.
    pub fn name(self) -> &'static str {
        match self {
            Control::On => "on",
            Control::Off => "off",
            Control::Static75 => "static-75",
        }
    }
}

/// Everything that a run depends on.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The site.
    pub site: SiteSpec,
    /// The scenario.
    pub scenario: Scenario,
    /// Seed of all random numbers.
    pub seed: u64,
    /// Epoch of the controller: above every one that an agent has obeyed.
    pub epoch: u64,
    /// Length of the run-in, ns: [`RUN_IN_NS`], or 0 to begin at the fallback.
    pub run_in_ns: u64,
    /// Who holds the caps.
    pub control: Control,
    /// Requests, where they make the demand.
    pub workload: Option<Workload>,
}

/// A run in progress.
#[derive(Clone, Debug)]
pub struct Sim {
    pub(crate) topology: Arc<Topology>,
    pub(crate) plant: Plant,
    pub(crate) engine: Option<Engine>,
    pub(crate) agents: Agents,
    pub(crate) agenda: Agenda,
    pub(crate) records: Records,
    pub(crate) measure: Measure,
    pub(crate) outbox: Vec<(HostIx, ToAgent)>,
    pub(crate) journal: Vec<Entry>,
    /// What the engine did, for whoever tells it to people; absent: nobody listens.
    pub(crate) told: Option<Vec<Entry>>,
    /// Plans as they reached the agents, by host.
    pub(crate) plans: Vec<BTreeMap<ContingencyIx, Vec<(DeviceIx, Power)>>>,
    pub(crate) faulty: Vec<bool>,
    pub(crate) decide_ns: u64,
    pub(crate) now_ns: u64,
    /// When the engine last heard something: what it says is said then.
    pub(crate) sent_ns: u64,
    pub(crate) start_ns: u64,
    pub(crate) fallbacks: Vec<Power>,
    /// Whether an event, a cap or the grant changed since this was last cleared.
    pub(crate) touched: bool,
    /// Every step is recorded until then.
    pub(crate) watch_until_ns: u64,
    demand: Option<DemandFeed>,
    pub(crate) waves: WaveFeed,
    pub(crate) polled: Vec<(MeterIx, u64)>,
    pub(crate) planned: Arc<[Planned]>,
    pub(crate) turns: Vec<Turn>,
    pub(crate) next_turn: usize,
    pub(crate) faults: Vec<Option<FaultId>>,
    pub(crate) backfeed_tau_ns: Vec<u64>,
    flow_w: Vec<f64>,
    modes: Vec<Mode>,
    flow_ns: Option<u64>,
}

impl Sim {
    /// A hall at the start of its run-in.
    ///
    /// # Errors
    /// [`SiteError`] where site or scenario cannot be.
    pub fn new(inputs: &Inputs) -> Result<Sim, SiteError> {
        let topology = Arc::new(Topology::build(&inputs.site)?);
        let scenario = &inputs.scenario;
        let params = setup::plant_params(scenario, inputs.workload.is_some())?;
        let mut plant = Plant::new(&topology, params, inputs.seed)?;
        let engine = Engine::new(Topology::clone(&topology), inputs.epoch)?;
        let fallbacks = match inputs.control {
            Control::Off => topology.devices.iter().map(|d| d.cap_max).collect(),
            Control::On | Control::Static75 => engine.fallbacks().to_vec(),
        };
        let planned = planned::plan(scenario, &topology, inputs.seed)?;
        let focus_ns = planned::first_disturbance(&planned).map(|ns| inputs.run_in_ns + ns);
        let mut records = Records::default();
        for (at, taken) in plant.begin_at(&fallbacks).into_iter().enumerate() {
            records.cap(0, DeviceIx::of(at), taken);
        }
        let mut sim = Sim {
            measure: Measure::new(&topology, &fallbacks, inputs.run_in_ns, focus_ns),
            agents: Agents::new(&topology, &scenario.timing, &fallbacks, inputs.seed),
            agenda: Agenda::default(),
            outbox: Vec::new(),
            journal: Vec::new(),
            told: None,
            plans: vec![BTreeMap::new(); topology.hosts.len()],
            faulty: vec![false; topology.devices.len()],
            decide_ns: ns_from_ms(scenario.timing.decide_ms),
            now_ns: 0,
            sent_ns: 0,
            start_ns: inputs.run_in_ns,
            touched: false,
            watch_until_ns: 0,
            demand: inputs
                .workload
                .as_ref()
                .map(|w| DemandFeed::new(w, &topology)),
            waves: WaveFeed::new(&topology, &plant),
            polled: setup::polled(&topology),
            turns: setup::turns(&planned, inputs.run_in_ns),
            next_turn: 0,
            faults: vec![None; planned.len()],
            backfeed_tau_ns: setup::backfeeds(scenario, planned.len(), inputs.seed),
            planned: planned.into(),
            flow_w: vec![0.0; topology.elements.len()],
            modes: vec![Mode::Line; topology.elements.len()],
            flow_ns: None,
            engine: (inputs.control == Control::On).then_some(engine),
            fallbacks,
            records,
            plant,
            topology,
        };
        sim.put_flow(0);
        if let Some(engine) = &sim.engine {
            sim.measure.grant_ratio = Some(engine.status(MonoNs(0)).grant.grant_ratio);
            sim.agents.hello(0, &mut sim.agenda);
        }
        Ok(sim)
    }

    /// Site of the run.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Now, ns from the start of the run-in.
    pub fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// End of the run-in, ns.
    pub fn start_ns(&self) -> u64 {
        self.start_ns
    }

    /// What each device may hold without a lease.
    pub fn fallbacks(&self) -> &[Power] {
        &self.fallbacks
    }

    /// The plant's truth.
    pub fn plant(&self) -> &Plant {
        &self.plant
    }

    /// The controller, while it lives.
    pub fn engine(&self) -> Option<&Engine> {
        self.engine.as_ref()
    }

    /// Instants of what is planned, ms after the run-in, and what it is.
    pub(crate) fn planned_names(&self) -> Vec<(f64, String)> {
        let name = |p: &Planned| (p.at_ns as f64 / 1e6, p.kind.name().to_string());
        self.planned.iter().map(name).collect()
    }

    /// Share of the work not done, where requests make the demand.
    pub(crate) fn work_lost_ratio(&self) -> Option<f64> {
        self.demand.as_ref().map(DemandFeed::work_lost_ratio)
    }

    /// When something is next done to the plant, ns.
    pub(crate) fn next_turn_ns(&self) -> u64 {
        self.turns
            .get(self.next_turn)
            .map_or(u64::MAX, |turn| turn.at_ns)
    }

    /// Lives through the run-in.
    pub(crate) fn run_in(&mut self) {
        while self.now_ns < self.start_ns {
            self.coarse_step();
        }
    }

    /// One step with waveforms.
    pub(crate) fn fine_step(&mut self) {
        let (from_ns, to_ns) = (self.now_ns, self.now_ns + FINE_NS);
        self.live(FINE_NS);
        self.hear_waves(to_ns);
        self.run_agenda(to_ns);
        self.now_ns = to_ns;
        self.record_truth(to_ns);
        self.read_polled(from_ns, to_ns, false);
        self.read_devices(from_ns, to_ns);
        if to_ns.is_multiple_of(TICK_NS) {
            self.tick(to_ns);
        }
    }

    /// One step without waveforms: every meter gives a power value at its end.
    pub(crate) fn coarse_step(&mut self) {
        let (from_ns, to_ns) = (self.now_ns, self.now_ns + COARSE_NS);
        if self.flow_ns != Some(from_ns) {
            // The next chance lies a whole step ahead.
            self.put_flow(from_ns);
        }
        self.live(COARSE_NS);
        self.run_agenda(to_ns);
        self.now_ns = to_ns;
        self.record_truth(to_ns);
        self.read_polled(from_ns, to_ns, true);
        self.read_devices(from_ns, to_ns);
        self.tick(to_ns);
    }

    /// The plant lives from now on for `step_ns`.
    fn live(&mut self, step_ns: u64) {
        let from_ns = self.now_ns;
        self.turn(from_ns + step_ns);
        if let Some(demand) = &mut self.demand
            && from_ns.is_multiple_of(SLOT_NS)
        {
            demand.step(
                &mut self.plant,
                from_ns,
                step_ns.max(SLOT_NS),
                self.start_ns,
            );
        }
        self.plant.step(step_ns);
        self.measure
            .step(&self.plant, from_ns + step_ns, step_ns, &mut self.records);
    }

    /// Records trips of the step that ends now, and flows.
    fn record_truth(&mut self, now_ns: u64) {
        for trip in self.plant.trips() {
            self.measure.trips += 1;
            if let TripPlace::Element(element) = trip.place {
                self.records.trip(now_ns, element);
            }
            self.touched = true;
            self.watch_until_ns = self.watch_until_ns.max(now_ns + EVENT_WINDOW_NS);
        }
        self.record_flow(now_ns);
    }

    /// Records flows unless they have hardly moved since they last were.
    fn record_flow(&mut self, at_ns: u64) {
        let flow_w = self.plant.flows_w();
        let moved = || {
            let pairs = self
                .topology
                .elements
                .iter()
                .zip(flow_w.iter().zip(&self.flow_w));
            pairs.fold(false, |moved, (element, (new, old))| {
                moved | ((new - old).abs() > FLOW_MOVED_RATIO * element.limit_w)
            })
        };
        let modes = self.plant.modes();
        let switched = modes != self.modes;
        let due = self
            .flow_ns
            .is_none_or(|last_ns| at_ns - last_ns >= FLOW_MAX_NS);
        if due || switched || at_ns < self.watch_until_ns || moved() {
            self.put_flow(at_ns);
        }
    }

    fn put_flow(&mut self, at_ns: u64) {
        let (flow_w, modes) = (self.plant.flows_w(), self.plant.modes());
        let switched = modes != self.modes;
        self.records.flow(at_ns, flow_w, switched.then_some(modes));
        self.flow_w.copy_from_slice(flow_w);
        self.modes.copy_from_slice(modes);
        self.flow_ns = Some(at_ns);
    }

    /// Messages and writes up to `until_ns`, in order of time.
    pub(crate) fn run_agenda(&mut self, until_ns: u64) {
        while let Some((at_ns, due)) = self.agenda.pop(until_ns) {
            self.happen(at_ns, due);
        }
    }

    pub(crate) fn around(&mut self) -> (&mut Agents, Around<'_>) {
        let around = Around {
            agenda: &mut self.agenda,
            plant: &mut self.plant,
            records: &mut self.records,
        };
        (&mut self.agents, around)
    }

    /// A cap was written.
    pub(crate) fn cap_written(&mut self, at_ns: u64) {
        self.touched = true;
        self.watch_until_ns = self.watch_until_ns.max(at_ns + CAP_WINDOW_NS);
    }

    fn tick(&mut self, now_ns: u64) {
        if let Some(engine) = &mut self.engine {
            engine.tick(MonoNs(now_ns));
            self.sent_ns = now_ns;
            self.drain();
        }
    }
}
