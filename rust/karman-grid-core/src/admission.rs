//! How much of the reserve may be used now, and what binds it: the largest common scaling of the
//! declared load at which nothing is over its limit now and every credible failure stays feasible
//! in time, with the controller alive and with the controller dead.

use crate::contingency::{Contingency, limit_after_w};
use crate::ids::{ContingencyIx, ElementIx};
use crate::limits::{ACCUMULATOR_MAX_RATIO, LEASE_TTL_MIN_NS};
use crate::rows::{Case, Condition, Row, reaction_bound_s};
use crate::time::ns_from_s;
use crate::topology::Topology;

/// What limits the grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Failure in which it binds; `None`: it binds now.
    pub contingency: Option<ContingencyIx>,
    /// Element.
    pub element: ElementIx,
}

/// Reserve that may be used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grant {
    /// Load allowed in all, W.
    pub load_w: f64,
    /// Above the static share, W; never negative.
    pub grant_w: f64,
    /// Of the zero-margin reserve.
    pub grant_ratio: f64,
    /// What binds; `None`: nothing does, or nothing is granted for want of agents.
    pub binding: Option<Binding>,
}

/// What the reserve may count on in one contingency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cover {
    /// Its plan is feasible, held by every agent concerned, and the failure is seen at once.
    Armed,
    /// Not now: nothing may be over its limit after it without any action.
    Bare,
    /// Never: not even the lowest caps help, so cutting for it would be in vain (rule 27).
    Futile,
}

/// Cover of each contingency.
pub type Covers<'a> = &'a dyn Fn(ContingencyIx) -> Cover;

/// Rows that normal operation must respect, each with its right-hand side: limits now, and for
/// each failure what is tolerated until its plan has taken effect (no more than the limit where
/// the plan cannot be counted on, nothing where no cut could help).
pub fn operating_rows<'a>(
    now: &'a Case,
    contingencies: &'a [Contingency],
    covers: Covers,
    bias_w: &[f64],
) -> Vec<(Option<ContingencyIx>, &'a Row, f64)> {
    let limit_now_w = |row: &Row| row.limit_w - row.bias_w(bias_w);
    let mut rows: Vec<_> = now.rows.iter().map(|r| (None, r, limit_now_w(r))).collect();
    for (at, contingency) in contingencies.iter().enumerate() {
        let ix = ContingencyIx::of(at);
        let Some(case) = contingency
            .case
            .as_ref()
            .filter(|_| contingency.representative == ix)
        else {
            continue;
        };
        let cover = covers(ix);
        if cover == Cover::Futile {
            continue;
        }
        rows.extend(case.rows.iter().map(|row| {
            let overload_w = row.overload_w - row.bare_w - row.bias_w(bias_w);
            let armed = cover == Cover::Armed;
            let limit_w = if armed {
                overload_w
            } else {
                limit_after_w(row, bias_w)
            };
            (Some(ix), row, limit_w)
        }));
    }
    rows
}

/// The grant for load in proportion to `full_w` (each rack at its highest caps). `usable`: some
/// agent is ready, and no failure is beyond help.
pub fn grant(
    topology: &Topology,
    rows: &[(Option<ContingencyIx>, &Row, f64)],
    full_w: &[f64],
    usable: bool,
) -> Grant {
    let total_w: f64 = full_w.iter().sum();
    let mut scale = f64::INFINITY;
    let mut binding = None;
    for (contingency, row, limit_w) in rows {
        let load_w = row.load_w(full_w);
        if load_w > 0.0 && limit_w.max(0.0) / load_w < scale {
            scale = limit_w.max(0.0) / load_w;
            binding = Some(Binding {
                contingency: *contingency,
                element: row.element,
            });
        }
    }
    let reserve_w = topology.reserve_w();
    let static_w = topology.feed_rating_w() - reserve_w;
    if !usable || !topology.site.jobs_wait_for_lease || !scale.is_finite() {
        return Grant {
            load_w: static_w,
            grant_w: 0.0,
            grant_ratio: 0.0,
            binding: None,
        };
    }
    let load_w = scale * total_w;
    let grant_w = (load_w - static_w).clamp(0.0, reserve_w);
    let grant_ratio = if reserve_w > 0.0 {
        grant_w / reserve_w
    } else {
        0.0
    };
    Grant {
        load_w,
        grant_w,
        grant_ratio,
        binding,
    }
}

/// Longest lease that rule 6 allows with these rack powers, ns: half of the weakest tolerance less
/// the bounds of write and settling, between the shortest lease and the site's longest.
pub fn lease_ns(
    topology: &Topology,
    contingencies: &[Contingency],
    conditions: &[Condition],
    rack_power_w: &[f64],
) -> u64 {
    let mut longest_s = topology.site.lease_ttl_max_s;
    for contingency in contingencies {
        let Some(case) = &contingency.case else {
            continue;
        };
        for (row, member) in case
            .rows
            .iter()
            .flat_map(|r| r.members.iter().map(move |m| (r, m)))
        {
            let element = &topology.elements[member.at()];
            let condition = conditions[member.at()];
            let Some(curve) = element.curve(condition.mode) else {
                continue;
            };
            let ratio = (row.load_w(rack_power_w) + row.bare_w) / element.limit_w;
            let left = (ACCUMULATOR_MAX_RATIO - condition.used.ratio).max(0.0);
            if let Some(tolerated_s) = curve.tolerated_s(ratio) {
                longest_s = longest_s.min(left * tolerated_s - reaction_bound_s(topology));
            }
        }
    }
    ns_from_s(longest_s).max(LEASE_TTL_MIN_NS)
}
