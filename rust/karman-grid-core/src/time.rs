//! Instants of the controller machine's monotonic clock. They only ever come in as arguments.

use serde::{Deserialize, Serialize};

/// CLOCK_MONOTONIC of the controller machine (or simulated time), in ns.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct MonoNs(pub u64);

/// Nanoseconds in a millisecond.
pub const NS_PER_MS: u64 = 1_000_000;
/// Nanoseconds in a second.
pub const NS_PER_S: u64 = 1_000_000_000;

impl MonoNs {
    /// This instant and `ns` nanoseconds.
    pub fn plus_ns(self, ns: u64) -> MonoNs {
        MonoNs(self.0.saturating_add(ns))
    }

    /// Nanoseconds since `earlier`; 0 where `earlier` lies ahead.
    pub fn since(self, earlier: MonoNs) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Seconds as whole nanoseconds.
pub fn ns_from_s(s: f64) -> u64 {
    (s * 1e9).round().max(0.0) as u64
}

/// Milliseconds as whole nanoseconds.
pub fn ns_from_ms(ms: f64) -> u64 {
    (ms * 1e6).round().max(0.0) as u64
}
