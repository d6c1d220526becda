//! Values of the waveform pass against closed form.

mod detector_support;

use detector_support::{Bench, Dice, NOMINAL_V, RATED_A, Wave};
use karman_grid_core::ids::MeterIx;
use karman_grid_core::sample::Validity;

/// Largest relative errors of U, I and P and absolute error of f (mHz) over all half cycles from
/// 0.3 s on, for a signal of `frequency_hz` with 5 % harmonics.
fn errors(rate_hz: f64, nominal_hz: f64, frequency_hz: f64, noise: f64) -> [f64; 4] {
    let mut wave = Wave::clean(rate_hz, frequency_hz);
    let mut dice = Dice(frequency_hz.to_bits());
    wave.phase = dice.unit();
    wave.fifth = (0.05, dice.between(0.0, 6.0));
    wave.seventh = (0.04, dice.between(0.0, 6.0));
    wave.noise = noise;
    let frames = wave.frames((rate_hz * 0.8) as usize, |_, _| {});
    let mut bench = Bench::with_nominal(rate_hz, nominal_hz);
    let rate_hz = 1e12 / bench.period_ps as f64;
    let frequency_hz = frequency_hz * rate_hz / wave.rate_hz;
    let voltage_v = NOMINAL_V * (1.0 + 0.05_f64 * 0.05 + 0.04 * 0.04).sqrt();
    let current_a = RATED_A * wave.load;
    let power_w = 3.0 * NOMINAL_V * current_a * libm::cos(wave.lag);
    let mut worst = [0.0_f64; 4];
    for (at, block) in frames.chunks(16).enumerate() {
        bench.push(0, at as u64 * 16, block);
        let Some(v) = bench.detector.values(MeterIx(0)) else {
            continue;
        };
        if v.taken_mono_ns < bench.time((0.3 * rate_hz) as u64) {
            continue;
        }
        assert_eq!(v.validity, Validity::Good);
        let relative = |found: f64, true_: f64| (found / true_ - 1.0).abs();
        let now = [
            relative(v.voltage_rms_v, voltage_v),
            relative(v.current_rms_a, current_a),
            relative(v.power_active_w, power_w),
            (v.frequency_hz.expect("a frequency") - frequency_hz).abs() * 1e3,
        ];
        for (worst, now) in worst.iter_mut().zip(now) {
            *worst = worst.max(now);
        }
    }
    worst
}

#[test]
fn values_match_closed_form_at_all_rates_and_frequencies() {
    let mut worst = [0.0_f64; 4];
    for rate_hz in [4_800.0, 8_000.0, 10_000.0, 32_000.0, 100_000.0] {
        for frequency_hz in [57.0, 58.3, 59.9, 60.0, 60.02, 61.7, 63.0] {
            let now = errors(rate_hz, 60.0, frequency_hz, 0.0);
            println!("{rate_hz} Hz, {frequency_hz} Hz: U I P {now:.6?}");
            for (worst, now) in worst.iter_mut().zip(now) {
                *worst = worst.max(now);
            }
        }
    }
    println!(
        "worst: U {:.5} % I {:.5} % P {:.5} % f {:.3} mHz",
        worst[0] * 100.0,
        worst[1] * 100.0,
        worst[2] * 100.0,
        worst[3]
    );
    assert!(
        worst[0] < 0.001 && worst[2] < 0.002 && worst[3] < 10.0,
        "{worst:?}"
    );
    assert!(worst[1] < 0.001, "{worst:?}");
}

#[test]
fn values_match_at_50_hz_and_with_noise() {
    for frequency_hz in [47.5, 50.0, 52.5] {
        let worst = errors(32_000.0, 50.0, frequency_hz, 0.0);
        assert!(
            worst[0] < 0.001 && worst[2] < 0.002 && worst[3] < 10.0,
            "{worst:?}"
        );
    }
    let worst = errors(32_000.0, 60.0, 60.3, 0.005);
    assert!(worst[0] < 0.002 && worst[3] < 30.0, "{worst:?}");
}

#[test]
fn values_continue_on_a_dead_bus() {
    let mut wave = Wave::clean(32_000.0, 60.0);
    let frames = wave.frames(32_000, |t, x| {
        if t > 0.5 {
            *x = [0.0; 6];
        }
    });
    let mut bench = Bench::new(32_000.0);
    bench.play(&[(0, &frames)], 32);
    let values = bench.detector.values(MeterIx(0)).expect("values");
    assert!(bench.time(32_000).since(values.taken_mono_ns) < 10_000_000);
    assert_eq!(values.power_active_w, 0.0);
    assert_eq!(values.frequency_hz, None);
}

#[test]
fn a_voltage_lost_while_its_current_flows_makes_values_questionable() {
    let mut wave = Wave::clean(32_000.0, 60.0);
    let frames = wave.frames(32_000, |t, x| {
        if t > 0.5 {
            x[1] = 0.0;
        }
    });
    let mut bench = Bench::new(32_000.0);
    bench.play(&[(0, &frames)], 32);
    let values = bench.detector.values(MeterIx(0)).expect("values");
    assert_eq!(values.validity, Validity::Questionable);
}

#[test]
fn a_direct_offset_moves_whole_cycles_little() {
    let mut wave = Wave::clean(32_000.0, 60.0);
    let frames = wave.frames(16_000, |_, x| x[0] += 0.01);
    let mut bench = Bench::new(32_000.0);
    bench.play(&[(0, &frames)], 32);
    let values = bench.detector.values(MeterIx(0)).expect("values");
    let error = values.cycle.voltage_v[0] / NOMINAL_V - 1.0;
    assert!(error.abs() < 0.0002, "{error}");
}
