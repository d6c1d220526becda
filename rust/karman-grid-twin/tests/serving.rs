//! The serving model on round numbers that can be followed by hand.

use karman_grid_twin::arrivals::Arrival;
use karman_grid_twin::serving::{Serving, ServingParams};

/// Round numbers, to be followed by hand.
fn simple() -> ServingParams {
    ServingParams {
        prefill_tokens: vec![100.0, 1100.0],
        prefill_time_s: vec![0.1, 1.1],
        prefill_power_ratio: vec![0.5, 1.0],
        decode_time_base_s: 0.01,
        decode_time_per_request_s: 0.01,
        decode_power_ratio_base: 0.3,
        decode_power_ratio_per_request: 0.1,
        decode_power_requests_max: 3,
        idle_power_ratio: 0.1,
        prefill_batch_tokens_max: 1000.0,
        decode_requests_max: 4,
        spread_s: 0.0,
    }
}

fn arrival(at_s: f64, context_tokens: u32, generated_tokens: u32) -> Arrival {
    Arrival {
        at_s,
        context_tokens,
        generated_tokens,
    }
}

/// Ratio of the first server at each step.
fn ratios(
    serving: &mut Serving,
    servers: usize,
    arrivals: &[Arrival],
    speed: f32,
    steps: usize,
    dt_s: f64,
) -> Vec<f32> {
    let speed = vec![speed; servers];
    let mut out = vec![0.0; servers];
    (0..steps)
        .map(|step| {
            serving.step(step as f64 * dt_s, dt_s, arrivals, &speed, &mut out);
            out[0]
        })
        .collect()
}

#[test]
fn one_request_prefills_decodes_and_ends() {
    let arrivals = [arrival(0.0, 600, 11)];
    let mut serving = Serving::new(simple(), 1, 1.0);
    let got = ratios(&mut serving, 1, &arrivals, 1.0, 100, 0.01);
    // 600 tokens: 0.6 s at 0.75; 10 further tokens of 0.02 s at 0.4; then idle.
    for (step, ratio) in got.iter().enumerate() {
        let want = match step {
            0..60 => 0.75,
            60..80 => 0.4,
            _ => 0.1,
        };
        // At a phase's end rounding may leave a sliver of the step before.
        let edge = step == 60 || step == 80;
        assert!(edge || (ratio - want).abs() < 1e-6, "step {step}: {ratio}");
    }
    assert_eq!(serving.totals().requests_done, 1);
    assert!((serving.totals().tokens_done[0] - 600.0).abs() < 1e-6);
    assert!((serving.totals().tokens_done[1] - 10.0).abs() < 1e-6);
    assert!((serving.work_done_s() / serving.work_offered_s() - 1.0).abs() < 1e-9);
}

#[test]
fn prompts_share_a_prefill_batch_up_to_its_limit() {
    // Three prompts of 500 tokens: two together in 1.0 s at 0.95, then one in 0.5 s at 0.7.
    let arrivals = [
        arrival(0.0, 500, 1),
        arrival(0.0, 500, 1),
        arrival(0.0, 500, 1),
    ];
    let mut serving = Serving::new(simple(), 1, 1.0);
    let got = ratios(&mut serving, 1, &arrivals, 1.0, 160, 0.01);
    assert!((got[50] - 0.95).abs() < 1e-6);
    assert!((got[120] - 0.7).abs() < 1e-6);
    assert!((got[155] - 0.1).abs() < 1e-6);
}

#[test]
fn full_decode_batch_holds_prefill_back() {
    // Six requests, room for four: the other two prefill when a place is free.
    let arrivals: Vec<Arrival> = (0..6).map(|_| arrival(0.0, 100, 101)).collect();
    let mut serving = Serving::new(simple(), 1, 1.0);
    ratios(&mut serving, 1, &arrivals, 1.0, 100, 0.01);
    assert_eq!(serving.decode_requests(0), 4);
    let mut serving = Serving::new(simple(), 1, 1.0);
    ratios(&mut serving, 1, &arrivals, 1.0, 1500, 0.01);
    assert_eq!(serving.totals().requests_done, 6);
}

#[test]
fn requests_go_to_the_least_loaded_server() {
    let arrivals: Vec<Arrival> = (0..8).map(|_| arrival(0.0, 200, 2000)).collect();
    let mut serving = Serving::new(simple(), 4, 1.0);
    ratios(&mut serving, 4, &arrivals, 1.0, 100, 0.01);
    for server in 0..4 {
        assert_eq!(serving.decode_requests(server), 2, "server {server}");
    }
}

#[test]
fn fractional_scale_carries_over() {
    for (scale, want) in [(0.25, 25), (1.0, 100), (2.5, 250), (35.4, 3540)] {
        let arrivals: Vec<Arrival> = (0..100)
            .map(|n| arrival(0.05 * f64::from(n), 100, 2))
            .collect();
        for (spread_s, dt_s) in [(0.0, 0.1), (1.0, 0.001), (1.0, 0.07)] {
            let params = ServingParams {
                spread_s,
                ..simple()
            };
            let mut serving = Serving::new(params, 2, scale);
            let steps = (7.0 / dt_s) as usize;
            ratios(&mut serving, 2, &arrivals, 1.0, steps, dt_s);
            assert_eq!(
                serving.totals().requests_offered,
                want,
                "{scale} {spread_s} {dt_s}"
            );
        }
    }
}

#[test]
fn requests_of_an_arrival_are_spread() {
    let arrivals = [arrival(1.0, 100, 2)];
    let mut serving = Serving::new(
        ServingParams {
            spread_s: 1.0,
            ..simple()
        },
        1,
        10.0,
    );
    let speed = [1.0];
    let mut out = [0.0];
    for step in 0..30 {
        serving.step(0.1 * f64::from(step), 0.1, &arrivals, &speed, &mut out);
        let want = (f64::from(step) - 9.0).clamp(0.0, 10.0);
        let got = serving.totals().requests_offered as f64;
        assert!((got - want).abs() <= 1.0, "step {step}: {got}");
    }
    assert_eq!(serving.totals().requests_offered, 10);
}

#[test]
fn run_that_starts_late_skips_earlier_arrivals() {
    let arrivals = [
        arrival(0.0, 100, 2),
        arrival(100.0, 100, 2),
        arrival(200.0, 100, 2),
    ];
    let mut serving = Serving::new(simple(), 1, 1.0);
    let mut out = [0.0];
    for step in 0..20 {
        serving.step(
            99.0 + 0.1 * f64::from(step),
            0.1,
            &arrivals,
            &[1.0],
            &mut out,
        );
    }
    assert_eq!(serving.totals().requests_offered, 1);
}

#[test]
fn lower_speed_delays_work_and_loses_none() {
    let arrivals: Vec<Arrival> = (0..40)
        .map(|n| arrival(0.1 * f64::from(n), 300, 20))
        .collect();
    let run_to = |speed: f32, steps: usize| {
        let mut serving = Serving::new(simple(), 2, 1.0);
        ratios(&mut serving, 2, &arrivals, speed, steps, 0.01);
        serving
    };
    let (full, slow) = (run_to(1.0, 500), run_to(0.5, 500));
    let lost = slow.work_lost_ratio(&full);
    assert!((0.3..0.6).contains(&lost), "{lost}");
    assert_eq!(full.work_lost_ratio(&full), 0.0);
    let (full, slow) = (run_to(1.0, 6000), run_to(0.5, 6000));
    assert_eq!(full.totals().requests_done, 40);
    assert_eq!(slow.totals().requests_done, 40);
    assert!(slow.work_lost_ratio(&full) < 1e-9);
}

#[test]
fn stopped_server_still_wants_its_power() {
    let arrivals = [arrival(0.0, 600, 11)];
    let mut serving = Serving::new(simple(), 1, 1.0);
    let got = ratios(&mut serving, 1, &arrivals, 0.0, 50, 0.01);
    assert!(got.iter().all(|ratio| (ratio - 0.75).abs() < 1e-6));
    assert_eq!(serving.work_done_s(), 0.0);
    let mut idle = Serving::new(simple(), 1, 1.0);
    assert_eq!(ratios(&mut idle, 1, &[], 0.0, 1, 0.01), [0.1]);
}
