//! Owns the judgement of devices: caps in force against leases, epochs, and the controller's books.
//!
//! A device may stand as high as the highest permission it had within the last `expiry_grace_ns`:
//! its fallback, its live lease, or one that ended or was replaced since. Each device is judged
//! over the whole time between two of its records, so an expiry that nobody wrote down is found.
//! What has no duration is not judged: a cap and the lease that permits it may share one instant
//! in either order.

use crate::plant::Plant;
use crate::record::DeviceSpec;
use crate::verdict::{Finding, Subject, ViolationKind};

/// Half the smallest step of a cap register.
pub const CAP_TOLERANCE_W: f64 = 0.5;
/// Allowed gap between the caps in force and the controller's books.
pub const BOOKS_TOLERANCE_W: f64 = 1.0;
/// How long before a cap rises the controller's raise may have been recorded.
const RAISE_WINDOW_NS: u64 = 2_000_000_000;

/// A cap allowed up to and including an instant.
#[derive(Clone, Copy, Debug)]
struct Permit {
    cap_w: f64,
    until_ns: u64,
}

#[derive(Clone, Debug)]
struct DeviceState {
    cap_w: f64,
    cap_seen: bool,
    /// The newest lease, live or not; `until_ns` is its end without grace.
    lease: Option<Permit>,
    /// What replaced leases and faults still excuse; `until_ns` holds the grace.
    excuses: Vec<Permit>,
    /// Highest (epoch, sequence) accepted.
    fence: Option<(u64, u64)>,
    /// The newest raise of the controller: when, and to what.
    raise: Option<(u64, f64)>,
    faulty_until_ns: Option<u64>,
    judged_ns: u64,
    above: bool,
}

/// All devices.
#[derive(Clone, Debug)]
pub(crate) struct Caps {
    states: Vec<DeviceState>,
    /// Sum of all caps in force; whole milliwatts, so that it never drifts.
    in_force_milliwatt: i64,
    faulty: Vec<usize>,
    books_open: bool,
    /// From here on nobody recorded the plant any more.
    pub truth_end_ns: u64,
    pub raises_unrecorded: u64,
}

/// A lease as the agent accepted it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lease {
    pub cap_w: f64,
    pub epoch: u64,
    pub seq: u64,
    pub ttl_ns: u64,
}

impl Caps {
    /// Every device at its fallback, which is what start-up writes.
    pub fn new(plant: &Plant) -> Self {
        let state = |spec: &DeviceSpec| DeviceState {
            cap_w: spec.fallback_w,
            cap_seen: false,
            lease: None,
            excuses: Vec::new(),
            fence: None,
            raise: None,
            faulty_until_ns: None,
            judged_ns: 0,
            above: false,
        };
        Self {
            states: plant.devices.iter().map(state).collect(),
            in_force_milliwatt: plant.devices.iter().map(|d| milliwatt(d.fallback_w)).sum(),
            faulty: Vec::new(),
            books_open: false,
            truth_end_ns: u64::MAX,
            raises_unrecorded: 0,
        }
    }

    pub fn push_cap(
        &mut self,
        plant: &Plant,
        at_ns: u64,
        ix: usize,
        cap_w: f64,
        findings: &mut Vec<Finding>,
    ) {
        self.judge(plant, ix, at_ns, false, findings);
        let state = &mut self.states[ix];
        let rises = state.cap_seen && cap_w > state.cap_w + CAP_TOLERANCE_W;
        if rises && cap_w > plant.devices[ix].fallback_w + CAP_TOLERANCE_W {
            let recorded = state.raise.is_some_and(|(sent_ns, sent_w)| {
                at_ns - sent_ns <= RAISE_WINDOW_NS && cap_w <= sent_w + CAP_TOLERANCE_W
            });
            self.raises_unrecorded += u64::from(!recorded);
        }
        self.in_force_milliwatt += milliwatt(cap_w) - milliwatt(state.cap_w);
        state.cap_w = cap_w;
        state.cap_seen = true;
    }

    pub fn push_lease(
        &mut self,
        plant: &Plant,
        at_ns: u64,
        ix: usize,
        lease: Lease,
        findings: &mut Vec<Finding>,
    ) {
        self.judge(plant, ix, at_ns, false, findings);
        let state = &mut self.states[ix];
        if let Some((epoch, seq)) = state.fence {
            let went_back = if lease.epoch < epoch {
                Some((lease.epoch, epoch))
            } else if lease.epoch == epoch && lease.seq < seq {
                Some((lease.seq, seq))
            } else {
                None
            };
            if let Some((accepted, highest)) = went_back {
                findings.push(Finding {
                    at_ns,
                    kind: ViolationKind::EpochWentBack,
                    subject: Subject::Device(ix),
                    value: accepted as f64,
                    limit: highest as f64,
                });
            }
        }
        state.fence = state.fence.max(Some((lease.epoch, lease.seq)));
        state.excuses.retain(|permit| permit.until_ns >= at_ns);
        if let Some(old) = state.lease {
            let until_ns = old.until_ns.min(at_ns).saturating_add(plant.grace_ns);
            state.excuses.push(Permit {
                cap_w: old.cap_w,
                until_ns,
            });
        }
        let until_ns = at_ns.saturating_add(lease.ttl_ns.min(plant.ttl_max_ns));
        state.lease = Some(Permit {
            cap_w: lease.cap_w,
            until_ns,
        });
    }

    /// Extends a lease that is live; one that has ended stays ended.
    pub fn push_renew(&mut self, plant: &Plant, at_ns: u64, ix: usize, ttl_ns: u64) {
        if let Some(lease) = self.states[ix]
            .lease
            .as_mut()
            .filter(|l| l.until_ns >= at_ns)
        {
            let until_ns = at_ns.saturating_add(ttl_ns.min(plant.ttl_max_ns));
            lease.until_ns = lease.until_ns.max(until_ns);
        }
    }

    pub fn push_renew_all(&mut self, plant: &Plant, at_ns: u64, ttl_ns: u64) {
        for ix in 0..self.states.len() {
            self.push_renew(plant, at_ns, ix, ttl_ns);
        }
    }

    pub fn push_raise(
        &mut self,
        plant: &Plant,
        at_ns: u64,
        ix: usize,
        cap_w: f64,
        data_age_ns: u64,
        findings: &mut Vec<Finding>,
    ) {
        self.states[ix].raise = Some((at_ns, cap_w));
        if data_age_ns > plant.stale_ns {
            findings.push(Finding {
                at_ns,
                kind: ViolationKind::RaiseOnStaleData,
                subject: Subject::Device(ix),
                value: data_age_ns as f64 / 1e6,
                limit: plant.stale_ns as f64 / 1e6,
            });
        }
    }

    /// The device obeys nobody until `until_ns`: its register is no one's fault but its own.
    pub fn push_fault(
        &mut self,
        plant: &Plant,
        at_ns: u64,
        ix: usize,
        until_ns: u64,
        findings: &mut Vec<Finding>,
    ) {
        self.judge(plant, ix, at_ns, false, findings);
        let until_ns = until_ns.saturating_add(plant.grace_ns);
        let state = &mut self.states[ix];
        if state.faulty_until_ns.is_none() {
            self.faulty.push(ix);
        }
        state.faulty_until_ns = state.faulty_until_ns.max(Some(until_ns));
        state.excuses.push(Permit {
            cap_w: f64::INFINITY,
            until_ns,
        });
    }

    /// Compares the sum that the controller accounts with the caps truly in force. A faulty device
    /// counts with its cap_min_w: less than that nobody can account.
    pub fn push_books(
        &mut self,
        plant: &Plant,
        at_ns: u64,
        accounted_w: f64,
        findings: &mut Vec<Finding>,
    ) {
        if at_ns > self.truth_end_ns {
            return;
        }
        let mut in_force_milliwatt = self.in_force_milliwatt;
        for &ix in &self.faulty {
            let state = &self.states[ix];
            if state
                .faulty_until_ns
                .is_some_and(|until_ns| at_ns <= until_ns)
            {
                let least_w = state.cap_w.min(plant.devices[ix].cap_min_w);
                in_force_milliwatt -= milliwatt(state.cap_w) - milliwatt(least_w);
            }
        }
        let in_force_w = in_force_milliwatt as f64 / 1e3;
        let broken = in_force_w > accounted_w + BOOKS_TOLERANCE_W;
        if broken && !self.books_open {
            findings.push(Finding {
                at_ns,
                kind: ViolationKind::BooksDoNotBalance,
                subject: Subject::AllDevices,
                value: in_force_w,
                limit: accounted_w,
            });
        }
        self.books_open = broken;
    }

    /// Judges every device up to and including the end of the trace.
    pub fn finish(&mut self, plant: &Plant, end_ns: u64, findings: &mut Vec<Finding>) {
        for ix in 0..self.states.len() {
            self.judge(plant, ix, end_ns, true, findings);
        }
    }

    /// Judges one device from where it was last judged to `to_ns`, that instant included or not.
    fn judge(
        &mut self,
        plant: &Plant,
        ix: usize,
        to_ns: u64,
        include_end: bool,
        findings: &mut Vec<Finding>,
    ) {
        let to_ns = to_ns.min(self.truth_end_ns);
        let state = &mut self.states[ix];
        let from_ns = state.judged_ns;
        if to_ns < from_ns || (to_ns == from_ns && !include_end) {
            return;
        }
        let device = &plant.devices[ix];
        let covered_ns = state.covered_until_ns(device, plant.grace_ns);
        if covered_ns.is_some_and(|until_ns| until_ns >= to_ns) {
            state.above = false;
        } else {
            let start_ns = covered_ns.map_or(from_ns, |until_ns| until_ns.max(from_ns));
            let continues = state.above && start_ns == from_ns;
            if !continues {
                findings.push(Finding {
                    at_ns: start_ns,
                    kind: ViolationKind::CapAboveLease,
                    subject: Subject::Device(ix),
                    value: state.cap_w,
                    limit: state.permitted_after_w(device, plant.grace_ns, start_ns),
                });
            }
            state.above = true;
        }
        state.judged_ns = to_ns;
    }
}

impl DeviceState {
    fn permits(&self, grace_ns: u64) -> impl Iterator<Item = Permit> + '_ {
        let lease = self.lease.map(|lease| Permit {
            until_ns: lease.until_ns.saturating_add(grace_ns),
            ..lease
        });
        self.excuses.iter().copied().chain(lease)
    }

    /// Until when the present cap is permitted; `None`: it never was.
    fn covered_until_ns(&self, device: &DeviceSpec, grace_ns: u64) -> Option<u64> {
        let enough = |cap_w: f64| self.cap_w <= cap_w + CAP_TOLERANCE_W;
        if !enough(device.cap_max_w) {
            return None;
        }
        if enough(device.fallback_w) {
            return Some(u64::MAX);
        }
        self.permits(grace_ns)
            .filter(|permit| enough(permit.cap_w))
            .map(|p| p.until_ns)
            .max()
    }

    fn permitted_after_w(&self, device: &DeviceSpec, grace_ns: u64, at_ns: u64) -> f64 {
        self.permits(grace_ns)
            .filter(|permit| permit.until_ns > at_ns)
            .fold(device.fallback_w, |highest_w, permit| {
                highest_w.max(permit.cap_w)
            })
            .min(device.cap_max_w)
    }
}

fn milliwatt(value_w: f64) -> i64 {
    (value_w * 1e3).round() as i64
}
