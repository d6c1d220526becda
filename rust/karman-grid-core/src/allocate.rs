//! Who gets how many watts: priority-lexicographic, max-min fair filling under packing rows.
//!
//! Stages, none of which lowers an earlier one: every floor; then requests, tier by tier, by a
//! common level of watts per weight; then what is left, by a common increase. In each stage the
//! level rises until a row is full; devices in that row stop there, the others go on. That is the
//! max-min point of the stage (Radunović and Le Boudec, IEEE/ACM ToN 2007: filling is exact where
//! the feasible set has free disposal), so no QP or LP is needed.

use crate::rows::Row;

/// What is asked and what is in the way. All powers in W; slices are by device unless said.
#[derive(Clone, Copy, Debug)]
pub struct Problem<'a> {
    /// Hardware minimum.
    pub floor_w: &'a [f64],
    /// What the device would use, between floor and ceiling.
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
    /// Limits, and the right-hand side to use for each.
    pub rows: &'a [(&'a Row, f64)],
}

/// Caps, and why they are not higher.
#[derive(Clone, Debug, PartialEq)]
pub struct Allocation {
    /// Cap of each device, W.
    pub cap_w: Vec<f64>,
    /// Row that stopped each device; `None`: it has its ceiling.
    pub bound_by: Vec<Option<usize>>,
    /// Whether the floors fit every row.
    pub feasible: bool,
}

/// Rows fuller than this are full, W.
const FULL_W: f64 = 1e-3;
/// Halvings of the level: 2⁻⁴⁰ of the largest level is far below a milliwatt.
const HALVINGS: u32 = 40;

struct Filling<'a> {
    problem: &'a Problem<'a>,
    x: Vec<f64>,
    rack_w: Vec<f64>,
    bound_by: Vec<Option<usize>>,
}

/// Solves `problem`. Never fails: where the floors do not fit, the devices concerned get their
/// floor and `feasible` is false.
pub fn allocate(problem: &Problem) -> Allocation {
    let devices = problem.floor_w.len();
    let mut rack_w = problem.base_w.to_vec();
    for (floor, rack) in problem.floor_w.iter().zip(problem.rack) {
        rack_w[*rack] += floor;
    }
    let x = problem.floor_w.to_vec();
    let mut filling = Filling {
        problem,
        x,
        rack_w,
        bound_by: vec![None; devices],
    };
    let feasible = filling.stop_full(FULL_W).iter().all(|over| !over);

    let mut tiers: Vec<u8> = problem.tier.to_vec();
    tiers.sort_unstable();
    tiers.dedup();
    for tier in tiers {
        let wanting: Vec<usize> = (0..devices).filter(|d| problem.tier[*d] == tier).collect();
        filling.stage(wanting, problem.request_w, |_| 0.0);
    }
    let start = filling.x.clone();
    filling.stage((0..devices).collect(), problem.ceiling_w, |d| start[d]);
    Allocation {
        cap_w: filling.x,
        bound_by: filling.bound_by,
        feasible,
    }
}

impl Filling<'_> {
    fn slack_w(&self, row: usize) -> f64 {
        let (row, limit_w) = self.problem.rows[row];
        limit_w - row.load_w(&self.rack_w)
    }

    /// Marks the devices of full rows as bound; returns for each row whether it is over.
    fn stop_full(&mut self, tolerance_w: f64) -> Vec<bool> {
        let slacks_w: Vec<f64> = (0..self.problem.rows.len())
            .map(|row| self.slack_w(row))
            .collect();
        for (row, slack_w) in slacks_w.iter().enumerate() {
            if *slack_w <= tolerance_w {
                self.bind(row);
            }
        }
        slacks_w
            .iter()
            .map(|slack_w| *slack_w < -tolerance_w)
            .collect()
    }

    fn bind(&mut self, row: usize) {
        let coefs = &self.problem.rows[row].0.coefs;
        for (bound, rack) in self.bound_by.iter_mut().zip(self.problem.rack) {
            if coefs[*rack] > 0.0 && bound.is_none() {
                *bound = Some(row);
            }
        }
    }

    /// Raises `wanting` to `target` by a common level t: x = start + weight · t.
    fn stage(&mut self, wanting: Vec<usize>, target: &[f64], start: impl Fn(usize) -> f64) {
        let problem = self.problem;
        let mut active: Vec<usize> = wanting
            .into_iter()
            .filter(|d| self.x[*d] < target[*d])
            .collect();
        let mut delta = vec![0.0; self.rack_w.len()];
        loop {
            active.retain(|d| self.bound_by[*d].is_none());
            if active.is_empty() {
                return;
            }
            let value = |d: usize, level: f64, x: f64| {
                (start(d) + problem.weight[d] * level).clamp(x, target[d])
            };
            let top = active
                .iter()
                .map(|d| (target[*d] - start(*d)) / problem.weight[*d])
                .fold(0.0, f64::max);
            let slack_w: Vec<f64> = (0..problem.rows.len())
                .map(|row| self.slack_w(row).max(0.0))
                .collect();
            let mut fits = |level: f64| {
                delta.fill(0.0);
                for d in &active {
                    delta[problem.rack[*d]] += value(*d, level, self.x[*d]) - self.x[*d];
                }
                let mut rows = problem.rows.iter().zip(&slack_w);
                rows.all(|((row, _), slack_w)| row.load_w(&delta) <= *slack_w)
            };
            let (mut low, mut high) = (0.0, top);
            let all = fits(top);
            if all {
                low = top;
            }
            for _ in 0..if all { 0 } else { HALVINGS } {
                let middle = 0.5 * (low + high);
                if fits(middle) {
                    low = middle;
                } else {
                    high = middle;
                }
            }
            for d in &active {
                let reached = value(*d, low, self.x[*d]);
                self.rack_w[problem.rack[*d]] += reached - self.x[*d];
                self.x[*d] = reached;
            }
            if all {
                return;
            }
            self.stop_tightest();
        }
    }

    /// Full rows bind their devices; at least the tightest row that still touches a free one does.
    fn stop_tightest(&mut self) {
        let free: Vec<usize> = (0..self.bound_by.len())
            .filter(|d| self.bound_by[*d].is_none())
            .map(|d| self.problem.rack[d])
            .collect();
        let touches = |row: &usize| {
            free.iter()
                .any(|r| self.problem.rows[*row].0.coefs[*r] > 0.0)
        };
        let tightest = (0..self.problem.rows.len())
            .filter(touches)
            .min_by(|a, b| self.slack_w(*a).total_cmp(&self.slack_w(*b)));
        if let Some(row) = tightest {
            self.bind(row);
        }
        self.stop_full(FULL_W);
    }
}
