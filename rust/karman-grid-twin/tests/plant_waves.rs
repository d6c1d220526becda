//! Waveforms against the truth of the plant: RMS, power, harmonics, instants of faults, blocks.

mod common;

use common::{Hall, MS, S, element_of, meter_of};
use karman_grid_core::ids::{DeviceIx, MeterIx};
use karman_grid_core::units::Power;
use karman_grid_twin::faults::Fault;
use karman_grid_twin::hall::Plant;
use karman_grid_twin::params::{DemandKind, PlantParams, WaveParams};
use std::f64::consts::TAU;

const V: f64 = 277.0;

fn quiet(level_ratio: f64, seed: u64) -> Plant {
    let wave = WaveParams {
        nuisances_per_min: 0.0,
        ..WaveParams::default()
    };
    let demand = DemandKind::Constant { level_ratio };
    Hall::default().plant(
        PlantParams {
            demand,
            wave,
            ..PlantParams::default()
        },
        seed,
    )
}

/// Frames of a meter over so many ms, in volts and amperes.
fn record(plant: &mut Plant, meter: MeterIx, ms: u64) -> Vec<[f64; 6]> {
    let [scale_v, scale_a] = plant.count_scale(meter).map(f64::from);
    let mut counts = Vec::new();
    for _ in 0..ms {
        plant.step(MS);
        let (first, frames) = plant.frames_due(meter);
        assert_eq!((first, frames), ((plant.now_ns() / MS - 1) * 32, 32));
        plant.fill(meter, first, frames, &mut counts);
    }
    let frame = |f: &[i16]| {
        let scaled = |at: usize| f64::from(f[at]) * if at < 3 { scale_v } else { scale_a };
        [0, 1, 2, 3, 4, 5].map(scaled)
    };
    counts.chunks_exact(6).map(frame).collect()
}

fn rms(frames: &[[f64; 6]], lane: usize) -> f64 {
    (frames.iter().map(|f| f[lane] * f[lane]).sum::<f64>() / frames.len() as f64).sqrt()
}

/// Active power: mean of the sum of v·i.
fn power(frames: &[[f64; 6]]) -> f64 {
    let sum: f64 = frames
        .iter()
        .map(|f| (0..3).map(|k| f[k] * f[k + 3]).sum::<f64>())
        .sum();
    sum / frames.len() as f64
}

/// Amplitude at `hz`.
fn amplitude(frames: &[[f64; 6]], lane: usize, hz: f64) -> f64 {
    let (mut re, mut im) = (0.0, 0.0);
    for (at, frame) in frames.iter().enumerate() {
        let (sin, cos) = libm::sincos(TAU * hz * at as f64 / 32_000.0);
        re += frame[lane] * cos;
        im += frame[lane] * sin;
    }
    2.0 * (re * re + im * im).sqrt() / frames.len() as f64
}

#[test]
fn voltage_current_and_power_are_the_plants() {
    let mut plant = quiet(0.9, 1);
    let meter = meter_of(&plant, "out-b");
    let frames = record(&mut plant, meter, 200);
    let truth = plant.flows_w()[element_of(&plant, "feed-b").at()];
    assert!(
        (power(&frames) / truth - 1.0).abs() < 0.003,
        "{}",
        power(&frames) / truth
    );
    for lane in 0..3 {
        assert!(
            (rms(&frames, lane) / V - 1.0).abs() < 0.003,
            "{}",
            rms(&frames, lane)
        );
        let current = truth / (3.0 * V * 0.98);
        assert!((rms(&frames, lane + 3) / current - 1.0).abs() < 0.005);
        for (hz, voltage, current) in [(300.0, 0.02, 0.04), (420.0, 0.01, 0.025)] {
            let of = |lane| amplitude(&frames, lane, hz) / amplitude(&frames, lane, 60.0);
            assert!((of(lane) - voltage).abs() < 0.001, "{hz}: {}", of(lane));
            assert!(
                (of(lane + 3) - current).abs() < 0.002,
                "{hz}: {}",
                of(lane + 3)
            );
        }
    }
    // Positive sequence: b follows a by a third of a cycle.
    let third = 32_000 / 60 / 3;
    let follows = frames
        .windows(third + 1)
        .map(|w| w[0][0] * w[third][1])
        .sum::<f64>();
    assert!(follows / (frames.len() as f64 * V * V) > 0.95);
}

#[test]
fn frequency_wanders_slowly_around_nominal() {
    let mut plant = quiet(0.9, 2);
    let meter = meter_of(&plant, "in-a");
    let mut all = Vec::new();
    for _ in 0..8 {
        let frames = record(&mut plant, meter, 1_000);
        let cross: Vec<f64> = frames
            .windows(2)
            .enumerate()
            .filter(|(_, w)| w[0][0] < 0.0 && w[1][0] >= 0.0)
            .map(|(at, w)| at as f64 - w[0][0] / (w[1][0] - w[0][0]))
            .collect();
        // Noise can make a crossing count twice: take the first and last of clean cycles.
        let cycles = ((cross[cross.len() - 1] - cross[0]) / 533.33).round();
        all.push(cycles * 32_000.0 / (cross[cross.len() - 1] - cross[0]));
    }
    assert!(all.iter().all(|hz| (hz - 60.0).abs() < 0.022), "{all:?}");
    assert!(all.iter().any(|hz| (hz - 60.0).abs() > 0.001), "{all:?}");
}

#[test]
fn bytes_do_not_depend_on_blocks_but_on_the_seed() {
    let mut plants = [3, 3, 4].map(|seed| Hall::default().at(0.9, seed));
    let mut bytes = [Vec::new(), Vec::new(), Vec::new()];
    let meter = meter_of(&plants[0], "in-c");
    for plant in &mut plants {
        let element = element_of(plant, "feed-c");
        plant.inject(
            Fault::FeedLoss {
                element,
                backfeed_tau_ns: 3 * MS,
            },
            50 * MS + 123_456,
        );
        plant.inject(Fault::GridSag { value: 0.8 }, 80 * MS + 1);
    }
    for _ in 0..120 {
        for (number, plant) in plants.iter_mut().enumerate() {
            plant.step(MS);
            let (first, frames) = plant.frames_due(meter);
            let blocks: &[usize] = if number == 1 {
                &[1, 7, 8, 16]
            } else {
                &[frames]
            };
            let mut at = first;
            for block in blocks {
                plant.fill(meter, at, *block, &mut bytes[number]);
                at += *block as u64;
            }
        }
    }
    assert_eq!(bytes[0].len(), 120 * 32 * 6);
    assert!(bytes[0] == bytes[1]);
    assert!(bytes[0] != bytes[2]);
}

/// Records of a feed that is lost at this instant: the frame index of the loss, frames.
fn loss(tau_ns: u64, at_ns: u64, meter: &str) -> (usize, Vec<[f64; 6]>, f64) {
    let mut plant = quiet(0.9, 5);
    let element = element_of(&plant, "feed-a");
    plant.inject(
        Fault::FeedLoss {
            element,
            backfeed_tau_ns: tau_ns,
        },
        at_ns,
    );
    let meter = meter_of(&plant, meter);
    let frames = record(&mut plant, meter, 200);
    let after = plant.flows_w()[element_of(&plant, "feed-b").at()];
    (at_ns.div_ceil(31_250) as usize, frames, after)
}

#[test]
fn a_lost_feed_is_dead_from_the_very_frame() {
    // Same seed without the fault: what the frames would have been.
    let healthy = record(&mut quiet(0.9, 5), meter_of(&quiet(0.9, 5), "out-a"), 200);
    for at_ns in [60 * MS, 60 * MS + 400_001, 61 * MS - 31_250, 61 * MS - 1] {
        let (first, frames, _) = loss(0, at_ns, "out-a");
        assert!(
            frames[..first] == healthy[..first],
            "nothing before {at_ns}"
        );
        for frame in &frames[first..] {
            assert!(
                frame[..3].iter().all(|v| v.abs() < 0.01 * V),
                "{at_ns}: {frame:?}"
            );
        }
        let tail = first + 10;
        let full = healthy.iter().map(|f| f[3]).fold(0.0, f64::max);
        assert!(
            frames[tail..]
                .iter()
                .all(|f| f[3..].iter().all(|i| i.abs() < 0.06 * full))
        );
    }
}

#[test]
fn back_feed_decays_with_its_time_constant() {
    let healthy = record(&mut quiet(0.9, 5), meter_of(&quiet(0.9, 5), "out-a"), 200);
    let (first, frames, survivor_w) = loss(6 * MS, 60 * MS + 700_000, "out-a");
    for (at, (frame, whole)) in frames
        .iter()
        .zip(&healthy)
        .enumerate()
        .skip(first)
        .take(1_000)
    {
        let since_ms = (at * 31_250) as f64 / 1e6 - 60.7;
        let left = libm::exp(-since_ms / 6.0);
        for lane in 0..3 {
            assert!((frame[lane] - whole[lane] * left).abs() < 0.01 * V, "{at}");
        }
    }
    // The survivor keeps its voltage, but for a droop of some ms, and takes the current.
    let (first, frames, _) = loss(6 * MS, 60 * MS + 700_000, "out-b");
    assert!((power(&frames[first + 2_133..first + 4_266]) / survivor_w - 1.0).abs() < 0.01);
    let cycle = |from: usize| rms(&frames[from..from + 533], 0) / V;
    assert!(
        cycle(first) > 0.97 && cycle(first) < 0.999,
        "{}",
        cycle(first)
    );
    assert!((cycle(first + 1_600) - 1.0).abs() < 0.003);
}

#[test]
fn the_bus_at_a_ups_is_its_feeds_even_where_the_meter_sits_on_the_ups() {
    let mut spec = Hall::default().spec();
    for meter in &mut spec.meter {
        if meter.id == "out-a" {
            meter.element = "ups-a".into();
        }
    }
    let topology = karman_grid_core::topology::Topology::build(&spec).unwrap();
    let mut plant = Plant::new(&topology, PlantParams::default(), 1).unwrap();
    let element = element_of(&plant, "feed-a");
    plant.inject(
        Fault::FeedLoss {
            element,
            backfeed_tau_ns: 0,
        },
        0,
    );
    let meter = meter_of(&plant, "out-a");
    assert!(rms(&record(&mut plant, meter, 20), 0) < 0.01 * V);
}

#[test]
fn sags_and_source_losses_are_seen_at_inputs_only() {
    let mut plant = quiet(0.9, 6);
    let (input, output) = (meter_of(&plant, "in-a"), meter_of(&plant, "out-a"));
    let before = plant.flows_w()[element_of(&plant, "feed-a").at()];
    let sag = plant.inject(Fault::GridSag { value: 0.7 }, 100 * MS);
    plant.clear(sag, 600 * MS);
    record(&mut plant, input, 101);
    let mut rewound = plant.clone();
    let frames = record(&mut plant, input, 400);
    assert!((rms(&frames, 1) / V - 0.7).abs() < 0.003);
    assert!(
        rms(&frames, 3) < 0.005 * before / (3.0 * V),
        "on battery nothing is drawn"
    );
    let frames = record(&mut rewound, output, 400);
    assert!((rms(&frames, 1) / V - 1.0).abs() < 0.003);
    assert!((power(&frames) / before - 1.0).abs() < 0.005);
    let ups = element_of(&plant, "ups-a");
    record(&mut plant, input, 4_000);
    plant.inject(Fault::SourceLoss { ups }, plant.now_ns() + MS / 2);
    let mut other = plant.clone();
    assert!(rms(&record(&mut plant, input, 100)[320..], 0) < 0.005 * V);
    let neighbour = meter_of(&other, "in-b");
    assert!((rms(&record(&mut other, neighbour, 100), 0) / V - 1.0).abs() < 0.005);
}

#[test]
fn faulty_meters_repeat_scale_and_add() {
    let mut plant = quiet(0.9, 7);
    let meter = meter_of(&plant, "out-d");
    let truth = plant.flows_w()[element_of(&plant, "feed-d").at()];
    let scale = plant.inject(Fault::MeterScale { meter, value: 0.8 }, 0);
    assert!((power(&record(&mut plant, meter, 100)) / truth - 0.8).abs() < 0.005);
    plant.clear(scale, 0);
    plant.inject(
        Fault::MeterOffset {
            meter,
            value_w: 20e3,
        },
        0,
    );
    let frames = record(&mut plant, meter, 100);
    assert!((power(&frames) - truth - 20e3).abs() < 0.005 * truth);
    assert!(
        (0..600).any(|at| frames[at] != frames[at + 533]),
        "noise differs while it lives"
    );
    let at_ns = plant.now_ns() + MS / 3;
    plant.inject(Fault::MeterFrozen { meter }, at_ns);
    for device in 0..1024 {
        plant.set_cap(DeviceIx::of(device), Power::from_w(200.0), plant.now_ns());
    }
    let frames = record(&mut plant, meter, 300);
    let frozen = 11;
    assert!((frozen..frames.len() - 533).all(|at| frames[at] == frames[at + 533]));
    assert!(
        (power(&frames[533..1_066]) / truth).abs() > 0.95,
        "the load fell, the meter did not"
    );
}

#[test]
fn nuisances_come_at_their_rate_and_leave_rms_alone() {
    let mut count = 0;
    let mut deepest = 1.0f64;
    for seed in 0..4 {
        let mut noisy = Hall::default().at(0.9, seed);
        let mut clean = quiet(0.9, seed);
        let meter = meter_of(&noisy, "in-a");
        let mut inside = 0;
        for _ in 0..30 {
            let (a, b) = (
                record(&mut noisy, meter, 1_000),
                record(&mut clean, meter, 1_000),
            );
            for (a, b) in a.chunks_exact(533).zip(b.chunks_exact(533)) {
                let differs = a.iter().zip(b).any(|(a, b)| (a[0] - b[0]).abs() > 0.01 * V);
                count += usize::from(differs && inside == 0);
                inside = if differs { 6 } else { inside.max(1) - 1 };
                deepest = deepest.min(rms(a, 0) / rms(b, 0));
            }
        }
    }
    // 6 a minute over 4 times 30 s.
    assert!((8..=13).contains(&count), "{count}");
    assert!(deepest > 0.9, "{deepest}");
}

#[test]
fn coarse_steps_in_between_do_not_matter() {
    let mut fine = quiet(0.9, 8);
    let mut coarse = quiet(0.9, 8);
    let meter = meter_of(&fine, "out-c");
    (0..1_000).for_each(|_| fine.step(MS));
    (0..10).for_each(|_| coarse.step(100 * MS));
    let (a, b) = (record(&mut fine, meter, 20), record(&mut coarse, meter, 20));
    let worst = a
        .iter()
        .flatten()
        .zip(b.iter().flatten())
        .map(|(a, b)| (a - b).abs());
    assert!(worst.fold(0.0, f64::max) < 2.0);
    assert_eq!(fine.now_ns(), S + 20 * MS);
}
