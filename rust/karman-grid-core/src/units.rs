//! Typed power: integer milliwatts, so that sums are exact and identical everywhere.

use serde::{Deserialize, Serialize};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub, SubAssign};

/// Active power or a cap, in integer milliwatts.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Power {
    /// Milliwatts.
    pub milliwatt: i64,
}

impl Power {
    /// No power at all (a real value, never "unlimited").
    pub const ZERO: Power = Power { milliwatt: 0 };

    /// From watts, rounded down to whole milliwatts (caps round down: never over a limit).
    pub fn from_w(power_w: f64) -> Power {
        Power {
            milliwatt: (power_w * 1e3).floor() as i64,
        }
    }

    /// In watts.
    pub fn w(self) -> f64 {
        self.milliwatt as f64 / 1e3
    }
}

impl Add for Power {
    type Output = Power;
    fn add(self, other: Power) -> Power {
        Power {
            milliwatt: self.milliwatt + other.milliwatt,
        }
    }
}

impl Sub for Power {
    type Output = Power;
    fn sub(self, other: Power) -> Power {
        Power {
            milliwatt: self.milliwatt - other.milliwatt,
        }
    }
}

impl AddAssign for Power {
    fn add_assign(&mut self, other: Power) {
        self.milliwatt += other.milliwatt;
    }
}

impl SubAssign for Power {
    fn sub_assign(&mut self, other: Power) {
        self.milliwatt -= other.milliwatt;
    }
}

impl Sum for Power {
    fn sum<I: Iterator<Item = Power>>(iter: I) -> Power {
        iter.fold(Power::ZERO, Add::add)
    }
}
