//! The last word: no element over its limit under the ledger, whatever was asked.

use crate::rows::Row;

/// A row that a decision would overfill.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Breach {
    /// Position of the row.
    pub row: usize,
    /// Load it would have, W.
    pub load_w: f64,
    /// What it may have, W.
    pub limit_w: f64,
}

/// Rounding of caps to milliwatts and of sums, W; far below any meter's resolution.
const TOLERANCE_W: f64 = 0.5;

/// Looks at every row with these rack powers (caps accounted plus what no cap reaches).
///
/// # Errors
/// The worst [`Breach`].
pub fn check(rows: &[(&Row, f64)], rack_power_w: &[f64]) -> Result<(), Breach> {
    let breach = |(row, (entry, limit_w)): (usize, &(&Row, f64))| {
        let load_w = entry.load_w(rack_power_w);
        (load_w.is_nan() || load_w > limit_w + TOLERANCE_W).then_some(Breach {
            row,
            load_w,
            limit_w: *limit_w,
        })
    };
    let excess = |b: &Breach| b.load_w - b.limit_w;
    let worst = rows
        .iter()
        .enumerate()
        .filter_map(breach)
        .max_by(|a, b| excess(a).total_cmp(&excess(b)));
    worst.map_or(Ok(()), Err)
}
