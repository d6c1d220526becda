//! What the engine knows, frozen for those who show it.

use super::Engine;
use crate::admission::Grant;
use crate::event::ElectricalEvent;
use crate::ids::{ContingencyIx, ElementIx, HostIx};
use crate::mode::Mode;
use crate::time::MonoNs;

/// One element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ElementStatus {
    /// Element.
    pub element: ElementIx,
    /// Measured load, W; absent without a fresh meter.
    pub power_w: Option<f64>,
    /// Limit, W.
    pub limit_w: f64,
    /// What of its curve is used up.
    pub accumulator_ratio: f64,
    /// The same of the fullest element that carries the same load (a feed's UPS, say).
    pub path_accumulator_ratio: f64,
    /// Whether it counts as lost.
    pub lost: bool,
    /// Whether its UPS runs on battery.
    pub on_battery: bool,
}

/// Sums over all devices, W.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CapSums {
    /// Asked for.
    pub requested_w: f64,
    /// Counted by the books.
    pub accounted_w: f64,
    /// Reported by the devices; a device never heard is left out.
    pub enforced_w: f64,
    /// Written when leases end.
    pub safe_w: f64,
}

/// Everything at one instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// When.
    pub mono_ns: MonoNs,
    /// Control mode.
    pub mode: Mode,
    /// Reserve in use.
    pub grant: Grant,
    /// Contingencies armed now, and those that could happen.
    pub contingencies_armed: usize,
    /// Element of the binding contingency.
    pub binding_contingency: Option<ElementIx>,
    /// Agents ready and in all.
    pub agents: (usize, usize),
    /// Elements.
    pub elements: Vec<ElementStatus>,
    /// Lease in force, ns.
    pub lease_ns: u64,
    /// Sums of the three values of rule 28 and of the fallbacks.
    pub caps: CapSums,
    /// Epoch of this controller.
    pub epoch: u64,
    /// Age of the oldest load meter's newest value, ns.
    pub sample_age_ns: u64,
    /// Escalations so far.
    pub escalations: u32,
    /// Newest event.
    pub last_event: Option<ElectricalEvent>,
    /// Epoch that deposed this controller.
    pub deposed_by: Option<u64>,
}

impl Engine {
    fn cap_sums(&self) -> CapSums {
        let mut sums = CapSums::default();
        for (account, fallback) in self.ledger.accounts().iter().zip(&self.fallback) {
            sums.requested_w += account.requested.w();
            sums.accounted_w += account.accounted.w();
            sums.enforced_w += account.enforced.map_or(0.0, |cap| cap.w());
            sums.safe_w += fallback.w();
        }
        sums
    }

    /// The state at `now`.
    pub fn status(&self, now: MonoNs) -> Status {
        let used = |e: &ElementIx| self.network.conditions[e.at()].used.ratio;
        let element = |at: usize| {
            let ix = ElementIx::of(at);
            let path = self.intact.iter().find(|members| members.contains(&ix));
            let path = path.map_or(std::slice::from_ref(&ix), Vec::as_slice);
            ElementStatus {
                element: ix,
                power_w: self.image.load_w(ix, now),
                limit_w: self.topology.elements[at].limit_w,
                accumulator_ratio: used(&ix),
                path_accumulator_ratio: path.iter().map(used).fold(0.0, f64::max),
                lost: self.network.lost.has(ix),
                on_battery: self.network.battery_since[at].is_some(),
            }
        };
        let ready = (0..self.hosts.len())
            .filter(|h| self.is_ready(HostIx::of(*h)))
            .count();
        let bound_in = self.grant.binding.and_then(|b| b.contingency);
        let lost_in = |ix: ContingencyIx| self.network.contingencies[ix.at()].element;
        Status {
            mono_ns: now,
            mode: self.mode,
            grant: self.grant,
            contingencies_armed: self.armed(now),
            binding_contingency: bound_in.map(lost_in),
            agents: (ready, self.hosts.len()),
            elements: (0..self.topology.elements.len()).map(element).collect(),
            lease_ns: self.lease_ns,
            caps: self.cap_sums(),
            epoch: self.epoch,
            sample_age_ns: self.image.oldest_age_ns(now),
            escalations: self.escalations,
            last_event: self.last_event,
            deposed_by: self.deposed_by,
        }
    }
}
