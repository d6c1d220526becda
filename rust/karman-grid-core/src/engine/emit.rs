//! Commands out, answers in: the only place where messages to agents are made.

use super::Engine;
use crate::command::{Ack, CapCommand, Cause, FromAgent, Outcome, Refusal, ToAgent};
use crate::event::ElectricalEvent;
use crate::ids::{DeviceIx, HostIx};
use crate::journal::{Because, Entry, Escalated};
use crate::limits::RENEWALS_PER_TTL;
use crate::mode::{Mode, Trigger};
use crate::time::MonoNs;
use crate::units::Power;

/// Caps read back this far above what was asked for are the same: steps of the hardware.
const READ_BACK_TOLERANCE: Power = Power { milliwatt: 1_000 };

/// Answer that a device still owes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Expected {
    /// None.
    #[default]
    Nothing,
    /// To this command.
    Command { command_id: u64 },
    /// To this `Fire`.
    Fire { seq: u64 },
}

impl Engine {
    /// Hands a message to the transport; in shadow and once deposed nothing leaves.
    pub(super) fn post(&mut self, host: HostIx, message: ToAgent) {
        if !self.is_shadow() && self.deposed_by.is_none() {
            self.outbox.push((host, message));
        }
    }

    pub(super) fn ledger_sent(
        &mut self,
        device: DeviceIx,
        cap: Power,
        expected: Expected,
        now: MonoNs,
    ) {
        self.ledger.sent(device, cap);
        self.asked[device.at()] = now;
        self.expected[device.at()] = expected;
    }

    /// Records a decision and the books after it.
    pub(super) fn decided(
        &mut self,
        now: MonoNs,
        because: Because,
        lowered: u32,
        raised: u32,
        event: Option<&ElectricalEvent>,
    ) {
        self.decision_seq += 1;
        self.journal.push(Entry::Decision {
            mono_ns: now,
            seq: self.decision_seq,
            because,
            lowered,
            raised,
            event: event.map(|e| (e.first_abnormal_mono_ns, e.detected_mono_ns)),
        });
        self.books(now);
    }

    pub(super) fn books(&mut self, now: MonoNs) {
        let devices_accounted = self.ledger.accounted_total();
        self.journal.push(Entry::Books {
            mono_ns: now,
            devices_accounted,
        });
    }

    /// Commands these caps, one message for each host; devices out of reach are left out.
    pub(super) fn command(
        &mut self,
        caps: &[(DeviceIx, Power)],
        because: Because,
        event: Option<&ElectricalEvent>,
        now: MonoNs,
    ) {
        let data_age_ns = self.image.oldest_age_ns(now);
        let (mut lowered, mut raised) = (0, 0);
        let decision_seq = self.decision_seq + 1;
        let mut batch: Vec<(HostIx, Vec<CapCommand>)> = Vec::new();
        for (device, cap) in caps {
            let before = self.ledger.of(*device).requested;
            if *cap == before || !self.is_commandable(*device) {
                continue;
            }
            let raise = *cap > before;
            raised += u32::from(raise);
            lowered += u32::from(!raise);
            self.seq += 1;
            self.command_id += 1;
            let command = CapCommand {
                command_id: self.command_id,
                decision_seq,
                device: *device,
                cap: *cap,
                fallback_cap: self.fallback[device.at()],
                epoch: self.epoch,
                seq: self.seq,
                lease_ns: self.lease_ns,
            };
            let (mono_ns, device, cap) = (now, *device, *cap);
            self.journal.push(Entry::Cap {
                mono_ns,
                decision_seq,
                device,
                cap,
                raise,
                data_age_ns,
            });
            if !self.is_shadow() {
                let expected = Expected::Command {
                    command_id: self.command_id,
                };
                self.ledger_sent(device, cap, expected, now);
            }
            let host = self.topology.devices[device.at()].host;
            match batch.last_mut() {
                Some((last, commands)) if *last == host => commands.push(command),
                _ => batch.push((host, vec![command])),
            }
        }
        if lowered > 0 {
            self.last_fall = now;
        }
        if lowered + raised > 0 {
            for (host, commands) in batch {
                self.post(host, ToAgent::Cap(commands));
            }
            self.decided(now, because, lowered, raised, event);
        }
    }

    /// Whether commands reach the device and it has not been found to disobey.
    pub(super) fn is_commandable(&self, device: DeviceIx) -> bool {
        let host = self.topology.devices[device.at()].host;
        self.is_ready(host) && !self.distrusted[device.at()]
    }

    pub(super) fn is_ready(&self, host: HostIx) -> bool {
        let state = &self.hosts[host.at()];
        self.topology.hosts[host.at()].actuated && state.greeted && !state.silent
    }

    pub(super) fn renew(&mut self, now: MonoNs) {
        self.schedule.renew = now.plus_ns(self.lease_ns / RENEWALS_PER_TTL);
        for host in (0..self.hosts.len()).map(HostIx::of) {
            // Also to an agent that fell silent: how else would it be heard again?
            let state = &self.hosts[host.at()];
            if self.topology.hosts[host.at()].actuated && state.greeted {
                let renew = ToAgent::Renew {
                    epoch: self.epoch,
                    lease_ns: self.lease_ns,
                };
                self.post(host, renew);
            }
        }
    }

    pub(super) fn on_agent(&mut self, message: &FromAgent, now: MonoNs) {
        if !self.is_known(message) {
            self.foreign_messages += 1;
            return;
        }
        match message {
            FromAgent::Hello {
                host,
                highest_epoch,
                caps,
                ..
            } => {
                if *highest_epoch > self.epoch {
                    self.deposed_by = Some(*highest_epoch);
                }
                let state = &mut self.hosts[host.at()];
                (state.greeted, state.silent, state.heard_mono_ns) = (true, false, now);
                for (device, cap) in caps {
                    self.expected[device.at()] = Expected::Nothing;
                    self.ledger.sent(*device, *cap);
                    self.ledger.confirmed(*device, *cap, true);
                    self.asked[device.at()] = now;
                    self.keep_distrust(*device);
                }
                self.held.iter_mut().for_each(|held| held[host.at()] = 0);
                self.network.dirty = true;
                if self.mode == Mode::Starting {
                    self.trigger(Trigger::AgentsReady, now);
                }
            }
            FromAgent::PlanHeld {
                host,
                contingency,
                seq,
            } => {
                self.hosts[host.at()].heard_mono_ns = now;
                self.held[contingency.at()][host.at()] = *seq;
            }
            FromAgent::Renewed { host } => {
                let state = &mut self.hosts[host.at()];
                state.heard_mono_ns = now;
                if std::mem::take(&mut state.silent) {
                    self.network.dirty = true;
                }
            }
            FromAgent::Ack(acks) => acks.iter().for_each(|ack| self.on_ack(ack, now)),
        }
    }

    fn on_ack(&mut self, ack: &Ack, now: MonoNs) {
        let device = ack.device;
        let answered = match (self.expected[device.at()], ack.cause) {
            (Expected::Command { command_id }, Cause::Command { command_id: id }) => {
                command_id == id
            }
            (Expected::Fire { seq }, Cause::Fire { seq: fired, .. }) => seq == fired,
            _ => false,
        };
        if answered {
            self.expected[device.at()] = Expected::Nothing;
        }
        match ack.outcome {
            Outcome::Applied | Outcome::Clamped => {
                match ack.enforced_cap {
                    Some(enforced) => self.confirm(device, enforced, answered, ack, now),
                    // Done, they say, but nobody could read it back: the books stay as they are.
                    None if answered => self.ledger.answered_unread(device),
                    None => {}
                }
            }
            Outcome::Rejected(Refusal::OldEpoch) => {
                self.deposed_by = Some(self.epoch + 1);
            }
            Outcome::Rejected(_) => {
                self.ledger.unanswered(device);
                self.network.dirty = true;
            }
            Outcome::TimedOut => {
                self.ledger.unanswered(device);
                self.distrust(device, now);
            }
            Outcome::Superseded => {}
        }
    }

    fn confirm(
        &mut self,
        device: DeviceIx,
        enforced: Power,
        answered: bool,
        ack: &Ack,
        now: MonoNs,
    ) {
        let pending = self.ledger.is_pending(device);
        let own = matches!(ack.cause, Cause::Expiry | Cause::Start) && !pending;
        if own {
            self.ledger.sent(device, enforced);
            self.asked[device.at()] = now;
        }
        let above = enforced > self.ledger.of(device).requested + READ_BACK_TOLERANCE;
        self.ledger.confirmed(device, enforced, answered || own);
        if ack.outcome == Outcome::Clamped && answered && above {
            // It holds more than it was told to, so nobody can lower it.
            self.distrust(device, now);
        }
        self.keep_distrust(device);
    }

    /// Whatever a distrusted device says, it counts with its highest cap.
    fn keep_distrust(&mut self, device: DeviceIx) {
        if self.distrusted[device.at()] {
            let cap_max = self.topology.devices[device.at()].cap_max;
            self.ledger.distrusted(device, cap_max);
        }
    }

    /// Whether a message names only what exists, and only the sender's own devices.
    fn is_known(&self, message: &FromAgent) -> bool {
        let host_known = |host: &HostIx| host.at() < self.hosts.len();
        match message {
            FromAgent::Hello { host, caps, .. } => {
                let own = |d: &DeviceIx| self.topology.hosts[host.at()].devices.contains(&d.at());
                host_known(host) && caps.iter().all(|(device, _)| own(device))
            }
            FromAgent::PlanHeld {
                host, contingency, ..
            } => host_known(host) && contingency.at() < self.held.len(),
            FromAgent::Renewed { host } => host_known(host),
            FromAgent::Ack(acks) => acks.iter().all(|a| a.device.at() < self.asked.len()),
        }
    }

    /// Takes a device out of the controllable pool: from now on it counts with its highest cap.
    pub(super) fn distrust(&mut self, device: DeviceIx, now: MonoNs) {
        if !std::mem::replace(&mut self.distrusted[device.at()], true) {
            self.ledger
                .distrusted(device, self.topology.devices[device.at()].cap_max);
            self.escalate(Escalated::Device(device), now);
            // What measurements on its way showed above the books is in the books now.
            let rack = self.columns.rack[device.at()];
            for row in self.network.now.rows.iter().filter(|r| r.coefs[rack] > 0.0) {
                row.members.iter().for_each(|e| self.bias_w[e.at()] = 0.0);
            }
            self.network.dirty = true;
        }
    }

    pub(super) fn escalate(&mut self, who: Escalated, now: MonoNs) {
        self.escalations += 1;
        self.journal.push(Entry::Escalation { mono_ns: now, who });
    }

    /// Rule 8: writes the static caps, after which this engine says nothing more.
    pub fn release(&mut self, now: MonoNs) {
        let caps: Vec<_> = self
            .fallback
            .iter()
            .enumerate()
            .map(|(d, c)| (DeviceIx::of(d), *c))
            .collect();
        self.command(&caps, Because::Release, None, now);
        self.trigger(Trigger::Release, now);
    }
}
