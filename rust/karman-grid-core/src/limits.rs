//! Every bound of the core beside its reason; relations between them are asserted at build time.

use crate::time::{NS_PER_MS, NS_PER_S};

/// Elements of a site: four levels under a dozen feeds with busways and branches fit many times.
pub const ELEMENTS_MAX: usize = 4_096;
/// Controllable devices of one engine.
pub const DEVICES_MAX: usize = 131_072;
/// A measurement older than this is stale, whatever its period (interfaces, section 1).
pub const STALE_MIN_NS: u64 = 300 * NS_PER_MS;
/// Shortest lease worth giving: five renewals of 100 ms each fit (rule 6).
pub const LEASE_TTL_MIN_NS: u64 = 500 * NS_PER_MS;
/// Leases are renewed this many times in their time to live.
pub const RENEWALS_PER_TTL: u64 = 5;
/// Share of a tolerance that may ever be planned for (accumulators stay at or under it).
pub const ACCUMULATOR_MAX_RATIO: f64 = 0.5;
/// Freeze of raises while a UPS runs on battery or the grid sags (rule 16).
pub const FREEZE_HOLD_NS: u64 = 10 * NS_PER_S;
/// Largest reduction of the grant on battery, as a share of it per second (rule 16).
pub const BATTERY_REDUCE_RATIO_PER_S: f64 = 0.05;

/// An agent answers within this or counts as silent: it gives up a write itself after 250 ms.
pub const ANSWER_MAX_NS: u64 = 500 * NS_PER_MS;
/// A cut may be given back at once so soon after it was fired (rule 2).
pub const CANCEL_MAX_NS: u64 = 100 * NS_PER_MS;
/// And while no accumulator stands above this.
pub const CANCEL_ACCUMULATOR_MAX_RATIO: f64 = 0.01;

const _: () = assert!(LEASE_TTL_MIN_NS / RENEWALS_PER_TTL >= 50 * NS_PER_MS);
const _: () = assert!(STALE_MIN_NS < LEASE_TTL_MIN_NS);
