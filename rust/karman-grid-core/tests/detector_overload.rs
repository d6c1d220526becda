//! Overload: found inside a cycle, silent for inrush (rule 4).

mod detector_support;

use detector_support::{Bench, Dice, Wave, delay_ms, quantile};
use karman_grid_core::event::EventKind;

const RATE_HZ: f64 = 32_000.0;

fn delays_ms(ratio: f64, nominal_hz: f64, trials: u64) -> Vec<f64> {
    let mut dice = Dice(ratio.to_bits() ^ nominal_hz as u64);
    (0..trials)
        .map(|_| {
            let at_s = 0.2 + dice.unit() / 60.0;
            let mut wave = Wave::random(RATE_HZ, &mut dice);
            wave.frequency_hz += nominal_hz - 60.0;
            let times = ratio / wave.load;
            let frames = wave.frames(((at_s + 0.04) * RATE_HZ) as usize, |t, x| {
                if t >= at_s {
                    (3..6).for_each(|lane| x[lane] *= times);
                }
            });
            let mut bench = Bench::with_nominal(RATE_HZ, nominal_hz);
            bench.play(&[(0, &frames)], 8);
            assert_eq!(bench.kinds(0), [EventKind::Overload]);
            let event = bench.events[0];
            assert!(
                (event.depth_ratio / ratio as f32 - 1.0).abs() < 0.05,
                "{event:?}"
            );
            let first_ms =
                (event.first_abnormal_mono_ns.0 - bench.time(0).0) as f64 * 1e-6 - at_s * 1e3;
            assert!(first_ms.abs() < 0.5, "{first_ms}");
            delay_ms(&bench, at_s, &event)
        })
        .collect()
}

#[test]
fn steps_are_found_within_10_ms_at_60_hz() {
    for ratio in [1.2, 1.5, 2.0] {
        let mut delays = delays_ms(ratio, 60.0, 1_000);
        let [p50, p99, most] = [0.5, 0.99, 1.0].map(|share| quantile(&mut delays, share));
        println!("overload {ratio} at 60 Hz: n 1000 p50 {p50:.2} p99 {p99:.2} max {most:.2} ms");
        assert!(p99 <= 10.0);
    }
}

#[test]
fn steps_at_50_hz_take_half_a_longer_cycle() {
    let mut delays = delays_ms(1.2, 50.0, 300);
    let p99 = quantile(&mut delays, 0.99);
    println!("overload 1.2 at 50 Hz: n 300 p99 {p99:.2} ms");
    assert!(p99 > 10.0 && p99 <= 12.0);
}

#[test]
fn inrush_of_half_a_cycle_is_silent() {
    let mut dice = Dice(12);
    for _ in 0..300 {
        let at_s = 0.2 + dice.unit() / 60.0;
        let mut wave = Wave::random(RATE_HZ, &mut dice);
        let half_s = 0.5 / wave.frequency_hz;
        let all = dice.next().is_multiple_of(2);
        let frames = wave.frames((0.4 * RATE_HZ) as usize, |t, x| {
            if t >= at_s && t < at_s + half_s {
                let lanes = if all { 3..6 } else { 3..4 };
                lanes.for_each(|lane| x[lane] *= 12.0);
            }
        });
        let mut bench = Bench::new(RATE_HZ);
        bench.play(&[(0, &frames)], 8);
        assert!(bench.events.is_empty(), "{:?}", bench.events);
    }
}

#[test]
fn one_overloaded_phase_is_found_within_two_cycles() {
    let mut wave = Wave::random(RATE_HZ, &mut Dice(13));
    wave.load = 0.8;
    let frames = wave.frames((0.3 * RATE_HZ) as usize, |t, x| {
        if t >= 0.2 {
            x[4] *= 1.75;
        }
    });
    let mut bench = Bench::new(RATE_HZ);
    bench.play(&[(0, &frames)], 8);
    assert_eq!(bench.kinds(0), [EventKind::Overload]);
    assert!(delay_ms(&bench, 0.2, &bench.events[0]) < 35.0);
}

#[test]
fn full_load_is_no_overload_and_an_overload_ends_once() {
    let mut wave = Wave::random(RATE_HZ, &mut Dice(14));
    wave.load = 1.0;
    let frames = wave.frames((1.0 * RATE_HZ) as usize, |t, x| {
        let times = if (0.3..0.5).contains(&t) {
            1.3
        } else if t >= 0.5 {
            0.98
        } else {
            1.0
        };
        (3..6).for_each(|lane| x[lane] *= times);
    });
    let mut bench = Bench::new(RATE_HZ);
    bench.play(&[(0, &frames)], 8);
    assert_eq!(
        bench.kinds(0),
        [EventKind::Overload, EventKind::OverloadEnded]
    );
    let ended = delay_ms(&bench, 0.5, &bench.of(EventKind::OverloadEnded)[0]);
    assert!((100.0..=125.0).contains(&ended), "{ended}");
}
