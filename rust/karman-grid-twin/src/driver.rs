//! Drivers of the devices: what lies between an agent's write and the cap register.
//!
//! Owns the order of writes. A driver serves one write of a device at a time (one of the host,
//! where it serialises); a newer write for a device replaces one that still waits. One that does
//! not return within [`WRITE_TIMEOUT_NS`] is reported and tried again.

use crate::agenda::Due;
use crate::agents::{Agents, Around};
use crate::params::WriteFate;
use crate::scenario::EventKind;
use karman_grid_core::command::Outcome;
use karman_grid_core::ids::{DeviceIx, HostIx};
use karman_grid_core::lease::Write;
use karman_grid_core::time::NS_PER_MS;

/// A driver that has not answered by then is taken to be stuck.
pub const WRITE_TIMEOUT_NS: u64 = 250 * NS_PER_MS;
/// A write that an agent must do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    pub write: Write,
    pub received_ns: u64,
}

/// A write in a driver.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Busy {
    pub job: Job,
    pub stuck: bool,
}

/// The writes of one device.
#[derive(Clone, Debug, Default)]
pub(crate) struct Worker {
    pub busy: Option<Busy>,
    pub waits: Option<Job>,
    /// Writes started before then never return.
    pub stuck_until_ns: u64,
}

impl Agents {
    pub(crate) fn enqueue(&mut self, host: HostIx, write: Write, now_ns: u64, around: &mut Around) {
        let job = Job {
            write,
            received_ns: now_ns,
        };
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
        let Some(agent) = &mut self.agents[host.at()] else {
            return;
        };
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
        let Some(agent) = &mut self.agents[host.at()] else {
            return;
        };
        let Some(job) = worker.waits.take() else {
            return;
        };
        let fate = self.write.draw(&mut agent.write);
        let held = now_ns < worker.stuck_until_ns;
        let (stuck, takes_ns) = match fate {
            WriteFate::Done { latency_ns } | WriteFate::Ignored { latency_ns } if !held => (
                latency_ns > WRITE_TIMEOUT_NS,
                latency_ns.min(WRITE_TIMEOUT_NS),
            ),
            _ => (true, WRITE_TIMEOUT_NS),
        };
        if stuck {
            // Until it is tried again nobody can be held to what the register holds.
            let devices = [device];
            around
                .records
                .event(now_ns, EventKind::WriteStuck, &devices, Some(takes_ns));
        }
        worker.busy = Some(Busy { job, stuck });
        around.agenda.push(now_ns + takes_ns, Due::Written(device));
    }

    /// The driver of `device` has answered, or its time is up.
    pub(crate) fn written(&mut self, device: DeviceIx, now_ns: u64, around: &mut Around) {
        let host = self.host_of[device.at()];
        let Some(Busy { job, stuck }) = self.workers[device.at()].busy.take() else {
            return;
        };
        // A newer write that waits already takes the place of the one that failed.
        let again = stuck && self.workers[device.at()].waits.is_none();
        if stuck {
            self.report(host, job, Outcome::TimedOut, None, now_ns, around);
            self.workers[device.at()].waits.get_or_insert(job);
        } else {
            let taken = around.plant.set_cap(device, job.write.cap, now_ns);
            around.records.cap(now_ns, device, taken);
            let same = taken == job.write.cap;
            let outcome = if same {
                Outcome::Applied
            } else {
                Outcome::Clamped
            };
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
}
