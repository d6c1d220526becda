//! Armed plans: for every credible failure a complete, feasible set of caps, kept ready so that a
//! failure is answered by a look-up and one message, not by a solve. Utilities call this a
//! remedial action scheme, armed in advance.

use crate::allocate::{Problem, allocate};
use crate::guard;
use crate::ids::{ContingencyIx, DeviceIx, ElementIx};
use crate::rows::{Case, Condition, Row};
use crate::shares::Lost;
use crate::topology::Topology;
use crate::units::Power;

/// A credible failure.
#[derive(Clone, Debug)]
pub struct Contingency {
    /// Element lost.
    pub element: ElementIx,
    /// First contingency with the same effect on the racks; its plan serves this one too.
    pub representative: ContingencyIx,
    /// Network after it; `None`: the element is lost or dead already.
    pub case: Option<Case>,
}

/// Caps for one failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArmedPlan {
    /// Failure it is for.
    pub contingency: ContingencyIx,
    /// Order among plans.
    pub seq: u64,
    /// Cap of each device; `None`: dark in this failure, nothing to write.
    pub caps: Vec<Option<Power>>,
    /// Whether every surviving element ends within its limit.
    pub feasible: bool,
}

/// What plans are made from; slices by device, powers in W.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// Lowest cap, or the highest for a device that cannot be commanded.
    pub floor_w: &'a [f64],
    /// What the device would use.
    pub request_w: &'a [f64],
    /// Highest cap.
    pub ceiling_w: &'a [f64],
    /// 0 first.
    pub tier: &'a [u8],
    /// Share within a tier.
    pub weight: &'a [f64],
    /// Position of the device's rack.
    pub rack: &'a [usize],
    /// Uncontrollable power of each rack.
    pub base_w: &'a [f64],
    /// What a measurement shows above the books, by element.
    pub bias_w: &'a [f64],
}

/// Every credible failure from the present state `lost`, in arena order.
pub fn enumerate(topology: &Topology, lost: &Lost, conditions: &[Condition]) -> Vec<Contingency> {
    let alive = lost.alive(topology);
    let mut list: Vec<Contingency> = Vec::new();
    for (at, element) in topology.elements.iter().enumerate() {
        if !element.credible {
            continue;
        }
        let own = ContingencyIx::of(list.len());
        let ix = ElementIx::of(at);
        let case = alive[at].then(|| Case::new(topology, lost.with(ix), conditions));
        let same = |other: &&Contingency| match (&other.case, &case) {
            (Some(a), Some(b)) => same_effect(a, b),
            _ => false,
        };
        let representative = list.iter().find(same).map_or(own, |c| c.representative);
        list.push(Contingency {
            element: ix,
            representative,
            case,
        });
    }
    list
}

/// Same racks dark and the same load on every element: limits are then equal too.
fn same_effect(a: &Case, b: &Case) -> bool {
    a.dark == b.dark
        && a.rows.len() == b.rows.len()
        && a.rows.iter().zip(&b.rows).all(|(x, y)| x.coefs == y.coefs)
}

/// Right-hand side of a row after the plan has taken effect.
pub fn limit_after_w(row: &Row, bias_w: &[f64]) -> f64 {
    row.limit_w - row.bare_w - row.bias_w(bias_w)
}

/// Rows that must hold once the plan of a case has taken effect.
fn rows_after<'a>(case: &'a Case, inputs: &Inputs, supply: &'a [Row]) -> Vec<(&'a Row, f64)> {
    let after = case
        .rows
        .iter()
        .map(|row| (row, limit_after_w(row, inputs.bias_w)));
    after
        .chain(supply.iter().map(|row| (row, row.limit_w)))
        .collect()
}

/// Works out the plan for one failure.
pub fn plan(
    contingency: ContingencyIx,
    case: &Case,
    inputs: &Inputs,
    seq: u64,
    supply: &[Row],
) -> ArmedPlan {
    let live = |d: &usize| !case.dark[inputs.rack[*d]];
    let members: Vec<usize> = (0..inputs.rack.len()).filter(live).collect();
    let pick = |all: &[f64]| members.iter().map(|d| all[*d]).collect::<Vec<f64>>();
    let rows = rows_after(case, inputs, supply);
    let base_w: Vec<f64> = inputs
        .base_w
        .iter()
        .zip(&case.dark)
        .map(|(w, dark)| if *dark { 0.0 } else { *w })
        .collect();
    let allocation = allocate(&Problem {
        floor_w: &pick(inputs.floor_w),
        request_w: &pick(inputs.request_w),
        ceiling_w: &pick(inputs.ceiling_w),
        tier: &members.iter().map(|d| inputs.tier[*d]).collect::<Vec<u8>>(),
        weight: &pick(inputs.weight),
        rack: &members
            .iter()
            .map(|d| inputs.rack[*d])
            .collect::<Vec<usize>>(),
        base_w: &base_w,
        rows: &rows,
    });
    let mut caps = vec![None; inputs.rack.len()];
    for (d, cap_w) in members.iter().zip(&allocation.cap_w) {
        caps[*d] = Some(Power::from_w(*cap_w));
    }
    ArmedPlan {
        contingency,
        seq,
        caps,
        feasible: allocation.feasible,
    }
}

impl ArmedPlan {
    /// Devices that firing would lower below the cap that `in_force` gives, with the plan's cap.
    pub fn lowers<'a>(
        &'a self,
        in_force: impl Fn(DeviceIx) -> Power + 'a,
    ) -> impl Iterator<Item = (DeviceIx, Power)> + 'a {
        self.caps.iter().enumerate().filter_map(move |(d, cap)| {
            let device = DeviceIx::of(d);
            cap.filter(|cap| *cap < in_force(device))
                .map(|cap| (device, cap))
        })
    }

    /// Whether the plan, if it is feasible, still leaves every row of its case within its limit:
    /// devices that cannot be commanded now stand at their floor whatever the plan says.
    pub fn fits(&self, case: &Case, inputs: &Inputs, supply: &[Row]) -> bool {
        let mut rack_w: Vec<f64> = inputs.base_w.to_vec();
        for (d, rack) in inputs.rack.iter().enumerate() {
            let cap_w = self.caps[d].map_or(0.0, Power::w);
            rack_w[*rack] += cap_w.max(inputs.floor_w[d]);
        }
        for (w, dark) in rack_w.iter_mut().zip(&case.dark) {
            *w = if *dark { 0.0 } else { *w };
        }
        !self.feasible || guard::check(&rows_after(case, inputs, supply), &rack_w).is_ok()
    }

    /// Whether the caps differ enough from `other` to be worth sending, W.
    pub fn differs(&self, other: &ArmedPlan, tolerance_w: f64) -> bool {
        let far = |pair: (&Option<Power>, &Option<Power>)| match pair {
            (Some(a), Some(b)) => (a.w() - b.w()).abs() > tolerance_w,
            (a, b) => a != b,
        };
        self.feasible != other.feasible || self.caps.iter().zip(&other.caps).any(far)
    }
}
