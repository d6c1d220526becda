//! Owns overload curves and the accumulator that fills along them.
//!
//! A curve says how many seconds T a load ratio is tolerated. Held at that ratio the accumulator
//! rises by dt / T; at 1 the element is beyond its curve. Below the first point it falls linearly,
//! a full one in [`DECAY_S`]. Between points ln T is linear in the ratio; beyond the last, T drops
//! to a tenth for each further 0.1 of ratio. Times in s, ratios without unit.

use crate::error::CheckError;
use crate::record::CurveSpec;

/// Time in which a full accumulator decays to zero.
pub const DECAY_S: f64 = 600.0;
/// From here on an accumulator counts as full; the gap to 1 is rounding, not mercy.
pub const FULL_RATIO: f64 = 1.0 - 1e-12;
/// Points for an element of which no curve is known: one second above 105 %.
pub const UNKNOWN_POINTS: [[f64; 2]; 1] = [[1.05, 1.0]];
/// Shortest tolerated time: keeps an absurd ratio from dividing by zero.
const TOLERATED_MIN_S: f64 = 1e-6;
/// Step of ratio beyond the last point that costs a factor of ten.
const DECADE_RATIO: f64 = 0.1;

#[derive(Clone, Copy, Debug, PartialEq)]
struct Point {
    ratio: f64,
    tolerated_s: f64,
    ln_tolerated: f64,
}

/// A sound overload curve.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    points: Vec<Point>,
}

impl Curve {
    /// Takes a curve from the header.
    ///
    /// # Errors
    /// No points, a ratio or time that is not positive, ratios not rising, times rising.
    pub fn new(key: &str, spec: &CurveSpec) -> Result<Self, CheckError> {
        let wrong = |found: String, expected: &str| Err(CheckError::new(key, found, expected));
        if spec.points.is_empty() {
            return wrong("no points".into(), "at least one [ratio, tolerated_s]");
        }
        for [ratio, tolerated_s] in &spec.points {
            let positive = |value: f64| value.is_finite() && value > 0.0;
            if !positive(*ratio) || !positive(*tolerated_s) {
                return wrong(format!("[{ratio}, {tolerated_s}]"), "two positive numbers");
            }
        }
        for pair in spec.points.windows(2) {
            if pair[1][0] <= pair[0][0] || pair[1][1] > pair[0][1] {
                return wrong(
                    format!("{:?} then {:?}", pair[0], pair[1]),
                    "rising ratios and times that do not rise",
                );
            }
        }
        Ok(Self::from_points(&spec.points))
    }

    /// The curve of an element that declares none, [`UNKNOWN_POINTS`].
    #[must_use]
    pub fn unknown() -> Self {
        Self::from_points(&UNKNOWN_POINTS)
    }

    fn from_points(points: &[[f64; 2]]) -> Self {
        let points = points
            .iter()
            .map(|&[ratio, tolerated_s]| Point {
                ratio,
                tolerated_s,
                ln_tolerated: libm::log(tolerated_s),
            })
            .collect();
        Self { points }
    }

    /// Seconds that `ratio` is tolerated from cold; `None` below the first point: for ever.
    #[must_use]
    pub fn tolerated_s(&self, ratio: f64) -> Option<f64> {
        let first = self.points.first()?;
        let last = self.points.last()?;
        if ratio < first.ratio {
            return None;
        }
        if ratio >= last.ratio {
            let decades = (ratio - last.ratio) / DECADE_RATIO;
            return Some((last.tolerated_s * libm::exp10(-decades)).max(TOLERATED_MIN_S));
        }
        let above = self.points.iter().position(|point| point.ratio > ratio)?;
        let (low, high) = (self.points[above - 1], self.points[above]);
        if ratio == low.ratio {
            return Some(low.tolerated_s);
        }
        let share = (ratio - low.ratio) / (high.ratio - low.ratio);
        let ln_tolerated = low.ln_tolerated + share * (high.ln_tolerated - low.ln_tolerated);
        Some(libm::exp(ln_tolerated).max(TOLERATED_MIN_S))
    }
}
