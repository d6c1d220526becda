//! Between engine and agents: what the engine said is recorded, charged with the time that deciding
//! takes, and put on its way; what agents answered comes back.
//!
//! Owns the accounting of commands and acknowledgements, and what of a run enters its digest:
//! every event, decision, command and acknowledgement, as integers.

use crate::agenda::Due;
use crate::agents::Acked;
use crate::loss::{Loss, lost_of};
use crate::protection::Mode as PlantMode;
use crate::sim::Sim;
use karman_grid_core::command::{Ack, Cause, Outcome, ToAgent};
use karman_grid_core::ids::{ContingencyIx, DeviceIx, HostIx};
use karman_grid_core::journal::{Because, Entry, Escalated};
use karman_grid_core::mode::Mode;
use karman_grid_core::time::MonoNs;
use karman_grid_core::units::Power;

/// A grant that moved by less than this is the same, of the zero-margin reserve.
const GRANT_MOVED_RATIO: f64 = 0.005;

/// What a drain has found out and the messages after it need.
#[derive(Clone, Copy, Debug, Default)]
struct Decided {
    /// A plan was fired: when, and the first abnormal sample as the detector has it.
    fired: Option<(u64, u64)>,
    /// A decision that followed because others did not do what they should.
    escalated_seq: Option<u64>,
}

impl Sim {
    /// Takes what the engine has said since the last time.
    pub(crate) fn drain(&mut self) {
        let Some(engine) = &mut self.engine else {
            return;
        };
        engine.drain_journal(&mut self.journal);
        engine.drain_outbox(&mut self.outbox);
        if self.journal.is_empty() && self.outbox.is_empty() {
            return;
        }
        let mut decided = Decided::default();
        let mut journal = std::mem::take(&mut self.journal);
        for entry in journal.drain(..) {
            self.note(&entry, &mut decided);
            let fine = matches!(entry, Entry::Cap { .. } | Entry::Books { .. });
            if let Some(told) = self.told.as_mut().filter(|_| !fine) {
                told.push(entry);
            }
        }
        self.journal = journal;
        let mut outbox = std::mem::take(&mut self.outbox);
        self.note_fire(&outbox, decided);
        for (host, message) in outbox.drain(..) {
            self.post(host, message, decided);
        }
        self.outbox = outbox;
    }

    fn note(&mut self, entry: &Entry, decided: &mut Decided) {
        match entry {
            Entry::Event(event) => {
                let (meter, kind) = (u64::from(event.meter.0), event.kind as u64);
                let (first, at) = (event.first_abnormal_mono_ns.0, event.detected_mono_ns.0);
                self.records.digest(&[2, meter, kind, first, at]);
            }
            Entry::Decision {
                mono_ns,
                seq,
                because,
                lowered,
                raised,
                event,
            } => {
                let (code, what) = because_code(*because);
                let (lowered, raised) = (u64::from(*lowered), u64::from(*raised));
                self.records
                    .digest(&[3, mono_ns.0, *seq, code, what, lowered, raised]);
                let fires = matches!(because, Because::Fired(_) | Because::Infeasible(_));
                if let Some((first, _)) = event.filter(|_| fires) {
                    decided.fired = Some((mono_ns.0, first.0));
                }
                if matches!(because, Because::Overload(_) | Because::Protection) {
                    decided.escalated_seq = Some(*seq);
                }
                self.touched = true;
            }
            Entry::Cap {
                mono_ns,
                device,
                cap,
                raise,
                data_age_ns,
                ..
            } => {
                if *raise {
                    self.records.raise(mono_ns.0, *device, *cap, *data_age_ns);
                }
            }
            Entry::Books {
                mono_ns,
                devices_accounted,
            } => {
                self.records.books(mono_ns.0, *devices_accounted);
            }
            Entry::Escalation { mono_ns, who } => {
                self.measure.escalations += 1;
                let (code, what) = match who {
                    Escalated::Device(device) => (0, device.0),
                    Escalated::Element(element) => (1, element.0),
                    Escalated::Host(host) => (2, host.0),
                };
                self.records.digest(&[4, mono_ns.0, code, u64::from(what)]);
            }
            Entry::Grant { mono_ns, grant } => {
                let before = self.measure.grant_ratio.replace(grant.grant_ratio);
                let moved = |old: f64| (old - grant.grant_ratio).abs() > GRANT_MOVED_RATIO;
                self.touched |= before.is_none_or(moved);
                self.records
                    .digest(&[5, mono_ns.0, milliwatt(Power::from_w(grant.load_w))]);
            }
            Entry::Mode { mono_ns, mode } => {
                if *mode == Mode::Normal {
                    self.measure.restored();
                }
                self.records.digest(&[6, mono_ns.0, *mode as u64]);
            }
        }
    }

    /// A plan was fired: its story starts, of its own where no loss is known.
    fn note_fire(&mut self, outbox: &[(HostIx, ToAgent)], decided: Decided) {
        let Some((event_ns, first_abnormal_ns)) = decided.fired else {
            return;
        };
        let seq_of = |message: &ToAgent| match message {
            ToAgent::Fire { seq, .. } => Some(*seq),
            _ => None,
        };
        let Some(seq) = outbox.iter().find_map(|(_, message)| seq_of(message)) else {
            return;
        };
        let messages = outbox
            .iter()
            .filter(|(_, m)| seq_of(m) == Some(seq))
            .count();
        if self.measure.open_loss().is_none_or(|loss| loss.is_fired()) {
            let modes = self.plant.modes();
            let alive: Vec<bool> = modes.iter().map(|mode| *mode != PlantMode::Off).collect();
            let lost = lost_of(&self.topology, &alive);
            let racks = self.topology.racks.len();
            self.measure
                .begin_loss(Loss::new(lost, first_abnormal_ns, first_abnormal_ns, racks));
        }
        let mailbox_ns = event_ns + self.decide_ns;
        let power_w = self.plant.power_w();
        if let Some(loss) = self.measure.losses.last_mut() {
            loss.fire(seq, event_ns, mailbox_ns, messages, power_w);
        }
    }

    fn post(&mut self, host: HostIx, message: ToAgent, decided: Decided) {
        let code = u64::from(host.0);
        let started = self.sent_ns >= self.start_ns;
        match &message {
            ToAgent::Plan {
                contingency,
                epoch,
                seq,
                caps,
            } => {
                self.records
                    .digest(&[7, code, u64::from(contingency.0), *epoch, *seq]);
                for (device, cap) in caps {
                    self.records.digest(&[u64::from(device.0), milliwatt(*cap)]);
                }
            }
            ToAgent::Fire {
                contingency,
                epoch,
                seq,
            } => {
                self.records
                    .digest(&[8, code, u64::from(contingency.0), *epoch, *seq]);
                self.measure.commands += u64::from(started);
            }
            ToAgent::Cap(commands) => {
                for command in commands {
                    let (device, cap) = (u64::from(command.device.0), milliwatt(command.cap));
                    let (id, seq, ttl_ns) = (command.command_id, command.seq, command.lease_ns);
                    self.records
                        .digest(&[9, device, cap, id, command.epoch, seq, ttl_ns]);
                    if decided.escalated_seq == Some(command.decision_seq)
                        && let Some(loss) = self.measure.open_loss()
                    {
                        loss.escalated(id);
                    }
                }
                self.measure.commands += u64::from(started) * commands.len() as u64;
            }
            ToAgent::Renew { epoch, lease_ns } => {
                self.records.digest(&[10, code, *epoch, *lease_ns]);
            }
        }
        let mailbox_ns = self.sent_ns + self.decide_ns;
        self.agents
            .send(host, message, mailbox_ns, &mut self.agenda);
    }

    /// Something on the agenda happens.
    pub(crate) fn happen(&mut self, at_ns: u64, due: Due) {
        match due {
            Due::ToAgent(host, message) => {
                self.arrived(host, &message, at_ns);
                let (agents, mut around) = self.around();
                agents.receive(host, message, at_ns, &mut around);
            }
            Due::FromAgent(message) => {
                if let Some(engine) = &mut self.engine {
                    engine.agent(&message, MonoNs(at_ns));
                    self.sent_ns = at_ns;
                    self.drain();
                }
            }
            Due::Written(device) => {
                let before = self.plant.cap(device);
                let (agents, mut around) = self.around();
                agents.written(device, at_ns, &mut around);
                if self.plant.cap(device) != before {
                    self.cap_written(at_ns);
                }
            }
            Due::Poll(host) => {
                let (agents, mut around) = self.around();
                agents.poll(host, at_ns, &mut around);
            }
            Due::Done {
                kind,
                devices,
                duration_ns,
            } => {
                self.records.event(at_ns, kind, &devices, duration_ns);
            }
        }
        let mut acked = std::mem::take(&mut self.agents.acked);
        for one in acked.drain(..) {
            self.acked(&one);
        }
        self.agents.acked = acked;
    }

    /// Keeps account of the plan that a host holds and of what a `Fire` does there. A plan counts
    /// once it has come: behind a `Fire` the next one is on its way already.
    fn arrived(&mut self, host: HostIx, message: &ToAgent, now_ns: u64) {
        let silent = self.agents.is_silent(host, now_ns);
        match message {
            ToAgent::Plan {
                contingency, caps, ..
            } if !silent => {
                self.plans[host.at()].insert(*contingency, caps.clone());
            }
            ToAgent::Fire {
                contingency, seq, ..
            } => {
                let lowers = match silent {
                    true => 0,
                    false => self.lowered_by(host, *contingency),
                };
                for loss in &mut self.measure.losses {
                    loss.fire_arrived(*seq, lowers);
                }
            }
            ToAgent::Plan { .. } | ToAgent::Cap(_) | ToAgent::Renew { .. } => {}
        }
    }

    /// Healthy devices of `host` that the plan it holds lowers.
    fn lowered_by(&self, host: HostIx, contingency: ContingencyIx) -> u64 {
        let Some(caps) = self.plans[host.at()].get(&contingency) else {
            return 0;
        };
        let lowers = |(device, cap): &&(DeviceIx, Power)| {
            let held = self.agents.held_cap(host, *device);
            !self.faulty[device.at()] && held.is_some_and(|held| *cap < held)
        };
        caps.iter().filter(lowers).count() as u64
    }

    fn acked(&mut self, acked: &Acked) {
        let Ack {
            device,
            cause,
            outcome,
            enforced_cap,
            acked_mono_ns,
            apply_latency_ns,
        } = acked.ack;
        let (code, what, order) = match cause {
            Cause::Command { command_id } => (0, 0, command_id),
            Cause::Fire { contingency, seq } => (1, u64::from(contingency.0), seq),
            Cause::Expiry => (2, 0, 0),
            Cause::Start => (3, 0, 0),
        };
        let enforced = enforced_cap.map_or(u64::MAX, milliwatt);
        let ended = outcome_code(outcome);
        let device_code = u64::from(device.0);
        self.records
            .digest(&[11, device_code, code, what, order, ended, enforced]);
        self.records.digest(&[acked_mono_ns.0, apply_latency_ns]);
        let healthy = !self.faulty[device.at()];
        for loss in &mut self.measure.losses {
            match cause {
                Cause::Fire { seq, .. } => loss.fire_acked(seq, acked, healthy),
                Cause::Command { command_id } => loss.command_acked(command_id, acked),
                Cause::Expiry | Cause::Start => {}
            }
        }
    }
}

fn milliwatt(power: Power) -> u64 {
    power.milliwatt as u64
}

fn because_code(because: Because) -> (u64, u64) {
    match because {
        Because::Fired(ix) => (0, u64::from(ix.0)),
        Because::Infeasible(ix) => (1, u64::from(ix.0)),
        Because::Cancelled(ix) => (2, u64::from(ix.0)),
        Because::Protection => (3, 0),
        Because::Overload(element) => (4, u64::from(element.0)),
        Because::Sharing => (5, 0),
        Because::Release => (6, 0),
    }
}

fn outcome_code(outcome: Outcome) -> u64 {
    match outcome {
        Outcome::Applied => 0,
        Outcome::Clamped => 1,
        Outcome::Rejected(refusal) => 16 + refusal as u64,
        Outcome::TimedOut => 2,
        Outcome::Superseded => 3,
    }
}
