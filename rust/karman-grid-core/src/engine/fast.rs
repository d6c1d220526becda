//! Failures: from an electrical event to the message that fires an armed plan. A look-up, no solve.

use super::emit::Expected;
use super::{Engine, Prefire};
use crate::command::ToAgent;
use crate::event::{ElectricalEvent, EventKind};
use crate::ids::{ContingencyIx, DeviceIx, ElementIx, HostIx};
use crate::journal::{Because, Entry};
use crate::limits::{CANCEL_ACCUMULATOR_MAX_RATIO, CANCEL_MAX_NS, FREEZE_HOLD_NS};
use crate::mode::{Mode, Trigger};
use crate::rows::Condition;
use crate::site::{CurveMode, ElementKind, MeterPosition};
use crate::time::{MonoNs, NS_PER_S, ns_from_s};
use crate::units::Power;

/// Reversals are counted over this time, ns.
const FLAP_WINDOW_NS: u64 = 600 * NS_PER_S;

/// A path that carries this much of its load again has its load back.
const LOADED_RATIO: f64 = 0.7;

impl Engine {
    /// What an event leads to (rules 1, 2, 4, 16, 17).
    pub(super) fn on_event(&mut self, event: ElectricalEvent, now: MonoNs) {
        if self.mode == Mode::Released {
            return;
        }
        self.journal.push(Entry::Event(event));
        if !matches!(event.kind, EventKind::Seeing | EventKind::OverloadEnded) {
            self.last_event = Some(event);
        }
        let meter = &self.topology.meters[event.meter.at()];
        let (element, at_input) = (meter.element, meter.position == MeterPosition::UpsInput);
        match event.kind {
            EventKind::Suspect | EventKind::Sag => self.freeze(now),
            EventKind::SourceLost => {
                self.freeze(now);
                self.on_battery(element, now);
            }
            EventKind::FeedLost | EventKind::FeedsLost => self.lose(element, event, now),
            EventKind::Cancelled => self.give_back(element, event, now),
            EventKind::Restored if at_input => self.on_line(element),
            EventKind::Restored => self.power_is_back(element, now),
            EventKind::Overload => self.overload(element, now),
            EventKind::Blind | EventKind::Seeing => self.network.dirty = true,
            EventKind::OverloadEnded => {}
        }
    }

    fn freeze(&mut self, now: MonoNs) {
        self.frozen_until = self.frozen_until.max(now.plus_ns(FREEZE_HOLD_NS));
        self.trigger(Trigger::Disturbed, now);
    }

    fn on_battery(&mut self, element: ElementIx, now: MonoNs) {
        if let Some(ups) = self.topology.ancestor(element, ElementKind::Ups) {
            self.network.battery_since[ups.at()].get_or_insert(now);
        }
    }

    fn on_line(&mut self, element: ElementIx) {
        if let Some(ups) = self.topology.ancestor(element, ElementKind::Ups) {
            self.network.battery_since[ups.at()] = None;
            self.network.conditions[ups.at()].mode = CurveMode::Line;
            self.network.dirty = true;
        }
    }

    /// The contingency that a dead meter on `element` means: its own, or that of an element which
    /// carries the same load. A meter further down tells of no failure that is planned for.
    pub(super) fn contingency_at(&self, element: ElementIx) -> Option<ContingencyIx> {
        let list = &self.network.contingencies;
        let own = list.iter().position(|c| c.element == element);
        let same = || {
            let members = self.intact.iter().find(|m| m.contains(&element))?;
            list.iter().position(|c| members.contains(&c.element))
        };
        own.or_else(same).map(ContingencyIx::of)
    }

    /// Fires the armed plan for the loss of `element`.
    fn lose(&mut self, element: ElementIx, event: ElectricalEvent, now: MonoNs) {
        let Some(own) = self.contingency_at(element) else {
            return;
        };
        let lost = self.network.contingencies[own.at()].element;
        if self.network.lost.has(lost) {
            // Lost again while its return was pending: it stays lost.
            self.restore.retain(|(e, _)| *e != lost);
            self.freeze(now);
            return;
        }
        if !self.network.lost.alive(&self.topology)[lost.at()] {
            return; // Dead with what feeds it, which has been answered.
        }
        let representative = self.network.contingencies[own.at()].representative;
        let fresh = self.last_fire.is_some_and(|t| now.since(t) < CANCEL_MAX_NS);
        if fresh
            && self
                .prefire
                .as_ref()
                .is_some_and(|p| p.plan == representative)
        {
            // The same failure, seen by a second meter of the path.
            self.network.lost = self.network.lost.with(lost);
            self.network.dirty = true;
            return;
        }
        let caps = self.ledger.accounts().iter().map(|a| a.requested).collect();
        let load_w = self.image.load_w(lost, now);
        self.prefire = Some(Prefire {
            element: lost,
            plan: representative,
            caps,
            load_w,
        });
        let feasible = self.plans[representative.at()]
            .as_ref()
            .is_some_and(|p| p.feasible);
        let both = event.kind == EventKind::FeedsLost;
        let lowered = self.fire(representative, now);
        let because = match feasible && !both {
            true => Because::Fired(own),
            false => Because::Infeasible(own),
        };
        self.decided(now, because, lowered, 0, Some(&event));
        self.network.lost = self.network.lost.with(lost);
        self.network.dirty = true;
        self.restore.retain(|(e, _)| *e != lost);
        self.last_fall = now;
        self.last_fire = Some(now);
        let hold = now.plus_ns(FREEZE_HOLD_NS.max(self.hold_ns()));
        self.frozen_until = self.frozen_until.max(hold);
        self.target = None;
        self.trigger(Trigger::Fired, now);
        self.fires.retain(|t| now.since(*t) < FLAP_WINDOW_NS);
        self.fires.push(now);
    }

    /// Sends `Fire` to every agent and enters the falls; returns the devices lowered.
    fn fire(&mut self, plan: ContingencyIx, now: MonoNs) -> u32 {
        let Some(armed) = self.plans[plan.at()].take() else {
            return 0;
        };
        self.seq += 1;
        let seq = self.seq;
        let mut lowered = 0;
        let falls: Vec<_> = armed.lowers(|d| self.ledger.of(d).requested).collect();
        for (device, cap) in falls {
            let host = &self.topology.hosts[self.topology.devices[device.at()].host.at()];
            if host.actuated && !self.is_shadow() {
                self.ledger_sent(device, cap, Expected::Fire { seq }, now);
            }
            lowered += 1;
        }
        let epoch = self.epoch;
        for host in 0..self.hosts.len() {
            if self.hosts[host].greeted {
                let fire = ToAgent::Fire {
                    contingency: plan,
                    epoch,
                    seq,
                };
                self.post(HostIx::of(host), fire);
            }
        }
        self.plans[plan.at()] = Some(armed);
        lowered
    }

    /// Rule 2: the path holds voltage after all. A cut just made is given back at once and counts
    /// as no reversal; an older one returns like power that was away.
    fn give_back(&mut self, element: ElementIx, event: ElectricalEvent, now: MonoNs) {
        let Some(own) = self.contingency_at(element) else {
            return;
        };
        let lost = self.network.contingencies[own.at()].element;
        let recent = self.last_fire.is_some_and(|t| now.since(t) < CANCEL_MAX_NS);
        let used = |c: &Condition| c.used.ratio > CANCEL_ACCUMULATOR_MAX_RATIO;
        let rested = !self.network.conditions.iter().any(used);
        // Supplies that start anew leave their load on the partners for a while.
        let loaded = |p: &Prefire| match (p.load_w, self.image.load_w(lost, now)) {
            (Some(before_w), Some(load_w)) => load_w > LOADED_RATIO * before_w,
            _ => false,
        };
        let ready = |p: &mut Prefire| recent && rested && p.element == lost && loaded(p);
        let Some(prefire) = self.prefire.take_if(ready) else {
            self.power_is_back(element, now);
            return;
        };
        let back = |(d, cap): (usize, &Power)| (DeviceIx::of(d), *cap);
        let raises: Vec<_> = prefire.caps.iter().enumerate().map(back).collect();
        self.network.lost = self.network.lost.without(lost);
        self.rebuild();
        if !self.allows(&self.rack_power_after_w(&raises), now) {
            self.network.lost = self.network.lost.with(lost);
            self.network.dirty = true;
            self.power_is_back(element, now);
            return;
        }
        self.network.dirty = true;
        self.fires.pop();
        self.trigger(Trigger::Cancelled, now);
        self.command(&raises, Because::Cancelled(own), Some(&event), now);
    }

    fn power_is_back(&mut self, element: ElementIx, now: MonoNs) {
        let Some(own) = self.contingency_at(element) else {
            return;
        };
        let back = self.network.contingencies[own.at()].element;
        let waits = self.restore.iter().any(|(e, _)| *e == back);
        if self.network.lost.has(back) && !waits {
            self.restore.push((back, now.plus_ns(self.hold_ns())));
        }
    }

    fn hold_ns(&self) -> u64 {
        ns_from_s(self.topology.site.restore_hold_s)
    }

    /// Lets holds end: a feed counts again, raises are allowed again.
    pub(super) fn pass_time(&mut self, now: MonoNs) {
        let due: Vec<ElementIx> = self
            .restore
            .iter()
            .filter(|(_, at)| *at <= now)
            .map(|(e, _)| *e)
            .collect();
        if !due.is_empty() {
            self.restore.retain(|(_, at)| *at > now);
            for element in due {
                self.network.lost = self.network.lost.without(element);
            }
            self.network.dirty = true;
            let flap_max = self.topology.site.flap_max as usize;
            let flaps = self
                .fires
                .iter()
                .filter(|t| now.since(**t) < FLAP_WINDOW_NS)
                .count();
            if flap_max > 0 && flaps > flap_max {
                self.trigger(Trigger::Flapping, now);
            } else if !self.network.lost.any() {
                self.trigger(Trigger::Restore, now);
            }
        }
        if now >= self.frozen_until {
            self.trigger(Trigger::Calm, now);
        }
    }
}
