//! The most that could have been served after a loss: a linear program under the bounds that the
//! controller itself must respect, so that the ratio says what the controller gave away.
//!
//! Owns no state. Variables are rack powers; rows are the limits of the network after the loss at
//! the worst declared sharing, less the reserve for hosts that lose their caps, as the core has
//! them. Fails with `None` where even the lowest caps do not fit.

use karman_grid_core::contingency::limit_after_w;
use karman_grid_core::rows::{Case, Condition, supply_rows};
use karman_grid_core::shares::Lost;
use karman_grid_core::topology::Topology;
use microlp::{ComparisonOp, LinearExpr, OptimizationDirection, Problem};

/// Largest total that racks can be served, W, each between `low_w` and `high_w`, with the elements
/// in `lost` gone. A rack that is dark in this state is served nothing.
pub fn served_w(topology: &Topology, lost: &Lost, low_w: &[f64], high_w: &[f64]) -> Option<f64> {
    let conditions = vec![Condition::default(); topology.elements.len()];
    let case = Case::new(topology, lost.clone(), &conditions);
    let no_bias = vec![0.0; topology.elements.len()];
    let mut problem = Problem::new(OptimizationDirection::Maximize);
    let mut racks = Vec::with_capacity(low_w.len());
    for (at, dark) in case.dark.iter().enumerate() {
        let high = if *dark { 0.0 } else { high_w[at] };
        let low = low_w[at].min(high);
        racks.push(problem.add_var(1.0, (low, high)));
    }
    let supply = supply_rows(topology, high_w);
    let limits = case
        .rows
        .iter()
        .map(|row| (row, limit_after_w(row, &no_bias)));
    for (row, limit_w) in limits.chain(supply.iter().map(|row| (row, row.limit_w))) {
        let mut load = LinearExpr::empty();
        for (rack, coef) in racks.iter().zip(&row.coefs) {
            if *coef > 0.0 {
                load.add(*rack, *coef);
            }
        }
        problem.add_constraint(load, ComparisonOp::Le, limit_w);
    }
    let solution = problem.solve().ok()?;
    Some(solution.objective())
}
