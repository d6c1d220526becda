//! GPUs under caps, demand, readings, and what must not depend on the grain.

mod common;

use common::{Hall, MS, S, element_of, meter_of};
use karman_grid_core::ids::DeviceIx;
use karman_grid_core::units::Power;
use karman_grid_twin::faults::Fault;
use karman_grid_twin::hall::Plant;
use karman_grid_twin::params::{DemandKind, PlantParams};

fn full(seed: u64) -> Plant {
    Hall::default().at(1.0752, seed)
}

fn cap_all(plant: &mut Plant, cap_w: f64) {
    for device in 0..plant.topology().devices.len() {
        plant.set_cap(DeviceIx::of(device), Power::from_w(cap_w), plant.now_ns());
    }
}

/// Power of all devices at each ms.
fn trace(plant: &mut Plant, ms: u64) -> Vec<Vec<f32>> {
    (0..ms)
        .map(|_| {
            plant.step(MS);
            plant.power_w().to_vec()
        })
        .collect()
}

#[test]
fn a_fall_has_dead_time_overshoot_and_settles() {
    let mut plant = full(1);
    plant.step(MS);
    cap_all(&mut plant, 400.0);
    let powers = trace(&mut plant, 400);
    let column = |device: usize| powers.iter().map(|row| row[device]).collect::<Vec<f32>>();
    for watts in (0..plant.power_w().len()).map(column) {
        let of = |ms: usize| watts[ms];
        assert!((0..5).all(|ms| of(ms) > 699.9), "dead for 5 ms at least");
        let first = (0..400).find(|ms| of(*ms) < 699.0).expect("it falls");
        assert!(first <= 27, "{first}");
        let reached = (0..400).find(|ms| of(*ms) <= 400.0).expect("it gets there");
        assert!((28..38).contains(&(reached - first)), "{}", reached - first);
        let lowest = (0..400).map(of).fold(f32::INFINITY, f32::min);
        assert!(
            (400.0 - lowest - 30.0).abs() < 1.5,
            "overshoot of 10 % of the fall: {lowest}"
        );
        assert!((of(399) - 400.0).abs() < 1.0, "{}", of(399));
    }
}

#[test]
fn a_rise_is_first_order() {
    let mut plant = full(2);
    cap_all(&mut plant, 400.0);
    trace(&mut plant, 500);
    cap_all(&mut plant, 600.0);
    let powers = trace(&mut plant, 300);
    for device in [0, 77, 1023] {
        let start = (0..300)
            .find(|ms| powers[*ms][device] > 400.5)
            .expect("it rises");
        let part = (powers[start + 50][device] - 400.0) / 200.0;
        assert!((part - 0.64).abs() < 0.03, "{part}");
        assert!(powers.iter().all(|power| power[device] <= 600.1));
    }
}

#[test]
fn watts_exceed_a_cap_by_at_most_a_tenth_for_50_ms() {
    let mut plant = Hall::default().at(0.75, 3);
    cap_all(&mut plant, 500.0);
    trace(&mut plant, 500);
    assert!(plant.power_w().iter().all(|power| *power < 450.0));
    plant.set_demand(DemandKind::Constant {
        level_ratio: 1.0752,
    });
    let powers = trace(&mut plant, 200);
    let over = powers
        .iter()
        .filter(|power| power[5] > 500.0 * 1.001)
        .count();
    let peak = powers.iter().map(|power| power[5]).fold(0.0, f32::max);
    assert!(over > 5 && over <= 50, "{over} ms");
    assert!(peak > 520.0 && peak <= 550.0, "{peak}");
}

#[test]
fn registers_clamp_and_ignored_writes_change_only_them() {
    let mut plant = full(4);
    let low = plant.set_cap(DeviceIx::of(0), Power::from_w(50.0), 0);
    let high = plant.set_cap(DeviceIx::of(1), Power::from_w(5_000.0), 0);
    assert_eq!((low.w(), high.w()), (200.0, 700.0));
    plant.set_cap_ignored(DeviceIx::of(2), Power::from_w(300.0), 0);
    let devices = vec![DeviceIx::of(3)];
    let fault = plant.inject(Fault::WriteIgnored { devices }, 0);
    plant.step(MS);
    plant.set_cap(DeviceIx::of(3), Power::from_w(300.0), plant.now_ns());
    trace(&mut plant, 300);
    assert_eq!(
        (plant.cap_w(DeviceIx::of(2)), plant.cap_w(DeviceIx::of(3))),
        (300.0, 300.0)
    );
    assert!((plant.power_w()[0] - 200.0).abs() < 1.0);
    assert!(
        plant.power_w()[1..4]
            .iter()
            .all(|power| (power - 700.0).abs() < 0.1)
    );
    plant.clear(fault, plant.now_ns());
    plant.step(MS);
    plant.set_cap(DeviceIx::of(3), Power::from_w(300.0), plant.now_ns());
    trace(&mut plant, 300);
    assert!((plant.power_w()[3] - 300.0).abs() < 1.0);
}

#[test]
fn the_last_of_two_writes_wins() {
    let mut plant = full(5);
    for device in 0..1024 {
        plant.set_cap(DeviceIx::of(device), Power::from_w(300.0), 0);
        plant.set_cap(DeviceIx::of(device), Power::from_w(450.0), 1_000);
    }
    trace(&mut plant, 500);
    assert!(
        plant
            .power_w()
            .iter()
            .all(|power| (power - 450.0).abs() < 1.0)
    );
}

fn noisy(seed: u64) -> Plant {
    let demand = DemandKind::Inference {
        level_ratio: 0.9,
        fluctuation_ratio: 0.08,
    };
    Hall::default().plant(
        PlantParams {
            demand,
            ..PlantParams::default()
        },
        seed,
    )
}

#[test]
fn demand_fluctuates_by_host_around_its_level() {
    let mut plant = noisy(6);
    let mut total = 0.0;
    let mut hosts = Vec::new();
    for _ in 0..2_000 {
        plant.step(10 * MS);
        let demand = plant.demand_w();
        assert!(
            demand[..8].iter().all(|watts| *watts == demand[0]),
            "the same for a host"
        );
        hosts.push(f64::from(demand[0]));
        total += plant.flows_w()[0] / 2_000.0;
    }
    assert!((total / 0.9e6 - 1.0).abs() < 0.01, "{total}");
    let mean = hosts.iter().sum::<f64>() / 2_000.0;
    let spread = (hosts.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / 2_000.0).sqrt();
    assert!(
        spread / mean > 0.03 && spread / mean < 0.15,
        "{}",
        spread / mean
    );
}

#[test]
fn training_is_a_square_with_the_declared_mean_and_swing() {
    let demand = DemandKind::Training {
        level_ratio: 0.8,
        swing_ratio: 0.6,
        frequency_hz: 0.5,
        duty_ratio: 0.5,
    };
    let mut plant = Hall::default().plant(
        PlantParams {
            demand,
            ..PlantParams::default()
        },
        1,
    );
    let mut watts = Vec::new();
    for _ in 0..1_000 {
        plant.step(10 * MS);
        watts.push(f64::from(plant.demand_w()[0]));
    }
    let mean = watts.iter().sum::<f64>() / 1_000.0;
    let (low, high) = watts.iter().fold((f64::MAX, 0.0f64), |(low, high), w| {
        (low.min(*w), high.max(*w))
    });
    assert!((mean - 431.25).abs() < 5.0, "{mean}");
    assert!(((high - low) / mean - 0.6).abs() < 0.02);
}

#[test]
fn demand_from_outside_and_steps() {
    let mut plant = full(7);
    let ratios: Vec<f32> = (0..128).map(|host| 0.3 + 0.005 * host as f32).collect();
    plant.set_host_demand_ratio(&ratios);
    plant.step(MS);
    assert!((plant.power_w()[8 * 100] - 0.8 * 700.0).abs() < 0.1);
    plant.set_demand(DemandKind::Constant { level_ratio: 0.7 });
    let step = plant.inject(
        Fault::DemandStep { level_ratio: 0.9 },
        plant.now_ns() + 5 * MS,
    );
    plant.clear(step, plant.now_ns() + 10 * MS);
    trace(&mut plant, 4);
    assert!((plant.flows_w()[0] / 1e6 - 0.7).abs() < 1e-3);
    trace(&mut plant, 4);
    assert!((plant.flows_w()[0] / 1e6 - 0.9).abs() < 1e-3);
    trace(&mut plant, 4);
    assert!((plant.flows_w()[0] / 1e6 - 0.7).abs() < 1e-3);
}

#[test]
fn readings_lag_and_carry_their_faults() {
    let mut plant = full(8);
    trace(&mut plant, 1_100);
    let meter = meter_of(&plant, "out-a");
    let truth = plant.flows_w()[element_of(&plant, "feed-a").at()];
    let shown = |plant: &Plant| plant.meter_power_w(meter) / truth;
    assert!((shown(&plant) - 1.0).abs() < 0.01);
    assert!((plant.device_power_w(DeviceIx::of(0)) - 700.0).abs() < 0.5);
    let scale = plant.inject(Fault::MeterScale { meter, value: 0.8 }, plant.now_ns());
    let offset = Fault::MeterOffset {
        meter,
        value_w: 0.1 * truth,
    };
    let offset = plant.inject(offset, plant.now_ns());
    plant.step(MS);
    assert!((shown(&plant) - 0.9).abs() < 0.01);
    plant.clear(scale, plant.now_ns());
    plant.clear(offset, plant.now_ns());
    plant.inject(Fault::MeterFrozen { meter }, plant.now_ns() + MS);
    trace(&mut plant, 2);
    let frozen = shown(&plant);
    cap_all(&mut plant, 200.0);
    trace(&mut plant, 500);
    assert_eq!(shown(&plant), frozen);
    // 0.4 s at 700 W, then the fall, then 0.47 s at 200 W: the window is 0.9 to 1 s long.
    let reading = plant.device_power_w(DeviceIx::of(0));
    assert!((420.0..455.0).contains(&reading), "{reading}");
}

#[test]
fn a_clone_goes_on_as_its_original() {
    let mut plant = noisy(9);
    trace(&mut plant, 200);
    cap_all(&mut plant, 450.0);
    plant.step(MS);
    let mut rewound = plant.clone();
    assert_eq!(trace(&mut plant, 200), trace(&mut rewound, 200));
    assert_eq!(plant.flows_w(), rewound.flows_w());
    assert_ne!(trace(&mut noisy(9), 5), trace(&mut noisy(10), 5));
    assert_eq!(trace(&mut noisy(9), 50), trace(&mut noisy(9), 50));
}

/// A feed lost, all capped 10 ms later, restored: power of survivors and energy, at this grain.
fn story(grain_ns: u64) -> (f64, f64, f64) {
    let demand = DemandKind::Inference {
        level_ratio: 0.95,
        fluctuation_ratio: 0.05,
    };
    let params = PlantParams {
        demand,
        ..PlantParams::default()
    };
    let mut plant = Hall::default().plant(params, 11);
    let element = element_of(&plant, "feed-b");
    plant.inject(
        Fault::FeedLoss {
            element,
            backfeed_tau_ns: MS,
        },
        S,
    );
    let mut peak = 0.0f64;
    let mut capped = false;
    while plant.now_ns() < 10 * S {
        plant.step(grain_ns);
        peak = peak.max(plant.flows_w()[element_of(&plant, "feed-a").at()]);
        if plant.now_ns() >= 3 * S && !capped {
            cap_all(&mut plant, 400.0);
            capped = true;
        }
    }
    (
        plant.energy_j(),
        peak,
        plant
            .accumulator_ratio()
            .iter()
            .copied()
            .fold(0.0, f64::max),
    )
}

#[test]
fn the_grain_does_not_matter() {
    let (energy, peak, used) = story(MS);
    for grain_ns in [MS / 4, 5 * MS, 100 * MS] {
        let other = story(grain_ns);
        assert!(
            (other.0 / energy - 1.0).abs() < 0.005,
            "{grain_ns}: {} {energy}",
            other.0
        );
        assert!(
            (other.1 / peak - 1.0).abs() < 0.01,
            "{grain_ns}: {} {peak}",
            other.1
        );
        assert!(
            (other.2 / used - 1.0).abs() < 0.10,
            "{grain_ns}: {} {used}",
            other.2
        );
    }
}
