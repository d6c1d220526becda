//! A whole run: the run-in, every step at the grain that it needs, and what it is reduced to.
//!
//! Owns the choice of the grain. In an adaptive run nothing is handed to the sink before it is
//! certain that it stays: where something changes inside a coarse second, the run goes back up to
//! two seconds and lives through that time again at the fine grain.

use crate::result::{Latencies, RunResult, hex};
use crate::scenario::Grain;
use crate::sim::{Control, Inputs, Sim};
use crate::sink::{Keep, Records, Sink};
use karman_grid_core::error::SiteError;
use karman_grid_core::site::ModeSpec;
use karman_grid_core::time::{NS_PER_S, ns_from_s};
use sha2::{Digest, Sha256};
use std::collections::VecDeque;

/// A run stays at the fine grain from so long before an event or a change of caps to so long after.
const AROUND_NS: u64 = NS_PER_S;
/// Coarse seconds that can be taken back.
const REWIND_SECONDS: usize = 2;

/// Runs a scenario to its end.
///
/// # Errors
/// [`SiteError`] where site or scenario cannot be.
pub fn run(inputs: &Inputs, sink: &mut dyn Sink) -> Result<RunResult, SiteError> {
    let mut sim = Sim::new(inputs)?;
    let mut keep = Keep::new(sim.start_ns, sim.measure.series());
    let config = config_hash(inputs);
    keep.hash.update(config);
    keep.hash.update(inputs.seed.to_le_bytes());
    sink.start(sim.start_ns, &sim.fallbacks);
    sim.run_in();
    sim.records.flush(sink, &mut keep);
    let end_ns = sim.start_ns + ns_from_s(inputs.scenario.duration_s);
    match inputs.scenario.grain {
        Grain::Fine => {
            while sim.now_ns < end_ns {
                sim.fine_step();
                if sim.now_ns.is_multiple_of(NS_PER_S) {
                    sim.records.flush(sink, &mut keep);
                }
            }
        }
        Grain::Adaptive => sim = adaptive(sim, end_ns, sink, &mut keep),
    }
    sim.records.flush(sink, &mut keep);
    Ok(sim.into_result(inputs, &config, keep))
}

/// A coarse second that can still be taken back: the state before it, and what it recorded.
struct Second {
    before: Sim,
    records: Records,
}

fn adaptive(mut sim: Sim, end_ns: u64, sink: &mut dyn Sink, keep: &mut Keep) -> Sim {
    let mut fine_until_ns = 0;
    let mut seconds: VecDeque<Second> = VecDeque::new();
    sim.touched = false;
    while sim.now_ns < end_ns {
        let coarse = sim.now_ns >= fine_until_ns
            && sim.now_ns.is_multiple_of(NS_PER_S)
            && sim.now_ns + NS_PER_S <= end_ns
            && sim.next_turn_ns() >= sim.now_ns + NS_PER_S + AROUND_NS;
        if !coarse {
            settle(&mut seconds, 0, sink, keep);
            sim.fine_step();
            if std::mem::take(&mut sim.touched) {
                fine_until_ns = (sim.now_ns + AROUND_NS).next_multiple_of(NS_PER_S);
            }
            if sim.now_ns.is_multiple_of(NS_PER_S) {
                sim.records.flush(sink, keep);
            }
            continue;
        }
        // Records made since the last second belong to what can no longer be taken back.
        settle(&mut seconds, REWIND_SECONDS - 1, sink, keep);
        if seconds.is_empty() {
            sim.records.flush(sink, keep);
        }
        let before = sim.clone();
        let second_ns = sim.now_ns + NS_PER_S;
        while sim.now_ns < second_ns && !sim.touched {
            sim.coarse_step();
        }
        if std::mem::take(&mut sim.touched) {
            fine_until_ns = (sim.now_ns + AROUND_NS).next_multiple_of(NS_PER_S);
            sim = seconds
                .drain(..)
                .next()
                .map_or(before, |second| second.before);
        } else {
            let records = std::mem::take(&mut sim.records);
            seconds.push_back(Second { before, records });
        }
    }
    settle(&mut seconds, 0, sink, keep);
    sim
}

/// Hands on what was recorded in all but the last `left` seconds.
fn settle(seconds: &mut VecDeque<Second>, left: usize, sink: &mut dyn Sink, keep: &mut Keep) {
    while seconds.len() > left {
        if let Some(mut second) = seconds.pop_front() {
            second.records.flush(sink, keep);
        }
    }
}

/// SHA-256 over everything that a run depends on but the seed.
pub(crate) fn config_hash(inputs: &Inputs) -> [u8; 32] {
    let mut hash = Sha256::new();
    let plain = (&inputs.site, &inputs.scenario, inputs.control);
    // Plain structs with string keys: writing them into memory cannot fail.
    hash.update(serde_json::to_vec(&plain).unwrap_or_default());
    if let Some(workload) = &inputs.workload {
        let model = (&workload.serving, workload.arrival_scale);
        hash.update(serde_json::to_vec(&model).unwrap_or_default());
        for arrival in workload.arrivals.iter() {
            hash.update(arrival.at_s.to_le_bytes());
            hash.update(arrival.context_tokens.to_le_bytes());
            hash.update(arrival.generated_tokens.to_le_bytes());
        }
    }
    hash.update(env!("CARGO_PKG_VERSION"));
    hash.finalize().into()
}

impl Sim {
    pub(crate) fn into_result(
        self,
        inputs: &Inputs,
        config: &[u8; 32],
        mut keep: Keep,
    ) -> RunResult {
        let (topology, measure) = (&self.topology, &self.measure);
        let mut latencies = Latencies::default();
        measure
            .losses
            .iter()
            .for_each(|loss| loss.latencies(topology, &mut latencies));
        let losses = || measure.losses.iter();
        let fired = || losses().filter(|loss| loss.is_fired());
        let optimum = losses().filter_map(|loss| loss.served_of_optimum(topology));
        let energy_lost = if measure.demand_j > 0.0 {
            measure.withheld_j / measure.demand_j
        } else {
            0.0
        };
        keep.series.events = self.planned_names();
        let work_lost = self.work_lost_ratio().unwrap_or(energy_lost);
        let granted = measure.grant_before.or(measure.grant_ratio);
        let mode = match inputs.site.site.mode {
            ModeSpec::Active => "active",
            ModeSpec::Shadow => "shadow",
        };
        RunResult {
            scenario: inputs.scenario.name.clone(),
            control: inputs.control.name().to_string(),
            mode: mode.to_string(),
            seed: inputs.seed,
            duration_s: inputs.scenario.duration_s,
            config_hash: hex(config),
            trips: measure.trips,
            violations: Vec::new(),
            survivor_peak_ratio: losses().map(|loss| loss.peak_ratio()).reduce(f64::min),
            over_limit_ms: measure.over_limit_ns as f64 / 1e6,
            accumulator_max_ratio: measure.accumulator_max,
            time_to_limit_ms: fired().map(|loss| loss.time_to_limit_ms()).reduce(f64::max),
            critical_shed_w: measure.critical_shed_w,
            energy_kwh: measure.energy_j / 3.6e6,
            work_lost_ratio: work_lost,
            served_of_optimum_ratio: optimum.reduce(f64::min),
            escalations: measure.escalations,
            utilisation_before_ratio: measure.utilisation_before,
            grant_ratio: granted.filter(|_| inputs.control == Control::On),
            needless_cut_wh: measure.needless_j / 3.6e3,
            load_change_ratio: Some(measure.load_change),
            commands_expected: losses().map(|loss| loss.commands_expected()).sum(),
            commands_sent: measure.commands,
            below_fallback_w: measure.below_fallback_w,
            pcc_step_w: measure.pcc_step_w,
            digest: keep.hash.finalize().into(),
            series: keep.series,
            latencies,
        }
    }
}
