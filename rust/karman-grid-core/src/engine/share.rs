//! Sharing: where caps should stand, and the steps by which they get there.

use super::Engine;
use super::slow::STEP_TOLERANCE;
use crate::admission::lease_ns;
use crate::ids::DeviceIx;
use crate::journal::Because;
use crate::mode::{Mode, Trigger};
use crate::time::{MonoNs, NS_PER_S};
use crate::units::Power;

/// Sharing anew must bring starved devices at least this share of the feeds' ratings.
const SHARE_GAIN_RATIO: f64 = 0.002;
/// Shares are moved at most this often, ns.
const SHARE_PERIOD_NS: u64 = 10 * NS_PER_S;

impl Engine {
    /// Whether caps may rise: the mode allows it and no hold is running.
    fn may_raise(&self, now: MonoNs) -> bool {
        self.mode.may_raise() && now >= self.frozen_until
    }

    /// Sets a new target where starved devices would gain by it.
    pub(super) fn share(&mut self, now: MonoNs) {
        let moving = self.target.is_some();
        if !self.may_raise(now) || (!moving && now < self.schedule.rebalance) {
            return;
        }
        if self.is_futile() {
            self.target = None;
            return;
        }
        let books = self.books_now();
        let cap_w = self.solve(now, &books);
        let target: Vec<Power> = cap_w.iter().map(|w| Power::from_w(*w)).collect();
        let gain: Power = target
            .iter()
            .enumerate()
            .filter(|(d, cap)| {
                let device = DeviceIx::of(*d);
                self.image.use_of(device).is_starved() && **cap > self.ledger.of(device).requested
            })
            .map(|(d, cap)| *cap - self.ledger.of(DeviceIx::of(d)).requested)
            .sum();
        let worth_w = SHARE_GAIN_RATIO * self.topology.feed_rating_w();
        if moving || gain.w() >= worth_w || self.mode == Mode::Restoring {
            self.target = Some(target);
            self.schedule.rebalance = now.plus_ns(SHARE_PERIOD_NS);
        }
    }

    /// One step of caps towards the target: falls first, raises once they are confirmed.
    pub(super) fn step(&mut self, now: MonoNs) {
        if !self.may_raise(now) || self.ledger.any_pending() {
            return;
        }
        let Some(target) = self.target.take() else {
            return;
        };
        let pairs = || {
            target
                .iter()
                .enumerate()
                .map(|(d, cap)| (DeviceIx::of(d), *cap))
        };
        let falls: Vec<_> = pairs()
            .filter(|(d, cap)| *cap + STEP_TOLERANCE < self.ledger.of(*d).requested)
            .collect();
        let raises: Vec<_> = pairs()
            .filter(|(d, cap)| *cap > self.ledger.of(*d).requested + STEP_TOLERANCE)
            .filter(|(d, _)| self.is_commandable(*d))
            .collect();
        if raises.is_empty() && falls.is_empty() {
            self.trigger(Trigger::Restored, now);
            return;
        }
        if !falls.is_empty() {
            let site = &self.topology.site;
            let falls = self.ramped(&falls, site.ramp_down_w_per_s);
            self.command(&falls, Because::Sharing, None, now);
        } else if self.image.all_fresh(now) {
            let raises = self.ramped(&raises, self.topology.site.ramp_up_w_per_s);
            let after_w = self.rack_power_after_w(&raises);
            if self.allows(&after_w, now) {
                self.shorten_leases(&after_w, now);
                self.command(&raises, Because::Sharing, None, now);
            }
        }
        self.target = Some(target);
    }

    /// The part of each change that one step of the ramp allows.
    fn ramped(
        &self,
        caps: &[(DeviceIx, Power)],
        ramp_w_per_s: Option<f64>,
    ) -> Vec<(DeviceIx, Power)> {
        let Some(ramp_w_per_s) = ramp_w_per_s else {
            return caps.to_vec();
        };
        let from = |d: DeviceIx| self.ledger.of(d).requested;
        let whole_w: f64 = caps
            .iter()
            .map(|(d, cap)| (cap.w() - from(*d).w()).abs())
            .sum();
        let step_w = ramp_w_per_s * super::STEP_PERIOD_NS as f64 / NS_PER_S as f64;
        let part = if whole_w > step_w {
            step_w / whole_w
        } else {
            1.0
        };
        caps.iter()
            .map(|(d, cap)| match part < 1.0 {
                true => (
                    *d,
                    Power::from_w(from(*d).w() + part * (cap.w() - from(*d).w())),
                ),
                false => (*d, *cap),
            })
            .collect()
    }

    /// Power of each rack once these raises are in the books, W.
    pub(super) fn rack_power_after_w(&self, raises: &[(DeviceIx, Power)]) -> Vec<f64> {
        let mut rack_w = self.rack_power_w(|d| self.ledger.of(d).accounted);
        for (device, cap) in raises {
            let more_w = cap.w() - self.ledger.of(*device).accounted.w();
            rack_w[self.columns.rack[device.at()]] += more_w.max(0.0);
        }
        rack_w
    }

    /// The last word: these rack powers respect every row.
    pub(super) fn allows(&self, rack_w: &[f64], now: MonoNs) -> bool {
        self.within(now, false, rack_w)
    }

    /// Rule 6 for what these rack powers would be: leases only ever get shorter before a raise.
    fn shorten_leases(&mut self, rack_w: &[f64], now: MonoNs) {
        let network = &self.network;
        let conditions = &network.conditions;
        let longest = lease_ns(&self.topology, &network.contingencies, conditions, rack_w);
        if longest < self.lease_ns {
            self.lease_ns = longest;
            self.renew(now);
        }
    }
}
