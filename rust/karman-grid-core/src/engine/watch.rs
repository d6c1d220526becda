//! Readings against the books: who acknowledged and does not obey, which element stands over its
//! limit although it should not, which agent has fallen silent.

use super::{Engine, STEP_PERIOD_NS};
use crate::ids::{DeviceIx, ElementIx, HostIx};
use crate::journal::{Because, Escalated};
use crate::limits::ANSWER_MAX_NS;
use crate::mode::Mode;
use crate::sample::{PowerSample, Validity};
use crate::time::{MonoNs, NS_PER_MS, NS_PER_S};

/// Readings of devices are means over this time, ns (NVML from Ampere on, GA100 excepted).
const DEVICE_MEAN_NS: u64 = NS_PER_S;
/// A settled device may read this far above its cap before it counts as disobeying.
const OBEY_RATIO: f64 = 1.05;
/// Consecutive readings above the cap that take a device out of the pool.
const STRIKES: u8 = 2;
/// Half leases without a word after which an agent counts as silent: before the earliest instant,
/// two leases, at which caps below the fallback may rise to it.
const SILENT_LEASES: u64 = 3;
/// After a fall watts are not judged for this long, ns.
const SETTLE_NS: u64 = 500 * NS_PER_MS;
/// An element this far over its limit is cut around.
const OVER_RATIO: f64 = 1.003;
/// Time constant with which an excess that is not measured any more is forgotten, s.
const BIAS_MEMORY_S: f64 = 120.0;
/// An accumulator that moved by this much changes what may be tolerated.
const USED_MOVED_RATIO: f64 = 0.01;
/// Where a cut around an element aims, of its limit.
const AIM_RATIO: f64 = 0.995;

impl Engine {
    /// Compares a device's reading with the cap it acknowledged.
    pub(super) fn verify(&mut self, device: DeviceIx, sample: &PowerSample, now: MonoNs) {
        let account = self.ledger.of(device);
        let Some(enforced) = account.enforced else {
            return;
        };
        let since_asked = sample.taken_mono_ns.since(self.asked[device.at()]);
        let good = sample.validity == Validity::Good;
        let judged =
            good && since_asked > DEVICE_MEAN_NS + SETTLE_NS && !self.ledger.is_pending(device);
        if !judged {
            self.strikes[device.at()] = 0;
            return;
        }
        if sample.power_active_w > OBEY_RATIO * enforced.w() {
            self.strikes[device.at()] += 1;
        } else {
            self.strikes[device.at()] = 0;
        }
        if self.strikes[device.at()] >= STRIKES {
            self.distrust(device, now);
        }
    }

    /// Every 100 ms: accumulators from measured loads, and elements over their limit.
    pub(super) fn watch_elements(&mut self, now: MonoNs) {
        let dt_s = STEP_PERIOD_NS as f64 / NS_PER_S as f64;
        let mut over = Vec::new();
        for members in &self.intact {
            // All members carry the same: the tightest is over its limit first.
            let limit_w = |e: &ElementIx| self.topology.elements[e.at()].limit_w;
            let tightest = members
                .iter()
                .min_by(|a, b| limit_w(a).total_cmp(&limit_w(b)));
            let Some(tightest) = tightest.copied() else {
                continue;
            };
            let Some(load_w) = self.image.load_w(tightest, now) else {
                continue;
            };
            for member in members {
                // What nobody needs any more is forgotten, slowly; a new excess brings it back.
                let bias_w = &mut self.bias_w[member.at()];
                if load_w < AIM_RATIO * limit_w(&tightest) {
                    *bias_w *= 1.0 - dt_s / BIAS_MEMORY_S;
                    *bias_w = if *bias_w < 1.0 { 0.0 } else { *bias_w };
                }
                let element = &self.topology.elements[member.at()];
                let condition = &mut self.network.conditions[member.at()];
                if let Some(curve) = element.curve(condition.mode) {
                    condition
                        .used
                        .advance(curve, load_w / element.limit_w, dt_s);
                }
                let moved = condition.used.ratio - self.network.built_used[member.at()];
                self.network.dirty |= moved.abs() > USED_MOVED_RATIO;
            }
            // Once may be an inrush (rule 4).
            let count = &mut self.over[tightest.at()];
            let above = load_w > OVER_RATIO * limit_w(&tightest);
            *count = if above { count.saturating_add(1) } else { 0 };
            if *count >= 2 {
                over.push((tightest, load_w));
            }
        }
        let settled = now.since(self.last_fall) > SETTLE_NS && !self.ledger.any_pending();
        if settled && self.mode != Mode::Starting {
            for (element, load_w) in over {
                self.cut_around(element, load_w, now);
            }
        }
    }

    /// The detector saw an overload at a meter: act unless a cut is on its way already.
    pub(super) fn overload(&mut self, element: ElementIx, now: MonoNs) {
        let load_w = self.image.load_w(element, now);
        if now.since(self.last_fall) > SETTLE_NS
            && let Some(load_w) = load_w
        {
            self.cut_around(element, load_w, now);
        }
    }

    /// Watts flow that the books do not know: whoever obeys is cut until the element fits.
    fn cut_around(&mut self, element: ElementIx, load_w: f64, now: MonoNs) {
        let limit_w = self.topology.elements[element.at()].limit_w;
        let excess_w = load_w - AIM_RATIO * limit_w;
        if excess_w <= 0.0 {
            return;
        }
        // The rows allow for worst sharing; what is measured above the limit comes on top of what
        // the books now put on this element.
        let slack_w = limit_w - self.expected_load_w(element);
        self.bias_w[element.at()] = excess_w + slack_w.max(0.0);
        self.escalate(Escalated::Element(element), now);
        self.protect(Because::Overload(element), now);
        self.last_fall = now;
    }

    /// Load of an element at worst sharing by the caps asked for, W.
    fn expected_load_w(&self, element: ElementIx) -> f64 {
        let mut rack_w = self.fixed_w.clone();
        for (d, rack) in self.columns.rack.iter().enumerate() {
            rack_w[*rack] += self.ledger.of(DeviceIx::of(d)).accounted.w();
        }
        let row = self
            .network
            .now
            .rows
            .iter()
            .find(|r| r.members.contains(&element));
        row.map_or(0.0, |row| row.load_w(&rack_w))
    }

    /// Agents that have not been heard for a lease and a half, or owe an answer for too long, count
    /// as gone until they speak again.
    pub(super) fn watch_agents(&mut self, now: MonoNs) {
        if self.is_shadow() {
            return; // Nobody is spoken to, so nobody answers.
        }
        for device in (0..self.asked.len()).map(DeviceIx::of) {
            let owed = self.ledger.is_pending(device);
            if owed && now.since(self.asked[device.at()]) > ANSWER_MAX_NS {
                self.ledger.unanswered(device);
                // Overdue by the rule below, whatever else its agent has said meanwhile.
                let host = self.topology.devices[device.at()].host;
                self.hosts[host.at()].heard_mono_ns = MonoNs(0);
            }
        }
        for at in 0..self.hosts.len() {
            let state = &mut self.hosts[at];
            let quiet_ns = now.since(state.heard_mono_ns);
            let overdue = state.greeted && quiet_ns > SILENT_LEASES * self.lease_ns / 2;
            if overdue && !state.silent {
                state.silent = true;
                // When its leases have ended, caps below the fallback rise to it (rule 5).
                for d in self.topology.hosts[at].devices.clone() {
                    self.ledger.may_hold(DeviceIx::of(d), self.fallback[d]);
                }
                self.network.dirty = true;
                self.escalate(Escalated::Host(HostIx::of(at)), now);
            }
        }
    }
}
