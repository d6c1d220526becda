//! Limits as packing rows: Σ over racks of coefficient × power ≤ limit. A [`Case`] holds the rows
//! of one state of the network (nothing lost, or some set of elements lost), with the overload that
//! each element tolerates long enough for a plan to take effect.

use crate::curve::Accumulator;
use crate::ids::ElementIx;
use crate::limits::{ACCUMULATOR_MAX_RATIO, BATTERY_REDUCE_RATIO_PER_S, LEASE_TTL_MIN_NS};
use crate::shares::{Lost, Shares};
use crate::site::CurveMode;
use crate::topology::{Element, Topology};

/// One limit. Elements with the same coefficients share a row; the tightest gives its limits.
#[derive(Clone, Debug)]
pub struct Row {
    /// Element that binds.
    pub element: ElementIx,
    /// All elements that share the row.
    pub members: Vec<ElementIx>,
    /// Part of each rack's power that flows through it at worst sharing.
    pub coefs: Vec<f64>,
    /// Must hold for good, W.
    pub limit_w: f64,
    /// May stand until a plan has taken effect, the controller dead or alive, W.
    pub overload_w: f64,
    /// What one cause can add by baring hosts of their caps at once (rule 9), W.
    pub bare_w: f64,
}

impl Row {
    /// Load of the row for these rack powers, W.
    pub fn load_w(&self, rack_power_w: &[f64]) -> f64 {
        self.coefs
            .iter()
            .zip(rack_power_w)
            .map(|(coef, power)| coef * power)
            .sum()
    }

    /// What a measurement on any of its elements shows above the books, W.
    pub fn bias_w(&self, bias_w: &[f64]) -> f64 {
        self.members
            .iter()
            .map(|e| bias_w[e.at()])
            .fold(0.0, f64::max)
    }
}

/// State of an element that changes what it tolerates.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Condition {
    /// Mode of a UPS.
    pub mode: CurveMode,
    /// What of its curve is used up already.
    pub used: Accumulator,
    /// Time on battery beyond the hold of rule 16, s.
    pub on_battery_s: f64,
}

/// Rows of one state of the network.
#[derive(Clone, Debug)]
pub struct Case {
    /// What is lost in it.
    pub lost: Lost,
    /// Who carries what.
    pub shares: Shares,
    /// Its limits.
    pub rows: Vec<Row>,
    /// For each rack whether it has no power in this case.
    pub dark: Vec<bool>,
}

impl Case {
    /// Works the rows out.
    pub fn new(topology: &Topology, lost: Lost, conditions: &[Condition]) -> Case {
        let shares = Shares::new(topology, &lost);
        let racks = topology.racks.len();
        let mut coefs = vec![vec![0.0; racks]; topology.elements.len()];
        let mut dark = vec![true; racks];
        for (at, rack) in (0..racks).map(|r| (r, crate::ids::RackIx::of(r))) {
            for share in shares.of(rack) {
                coefs[share.element.at()][at] = share.worst;
                dark[at] = false;
            }
        }
        let mut rows: Vec<Row> = Vec::new();
        for (at, coefs) in coefs.into_iter().enumerate() {
            if coefs.iter().all(|c| *c == 0.0) {
                continue;
            }
            let element = &topology.elements[at];
            let limit_w = element.limit_w;
            let overload_w = limit_w * overload_ratio(topology, element, conditions[at]);
            let bare_w = bare_w(topology, &coefs);
            let (element, members) = (ElementIx::of(at), vec![ElementIx::of(at)]);
            let row = Row {
                element,
                members,
                coefs,
                limit_w,
                overload_w,
                bare_w,
            };
            match rows.iter_mut().find(|r| r.coefs == row.coefs) {
                Some(same) => tighten(same, &row),
                None => rows.push(row),
            }
        }
        Case {
            lost,
            shares,
            rows,
            dark,
        }
    }
}

fn tighten(row: &mut Row, other: &Row) {
    if (other.overload_w, other.limit_w) < (row.overload_w, row.limit_w) {
        row.element = other.element;
    }
    row.members.extend(&other.members);
    row.limit_w = row.limit_w.min(other.limit_w);
    row.overload_w = row.overload_w.min(other.overload_w);
}

/// Time from the failure to watts down when the controller lives, s (rules 6 and 18).
pub fn reaction_bound_s(topology: &Topology) -> f64 {
    (topology.site.write_bound_ms + topology.site.settle_bound_ms) / 1e3
}

/// Largest load ratio that an element may have just after a failure: its accumulator stays at or
/// under one half even if the controller died with it and the shortest lease must run out first.
fn overload_ratio(topology: &Topology, element: &Element, condition: Condition) -> f64 {
    let left = ACCUMULATOR_MAX_RATIO - condition.used.ratio;
    let span_s = LEASE_TTL_MIN_NS as f64 / 1e9 + reaction_bound_s(topology);
    let tolerated = |mode| match element.curve(mode) {
        Some(curve) if left > 0.0 => curve.ratio_for(span_s / left).max(1.0),
        _ => 1.0,
    };
    match condition.mode {
        // Rule 16: on battery nothing is taken away at once, then at most 5 % a second.
        CurveMode::Battery => {
            let eased = 1.0 - BATTERY_REDUCE_RATIO_PER_S * condition.on_battery_s;
            tolerated(CurveMode::Battery).max(tolerated(CurveMode::Line) * eased)
        }
        mode => tolerated(mode),
    }
}

/// Power that the worst `bare_hosts` hosts add when they lose their caps (rule 9).
fn bare_w(topology: &Topology, coefs: &[f64]) -> f64 {
    let span = |host: &crate::topology::Host| -> f64 {
        let devices = &topology.devices[host.devices.clone()];
        devices
            .iter()
            .map(|d| d.cap_max.w() - d.cap_min.w())
            .sum::<f64>()
            * coefs[host.rack.at()]
    };
    let mut spans: Vec<f64> = topology.hosts.iter().map(span).collect();
    spans.sort_by(|a, b| b.total_cmp(a));
    spans.iter().take(topology.site.bare_hosts as usize).sum()
}

/// Racks whose power supplies could not carry them on their remaining cords (rule 13), as rows on
/// the rack alone. Only racks that can come over are listed.
pub fn supply_rows(topology: &Topology, rack_full_w: &[f64]) -> Vec<Row> {
    let mut rows = Vec::new();
    for (at, rack) in topology.racks.iter().enumerate() {
        let Some(ratings) = rack
            .psu_rating_w
            .iter()
            .copied()
            .collect::<Option<Vec<f64>>>()
        else {
            continue;
        };
        let total: f64 = ratings.iter().sum();
        let remaining = ratings
            .iter()
            .map(|r| total - r)
            .fold(f64::INFINITY, f64::min);
        if ratings.len() > 1 && remaining < rack_full_w[at] {
            let mut coefs = vec![0.0; topology.racks.len()];
            coefs[at] = 1.0;
            let element = rack.cords[0].0;
            rows.push(Row {
                element,
                members: Vec::new(),
                coefs,
                limit_w: remaining,
                overload_w: remaining,
                bare_w: 0.0,
            });
        }
    }
    rows
}
