//! The agents of the hall: one for each host, each running the core's lease table, reached over a
//! network with latency and writing through a driver with latency and faults.
//!
//! Owns what lies between the controller's mailbox and a cap register, and back. A message keeps
//! its place in the stream of its host, as on a socket. A driver serves one write of a device at a
//! time (one of the host, where it serialises); a newer write for a device replaces one that still
//! waits. A write that does not return within [`WRITE_TIMEOUT_NS`] is reported and tried again.

use crate::hall::Plant;
use crate::params::{WriteFate, WriteModel};
use crate::rng::{Rng, Stream};
use crate::scenario::{EventKind, Timing};
use crate::sink::{LeaseRecord, Records};
use karman_grid_core::command::{Ack, Cause, FromAgent, Outcome, Refusal, ToAgent};
use karman_grid_core::ids::{DeviceIx, HostIx};
use karman_grid_core::lease::{LeaseTable, Write};
use karman_grid_core::time::{MonoNs, NS_PER_MS};
use karman_grid_core::topology::Topology;
use karman_grid_core::units::Power;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::ops::Range;

/// A driver that has not answered by then is taken to be stuck.
pub const WRITE_TIMEOUT_NS: u64 = 250 * NS_PER_MS;
/// How often an agent looks at its own clock for leases that have ended.
pub const POLL_NS: u64 = 5 * NS_PER_MS;

/// Something that will happen.
#[derive(Clone, Debug)]
pub(crate) enum Due {
    /// A message reaches an agent.
    ToAgent(HostIx, ToAgent),
    /// A message reaches the controller.
    FromAgent(FromAgent),
    /// A driver answers, or its time is up.
    Written(DeviceIx),
    /// An agent looks at its clock.
    Poll(HostIx),
    /// Something was done to the plant; only the record waits for its turn.
    Done { kind: EventKind, devices: Vec<DeviceIx>, duration_ns: Option<u64> },
}

/// What will happen, in order of time; ties in the order in which they were foreseen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Agenda {
    heap: BinaryHeap<Reverse<Entry>>,
    count: u64,
}

#[derive(Clone, Debug)]
struct Entry {
    at_ns: u64,
    order: u64,
    due: Due,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        (self.at_ns, self.order) == (other.at_ns, other.order)
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> std::cmp::Ordering {
        (self.at_ns, self.order).cmp(&(other.at_ns, other.order))
    }
}

impl Agenda {
    pub(crate) fn push(&mut self, at_ns: u64, due: Due) {
        self.heap.push(Reverse(Entry { at_ns, order: self.count, due }));
        self.count += 1;
    }

    /// The next one, if it lies at or before `until_ns`.
    pub(crate) fn pop(&mut self, until_ns: u64) -> Option<(u64, Due)> {
        if self.heap.peek()?.0.at_ns > until_ns {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| (entry.at_ns, entry.due))
    }
}

/// Latency of one message, lognormal.
#[derive(Clone, Copy, Debug)]
struct Transport {
    median_ms: f64,
    sigma: f64,
}

impl Transport {
    fn draw_ns(&self, rng: &mut Rng) -> u64 {
        (rng.lognormal(self.median_ms, self.sigma) * 1e6) as u64
    }
}

/// 99th percentile of the standard normal distribution.
const NORMAL_P99: f64 = 2.326_347_874_040_841;

#[derive(Clone, Copy, Debug)]
struct Job {
    write: Write,
    received_ns: u64,
}

#[derive(Clone, Copy, Debug)]
struct Busy {
    job: Job,
    stuck: bool,
}

#[derive(Clone, Debug, Default)]
struct Worker {
    busy: Option<Busy>,
    waits: Option<Job>,
    /// Writes started before then never return.
    stuck_until_ns: u64,
}

#[derive(Clone, Debug)]
struct Agent {
    table: LeaseTable,
    devices: Range<usize>,
    transport: Rng,
    write: Rng,
    last_to_ns: u64,
    last_from_ns: u64,
    /// The poll that counts; others are left over.
    poll_ns: u64,
    silent_until_ns: u64,
    /// Devices whose writes wait for the host's driver, where it serialises.
    line: VecDeque<DeviceIx>,
    driver_busy: bool,
}

/// What an agent touches.
pub(crate) struct Around<'a> {
    pub agenda: &'a mut Agenda,
    pub plant: &'a mut Plant,
    pub records: &'a mut Records,
}

/// Everything an acknowledgement tells the books of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acked {
    /// The acknowledgement.
    pub ack: Ack,
    /// What was written or should have been.
    pub cap: Power,
}

/// All agents.
#[derive(Clone, Debug)]
pub(crate) struct Agents {
    agents: Vec<Option<Agent>>,
    host_of: Vec<HostIx>,
    workers: Vec<Worker>,
    transport: Transport,
    write: WriteModel,
    boot_id: u64,
    /// Acknowledgements given since the last look, for the books of the run.
    pub acked: Vec<Acked>,
}

impl Agents {
    /// Agents of every host that an actuator serves, at their fallbacks.
    pub(crate) fn new(
        topology: &Topology,
        timing: &Timing,
        fallbacks: &[Power],
        seed: u64,
    ) -> Agents {
        let agent = |(at, host): (usize, &karman_grid_core::topology::Host)| {
            let own = host.devices.clone();
            let fallbacks = own.clone().map(|d| (DeviceIx::of(d), fallbacks[d]));
            host.actuated.then(|| Agent {
                table: LeaseTable::new(fallbacks),
                devices: own,
                transport: Rng::stream(seed, Stream::Transport, at as u64),
                write: Rng::stream(seed, Stream::Write, at as u64),
                last_to_ns: 0,
                last_from_ns: 0,
                poll_ns: u64::MAX,
                silent_until_ns: 0,
                line: VecDeque::new(),
                driver_busy: false,
            })
        };
        let spread = libm::log(timing.transport_p99_ms / timing.transport_median_ms);
        Agents {
            agents: topology.hosts.iter().enumerate().map(agent).collect(),
            host_of: topology.devices.iter().map(|d| d.host).collect(),
            workers: vec![Worker::default(); topology.devices.len()],
            transport: Transport {
                median_ms: timing.transport_median_ms,
                sigma: (spread / NORMAL_P99).max(0.0),
            },
            write: WriteModel {
                median_ms: timing.write_median_ms,
                p99_ms: timing.write_p99_ms,
                serialise_host: timing.serialise_per_host,
                ignored_ratio: 0.0,
                stuck_ratio: timing.write_stuck_ratio,
            },
            boot_id: seed,
            acked: Vec::new(),
        }
    }

    /// Every agent says what it holds.
    pub(crate) fn hello(&mut self, now_ns: u64, agenda: &mut Agenda) {
        for at in 0..self.agents.len() {
            let Some(agent) = &self.agents[at] else { continue };
            let message = FromAgent::Hello {
                host: HostIx::of(at),
                boot_id: self.boot_id,
                highest_epoch: agent.table.highest_epoch(),
                caps: agent.table.held().iter().map(|h| (h.device, h.cap)).collect(),
            };
            self.answer(HostIx::of(at), message, now_ns, agenda);
        }
    }

    /// Cap that the agent of `host` holds for `device`.
    pub(crate) fn held_cap(&self, host: HostIx, device: DeviceIx) -> Option<Power> {
        let table = &self.agents[host.at()].as_ref()?.table;
        table.held().iter().find(|held| held.device == device).map(|held| held.cap)
    }

    /// Whether messages of `host` are lost now.
    pub(crate) fn is_silent(&self, host: HostIx, now_ns: u64) -> bool {
        self.agents[host.at()].as_ref().is_none_or(|agent| now_ns < agent.silent_until_ns)
    }

    /// Messages to and from `host` are lost until `until_ns`.
    pub(crate) fn silence(&mut self, host: HostIx, until_ns: u64) {
        if let Some(agent) = &mut self.agents[host.at()] {
            agent.silent_until_ns = agent.silent_until_ns.max(until_ns);
        }
    }

    /// Writes to `device` that start before `until_ns` never return.
    pub(crate) fn stick(&mut self, device: DeviceIx, until_ns: u64) {
        let worker = &mut self.workers[device.at()];
        worker.stuck_until_ns = worker.stuck_until_ns.max(until_ns);
    }

    /// The controller puts a message into the mailbox at `mailbox_ns`.
    pub(crate) fn send(
        &mut self,
        host: HostIx,
        message: ToAgent,
        mailbox_ns: u64,
        agenda: &mut Agenda,
    ) {
        let Some(agent) = &mut self.agents[host.at()] else { return };
        let way_ns = self.transport.draw_ns(&mut agent.transport);
        agent.last_to_ns = agent.last_to_ns.max(mailbox_ns + way_ns);
        agenda.push(agent.last_to_ns, Due::ToAgent(host, message));
    }

    /// A message has come.
    pub(crate) fn receive(
        &mut self,
        host: HostIx,
        message: ToAgent,
        now_ns: u64,
        around: &mut Around,
    ) {
        let now = MonoNs(now_ns);
        let Some(agent) = &mut self.agents[host.at()] else { return };
        if now_ns < agent.silent_until_ns {
            return;
        }
        match message {
            ToAgent::Plan { contingency, epoch, seq, caps } => {
                if agent.table.plan(contingency, epoch, seq, caps).is_ok() {
                    let held = FromAgent::PlanHeld { host, contingency, seq };
                    self.answer(host, held, now_ns, around.agenda);
                }
            }
            ToAgent::Renew { epoch, lease_ns } => {
                if agent.table.renew(epoch, lease_ns, now).is_ok() {
                    around.records.renew(now_ns, host, lease_ns);
                    self.answer(host, FromAgent::Renewed { host }, now_ns, around.agenda);
                }
            }
            ToAgent::Cap(commands) => {
                for command in &commands {
                    let Some(agent) = &mut self.agents[host.at()] else { return };
                    match agent.table.cap(command, now) {
                        Ok(write) => {
                            let lease = LeaseRecord {
                                device: command.device,
                                cap: command.cap,
                                epoch: command.epoch,
                                seq: command.seq,
                                ttl_ns: command.lease_ns,
                            };
                            around.records.lease(now_ns, lease);
                            self.enqueue(host, write, now_ns, around);
                        }
                        Err(refusal) => {
                            let cause = Cause::Command { command_id: command.command_id };
                            self.refuse(host, command.device, cause, refusal, now_ns, around);
                        }
                    }
                }
            }
            ToAgent::Fire { contingency, epoch, seq } => {
                match agent.table.fire(contingency, epoch, seq) {
                    Ok(writes) => {
                        for write in writes {
                            self.record_lowered(host, write, epoch, seq, now, around.records);
                            self.enqueue(host, write, now_ns, around);
                        }
                    }
                    Err(refusal) => {
                        let cause = Cause::Fire { contingency, seq };
                        for device in agent.devices.clone().map(DeviceIx::of) {
                            self.refuse(host, device, cause, refusal, now_ns, around);
                        }
                    }
                }
            }
        }
        self.plan_poll(host, now_ns, around.agenda);
    }

    /// A fired plan lowers the lease of a device; what remains of its time stays.
    fn record_lowered(
        &self,
        host: HostIx,
        write: Write,
        epoch: u64,
        seq: u64,
        now: MonoNs,
        records: &mut Records,
    ) {
        let Some(agent) = &self.agents[host.at()] else { return };
        let held = agent.table.held().iter().find(|h| h.device == write.device);
        let Some(lease) = held.and_then(|h| h.lease).filter(|l| l.expires_mono_ns > now) else {
            return;
        };
        let ttl_ns = lease.expires_mono_ns.since(now);
        let record = LeaseRecord { device: write.device, cap: lease.cap, epoch, seq, ttl_ns };
        records.lease(now.0, record);
    }

    /// The agent looks at its clock.
    pub(crate) fn poll(&mut self, host: HostIx, now_ns: u64, around: &mut Around) {
        let Some(agent) = &mut self.agents[host.at()] else { return };
        if agent.poll_ns != now_ns {
            return;
        }
        agent.poll_ns = u64::MAX;
        for write in agent.table.expire(MonoNs(now_ns)) {
            self.enqueue(host, write, now_ns, around);
        }
        self.plan_poll(host, now_ns, around.agenda);
    }

    /// Foresees the first poll at which a lease will be seen to have ended.
    fn plan_poll(&mut self, host: HostIx, now_ns: u64, agenda: &mut Agenda) {
        let Some(agent) = &mut self.agents[host.at()] else { return };
        let Some(ends) = agent.table.next_expiry() else { return };
        let at_ns = ends.0.max(now_ns + 1).next_multiple_of(POLL_NS);
        if at_ns < agent.poll_ns {
            agent.poll_ns = at_ns;
            agenda.push(at_ns, Due::Poll(host));
        }
    }

    fn enqueue(&mut self, host: HostIx, write: Write, now_ns: u64, around: &mut Around) {
        let job = Job { write, received_ns: now_ns };
        let worker = &mut self.workers[write.device.at()];
        let replaced = worker.waits.replace(job);
        let idle = worker.busy.is_none();
        if let Some(old) = replaced {
            self.report(host, old, Outcome::Superseded, None, now_ns, around);
        } else if self.write.serialise_host
            && let Some(agent) = &mut self.agents[host.at()]
        {
            agent.line.push_back(write.device);
        }
        if self.write.serialise_host {
            self.serve_line(host, now_ns, around);
        } else if idle {
            self.begin(write.device, now_ns, around);
        }
    }

    /// Starts the next write of a host whose driver serialises.
    fn serve_line(&mut self, host: HostIx, now_ns: u64, around: &mut Around) {
        let Some(agent) = &mut self.agents[host.at()] else { return };
        if agent.driver_busy {
            return;
        }
        if let Some(device) = agent.line.pop_front() {
            agent.driver_busy = true;
            self.begin(device, now_ns, around);
        }
    }

    fn begin(&mut self, device: DeviceIx, now_ns: u64, around: &mut Around) {
        let host = self.host_of[device.at()];
        let worker = &mut self.workers[device.at()];
        let Some(agent) = &mut self.agents[host.at()] else { return };
        let Some(job) = worker.waits.take() else { return };
        let fate = self.write.draw(&mut agent.write);
        let held = now_ns < worker.stuck_until_ns;
        let (stuck, takes_ns) = match fate {
            WriteFate::Done { latency_ns } | WriteFate::Ignored { latency_ns } if !held => {
                (latency_ns > WRITE_TIMEOUT_NS, latency_ns.min(WRITE_TIMEOUT_NS))
            }
            _ => (true, WRITE_TIMEOUT_NS),
        };
        if stuck {
            // Until it is tried again nobody can be held to what the register holds.
            let devices = [device];
            around.records.event(now_ns, EventKind::WriteStuck, &devices, Some(takes_ns));
        }
        worker.busy = Some(Busy { job, stuck });
        around.agenda.push(now_ns + takes_ns, Due::Written(device));
    }

    /// The driver of `device` has answered, or its time is up.
    pub(crate) fn written(&mut self, device: DeviceIx, now_ns: u64, around: &mut Around) {
        let host = self.host_of[device.at()];
        let Some(Busy { job, stuck }) = self.workers[device.at()].busy.take() else { return };
        // A newer write that waits already takes the place of the one that failed.
        let again = stuck && self.workers[device.at()].waits.is_none();
        if stuck {
            self.report(host, job, Outcome::TimedOut, None, now_ns, around);
            self.workers[device.at()].waits.get_or_insert(job);
        } else {
            let taken = around.plant.set_cap(device, job.write.cap, now_ns);
            around.records.cap(now_ns, device, taken);
            let same = taken == job.write.cap;
            let outcome = if same { Outcome::Applied } else { Outcome::Clamped };
            self.report(host, job, outcome, Some(taken), now_ns, around);
        }
        if self.write.serialise_host {
            if let Some(agent) = &mut self.agents[host.at()] {
                agent.driver_busy = false;
                if again {
                    agent.line.push_back(device);
                }
            }
            self.serve_line(host, now_ns, around);
        } else {
            self.begin(device, now_ns, around);
        }
    }

    fn refuse(
        &mut self,
        host: HostIx,
        device: DeviceIx,
        cause: Cause,
        refusal: Refusal,
        now_ns: u64,
        around: &mut Around,
    ) {
        let job = Job { write: Write { device, cap: Power::ZERO, cause }, received_ns: now_ns };
        self.report(host, job, Outcome::Rejected(refusal), None, now_ns, around);
    }

    fn report(
        &mut self,
        host: HostIx,
        job: Job,
        outcome: Outcome,
        enforced_cap: Option<Power>,
        now_ns: u64,
        around: &mut Around,
    ) {
        let ack = Ack {
            device: job.write.device,
            cause: job.write.cause,
            outcome,
            enforced_cap,
            acked_mono_ns: MonoNs(now_ns),
            apply_latency_ns: now_ns - job.received_ns,
        };
        self.acked.push(Acked { ack, cap: job.write.cap });
        self.answer(host, FromAgent::Ack(vec![ack]), now_ns, around.agenda);
    }

    fn answer(&mut self, host: HostIx, message: FromAgent, now_ns: u64, agenda: &mut Agenda) {
        let Some(agent) = &mut self.agents[host.at()] else { return };
        if now_ns < agent.silent_until_ns {
            return;
        }
        let way_ns = self.transport.draw_ns(&mut agent.transport);
        agent.last_from_ns = agent.last_from_ns.max(now_ns + way_ns);
        agenda.push(agent.last_from_ns, Due::FromAgent(message));
    }
}
