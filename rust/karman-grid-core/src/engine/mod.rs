//! The engine: drain → image → detect → decide → guard → emit.
//!
//! Owns the state of control. The contingency path ([`Engine::block`]) is woken by a sample block
//! and is a table look-up; the tick ([`Engine::tick`]) arms plans, shares watts and keeps leases
//! alive. One thread calls it; it never reads a clock. Parts: `fast` (failures), `slow` (plans,
//! grant, protection), `share` (sharing), `watch` (readings against the books), `emit` (commands
//! and answers).

mod emit;
mod fast;
mod share;
mod slow;
mod status;
mod watch;

pub use status::{CapSums, ElementStatus, Status};

use crate::admission::Grant;
use crate::allocate::{Problem, allocate};
use crate::command::{FromAgent, ToAgent};
use crate::contingency::{ArmedPlan, Contingency, enumerate, limit_after_w};
use crate::detect::Detector;
use crate::error::SiteError;
use crate::event::ElectricalEvent;
use crate::ids::{ContingencyIx, ElementIx, HostIx, MeterIx};
use crate::image::{ProcessImage, Reading};
use crate::journal::{Because, Entry};
use crate::ledger::Ledger;
use crate::limits::LEASE_TTL_MIN_NS;
use crate::mode::{Mode, Trigger};
use crate::rows::{Case, Condition, Row, supply_rows};
use crate::sample::{Node, PowerSample, SampleBlock};
use crate::shares::Lost;
use crate::site::ModeSpec;
use crate::time::{MonoNs, NS_PER_MS, NS_PER_S};
use crate::topology::Topology;
use crate::units::Power;

/// Plans, grant and shares are worked out anew this often, ns.
const SLOW_PERIOD_NS: u64 = NS_PER_S;
/// Caps move in steps of this length, ns.
const STEP_PERIOD_NS: u64 = 100 * NS_PER_MS;

/// Constants of the devices, one entry each.
#[derive(Clone, Debug)]
struct Columns {
    floor_w: Vec<f64>,
    ceiling_w: Vec<f64>,
    tier: Vec<u8>,
    weight: Vec<f64>,
    rack: Vec<usize>,
}

/// The network as the engine knows it.
#[derive(Clone, Debug)]
struct Network {
    lost: Lost,
    conditions: Vec<Condition>,
    now: Case,
    contingencies: Vec<Contingency>,
    battery_since: Vec<Option<MonoNs>>,
    /// What was used up of each curve when the cases were made.
    built_used: Vec<f64>,
    dirty: bool,
}

impl Network {
    /// Nothing lost, every element in its normal condition.
    fn whole(topology: &Topology) -> Network {
        let elements = topology.elements.len();
        let conditions = vec![Condition::default(); elements];
        let lost = Lost::none(topology);
        Network {
            now: Case::new(topology, lost.clone(), &conditions),
            contingencies: enumerate(topology, &lost, &conditions),
            lost,
            conditions,
            battery_since: vec![None; elements],
            built_used: vec![0.0; elements],
            dirty: false,
        }
    }
}

/// What is known of an agent.
#[derive(Clone, Copy, Debug, Default)]
struct HostState {
    greeted: bool,
    heard_mono_ns: MonoNs,
    silent: bool,
}

/// Caps before a plan was fired, to be given back if the failure does not hold.
#[derive(Clone, Debug)]
struct Prefire {
    element: ElementIx,
    plan: ContingencyIx,
    caps: Vec<Power>,
    load_w: Option<f64>,
}

/// Next times of periodic work.
#[derive(Clone, Copy, Debug, Default)]
struct Schedule {
    slow: MonoNs,
    step: MonoNs,
    renew: MonoNs,
    watch: MonoNs,
    rebalance: MonoNs,
}

/// The engine.
#[derive(Clone, Debug)]
pub struct Engine {
    topology: Topology,
    columns: Columns,
    fallback: Vec<Power>,
    full_w: Vec<f64>,
    fixed_w: Vec<f64>,
    supply: Vec<Row>,
    /// Elements that carry the same load while nothing is lost.
    intact: Vec<Vec<ElementIx>>,
    epoch: u64,
    deposed_by: Option<u64>,
    seq: u64,
    decision_seq: u64,
    command_id: u64,
    detector: Detector,
    events: Vec<ElectricalEvent>,
    image: ProcessImage,
    ledger: Ledger,
    expected: Vec<emit::Expected>,
    distrusted: Vec<bool>,
    strikes: Vec<u8>,
    asked: Vec<MonoNs>,
    hosts: Vec<HostState>,
    network: Network,
    plans: Vec<Option<ArmedPlan>>,
    plan_sent: Vec<MonoNs>,
    held: Vec<Vec<u64>>,
    bias_w: Vec<f64>,
    over: Vec<u8>,
    last_fall: MonoNs,
    last_fire: Option<MonoNs>,
    grant: Grant,
    lease_ns: u64,
    mode: Mode,
    frozen_until: MonoNs,
    restore: Vec<(ElementIx, MonoNs)>,
    fires: Vec<MonoNs>,
    prefire: Option<Prefire>,
    target: Option<Vec<Power>>,
    schedule: Schedule,
    escalations: u32,
    foreign_messages: u64,
    last_event: Option<ElectricalEvent>,
    outbox: Vec<(HostIx, ToAgent)>,
    journal: Vec<Entry>,
}

impl Engine {
    /// An engine for `topology`; `epoch` must be above every epoch that an agent has obeyed.
    ///
    /// # Errors
    /// [`SiteError`] where even the static share does not exist: with every device at its lowest
    /// cap some credible failure leaves an element over its limit.
    pub fn new(topology: Topology, epoch: u64) -> Result<Engine, SiteError> {
        let columns = Columns::new(&topology);
        let network = Network::whole(&topology);
        let fixed_w: Vec<f64> = topology.racks.iter().map(|r| r.fixed_w).collect();
        let mut full_w = fixed_w.clone();
        for (ceiling_w, rack) in columns.ceiling_w.iter().zip(&columns.rack) {
            full_w[*rack] += ceiling_w;
        }
        let supply = supply_rows(&topology, &full_w);
        let (now, failures) = (&network.now, &network.contingencies);
        let fallback = static_share(&topology, &columns, &fixed_w, &supply, now, failures)?;
        let (elements, hosts) = (topology.elements.len(), topology.hosts.len());
        let (devices, plans) = (topology.devices.len(), failures.len());
        let intact = network.now.rows.iter().map(|r| r.members.clone()).collect();
        let static_w = topology.feed_rating_w() - topology.reserve_w();
        Ok(Engine {
            detector: Detector::new(&topology),
            image: ProcessImage::new(&topology, &network.now),
            ledger: Ledger::new(topology.devices.iter().map(|d| d.cap_max)),
            columns,
            fallback,
            full_w,
            fixed_w,
            supply,
            intact,
            epoch,
            deposed_by: None,
            seq: 0,
            decision_seq: 0,
            command_id: 0,
            events: Vec::new(),
            expected: vec![emit::Expected::default(); devices],
            distrusted: vec![false; devices],
            strikes: vec![0; devices],
            asked: vec![MonoNs(0); devices],
            hosts: vec![HostState::default(); hosts],
            network,
            plans: vec![None; plans],
            plan_sent: vec![MonoNs(0); plans],
            held: vec![vec![0; hosts]; plans],
            bias_w: vec![0.0; elements],
            over: vec![0; elements],
            last_fall: MonoNs(0),
            last_fire: None,
            grant: Grant {
                load_w: static_w,
                grant_w: 0.0,
                grant_ratio: 0.0,
                binding: None,
            },
            lease_ns: LEASE_TTL_MIN_NS,
            mode: Mode::Starting,
            frozen_until: MonoNs(0),
            restore: Vec::new(),
            fires: Vec::new(),
            prefire: None,
            target: None,
            schedule: Schedule::default(),
            escalations: 0,
            foreign_messages: 0,
            last_event: None,
            outbox: Vec::new(),
            journal: Vec::new(),
            topology,
        })
    }

    /// The site.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Static, zero-grant, N-1-feasible cap of each device (rule 5).
    pub fn fallbacks(&self) -> &[Power] {
        &self.fallback
    }

    /// The contingency path: a block of waveform frames arrived at `now`.
    pub fn block(&mut self, block: &SampleBlock, now: MonoNs) {
        if self.mode == Mode::Released {
            return;
        }
        let mut events = std::mem::take(&mut self.events);
        self.detector.push(block, &mut events);
        if let Some(values) = self.detector.values(block.meter) {
            let reading = Reading {
                power_active_w: values.power_active_w,
                taken_mono_ns: values.taken_mono_ns,
                validity: values.validity,
            };
            // What a meter makes visible may be granted from now on.
            self.network.dirty |= self.image.meter(block.meter, reading);
        }
        for event in events.drain(..) {
            self.on_event(event, now);
        }
        self.events = events;
    }

    /// A single value of a meter or a device arrived at `now`.
    pub fn power(&mut self, sample: &PowerSample, now: MonoNs) {
        match sample.node {
            _ if self.mode == Mode::Released => {}
            Node::Meter(meter) if meter.at() < self.topology.meters.len() => {
                self.meter_value(meter, sample, now);
            }
            Node::Device(device) if device.at() < self.asked.len() => {
                let cap_w = self.ledger.of(device).requested.w();
                self.image.device(device, sample, cap_w);
                self.verify(device, sample, now);
            }
            Node::Meter(_) | Node::Device(_) => self.foreign_messages += 1,
        }
    }

    fn meter_value(&mut self, meter: MeterIx, sample: &PowerSample, now: MonoNs) {
        let mut events = std::mem::take(&mut self.events);
        self.detector.heard(meter, now, &mut events);
        let reading = Reading {
            power_active_w: sample.power_active_w,
            taken_mono_ns: sample.taken_mono_ns,
            validity: sample.validity,
        };
        self.network.dirty |= self.image.meter(meter, reading);
        for event in events.drain(..) {
            self.on_event(event, now);
        }
        self.events = events;
    }

    /// A message of an agent arrived at `now`.
    pub fn agent(&mut self, message: &FromAgent, now: MonoNs) {
        self.on_agent(message, now);
    }

    /// The tick: everything that is due at `now`, in numbered phases.
    pub fn tick(&mut self, now: MonoNs) {
        if self.mode == Mode::Released {
            return;
        }
        // 1. What silence means.
        let mut events = std::mem::take(&mut self.events);
        self.detector.tick(now, &mut events);
        for event in events.drain(..) {
            self.on_event(event, now);
        }
        self.events = events;
        // 2. Times that have come.
        self.pass_time(now);
        // 3. Readings against the books.
        if now >= self.schedule.watch {
            self.schedule.watch = now.plus_ns(STEP_PERIOD_NS);
            self.watch_agents(now);
            self.watch_elements(now);
        }
        // 4. Plans, grant and protection; at once when the network changed.
        let changed = self.network.dirty;
        if changed {
            self.rebuild();
        }
        if changed || now >= self.schedule.slow {
            self.schedule.slow = now.plus_ns(SLOW_PERIOD_NS);
            self.arm(now);
            self.protect(Because::Protection, now);
            self.share(now);
        }
        // 5. Caps move towards their target; leases stay alive.
        if now >= self.schedule.step {
            self.schedule.step = now.plus_ns(STEP_PERIOD_NS);
            self.step(now);
        }
        if now >= self.schedule.renew {
            self.renew(now);
        }
    }

    /// Moves what waits for agents to the end of `out`.
    pub fn drain_outbox(&mut self, out: &mut Vec<(HostIx, ToAgent)>) {
        out.append(&mut self.outbox);
    }

    /// Moves the record to the end of `out`.
    pub fn drain_journal(&mut self, out: &mut Vec<Entry>) {
        out.append(&mut self.journal);
    }

    /// Whether a higher epoch has been seen: then this controller must stop (interfaces, 4).
    pub fn deposed_by(&self) -> Option<u64> {
        self.deposed_by
    }

    fn is_shadow(&self) -> bool {
        self.topology.site.mode == ModeSpec::Shadow
    }

    fn trigger(&mut self, trigger: Trigger, now: MonoNs) {
        if let Some(mode) = self.mode.after(trigger) {
            if mode != self.mode {
                self.journal.push(Entry::Mode { mono_ns: now, mode });
            }
            self.mode = mode;
        }
    }
}

impl Columns {
    fn new(topology: &Topology) -> Columns {
        let devices = &topology.devices;
        Columns {
            floor_w: devices.iter().map(|d| d.cap_min.w()).collect(),
            ceiling_w: devices.iter().map(|d| d.cap_max.w()).collect(),
            tier: devices.iter().map(|d| d.tier).collect(),
            weight: devices.iter().map(|d| d.weight).collect(),
            rack: devices.iter().map(|d| d.rack.at()).collect(),
        }
    }
}

/// The zero-grant allocation: within every limit now and after each credible failure, no action.
fn static_share(
    topology: &Topology,
    columns: &Columns,
    fixed_w: &[f64],
    supply: &[Row],
    now: &Case,
    contingencies: &[Contingency],
) -> Result<Vec<Power>, SiteError> {
    let no_bias = vec![0.0; topology.elements.len()];
    let mut rows: Vec<(&Row, f64)> = now.rows.iter().map(|r| (r, r.limit_w)).collect();
    let own = |(at, c): &(usize, &Contingency)| c.representative.at() == *at;
    let distinct = contingencies.iter().enumerate().filter(own);
    for case in distinct.filter_map(|(_, c)| c.case.as_ref()) {
        rows.extend(case.rows.iter().map(|r| (r, limit_after_w(r, &no_bias))));
    }
    rows.extend(supply.iter().map(|r| (r, r.limit_w)));
    let allocation = allocate(&Problem {
        floor_w: &columns.floor_w,
        request_w: &columns.ceiling_w,
        ceiling_w: &columns.ceiling_w,
        tier: &columns.tier,
        weight: &columns.weight,
        rack: &columns.rack,
        base_w: fixed_w,
        rows: &rows,
    });
    if !allocation.feasible {
        let mut rack_w = fixed_w.to_vec();
        for (floor_w, rack) in columns.floor_w.iter().zip(&columns.rack) {
            rack_w[*rack] += floor_w;
        }
        let over = |(row, limit_w): &(&Row, f64)| row.load_w(&rack_w) - limit_w;
        let worst = rows.iter().max_by(|a, b| over(a).total_cmp(&over(b)));
        let (row, limit_w) = worst.expect("an allocation without rows is feasible");
        return Err(SiteError::new(
            format!("element.{}", topology.elements[row.element.at()].id),
            format!(
                "{:.0} W with every device at its lowest cap",
                row.load_w(&rack_w)
            ),
            format!("at most {limit_w:.0} W after every credible failure"),
        ));
    }
    Ok(allocation.cap_w.iter().map(|w| Power::from_w(*w)).collect())
}
