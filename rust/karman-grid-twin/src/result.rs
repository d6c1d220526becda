//! What a run is reduced to, and how runs are pooled: the result document of `twin run`.
//!
//! Owns the meaning of every key (`docs/reference/result.md`). Raw latencies are kept until the
//! end, so that percentiles of several runs are those of all their values together.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A rule that the checker found broken; filled in by whoever attaches one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Violation {
    /// When, from the end of the run-in, ms.
    pub at_ms: f64,
    /// Kind, as the checker names it.
    pub kind: String,
    /// Element or device.
    pub element: String,
    /// What was found.
    pub value: f64,
    /// What was allowed.
    pub limit: f64,
    /// Seed of the run, in a pool of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

/// Latencies of a run, ns, in the order in which they were measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latencies {
    /// First abnormal sample → event.
    pub detect: Vec<u64>,
    /// Event → command in the mailbox.
    pub decide: Vec<u64>,
    /// Mailbox → acknowledgement, for each command to a healthy actuator.
    pub deliver: Vec<u64>,
    /// Last acknowledgement → every survivor under its limit, for each fired plan.
    pub settle: Vec<u64>,
    /// First abnormal sample → acknowledgement, for each command to a healthy actuator.
    pub react: Vec<u64>,
    /// The same for the last command that was needed, for each fired plan.
    pub react_event: Vec<u64>,
    /// The same as `react` for every command, faulty and escalated ones included.
    pub react_all: Vec<u64>,
}

/// Percentiles by nearest rank, ms; nulls where nothing was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Quantiles {
    pub p50: Option<f64>,
    pub p99: Option<f64>,
    pub p999: Option<f64>,
    pub max: Option<f64>,
    pub count: u64,
}

impl Quantiles {
    /// Of these times in ns.
    pub fn of(mut values_ns: Vec<u64>) -> Quantiles {
        values_ns.sort_unstable();
        let count = values_ns.len();
        let at = |permille: usize| {
            let rank = (count * permille).div_ceil(1000).max(1);
            values_ns.get(rank - 1).map(|ns| ms(*ns))
        };
        Quantiles {
            p50: at(500),
            p99: at(990),
            p999: at(999),
            max: at(1000),
            count: count as u64,
        }
    }
}

fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}

/// `latency_ms` of the document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct LatencyMs {
    pub detect: Quantiles,
    pub decide: Quantiles,
    pub deliver: Quantiles,
    pub settle: Quantiles,
    pub react: Quantiles,
    pub react_event: Quantiles,
    pub react_all: Quantiles,
}

/// The course of a run, for a figure: 10 ms apart from 1 s before to 5 s after the first event,
/// 200 ms elsewhere. Powers in W.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Ids of the feeds.
    pub feeds: Vec<String>,
    /// Their limits.
    pub limit_w: Vec<f64>,
    /// Instants of events and what they were, ms after the run-in.
    pub events: Vec<(f64, String)>,
    /// Time after the run-in, ms.
    pub at_ms: Vec<f64>,
    /// Power of all racks.
    pub load_w: Vec<f64>,
    /// What all racks would draw without caps.
    pub demand_w: Vec<f64>,
    /// Power of each feed, one list for each point.
    pub feed_power_w: Vec<Vec<f64>>,
    /// The fuller of the accumulators of each feed and its UPS, one list for each point.
    pub feed_accumulator_ratio: Vec<Vec<f64>>,
}

/// One run.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct RunResult {
    pub scenario: String,
    pub control: String,
    pub mode: String,
    pub seed: u64,
    pub duration_s: f64,
    /// SHA-256 over site, scenario, control and arrivals, hex.
    pub config_hash: String,
    pub trips: u64,
    /// Filled in by whoever attaches a checker.
    pub violations: Vec<Violation>,
    pub latencies: Latencies,
    pub survivor_peak_ratio: Option<f64>,
    pub over_limit_ms: f64,
    pub accumulator_max_ratio: f64,
    pub time_to_limit_ms: Option<f64>,
    pub critical_shed_w: f64,
    pub energy_kwh: f64,
    pub work_lost_ratio: f64,
    pub served_of_optimum_ratio: Option<f64>,
    pub escalations: u64,
    pub utilisation_before_ratio: Option<f64>,
    pub grant_ratio: Option<f64>,
    pub needless_cut_wh: f64,
    pub load_change_ratio: Option<f64>,
    pub commands_expected: u64,
    pub commands_sent: u64,
    pub below_fallback_w: f64,
    pub pcc_step_w: f64,
    pub digest: [u8; 32],
    pub series: Series,
}

/// One run of a pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct PerSeed {
    pub seed: u64,
    #[serde(rename = "unsafe")]
    pub unsafe_count: u64,
    pub trips: u64,
    pub react_max_ms: Option<f64>,
    pub time_to_limit_ms: Option<f64>,
    pub survivor_peak_ratio: Option<f64>,
    pub digest: String,
}

/// The result document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Document {
    pub scenario: String,
    pub control: String,
    pub mode: String,
    pub seed: u64,
    pub runs: u64,
    pub duration_s: f64,
    pub version: String,
    pub config_hash: String,
    #[serde(rename = "unsafe")]
    pub unsafe_count: u64,
    pub trips: u64,
    pub violations: Vec<Violation>,
    pub latency_ms: LatencyMs,
    pub survivor_peak_ratio: Option<f64>,
    pub over_limit_ms: f64,
    pub accumulator_max_ratio: f64,
    pub time_to_limit_ms: Option<f64>,
    pub critical_shed_w: f64,
    pub energy_kwh: f64,
    pub work_lost_ratio: f64,
    pub served_of_optimum_ratio: Option<f64>,
    pub escalations: u64,
    pub utilisation_before_ratio: Option<f64>,
    pub grant_ratio: Option<f64>,
    pub needless_cut_wh: f64,
    pub load_change_ratio: Option<f64>,
    pub commands_expected: u64,
    pub commands_sent: u64,
    pub below_fallback_w: f64,
    pub pcc_step_w: f64,
    pub digest: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub per_seed: Vec<PerSeed>,
}

/// Reduces runs of one scenario, in the order of their seeds, to one document.
///
/// # Panics
/// Without any run.
pub fn pool(runs: &[RunResult]) -> Document {
    let first = runs
        .first()
        .expect("a document is made of at least one run");
    let largest = |f: fn(&RunResult) -> f64| runs.iter().map(f).fold(f64::MIN, f64::max);
    let sum = |f: fn(&RunResult) -> f64| runs.iter().map(f).sum::<f64>();
    let count = |f: fn(&RunResult) -> u64| runs.iter().map(f).sum::<u64>();
    let most = |f: fn(&RunResult) -> Option<f64>| runs.iter().filter_map(f).reduce(f64::max);
    let least = |f: fn(&RunResult) -> Option<f64>| runs.iter().filter_map(f).reduce(f64::min);
    Document {
        scenario: first.scenario.clone(),
        control: first.control.clone(),
        mode: first.mode.clone(),
        seed: first.seed,
        runs: runs.len() as u64,
        duration_s: first.duration_s,
        version: env!("CARGO_PKG_VERSION").to_string(),
        config_hash: first.config_hash.clone(),
        unsafe_count: count(|r| r.violations.len() as u64),
        trips: count(|r| r.trips),
        violations: violations(runs),
        latency_ms: latencies(runs),
        survivor_peak_ratio: least(|r| r.survivor_peak_ratio),
        over_limit_ms: largest(|r| r.over_limit_ms),
        accumulator_max_ratio: largest(|r| r.accumulator_max_ratio),
        time_to_limit_ms: most(|r| r.time_to_limit_ms),
        critical_shed_w: largest(|r| r.critical_shed_w),
        energy_kwh: sum(|r| r.energy_kwh),
        work_lost_ratio: largest(|r| r.work_lost_ratio),
        served_of_optimum_ratio: least(|r| r.served_of_optimum_ratio),
        escalations: count(|r| r.escalations),
        utilisation_before_ratio: least(|r| r.utilisation_before_ratio),
        grant_ratio: least(|r| r.grant_ratio),
        needless_cut_wh: sum(|r| r.needless_cut_wh),
        load_change_ratio: most(|r| r.load_change_ratio),
        commands_expected: count(|r| r.commands_expected),
        commands_sent: count(|r| r.commands_sent),
        below_fallback_w: largest(|r| r.below_fallback_w),
        pcc_step_w: largest(|r| r.pcc_step_w),
        digest: digest(runs),
        per_seed: if runs.len() > 1 {
            runs.iter().map(per_seed).collect()
        } else {
            Vec::new()
        },
    }
}

fn violations(runs: &[RunResult]) -> Vec<Violation> {
    let seed = |run: &RunResult| (runs.len() > 1).then_some(run.seed);
    let of = |run: &RunResult| {
        let seed = seed(run);
        let named = |v: &Violation| Violation { seed, ..v.clone() };
        run.violations.iter().map(named).collect::<Vec<_>>()
    };
    runs.iter().flat_map(of).collect()
}

fn latencies(runs: &[RunResult]) -> LatencyMs {
    let pooled = |f: fn(&Latencies) -> &Vec<u64>| {
        Quantiles::of(
            runs.iter()
                .flat_map(|r| f(&r.latencies).iter().copied())
                .collect(),
        )
    };
    LatencyMs {
        detect: pooled(|l| &l.detect),
        decide: pooled(|l| &l.decide),
        deliver: pooled(|l| &l.deliver),
        settle: pooled(|l| &l.settle),
        react: pooled(|l| &l.react),
        react_event: pooled(|l| &l.react_event),
        react_all: pooled(|l| &l.react_all),
    }
}

fn per_seed(run: &RunResult) -> PerSeed {
    PerSeed {
        seed: run.seed,
        unsafe_count: run.violations.len() as u64,
        trips: run.trips,
        react_max_ms: run.latencies.react.iter().max().map(|ns| ms(*ns)),
        time_to_limit_ms: run.time_to_limit_ms,
        survivor_peak_ratio: run.survivor_peak_ratio,
        digest: hex(&run.digest),
    }
}

/// A run's own digest; of several, the digest over theirs.
fn digest(runs: &[RunResult]) -> String {
    if let [only] = runs {
        return hex(&only.digest);
    }
    let mut hash = Sha256::new();
    runs.iter().for_each(|run| hash.update(run.digest));
    hex(&hash.finalize())
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_nearest_rank() {
        let q = Quantiles::of((1..=1000).rev().map(|n| n * 1_000_000).collect());
        assert_eq!(
            (q.p50, q.p99, q.p999),
            (Some(500.0), Some(990.0), Some(999.0))
        );
        assert_eq!((q.max, q.count), (Some(1000.0), 1000));
        let one = Quantiles::of(vec![2_500_000]);
        assert_eq!(
            (one.p50, one.p999, one.max, one.count),
            (Some(2.5), Some(2.5), Some(2.5), 1)
        );
        assert_eq!(Quantiles::of(Vec::new()), Quantiles::default());
    }
}
