//! From a scenario to the parts of a run: parameters of the plant, instants of events, meters.
//!
//! Owns no state. Fails by naming the key of the scenario that is missing.

use crate::params::{DemandKind, PlantParams};
use crate::planned::Planned;
use crate::rng::{Rng, Stream};
use crate::scenario::{self, Scenario};
use karman_grid_core::error::SiteError;
use karman_grid_core::ids::MeterIx;
use karman_grid_core::time::{ns_from_ms, ns_from_s};
use karman_grid_core::topology::Topology;

/// What changes at an instant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub at_ns: u64,
    pub event: usize,
    pub begins: bool,
}

/// Streams of the scenario's random numbers besides those of its events.
const BACKFEED_STREAM: u64 = 1 << 32;

/// Every meter and its period; 0 for those that give waveforms.
pub(crate) fn polled(topology: &Topology) -> Vec<(MeterIx, u64)> {
    let period_ns = |m: &karman_grid_core::topology::Meter| match m.sample_rate_hz {
        Some(_) => 0,
        None => ns_from_s(m.period_s.unwrap_or(1.0)).max(1),
    };
    topology
        .meters
        .iter()
        .enumerate()
        .map(|(at, m)| (MeterIx::of(at), period_ns(m)))
        .collect()
}

/// Beginnings and ends of what is planned, in order of time; an end before a beginning.
pub(crate) fn turns(planned: &[Planned], run_in_ns: u64) -> Vec<Turn> {
    let mut turns = Vec::with_capacity(2 * planned.len());
    for (event, planned) in planned.iter().enumerate() {
        turns.push(Turn {
            at_ns: run_in_ns + planned.at_ns,
            event,
            begins: true,
        });
        if let Some(until_ns) = planned.until_ns {
            turns.push(Turn {
                at_ns: run_in_ns + until_ns,
                event,
                begins: false,
            });
        }
    }
    turns.sort_by_key(|turn| (turn.at_ns, turn.begins, turn.event));
    turns
}

/// Time constant of the voltage that remains on a lost bus, for each event.
pub(crate) fn backfeeds(scenario: &Scenario, events: usize, seed: u64) -> Vec<u64> {
    let draw = |at: usize| {
        let mut rng = Rng::stream(seed, Stream::Scenario, BACKFEED_STREAM + at as u64);
        ns_from_ms(rng.uniform_in(0.0, scenario.timing.backfeed_tau_max_ms))
    };
    (0..events).map(draw).collect()
}

/// The plant's parameters as the scenario gives them; the others stand at their defaults.
pub(crate) fn plant_params(
    scenario: &Scenario,
    has_requests: bool,
) -> Result<PlantParams, SiteError> {
    let (demand, timing) = (&scenario.demand, &scenario.timing);
    let level = |kind: &str| {
        let wanted = format!("a level for demand of kind {kind:?}");
        demand
            .level_ratio
            .ok_or_else(|| SiteError::new("demand.level_ratio", "nothing", wanted))
    };
    use scenario::DemandKind as Asked;
    let kind = match demand.kind {
        Asked::Constant => DemandKind::Constant {
            level_ratio: level("constant")?,
        },
        // 0.2–3 Hz between compute near TDP and communication near idle: see `params`.
        Asked::Training => DemandKind::Training {
            level_ratio: level("training")?,
            swing_ratio: 0.5,
            frequency_hz: 0.5,
            duty_ratio: 0.7,
        },
        Asked::Inference | Asked::File if demand.level_ratio.is_none() => {
            if !has_requests {
                let wanted = "a list of arrivals, or demand.level_ratio";
                return Err(SiteError::new("demand", "neither", wanted));
            }
            DemandKind::External
        }
        Asked::Inference | Asked::File => DemandKind::Inference {
            level_ratio: level("inference")?,
            fluctuation_ratio: demand.fluctuation_ratio,
        },
    };
    let mut params = PlantParams {
        demand: kind,
        ..PlantParams::default()
    };
    params.gpu.dead_time_min_ms = timing.gpu_dead_time_min_ms;
    params.gpu.dead_time_max_ms = timing.gpu_dead_time_max_ms;
    params.gpu.fall_tau_ms = timing.gpu_fall_tau_ms;
    params.gpu.rise_tau_ms = timing.gpu_rise_tau_ms;
    params.gpu.fall_overshoot_ratio = timing.gpu_overshoot_ratio;
    params.gpu.excess_ratio = timing.gpu_overshoot_ratio;
    params.rack.psu_transfer_tau_ms = timing.psu_transfer_tau_ms;
    Ok(params)
}
