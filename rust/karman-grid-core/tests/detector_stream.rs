//! Streams: block splits, gaps, duplicates, late and silent meters.

mod detector_support;

use detector_support::{Bench, Dice, Wave};
use karman_grid_core::event::{ElectricalEvent, EventKind};
use karman_grid_core::ids::MeterIx;
use karman_grid_core::time::{MonoNs, NS_PER_MS};
use karman_grid_core::waveform::values::MeterValues;
use proptest::prelude::*;

type Recording = Vec<[i16; 6]>;

/// A loss, a sag, a short common dip, and a healthy path with an overload.
fn story(rate_hz: f64, seed: u64) -> Vec<Recording> {
    let mut dice = Dice(seed);
    let at_s = dice.between(0.2, 0.25);
    let count = (0.45 * rate_hz) as usize;
    (0..4)
        .map(|meter| {
            let mut wave = Wave::random(rate_hz, &mut dice);
            let tau_s = 0.5e-3 * (seed % 16) as f64 + 1e-6;
            wave.frames(count, |t, x| {
                let since = t - at_s;
                if since < 0.0 {
                    return;
                }
                match meter {
                    0 => {
                        let left = libm::exp(-since / tau_s);
                        *x = [x[0] * left, x[1] * left, x[2] * left, 0.0, 0.0, 0.0];
                    }
                    1 if (0.05..0.09).contains(&since) => {
                        (0..3).for_each(|phase| x[phase] *= 0.6);
                    }
                    2 if since > 0.02 => (3..6).for_each(|lane| x[lane] *= 2.0),
                    3 if (0.05..0.053).contains(&since) => *x = [0.0; 6],
                    _ => {}
                }
            })
        })
        .collect()
}

type Outcome = (Vec<ElectricalEvent>, Vec<Option<MeterValues>>);

/// Plays a story with blocks whose lengths come from `cuts`, meters one after another in windows
/// of different lengths.
fn outcome(recordings: &[Recording], rate_hz: f64, cuts: &[usize]) -> Outcome {
    let mut bench = Bench::new(rate_hz);
    let mut at = vec![0; recordings.len()];
    let mut cut = cuts.iter().cycle();
    while let Some(meter) = (0..at.len())
        .filter(|meter| at[*meter] < recordings[*meter].len())
        .min_by_key(|meter| at[*meter])
    {
        let length = *cut.next().expect("a cycle has no end");
        let until = (at[meter] + length).min(recordings[meter].len());
        bench.push(
            meter,
            at[meter] as u64,
            &recordings[meter][at[meter]..until],
        );
        at[meter] = until;
    }
    let mut events = bench.events.clone();
    events.sort_by_key(|event| (event.detected_mono_ns, event.meter, event.kind));
    let values = (0..recordings.len())
        .map(|m| bench.detector.values(MeterIx::of(m)))
        .collect();
    (events, values)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn results_do_not_depend_on_how_blocks_are_cut(
        seed in 0_u64..1_000,
        rate_hz in prop::sample::select(vec![4_800.0, 8_000.0, 32_000.0, 50_000.0]),
        cuts in prop::collection::vec(1_usize..4_096, 1..8),
        small in prop::collection::vec(1_usize..20, 1..8),
    ) {
        let recordings = story(rate_hz, seed);
        let whole = outcome(&recordings, rate_hz, &[4_096]);
        prop_assert!(whole.0.iter().any(|event| event.kind == EventKind::FeedLost));
        prop_assert!(whole.0.iter().any(|event| event.kind == EventKind::Overload));
        prop_assert_eq!(&whole, &outcome(&recordings, rate_hz, &cuts));
        prop_assert_eq!(&whole, &outcome(&recordings, rate_hz, &small));
    }
}

#[test]
fn gaps_duplicates_and_late_blocks_are_counted() {
    let rate_hz = 8_000.0;
    let frames = Wave::random(rate_hz, &mut Dice(1)).frames(8_000, |_, _| {});
    let mut bench = Bench::new(rate_hz);
    let block = |bench: &mut Bench, from: usize, to: usize| {
        bench.push(0, from as u64, &frames[from..to]);
    };
    block(&mut bench, 0, 4_000);
    block(&mut bench, 4_040, 4_080); // 40 missing
    block(&mut bench, 4_000, 4_040); // and here they come, too late
    block(&mut bench, 4_060, 4_100); // 20 twice
    block(&mut bench, 4_060, 4_080); // 20 twice again
    block(&mut bench, 4_100, 8_000);
    let counts = bench.detector.counts(MeterIx(0));
    assert_eq!(counts.frames_missing, 40);
    assert_eq!(counts.frames_out_of_order, 40);
    assert_eq!(counts.frames_duplicate, 40);
    assert_eq!(counts.frames, 7_960);
    assert_eq!((counts.restarts, counts.blocks_refused), (0, 0));
    assert!(bench.events.is_empty(), "{:?}", bench.events);
}

#[test]
fn missing_blocks_never_look_like_a_loss() {
    let mut dice = Dice(2);
    for rate_hz in [8_000.0, 32_000.0] {
        for _ in 0..200 {
            let frames =
                Wave::random(rate_hz, &mut dice).frames((rate_hz * 0.6) as usize, |_, _| {});
            let mut bench = Bench::new(rate_hz);
            bench.start();
            for (at, block) in frames.chunks(16).enumerate() {
                if at < 50 || dice.unit() > 0.05 {
                    bench.push(0, at as u64 * 16, block);
                }
            }
            assert!(bench.events.is_empty(), "{:?}", bench.events);
        }
    }
}

#[test]
fn a_loss_is_found_in_spite_of_gaps() {
    let mut dice = Dice(3);
    let rate_hz = 32_000.0;
    for _ in 0..100 {
        let at_s = dice.between(0.3, 0.32);
        let frames = Wave::random(rate_hz, &mut dice).frames((rate_hz * 0.4) as usize, |t, x| {
            if t >= at_s {
                *x = [0.0; 6];
            }
        });
        let mut bench = Bench::new(rate_hz);
        bench.start();
        for (at, block) in frames.chunks(16).enumerate() {
            if at < 300 || dice.unit() > 0.05 {
                bench.push(0, at as u64 * 16, block);
            }
        }
        let lost = bench.of(EventKind::FeedLost);
        assert_eq!(lost.len(), 1, "{:?}", bench.events);
        assert!(detector_support::delay_ms(&bench, at_s, &lost[0]) < 8.0);
    }
}

#[test]
fn a_silent_meter_is_blind_and_never_lost() {
    let rate_hz = 8_000.0;
    let frames = Wave::random(rate_hz, &mut Dice(4)).frames(8_000, |_, _| {});
    let mut bench = Bench::new(rate_hz);
    bench.play(&[(0, &frames[..4_000])], 16);
    let mut events = Vec::new();
    let end = bench.time(4_000);
    bench
        .detector
        .tick(end.plus_ns(299 * NS_PER_MS), &mut events);
    assert!(
        events.iter().all(|event| event.meter != MeterIx(0)),
        "{events:?}"
    );
    bench
        .detector
        .tick(end.plus_ns(301 * NS_PER_MS), &mut events);
    bench
        .detector
        .tick(end.plus_ns(302 * NS_PER_MS), &mut events);
    let kinds: Vec<_> = events
        .iter()
        .filter(|e| e.meter == MeterIx(0))
        .map(|e| e.kind)
        .collect();
    assert_eq!(kinds, [EventKind::Blind]);
    assert!(bench.detector.blind(MeterIx(0)));
    bench.push(0, 7_000, &frames[7_000..]);
    assert_eq!(bench.kinds(0), [EventKind::Seeing]);
}

#[test]
fn a_polled_value_is_a_sign_of_life() {
    let mut bench = Bench::new(8_000.0);
    let mut events = Vec::new();
    for ms in (0..2_000).step_by(100) {
        let now = MonoNs(ms * NS_PER_MS);
        (0..8).for_each(|meter| bench.detector.heard(MeterIx(meter), now, &mut events));
        bench.detector.tick(now, &mut events);
    }
    assert!(events.is_empty(), "{events:?}");
    bench.detector.tick(MonoNs(2_300 * NS_PER_MS), &mut events);
    assert_eq!(events.len(), 8);
}

#[test]
fn a_meter_that_dies_with_the_feed_does_not_hold_up_the_decision() {
    let rate_hz = 32_000.0;
    let mut dice = Dice(5);
    let healthy = Wave::random(rate_hz, &mut dice).frames(9_600, |_, _| {});
    let lost = Wave::random(rate_hz, &mut dice).frames(9_600, |t, x| {
        if t >= 0.2 {
            *x = [0.0; 6];
        }
    });
    let mut bench = Bench::new(rate_hz);
    let mut decided = None;
    for at in (0..9_600).step_by(8) {
        bench.push(0, at as u64, &lost[at..at + 8]);
        if at < 6_400 {
            bench.push(1, at as u64, &healthy[at..at + 8]);
        }
        let now = bench.time(at as u64 + 8);
        let (detector, events) = (&mut bench.detector, &mut bench.events);
        detector.tick(now, events);
        if decided.is_none() && bench.of(EventKind::FeedLost).len() == 1 {
            decided = Some((now.0 - bench.time(6_400).0) as f64 * 1e-6);
        }
    }
    let decided_ms = decided.expect("a decision");
    assert!((2.0..=4.0).contains(&decided_ms), "{decided_ms}");
}

#[test]
fn blocks_that_cannot_be_are_refused() {
    let mut bench = Bench::new(32_000.0);
    bench.period_ps = 0;
    bench.push(0, 0, &[[0; 6]; 4]);
    bench.period_ps = 2_000_000_000;
    bench.push(0, 4, &[[0; 6]; 4]);
    assert_eq!(bench.detector.counts(MeterIx(0)).blocks_refused, 2);
    bench.push(99, 0, &[[0; 6]; 4]);
    assert_eq!(bench.detector.unknown_meter_blocks(), 1);
}

#[test]
fn a_restarted_meter_learns_again() {
    let rate_hz = 8_000.0;
    let frames = Wave::random(rate_hz, &mut Dice(6)).frames(4_000, |_, _| {});
    let mut bench = Bench::new(rate_hz);
    bench.play(&[(0, &frames)], 16);
    assert!(bench.detector.armed(MeterIx(0)));
    // The same indices again, a second later.
    let later = |frame: u64, bench: &Bench| MonoNs(bench.time(frame).0 + 1_000_000_000);
    let mut events = Vec::new();
    for (at, block) in frames.chunks(16).enumerate() {
        let first_frame = at as u64 * 16;
        let block = karman_grid_core::sample::SampleBlock {
            meter: MeterIx(0),
            first_frame,
            first_mono_ns: later(first_frame, &bench),
            period_ps: bench.period_ps,
            samples: block.as_flattened(),
            scale_v: detector_support::SCALE_V as f32,
            scale_a: detector_support::SCALE_A as f32,
        };
        bench.detector.push(&block, &mut events);
        assert!(at > 30 || !bench.detector.armed(MeterIx(0)));
    }
    assert!(bench.detector.armed(MeterIx(0)));
    assert_eq!(bench.detector.counts(MeterIx(0)).restarts, 1);
    assert!(events.is_empty(), "{events:?}");
}
