//! The workload model from outside: load of the hall, its calibration, cost of a step.
//!
//! Tests of measured arrivals read `$KARMAN_GRID_DATA/workload` (default `../shared/data`) and skip
//! with a printed reason.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests read files, take the time and may panic"
)]

mod workload_support;

use std::path::PathBuf;

use karman_grid_twin::arrivals::{Arrival, generate};
use karman_grid_twin::serving::{HALL_PEAK_TARGET_W, Serving, ServingParams};
use workload_support::{root, shipped};

const SERVERS: usize = 128;

/// The measured arrivals, or None with the reason printed.
fn measured() -> Option<Vec<Arrival>> {
    let data = std::env::var("KARMAN_GRID_DATA")
        .map_or_else(|_| root().join("../shared/data"), PathBuf::from);
    let path = data.join("workload/azure_llm_2023_conv.csv");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: no measured arrivals at {}", path.display());
        return None;
    };
    let mut arrivals = Vec::new();
    let mut first_s = None;
    for row in text.lines().skip(1) {
        let (time, tokens) = row.split_once(',').unwrap();
        let (context, generated) = tokens.split_once(',').unwrap();
        let clock: Vec<f64> = time[11..]
            .split(':')
            .map(|part| part.parse().unwrap())
            .collect();
        let at_s = clock[0] * 3600.0 + clock[1] * 60.0 + clock[2];
        arrivals.push(Arrival {
            at_s: at_s - *first_s.get_or_insert(at_s),
            context_tokens: context.parse().unwrap(),
            generated_tokens: generated.trim().parse().unwrap(),
        });
    }
    Some(arrivals)
}

/// Load of the hall of 128 servers, W: 2,800 W of each and eight GPUs of 700 W TDP.
fn hall_w(demand_ratio: &[f32]) -> f64 {
    let gpus: f64 = demand_ratio.iter().map(|&ratio| f64::from(ratio)).sum();
    demand_ratio.len() as f64 * 2800.0 + gpus * 8.0 * 700.0
}

/// One-second means of the hall's load, W, and the servers' state at the end.
fn run(
    params: &ServingParams,
    scale: f64,
    arrivals: &[Arrival],
    duration_s: f64,
    dt_s: f64,
    speed: f32,
) -> (Vec<f64>, Serving) {
    let mut serving = Serving::new(params.clone(), SERVERS, scale);
    let speed = [speed; SERVERS];
    let mut ratio = [0.0_f32; SERVERS];
    let per_second = (1.0 / dt_s).round() as usize;
    let mut load_w = Vec::new();
    for second in 0..duration_s as usize {
        let mut sum = 0.0;
        for step in 0..per_second {
            let t_s = second as f64 + step as f64 * dt_s;
            serving.step(t_s, dt_s, arrivals, &speed, &mut ratio);
            sum += hall_w(&ratio);
        }
        load_w.push(sum / per_second as f64);
    }
    (load_w, serving)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Largest mean over ten consecutive seconds.
fn peak_10s(load_w: &[f64]) -> f64 {
    load_w.windows(10).map(mean).fold(0.0, f64::max)
}

fn quantile(values: &[f64], level: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[(level * (sorted.len() - 1) as f64).round() as usize]
}

fn describe(name: &str, load_w: &[f64], serving: &Serving) {
    println!(
        "{name}: mean {:.1} kW, p50 {:.1}, p95 {:.1}, largest 1 s {:.1}, largest 10 s {:.1}; \
         work done {:.4} of offered, waiting {}, refused {}",
        mean(load_w) / 1e3,
        quantile(load_w, 0.5) / 1e3,
        quantile(load_w, 0.95) / 1e3,
        quantile(load_w, 1.0) / 1e3,
        peak_10s(load_w) / 1e3,
        serving.work_done_s() / serving.work_offered_s(),
        serving.requests_waiting(),
        serving.totals().requests_refused,
    );
}

#[test]
#[ignore = "calibration: prints the scale for the target, with the load at it"]
fn calibrate_arrival_scale() {
    let Some(arrivals) = measured() else { return };
    let shipped = shipped();
    let peak = |scale: f64| peak_10s(&run(&shipped.serving, scale, &arrivals, 3502.0, 0.01, 1.0).0);
    let (mut low, mut high) = (1.0, 200.0);
    while high - low > 0.02 {
        let middle = 0.5 * (low + high);
        if peak(middle) < HALL_PEAK_TARGET_W {
            low = middle;
        } else {
            high = middle;
        }
        println!("{middle:.3}: {:.1} kW", peak(middle) / 1e3);
    }
    let (load_w, serving) = run(&shipped.serving, high, &arrivals, 3502.0, 0.01, 1.0);
    describe(&format!("arrival_scale {high:.2}"), &load_w, &serving);
}

#[test]
fn measured_arrivals_peak_at_the_target() {
    let Some(arrivals) = measured() else { return };
    let shipped = shipped();
    let scale = shipped.arrival_scale;
    let (load_w, serving) = run(&shipped.serving, scale, &arrivals, 3503.0, 0.01, 1.0);
    describe("2023", &load_w, &serving);
    assert_eq!(arrivals.len(), 19_366);
    assert!((peak_10s(&load_w) / HALL_PEAK_TARGET_W - 1.0).abs() < 0.002);
    let mean_ratio = mean(&load_w) / HALL_PEAK_TARGET_W;
    assert!((0.75..0.85).contains(&mean_ratio), "{mean_ratio}");
    assert_eq!(
        serving.totals().requests_offered as f64,
        (19_366.0 * scale).floor()
    );
    assert_eq!(serving.totals().requests_refused, 0);
}

#[test]
fn fitted_generator_loads_the_hall_like_the_measured_hour() {
    let shipped = shipped();
    let (mut means, mut peaks) = (Vec::new(), Vec::new());
    for seed in 1..=8 {
        let arrivals = generate(&shipped.arrivals, seed, 3502.0);
        let scale = shipped.arrival_scale;
        let (load_w, serving) = run(&shipped.serving, scale, &arrivals, 3502.0, 0.02, 1.0);
        describe(
            &format!("seed {seed}, {} arrivals", arrivals.len()),
            &load_w,
            &serving,
        );
        means.push(mean(&load_w));
        peaks.push(peak_10s(&load_w));
    }
    // The measured hour: mean 770 kW, largest 10 s mean 961.5 kW.
    assert!((mean(&means) / 770_000.0 - 1.0).abs() < 0.02, "{means:?}");
    assert!(
        (mean(&peaks) / HALL_PEAK_TARGET_W - 1.0).abs() < 0.03,
        "{peaks:?}"
    );
}

#[test]
fn load_does_not_depend_on_the_grain() {
    let shipped = shipped();
    let arrivals = generate(&shipped.arrivals, 3, 300.0);
    let at = |dt_s: f64| {
        let scale = shipped.arrival_scale;
        run(&shipped.serving, scale, &arrivals, 300.0, dt_s, 1.0)
    };
    let (fine, fine_end) = at(0.001);
    for dt_s in [0.01, 0.1] {
        let (load_w, end) = at(dt_s);
        assert!((mean(&load_w) / mean(&fine) - 1.0).abs() < 0.005, "{dt_s}");
        assert!(
            (peak_10s(&load_w) / peak_10s(&fine) - 1.0).abs() < 0.01,
            "{dt_s}"
        );
        assert!(
            (end.work_done_s() / fine_end.work_done_s() - 1.0).abs() < 0.002,
            "{dt_s}"
        );
    }
}

#[test]
fn flood_saturates_and_is_counted() {
    let shipped = shipped();
    let arrivals: Vec<Arrival> = (0..400)
        .map(|n| Arrival {
            at_s: 0.05 * f64::from(n),
            context_tokens: 4000,
            generated_tokens: 1000,
        })
        .collect();
    let mut serving = Serving::new(shipped.serving, SERVERS, 1000.0);
    let mut out = [0.0; SERVERS];
    for step in 0..300 {
        serving.step(
            0.1 * f64::from(step),
            0.1,
            &arrivals,
            &[1.0; SERVERS],
            &mut out,
        );
        assert!(out.iter().all(|ratio| (0.0999..=1.0).contains(ratio)));
    }
    let totals = serving.totals();
    assert_eq!(totals.requests_offered, 400_000);
    assert!(totals.requests_refused > 100_000);
    assert!(serving.requests_waiting() > 200_000);
    assert!(hall_w(&out) > 950_000.0);
}

#[test]
#[ignore = "measures: run with --release -- --ignored bench_step --nocapture"]
fn bench_step() {
    let shipped = shipped();
    let arrivals = generate(&shipped.arrivals, 1, 200.0);
    let mut serving = Serving::new(shipped.serving, SERVERS, shipped.arrival_scale);
    let mut out = [0.0; SERVERS];
    let mut sum = 0.0;
    let start = std::time::Instant::now();
    for step in 0..200_000 {
        let t_s = f64::from(step) * 0.001;
        serving.step(t_s, 0.001, &arrivals, &[1.0; SERVERS], &mut out);
        sum += f64::from(out[5]);
    }
    let ns = start.elapsed().as_nanos() / 200_000;
    println!(
        "{ns} ns a step of 128 servers at 1 ms (mean ratio {:.3})",
        sum / 2e5
    );
}
