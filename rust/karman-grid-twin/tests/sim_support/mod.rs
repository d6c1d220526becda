//! The built-in site and scenarios as the configuration resolves them, and runs of them.
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that finds nothing has failed")]

use karman_grid_core::site::SiteSpec;
use karman_grid_twin::result::{Document, RunResult, pool};
use karman_grid_twin::runner::run;
use karman_grid_twin::scenario::Scenario;
use karman_grid_twin::sim::{Control, FIRST_EPOCH, Inputs, RUN_IN_NS};
use karman_grid_twin::sink::NoSink;
use std::collections::BTreeMap;

/// The template 4n3.
pub fn site() -> SiteSpec {
    serde_json::from_str(include_str!("../../../../tests/cases/twin/site-4n3.json")).unwrap()
}

/// A built-in scenario.
pub fn scenario(name: &str) -> Scenario {
    let text = include_str!("../../../../tests/cases/twin/scenarios.json");
    let all: BTreeMap<String, Scenario> = serde_json::from_str(text).unwrap();
    all[name].clone()
}

pub fn inputs(name: &str, seed: u64, control: Control) -> Inputs {
    Inputs {
        epoch: FIRST_EPOCH,
        site: site(),
        scenario: scenario(name),
        seed,
        control,
        run_in_ns: RUN_IN_NS,
        workload: None,
    }
}

/// One run of a built-in scenario.
pub fn run_one(name: &str, seed: u64, control: Control) -> RunResult {
    run(&inputs(name, seed, control), &mut NoSink).unwrap()
}

/// Runs of seeds 1 to `count`, on two threads.
pub fn run_many(name: &str, count: u64, control: Control) -> Vec<RunResult> {
    let half = |parity: u64| {
        let name = name.to_string();
        std::thread::spawn(move || {
            let seeds = (1..=count).filter(|seed| seed % 2 == parity);
            seeds
                .map(|seed| run_one(&name, seed, control))
                .collect::<Vec<_>>()
        })
    };
    let (odd, even) = (half(1), half(0));
    let mut runs = odd.join().unwrap();
    runs.extend(even.join().unwrap());
    runs.sort_by_key(|run| run.seed);
    runs
}

/// Their document.
pub fn pooled(name: &str, count: u64, control: Control) -> Document {
    pool(&run_many(name, count, control))
}
