//! Overload curves of breakers and UPSs, and the accumulators that say how much of one is used up.
//!
//! A curve gives the time that a load ratio is tolerated, log-linear between its points. The
//! accumulator is linear in time at a given ratio (dt / tolerated) and forgets over ten minutes.

use crate::error::SiteError;
use crate::site::CurveSpec;

/// Time in which an accumulator decays from 1 to 0 below the curve, s (model, unverified).
pub const DECAY_S: f64 = 600.0;

/// Load ratio → tolerated time.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    points: Vec<(f64, f64)>,
}

impl Curve {
    /// From the rows of a site file.
    ///
    /// # Errors
    /// [`SiteError`] unless ratios rise, times fall and both are positive and finite.
    pub fn from_spec(spec: &CurveSpec) -> Result<Curve, SiteError> {
        let path = format!("curve.{}.points", spec.id);
        let good = |p: &[f64; 2]| p.iter().all(|x| x.is_finite() && *x > 0.0);
        if spec.points.is_empty() || !spec.points.iter().all(good) {
            return Err(SiteError::new(
                path,
                format!("{:?}", spec.points),
                "at least one [load_ratio, tolerated_s], both positive",
            ));
        }
        if let Some(pair) = spec
            .points
            .windows(2)
            .find(|w| w[1][0] <= w[0][0] || w[1][1] > w[0][1])
        {
            return Err(SiteError::new(
                path,
                format!("{:?} before {:?}", pair[0], pair[1]),
                "load ratios that rise and times that fall",
            ));
        }
        Ok(Curve {
            points: spec.points.iter().map(|p| (p[0], p[1])).collect(),
        })
    }

    /// How long `load_ratio` is tolerated, s; `None`: for ever.
    ///
    /// Beyond the last point nothing is known, so each further 10 % of load is taken to divide
    /// the last time by ten.
    pub fn tolerated_s(&self, load_ratio: f64) -> Option<f64> {
        let (first, last) = (self.points[0], self.points[self.points.len() - 1]);
        if load_ratio < first.0 {
            return None;
        }
        if load_ratio >= last.0 {
            return Some(last.1 * libm::exp10(-(load_ratio - last.0) / 0.1));
        }
        let above = self.points.partition_point(|p| p.0 <= load_ratio);
        let (low, high) = (self.points[above - 1], self.points[above]);
        let part = (load_ratio - low.0) / (high.0 - low.0);
        Some(libm::exp(
            libm::log(low.1) + part * (libm::log(high.1) - libm::log(low.1)),
        ))
    }

    /// Largest load ratio tolerated for `tolerated_s`, searched to 1e-6.
    pub fn ratio_for(&self, tolerated_s: f64) -> f64 {
        let fits = |ratio: f64| self.tolerated_s(ratio).is_none_or(|t| t >= tolerated_s);
        let (mut low, mut high) = (0.0, self.points[self.points.len() - 1].0 * 2.0);
        if fits(high) {
            return high;
        }
        while high - low > 1e-6 {
            let middle = 0.5 * (low + high);
            if fits(middle) {
                low = middle;
            } else {
                high = middle;
            }
        }
        low
    }
}

/// How much of a curve has been used up; at 1 the element trips.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Accumulator {
    /// 0 rested, 1 trip.
    pub ratio: f64,
}

impl Accumulator {
    /// Lives `dt_s` at `load_ratio` of `curve`.
    pub fn advance(&mut self, curve: &Curve, load_ratio: f64, dt_s: f64) {
        match curve.tolerated_s(load_ratio) {
            Some(tolerated_s) => self.ratio += dt_s / tolerated_s,
            None => self.ratio = (self.ratio - dt_s / DECAY_S).max(0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::{CurveMode, CurveQuantity};

    fn curve(points: &[[f64; 2]]) -> Result<Curve, SiteError> {
        Curve::from_spec(&CurveSpec {
            id: "c".into(),
            quantity: CurveQuantity::Power,
            mode: CurveMode::Line,
            points: points.to_vec(),
            source: "test".into(),
            verified: false,
        })
    }

    fn ups() -> Curve {
        curve(&[
            [1.05, 3600.0],
            [1.10, 60.0],
            [1.25, 15.0],
            [1.33, 10.0],
            [1.5, 1.5],
        ])
        .expect("the default curve is well formed")
    }

    #[test]
    fn follows_its_points_and_is_log_linear_between() {
        let ups = ups();
        assert_eq!(ups.tolerated_s(1.049), None);
        assert!((ups.tolerated_s(1.33).unwrap() - 10.0).abs() < 1e-9);
        let middle = ups.tolerated_s(0.5 * (1.10 + 1.25)).unwrap();
        assert!((middle - (60.0f64 * 15.0).sqrt()).abs() < 1e-9);
        assert!((ups.tolerated_s(1.6).unwrap() - 0.15).abs() < 1e-9);
    }

    #[test]
    fn inverts() {
        let ups = ups();
        for seconds in [0.2, 1.5, 3.1, 10.0, 45.0, 1000.0] {
            let ratio = ups.ratio_for(seconds);
            assert!(ups.tolerated_s(ratio).unwrap() >= seconds);
            assert!(ups.tolerated_s(ratio + 2e-6).unwrap() < seconds);
        }
    }

    #[test]
    fn accumulates_and_forgets() {
        let mut used = Accumulator::default();
        for _ in 0..1000 {
            used.advance(&ups(), 1.33, 0.005);
        }
        assert!((used.ratio - 0.5).abs() < 1e-9);
        used.advance(&ups(), 1.0, 150.0);
        assert!((used.ratio - 0.25).abs() < 1e-9);
    }

    #[test]
    fn refuses_nonsense() {
        for points in [
            &[][..],
            &[[1.2, 5.0], [1.1, 4.0]],
            &[[1.1, 5.0], [1.2, 6.0]],
            &[[0.0, 1.0]],
        ] {
            let error = curve(points).unwrap_err();
            assert_eq!(error.path, "curve.c.points");
        }
    }
}
