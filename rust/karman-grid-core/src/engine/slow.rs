//! Plans, grant and protection: what may take a millisecond and is done before it is needed.

use super::{Engine, Network};
use crate::admission::{Cover, grant, lease_ns, operating_rows};
use crate::allocate::{Problem, allocate};
use crate::command::ToAgent;
use crate::contingency::{ArmedPlan, Inputs, enumerate, plan};
use crate::guard;
use crate::ids::{ContingencyIx, DeviceIx, HostIx};
use crate::journal::{Because, Entry};
use crate::limits::FREEZE_HOLD_NS;
use crate::mode::Mode;
use crate::rows::{Case, Row};
use crate::site::CurveMode;
use crate::time::{MonoNs, NS_PER_MS, NS_PER_S};
use crate::units::Power;

/// A plan that still fits is kept while its caps differ from the newest by no more than this, W.
const PLAN_TOLERANCE_W: f64 = 20.0;
/// A plan on its way to the agents counts as armed for protection this long, ns. For raises it
/// counts only once every agent concerned holds it.
const PLAN_GRACE_NS: u64 = 500 * NS_PER_MS;
/// Caps closer to the target than this stay as they are.
pub(super) const STEP_TOLERANCE: Power = Power { milliwatt: 500 };

/// Powers by device and rack as plans and shares see them, W.
pub(super) struct Books {
    floor_w: Vec<f64>,
    request_w: Vec<f64>,
    ceiling_w: Vec<f64>,
}

/// Rows without the failures that they are for.
fn bare(rows: Vec<(Option<ContingencyIx>, &Row, f64)>) -> Vec<(&Row, f64)> {
    rows.into_iter()
        .map(|(_, row, limit_w)| (row, limit_w))
        .collect()
}

impl Engine {
    /// The network changed: cases and contingencies anew.
    pub(super) fn rebuild(&mut self) {
        let Network {
            lost, conditions, ..
        } = &self.network;
        let now = Case::new(&self.topology, lost.clone(), conditions);
        let contingencies = enumerate(&self.topology, lost, conditions);
        self.network.now = now;
        self.network.contingencies = contingencies;
        let used = self.network.conditions.iter().map(|c| c.used.ratio);
        self.network.built_used = used.collect();
        self.network.dirty = false;
    }

    pub(super) fn books_now(&self) -> Books {
        let devices = self.topology.devices.len();
        let mut books = Books {
            floor_w: self.columns.floor_w.clone(),
            request_w: vec![0.0; devices],
            ceiling_w: self.columns.ceiling_w.clone(),
        };
        for d in 0..devices {
            let device = DeviceIx::of(d);
            if self.is_commandable(device) {
                let (floor_w, ceiling_w) = (books.floor_w[d], books.ceiling_w[d]);
                books.request_w[d] = self.image.use_of(device).request_w(floor_w, ceiling_w);
            } else {
                // Nobody can lower it: it is what the books say, in every failure.
                let accounted_w = self.ledger.of(device).accounted.w();
                books.floor_w[d] = accounted_w;
                books.request_w[d] = accounted_w;
                books.ceiling_w[d] = accounted_w;
            }
        }
        books
    }

    /// Makes the plan for every credible failure and sends those that changed.
    pub(super) fn arm(&mut self, now: MonoNs) {
        if self.age_batteries(now) {
            self.rebuild();
        }
        let books = self.books_now();
        let inputs = Inputs {
            floor_w: &books.floor_w,
            request_w: &books.request_w,
            ceiling_w: &books.ceiling_w,
            tier: &self.columns.tier,
            weight: &self.columns.weight,
            rack: &self.columns.rack,
            base_w: &self.fixed_w,
            bias_w: &self.bias_w,
        };
        let mut fresh = Vec::new();
        for (at, contingency) in self.network.contingencies.iter().enumerate() {
            let ix = ContingencyIx::of(at);
            let Some(case) = contingency
                .case
                .as_ref()
                .filter(|_| contingency.representative == ix)
            else {
                continue;
            };
            let armed = plan(ix, case, &inputs, self.seq + 1, &self.supply);
            let keeps = |old: &ArmedPlan| {
                !armed.differs(old, PLAN_TOLERANCE_W) && old.fits(case, &inputs, &self.supply)
            };
            if !self.plans[at].as_ref().is_some_and(keeps) {
                fresh.push(armed);
            }
        }
        for mut armed in fresh {
            self.seq += 1;
            armed.seq = self.seq;
            let at = armed.contingency.at();
            self.plan_sent[at] = now;
            self.held[at].fill(0);
            self.plans[at] = Some(armed);
        }
        self.send_plans();
        self.admit(now);
    }

    /// Sends each host the plans that it does not hold.
    fn send_plans(&mut self) {
        let mut messages = Vec::new();
        for (at, armed) in self.plans.iter().enumerate() {
            let Some(armed) = armed else { continue };
            for host in (0..self.hosts.len()).map(HostIx::of) {
                if !self.is_ready(host) || self.held[at][host.at()] >= armed.seq {
                    continue;
                }
                let range = self.topology.hosts[host.at()].devices.clone();
                let cap = |d: usize| armed.caps[d].map(|cap| (DeviceIx::of(d), cap));
                let caps: Vec<(DeviceIx, Power)> = range.filter_map(cap).collect();
                let (contingency, epoch, seq) = (armed.contingency, self.epoch, armed.seq);
                messages.push((
                    host,
                    ToAgent::Plan {
                        contingency,
                        epoch,
                        seq,
                        caps,
                    },
                ));
            }
        }
        for (host, message) in messages {
            self.post(host, message);
        }
    }

    /// What the reserve may count on in a contingency now.
    fn cover(&self, ix: ContingencyIx, now: MonoNs, grace: bool) -> Cover {
        let Some(armed) = self.plans[ix.at()].as_ref() else {
            return Cover::Bare;
        };
        if !armed.feasible {
            return Cover::Futile;
        }
        let grace = grace && now.since(self.plan_sent[ix.at()]) < PLAN_GRACE_NS;
        let mut ready = (0..self.hosts.len()).filter(|h| self.is_ready(HostIx::of(*h)));
        let held = self.is_shadow() || grace || ready.all(|h| self.held[ix.at()][h] >= armed.seq);
        // Seen at once: a fresh meter on an element whose loss has this effect.
        let same = self
            .network
            .contingencies
            .iter()
            .filter(|c| c.representative == ix);
        let mut elements = same.map(|c| c.element);
        match held && elements.any(|e| self.image.sees(e, now)) {
            true => Cover::Armed,
            false => Cover::Bare,
        }
    }

    /// Whether some credible failure is beyond help: then nothing rises above the static share.
    pub(super) fn is_futile(&self) -> bool {
        let live = self
            .network
            .contingencies
            .iter()
            .filter(|c| c.case.is_some());
        let mut plans = live.filter_map(|c| self.plans[c.representative.at()].as_ref());
        plans.any(|p| !p.feasible)
    }

    /// Contingencies that are armed, as people count them.
    pub(super) fn armed(&self, now: MonoNs) -> usize {
        let live = self
            .network
            .contingencies
            .iter()
            .filter(|c| c.case.is_some());
        let armed = |c: &&crate::contingency::Contingency| {
            self.cover(c.representative, now, false) == Cover::Armed
        };
        live.filter(armed).count()
    }

    /// Everything that normal operation must respect, with the failure that each row is for.
    fn rows(&self, now: MonoNs, grace: bool) -> Vec<(Option<ContingencyIx>, &Row, f64)> {
        let covers = |ix| self.cover(ix, now, grace);
        let network = &self.network;
        let mut rows = operating_rows(&network.now, &network.contingencies, &covers, &self.bias_w);
        rows.extend(self.supply.iter().map(|row| (None, row, row.limit_w)));
        rows
    }

    fn admit(&mut self, now: MonoNs) {
        let any_ready = (0..self.hosts.len()).any(|h| self.is_ready(HostIx::of(h)));
        let network = &self.network;
        let rows = self.rows(now, true);
        let usable = any_ready && !self.is_futile();
        let grant = grant(&self.topology, &rows, &self.full_w, usable);
        let rack_w = self.rack_power_w(|d| self.ledger.of(d).accounted);
        self.lease_ns = lease_ns(
            &self.topology,
            &network.contingencies,
            &network.conditions,
            &rack_w,
        );
        if grant != self.grant {
            self.grant = grant;
            self.journal.push(Entry::Grant {
                mono_ns: now,
                grant,
            });
        }
    }

    /// Power of each rack with these caps, W.
    pub(super) fn rack_power_w(&self, cap: impl Fn(DeviceIx) -> Power) -> Vec<f64> {
        let mut rack_w = self.fixed_w.clone();
        for (d, rack) in self.columns.rack.iter().enumerate() {
            rack_w[*rack] += cap(DeviceIx::of(d)).w();
        }
        rack_w
    }

    /// Solves for the operating rows. Plans on their way count; the guard waits for them.
    pub(super) fn solve(&self, now: MonoNs, books: &Books) -> Vec<f64> {
        let rows = bare(self.rows(now, true));
        let allocation = allocate(&Problem {
            floor_w: &books.floor_w,
            request_w: &books.request_w,
            ceiling_w: &books.ceiling_w,
            tier: &self.columns.tier,
            weight: &self.columns.weight,
            rack: &self.columns.rack,
            base_w: &self.fixed_w,
            rows: &rows,
        });
        allocation.cap_w
    }

    /// Whether these rack powers respect the operating rows.
    pub(super) fn within(&self, now: MonoNs, grace: bool, rack_w: &[f64]) -> bool {
        guard::check(&bare(self.rows(now, grace)), rack_w).is_ok()
    }

    /// Lowers caps at once where those asked for no longer fit.
    pub(super) fn protect(&mut self, because: Because, now: MonoNs) {
        if self.mode == Mode::Starting {
            return;
        }
        let rack_w = self.rack_power_w(|d| {
            let account = self.ledger.of(d);
            // What has been answered stands as read back, whatever was asked for.
            if self.is_commandable(d) && self.ledger.is_pending(d) {
                account.requested
            } else {
                account.accounted
            }
        });
        // The static share needs no plan; with something lost it is not static any more.
        let to_static = self.is_futile() && !self.network.lost.any();
        let above = |d: usize| self.ledger.of(DeviceIx::of(d)).requested > self.fallback[d];
        let above = to_static && (0..self.fallback.len()).any(above);
        if !above && self.within(now, true, &rack_w) {
            return;
        }
        let mut books = self.books_now();
        for d in 0..books.ceiling_w.len() {
            if self.is_commandable(DeviceIx::of(d)) {
                let requested = self.ledger.of(DeviceIx::of(d)).requested;
                let highest = if to_static {
                    requested.min(self.fallback[d])
                } else {
                    requested
                };
                books.ceiling_w[d] = highest.w().max(books.floor_w[d]);
                books.request_w[d] = books.request_w[d].min(books.ceiling_w[d]);
            }
        }
        let cap_w = self.solve(now, &books);
        let falls: Vec<(DeviceIx, Power)> = cap_w
            .iter()
            .enumerate()
            .map(|(d, w)| (DeviceIx::of(d), Power::from_w(*w)))
            .filter(|(d, cap)| *cap + STEP_TOLERANCE < self.ledger.of(*d).requested)
            .collect();
        self.target = None;
        self.command(&falls, because, None, now);
    }

    /// Rule 16: a UPS on battery keeps its line curve through the hold, then loses 5 % a second.
    /// True: some element tolerates something else now.
    fn age_batteries(&mut self, now: MonoNs) -> bool {
        let mut aged = false;
        for (since, condition) in self
            .network
            .battery_since
            .iter()
            .zip(&mut self.network.conditions)
        {
            let Some(since) = since else { continue };
            let beyond_ns = now.since(*since).saturating_sub(FREEZE_HOLD_NS);
            if beyond_ns > 0 {
                condition.mode = CurveMode::Battery;
                condition.on_battery_s = beyond_ns as f64 / NS_PER_S as f64;
                aged = true;
            }
        }
        aged
    }
}
