//! What must not be taken for a lost feed: 1,000 random nuisances of each class at two rates, and
//! 30,000 of each at 8 kS/s in the ignored test.

mod detector_support;

use detector_support::{Bench, Dice, Wave};
use karman_grid_core::event::EventKind;
use std::f64::consts::TAU;

type Make = fn(&mut Dice, &Wave) -> Change;
type Change = Box<dyn FnMut(f64, &mut [f64; 6])>;

const TRIALS: u64 = 1_000;

/// Events of each kind over trials; the change sees time from the event on.
fn count(name: &str, rate_hz: f64, trials: u64, make: Make) -> [usize; 4] {
    let mut counts = [0; 4];
    let mut dice = Dice(rate_hz as u64 + trials);
    for _ in 0..trials {
        let at_s = 0.2 + dice.unit() / 60.0;
        let mut wave = Wave::random(rate_hz, &mut dice);
        let mut change = make(&mut dice, &wave);
        let frames = wave.frames(((at_s + 0.1) * rate_hz) as usize, |t, x| {
            if t >= at_s {
                change(t - at_s, x);
            }
        });
        let mut bench = Bench::new(rate_hz);
        bench.play(&[(0, &frames)], 16);
        assert!(bench.detector.armed(karman_grid_core::ids::MeterIx(0)));
        use EventKind::{FeedLost, Overload, Sag, Suspect};
        for (count, kind) in counts.iter_mut().zip([FeedLost, Sag, Suspect, Overload]) {
            *count += usize::from(!bench.of(kind).is_empty());
        }
    }
    println!(
        "{name} at {rate_hz} S/s: n {trials} feed-lost {} sag {} suspect {} overload {}",
        counts[0], counts[1], counts[2], counts[3]
    );
    counts
}

/// No loss at either rate; sags and suspicions at most this many.
fn harmless(name: &str, sags_max: usize, suspects_max: usize, make: Make) {
    for rate_hz in [8_000.0, 32_000.0] {
        let [lost, sags, suspects, overloads] = count(name, rate_hz, TRIALS, make);
        assert_eq!(lost, 0, "{name}");
        assert_eq!(overloads, 0, "{name}");
        assert!(
            sags <= sags_max && suspects <= suspects_max,
            "{name}: {sags} {suspects}"
        );
    }
}

fn any_capacitor_energised(dice: &mut Dice, _: &Wave) -> Change {
    let hz = dice.between(300.0, 900.0);
    let depth = [0; 3].map(|_| dice.between(-0.9, 0.9));
    let tau_s = dice.between(2e-3, 8e-3);
    Box::new(move |t, x| {
        let ring = libm::cos(TAU * hz * t) * libm::exp(-t / tau_s);
        (0..3).for_each(|phase| x[phase] -= depth[phase] * ring);
    })
}

#[test]
fn capacitor_energised() {
    harmless("capacitor", 5, 400, any_capacitor_energised);
}

fn any_impulse(dice: &mut Dice, _: &Wave) -> Change {
    let height = dice.between(-3.0, 3.0);
    let tau_s = dice.between(20e-6, 200e-6);
    let phase = (dice.next() % 3) as usize;
    Box::new(move |t, x| x[phase] += height * libm::exp(-t / tau_s))
}

#[test]
fn impulse() {
    harmless("impulse", 0, 100, any_impulse);
}

fn any_glitch_of_one_to_three_samples(dice: &mut Dice, wave: &Wave) -> Change {
    let samples = 1 + (dice.next() % 3) as usize;
    let all = dice.next().is_multiple_of(2);
    let value = dice.between(-1.5, 1.5);
    let until_s = samples as f64 / wave.rate_hz;
    Box::new(move |t, x| {
        if t < until_s {
            x[0] = value;
            if all {
                *x = [0.0; 6];
            }
        }
    })
}

#[test]
fn glitch_of_one_to_three_samples() {
    harmless("glitch", 0, 400, any_glitch_of_one_to_three_samples);
}

fn any_notching(dice: &mut Dice, wave: &Wave) -> Change {
    let (depth, share) = (dice.between(0.1, 0.5), dice.between(0.01, 0.03));
    let hz = wave.frequency_hz * 6.0;
    Box::new(move |t, x| {
        if (t * hz).fract() < share * 6.0 {
            let phase = ((t * hz) as usize) % 3;
            x[phase] *= 1.0 - depth;
        }
    })
}

#[test]
fn notching() {
    harmless("notching", 0, 0, any_notching);
}

fn any_harmonic_step(dice: &mut Dice, wave: &Wave) -> Change {
    let (ratio, shift) = (dice.between(0.02, 0.08), dice.between(0.0, TAU));
    let hz = wave.frequency_hz;
    Box::new(move |t, x| {
        for (phase, x) in x.iter_mut().take(3).enumerate() {
            let theta = TAU * (hz * t - phase as f64 / 3.0);
            *x += ratio * libm::sin(5.0 * theta + shift);
        }
    })
}

#[test]
fn harmonic_step() {
    harmless("harmonic step", 0, 10, any_harmonic_step);
}

/// Rebuilds the voltages with another angle.
fn turned(wave: &Wave, at: impl Fn(f64) -> f64 + 'static) -> Change {
    let wave = Wave {
        phase: 0.0,
        ..wave.clone()
    };
    let mut start: Option<f64> = None;
    Box::new(move |t, x| {
        // Phase a and the quadrature of b and c give the angle that the signal has now.
        let quadrature = (x[2] - x[1]) / 3_f64.sqrt();
        let angle = *start
            .get_or_insert_with(|| libm::atan2(x[0], quadrature) - TAU * wave.frequency_hz * t)
            + TAU * wave.frequency_hz * t
            + at(t);
        let new = wave.at(angle, 1.0);
        *x = new;
    })
}

fn any_frequency_ramp(dice: &mut Dice, wave: &Wave) -> Change {
    let sign = if dice.next().is_multiple_of(2) {
        4.0
    } else {
        -4.0
    };
    turned(wave, move |t| TAU * 0.5 * sign * t * t)
}

#[test]
fn frequency_ramp() {
    harmless("4 Hz/s ramp", 0, 0, any_frequency_ramp);
}

fn any_phase_jump_of_5_degrees(dice: &mut Dice, wave: &Wave) -> Change {
    let sign = if dice.next().is_multiple_of(2) {
        1.0
    } else {
        -1.0
    };
    turned(wave, move |_| sign * 5.0_f64.to_radians())
}

#[test]
fn phase_jump_of_5_degrees() {
    harmless("5 degrees", 0, 0, any_phase_jump_of_5_degrees);
}

fn any_phase_jump_of_30_degrees(dice: &mut Dice, wave: &Wave) -> Change {
    let sign = if dice.next().is_multiple_of(2) {
        1.0
    } else {
        -1.0
    };
    turned(wave, move |_| sign * 30.0_f64.to_radians())
}

#[test]
fn phase_jump_of_30_degrees() {
    harmless("30 degrees", 0, 0, any_phase_jump_of_30_degrees);
}

fn any_motor_start(dice: &mut Dice, _: &Wave) -> Change {
    let tau_s = dice.between(0.1, 1.0);
    Box::new(move |t, x| {
        let left = 1.0 - 0.08 * libm::exp(-t / tau_s);
        (0..3).for_each(|phase| x[phase] *= left);
    })
}

#[test]
fn motor_start() {
    harmless("motor start", 0, 20, any_motor_start);
}

fn any_load_step(dice: &mut Dice, wave: &Wave) -> Change {
    // Never above the rating: that would be an overload.
    let up = (1.0 / wave.load).min(1.3);
    let times = if dice.next().is_multiple_of(2) {
        0.7
    } else {
        up
    };
    Box::new(move |_, x| (3..6).for_each(|phase| x[phase] *= times))
}

#[test]
fn load_step() {
    harmless("load step", 0, 0, any_load_step);
}

fn any_nothing_at_all(_: &mut Dice, _: &Wave) -> Change {
    Box::new(|_, _| {})
}

#[test]
fn nothing_at_all() {
    harmless("nothing", 0, 0, any_nothing_at_all);
}

/// Minutes; prints the figures of the manual.
#[test]
#[ignore = "minutes"]
fn thirty_thousand_of_each() {
    let classes: [(&str, Make); 11] = [
        ("capacitor", any_capacitor_energised),
        ("impulse", any_impulse),
        ("glitch", any_glitch_of_one_to_three_samples),
        ("notching", any_notching),
        ("harmonic step", any_harmonic_step),
        ("4 Hz/s ramp", any_frequency_ramp),
        ("5 degrees", any_phase_jump_of_5_degrees),
        ("30 degrees", any_phase_jump_of_30_degrees),
        ("motor start", any_motor_start),
        ("load step", any_load_step),
        ("nothing", any_nothing_at_all),
    ];
    for (name, make) in classes {
        assert_eq!(count(name, 8_000.0, 30_000, make)[0], 0, "{name}");
    }
}
