//! The agents of the hall: one for each host, each running the core's lease table, reached over a
//! network with latency and writing through a driver with latency and faults.
//!
//! Owns what lies between the controller's mailbox and a cap register, and back. A message keeps
//! its place in the stream of its host, as on a socket. Writes are in [`crate::driver`].

use crate::agenda::{Agenda, Due};
use crate::driver::{Job, Worker};
use crate::hall::Plant;
use crate::params::WriteModel;
use crate::rng::{Rng, Stream};
use crate::scenario::Timing;
use crate::sink::{LeaseRecord, Records};
use karman_grid_core::command::{Ack, CapCommand, Cause, FromAgent, Outcome, Refusal, ToAgent};
use karman_grid_core::ids::{ContingencyIx, DeviceIx, HostIx};
use karman_grid_core::lease::{LeaseTable, Write};
use karman_grid_core::time::{MonoNs, NS_PER_MS};
use karman_grid_core::topology::Topology;
use karman_grid_core::units::Power;
use std::collections::VecDeque;
use std::ops::Range;

/// How often an agent looks at its own clock for leases that have ended.
pub const POLL_NS: u64 = 5 * NS_PER_MS;

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

/// One agent.
#[derive(Clone, Debug)]
pub(crate) struct Agent {
    table: LeaseTable,
    devices: Range<usize>,
    transport: Rng,
    pub write: Rng,
    last_to_ns: u64,
    last_from_ns: u64,
    /// The poll that counts; others are left over.
    poll_ns: u64,
    silent_until_ns: u64,
    /// Devices whose writes wait for the host's driver, where it serialises.
    pub line: VecDeque<DeviceIx>,
    pub driver_busy: bool,
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
    pub agents: Vec<Option<Agent>>,
    pub host_of: Vec<HostIx>,
    pub workers: Vec<Worker>,
    transport: Transport,
    pub write: WriteModel,
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
            let Some(agent) = &self.agents[at] else {
                continue;
            };
            let message = FromAgent::Hello {
                host: HostIx::of(at),
                boot_id: self.boot_id,
                highest_epoch: agent.table.highest_epoch(),
                caps: agent
                    .table
                    .held()
                    .iter()
                    .map(|h| (h.device, h.cap))
                    .collect(),
            };
            self.answer(HostIx::of(at), message, now_ns, agenda);
        }
    }

    /// Cap that the agent of `host` holds for `device`.
    pub(crate) fn held_cap(&self, host: HostIx, device: DeviceIx) -> Option<Power> {
        let table = &self.agents[host.at()].as_ref()?.table;
        table
            .held()
            .iter()
            .find(|held| held.device == device)
            .map(|held| held.cap)
    }

    /// Whether messages of `host` are lost now.
    pub(crate) fn is_silent(&self, host: HostIx, now_ns: u64) -> bool {
        self.agents[host.at()]
            .as_ref()
            .is_none_or(|agent| now_ns < agent.silent_until_ns)
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
        let Some(agent) = &mut self.agents[host.at()] else {
            return;
        };
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
        let Some(agent) = &mut self.agents[host.at()] else {
            return;
        };
        if now_ns < agent.silent_until_ns {
            return;
        }
        match message {
            ToAgent::Plan {
                contingency,
                epoch,
                seq,
                caps,
            } => {
                if agent.table.plan(contingency, epoch, seq, caps).is_ok() {
                    let held = FromAgent::PlanHeld {
                        host,
                        contingency,
                        seq,
                    };
                    self.answer(host, held, now_ns, around.agenda);
                }
            }
            ToAgent::Renew { epoch, lease_ns } => {
                if agent.table.renew(epoch, lease_ns, MonoNs(now_ns)).is_ok() {
                    around.records.renew(now_ns, host, lease_ns);
                    self.answer(host, FromAgent::Renewed { host }, now_ns, around.agenda);
                }
            }
            ToAgent::Cap(commands) => {
                for command in &commands {
                    self.obey(host, command, now_ns, around);
                }
            }
            ToAgent::Fire {
                contingency,
                epoch,
                seq,
            } => self.fire(host, contingency, [epoch, seq], now_ns, around),
        }
        self.plan_poll(host, now_ns, around.agenda);
    }

    /// One command for a cap.
    fn obey(&mut self, host: HostIx, command: &CapCommand, now_ns: u64, around: &mut Around) {
        let Some(agent) = &mut self.agents[host.at()] else {
            return;
        };
        match agent.table.cap(command, MonoNs(now_ns)) {
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
                let cause = Cause::Command {
                    command_id: command.command_id,
                };
                self.refuse(host, command.device, cause, refusal, now_ns, around);
            }
        }
    }

    /// The plan held for `contingency` is fired, under this epoch and sequence.
    fn fire(
        &mut self,
        host: HostIx,
        contingency: ContingencyIx,
        [epoch, seq]: [u64; 2],
        now_ns: u64,
        around: &mut Around,
    ) {
        let Some(agent) = &mut self.agents[host.at()] else {
            return;
        };
        match agent.table.fire(contingency, epoch, seq, MonoNs(now_ns)) {
            Ok(writes) => {
                for write in writes {
                    let now = MonoNs(now_ns);
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
        let Some(agent) = &self.agents[host.at()] else {
            return;
        };
        let held = agent.table.held().iter().find(|h| h.device == write.device);
        let Some(lease) = held
            .and_then(|h| h.lease)
            .filter(|l| l.expires_mono_ns > now)
        else {
            return;
        };
        let ttl_ns = lease.expires_mono_ns.since(now);
        let record = LeaseRecord {
            device: write.device,
            cap: lease.cap,
            epoch,
            seq,
            ttl_ns,
        };
        records.lease(now.0, record);
    }

    /// The agent looks at its clock.
    pub(crate) fn poll(&mut self, host: HostIx, now_ns: u64, around: &mut Around) {
        let Some(agent) = &mut self.agents[host.at()] else {
            return;
        };
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
        let Some(agent) = &mut self.agents[host.at()] else {
            return;
        };
        let Some(ends) = agent.table.next_expiry() else {
            return;
        };
        let at_ns = ends.0.max(now_ns + 1).next_multiple_of(POLL_NS);
        if at_ns < agent.poll_ns {
            agent.poll_ns = at_ns;
            agenda.push(at_ns, Due::Poll(host));
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
        let job = Job {
            write: Write {
                device,
                cap: Power::ZERO,
                cause,
            },
            received_ns: now_ns,
        };
        self.report(host, job, Outcome::Rejected(refusal), None, now_ns, around);
    }

    pub(crate) fn report(
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
        self.acked.push(Acked {
            ack,
            cap: job.write.cap,
        });
        self.answer(host, FromAgent::Ack(vec![ack]), now_ns, around.agenda);
    }

    fn answer(&mut self, host: HostIx, message: FromAgent, now_ns: u64, agenda: &mut Agenda) {
        let Some(agent) = &mut self.agents[host.at()] else {
            return;
        };
        if now_ns < agent.silent_until_ns {
            return;
        }
        let way_ns = self.transport.draw_ns(&mut agent.transport);
        agent.last_from_ns = agent.last_from_ns.max(now_ns + way_ns);
        agenda.push(agent.last_from_ns, Due::FromAgent(message));
    }
}
