//! Speed of the plant, printed: `cargo test --release -p karman-grid-twin --test plant_speed --
//! --ignored --nocapture`.

mod common;

use common::{Hall, MS, S, element_of};
use karman_grid_core::ids::MeterIx;
use karman_grid_twin::faults::Fault;
use karman_grid_twin::params::{DemandKind, PlantParams};

/// Runs `work` five times and gives the shortest time, s.
#[allow(clippy::disallowed_methods)]
fn shortest_s(mut work: impl FnMut()) -> f64 {
    let one = |_| {
        let start = std::time::Instant::now();
        work();
        start.elapsed().as_secs_f64()
    };
    (0..5).map(one).fold(f64::INFINITY, f64::min)
}

#[test]
#[ignore = "a measurement"]
fn plant_speed() {
    let demand = DemandKind::Inference {
        level_ratio: 0.95,
        fluctuation_ratio: 0.05,
    };
    let params = PlantParams {
        demand,
        ..PlantParams::default()
    };
    let start = Hall::default().plant(params, 1);
    let element = element_of(&start, "feed-b");
    let seconds = 25;
    let run = |waves: bool| {
        let mut plant = start.clone();
        plant.inject(
            Fault::FeedLoss {
                element,
                backfeed_tau_ns: 3 * MS,
            },
            5 * S,
        );
        let meters: Vec<MeterIx> = (0..8).map(MeterIx::of).collect();
        let mut out = Vec::new();
        for _ in 0..seconds * 1_000 {
            plant.step(MS);
            for meter in meters.iter().filter(|_| waves) {
                out.clear();
                let (first, _) = plant.frames_due(*meter);
                for block in 0..4 {
                    plant.fill(*meter, first + 8 * block, 8, &mut out);
                }
            }
        }
        std::hint::black_box((plant.energy_j(), out.len()));
    };
    let alone_s = shortest_s(|| run(false));
    let waves_s = shortest_s(|| run(true)) - alone_s;
    let frames = 8.0 * 32_000.0 * seconds as f64;
    println!(
        "plant: {alone_s:.3} s for {seconds} s ({:.0} x)",
        seconds as f64 / alone_s
    );
    println!(
        "waves: {waves_s:.3} s ({:.1} ns a frame)",
        waves_s * 1e9 / frames
    );
    assert!(
        seconds as f64 / alone_s > 20.0,
        "the goal is 100 times real time"
    );
}
