//! Curves and accumulators against closed forms.
#![allow(clippy::disallowed_methods)] // the closed forms use the platform's mathematics

mod common;

use common::*;
use karman_grid_check::ViolationKind::BeyondCurve;
use karman_grid_check::curve::Curve;
use karman_grid_check::{Checker, CurveSpec, Mode, Verdict};
use proptest::prelude::*;

fn ups() -> Curve {
    let spec = CurveSpec {
        mode: Mode::Line,
        points: UPS_POINTS.to_vec(),
    };
    Curve::new("curve", &spec).expect("sound curve")
}

/// One UPS of 1000 W through `(from_ns, power_w)`, judged at `end_ns`.
fn run(steps: &[(u64, f64)], end_ns: u64) -> Verdict {
    let mut checker = Checker::new(lone(&UPS_POINTS)).expect("header");
    for &(at_ns, power_w) in steps {
        checker.push_flow(at_ns, &[power_w], None).expect("flow");
    }
    checker.finish(end_ns).expect("verdict")
}

#[test]
fn the_points_of_the_curve_are_met_exactly() {
    for [ratio, tolerated_s] in UPS_POINTS {
        assert_eq!(ups().tolerated_s(ratio), Some(tolerated_s));
    }
    assert_eq!(ups().tolerated_s(1.0499), None);
    assert_eq!(ups().tolerated_s(0.0), None);
}

#[test]
fn between_points_the_logarithm_of_time_is_linear() {
    // Half way in ratio is the geometric mean of the times.
    close(
        ups().tolerated_s(1.175).expect("above first"),
        (60.0_f64 * 15.0).sqrt(),
    );
    close(
        ups().tolerated_s(1.29).expect("above first"),
        150.0_f64.sqrt(),
    );
    let third = ups().tolerated_s(1.10 + 0.15 / 3.0).expect("above first");
    close(third, 60.0_f64.powf(2.0 / 3.0) * 15.0_f64.powf(1.0 / 3.0));
}

#[test]
fn beyond_the_last_point_each_tenth_costs_a_factor_of_ten() {
    close(ups().tolerated_s(1.6).expect("above last"), 0.15);
    close(ups().tolerated_s(1.7).expect("above last"), 0.015);
    close(
        ups().tolerated_s(1.55).expect("above last"),
        1.5 / 10.0_f64.sqrt(),
    );
    // An absurd ratio is still a time, not zero and not a division by it.
    assert_eq!(ups().tolerated_s(500.0), Some(1e-6));
}

#[test]
fn held_load_fills_the_accumulator_linearly() {
    let verdict = run(&[(0, 1330.0)], 5 * S);
    close(verdict.accumulator_max_ratio, 0.5);
    assert_eq!(verdict.elements[0].accumulator_max_at_ms, Some(5000.0));
    close(verdict.elements[0].load_max_ratio, 1.33);
    assert_eq!(verdict.over_limit_ms, 5000.0);
    assert_eq!(verdict.unsafe_count, 0);
    // 2 s at 133 % and 0.6 s at 150 %: 0.2 + 0.4.
    close(
        run(&[(0, 1330.0), (2 * S, 1500.0)], 2600 * MS).accumulator_max_ratio,
        0.6,
    );
}

#[test]
fn the_accumulator_decays_from_full_to_zero_in_ten_minutes() {
    // 0.5 reached, then 60 s below the first point: minus 0.1.
    let mut checker = Checker::new(lone(&UPS_POINTS)).expect("header");
    checker.push_flow(0, &[1330.0], None).expect("flow");
    checker.push_flow(5 * S, &[1040.0], None).expect("flow");
    close(checker.accumulators(65 * S)[0], 0.4);
    close(checker.accumulators(305 * S)[0], 0.0);
    close(checker.accumulators(3600 * S)[0], 0.0);
    // The decay is kept in what follows: 0.4 + 0.7 is beyond, 7 s alone is not.
    checker.push_flow(65 * S, &[1330.0], None).expect("flow");
    let verdict = checker.finish(72 * S).expect("verdict");
    assert_eq!(found(&verdict), [(BeyondCurve, "ups-a", 71_000.0)]);
}

#[test]
fn beyond_the_curve_is_found_at_its_instant_and_a_microsecond_less_is_not() {
    for [ratio, tolerated_s] in UPS_POINTS {
        let tolerated_ns = (tolerated_s * 1e9) as u64;
        let power_w = 1000.0 * ratio;
        let verdict = run(&[(S, power_w)], S + tolerated_ns);
        assert_eq!(
            found(&verdict),
            [(BeyondCurve, "ups-a", 1e3 + tolerated_s * 1e3)]
        );
        assert_eq!(
            (verdict.violations[0].value, verdict.violations[0].limit),
            (power_w, 1000.0)
        );
        assert_eq!(
            run(&[(S, power_w)], S + tolerated_ns - MS / 1000).unsafe_count,
            0
        );
    }
}

#[test]
fn below_the_first_point_nothing_accumulates_for_ever() {
    let verdict = run(&[(0, 1049.9)], 7 * 24 * 3600 * S);
    assert_eq!(
        (verdict.unsafe_count, verdict.accumulator_max_ratio),
        (0, 0.0)
    );
    assert!(verdict.over_limit_ms > 0.0);
}

#[test]
fn an_overload_that_persists_is_one_violation_and_a_new_one_is_another() {
    let steps = [(0, 1500.0), (S, 1600.0), (2 * S, 1500.0), (3 * S, 900.0)];
    let verdict = run(&steps, 60 * S);
    assert_eq!(found(&verdict).len(), 1);
    // Cooled for longer than any accumulator holds, then overloaded again.
    let verdict = run(&[(0, 1500.0), (2 * S, 900.0), (2000 * S, 1500.0)], 2002 * S);
    assert_eq!(
        found(&verdict),
        [
            (BeyondCurve, "ups-a", 1500.0),
            (BeyondCurve, "ups-a", 2_001_500.0)
        ]
    );
}

#[test]
fn short_overloads_that_repeat_add_up() {
    // 1 s at 150 % every 10 s: each is harmless, two are not (2/3 − 9/600 + 2/3 > 1).
    let verdict = run(
        &[(0, 1500.0), (S, 900.0), (10 * S, 1500.0), (11 * S, 900.0)],
        12 * S,
    );
    let second_s = (1.0 - (1.0 / 1.5 - 9.0 / 600.0)) * 1.5;
    assert_eq!(found(&verdict).len(), 1);
    assert!((verdict.violations[0].at_ms - (10.0 + second_s) * 1e3).abs() < 1e-5);
}

#[test]
fn each_mode_has_its_curve_and_all_share_one_accumulator() {
    let mut header = lone(&UPS_POINTS);
    header.elements[0].curves.push(CurveSpec {
        mode: Mode::Battery,
        points: vec![[1.05, 100.0], [1.33, 1.0]],
    });
    let mut checker = Checker::new(header).expect("header");
    checker.push_flow(0, &[1330.0], None).expect("flow");
    checker
        .push_flow(5 * S, &[1330.0], Some(&[Mode::Battery]))
        .expect("flow");
    close(checker.accumulators(5 * S + 300 * MS)[0], 0.8);
    // No bypass curve: that of line holds.
    checker
        .push_flow(5 * S + 300 * MS, &[1330.0], Some(&[Mode::Bypass]))
        .expect("flow");
    close(checker.accumulators(6 * S + 300 * MS)[0], 0.9);
    let verdict = checker.finish(7 * S + 300 * MS).expect("verdict");
    assert_eq!(found(&verdict), [(BeyondCurve, "ups-a", 7300.0)]);
}

#[test]
fn an_element_without_a_curve_tolerates_one_second() {
    let mut header = lone(&UPS_POINTS);
    header.elements[0].curves.clear();
    let mut checker = Checker::new(header).expect("header");
    checker.push_flow(0, &[1049.0], None).expect("flow");
    checker.push_flow(60 * S, &[1050.0], None).expect("flow");
    let verdict = checker.finish(62 * S).expect("verdict");
    assert_eq!(found(&verdict), [(BeyondCurve, "ups-a", 61_000.0)]);
}

#[test]
fn over_limit_time_counts_the_union_of_elements_and_each_alone() {
    let mut checker = Checker::new(header()).expect("header");
    checker
        .push_flow(0, &flows(1001.0, 900.0), None)
        .expect("flow");
    checker
        .push_flow(S, &flows(1001.0, 1001.0), None)
        .expect("flow");
    checker
        .push_flow(2 * S, &flows(900.0, 1001.0), None)
        .expect("flow");
    checker
        .push_flow(3 * S, &flows(1000.0, 1000.0), None)
        .expect("flow");
    let verdict = checker.finish(9 * S).expect("verdict");
    assert_eq!(verdict.over_limit_ms, 3000.0);
    let each: Vec<_> = verdict
        .elements
        .iter()
        .map(|element| element.over_limit_ms)
        .collect();
    assert_eq!(each, [0.0, 2000.0, 2000.0, 2000.0, 2000.0]);
    assert_eq!(verdict.flow_gap_max_ms, 6000.0);
}

#[test]
fn curves_that_cannot_be_are_refused() {
    for points in [
        vec![],
        vec![[1.05, 0.0]],
        vec![[0.0, 10.0]],
        vec![[f64::NAN, 10.0]],
        vec![[1.1, f64::INFINITY]],
        vec![[1.1, 10.0], [1.1, 5.0]],
        vec![[1.1, 10.0], [1.2, 11.0]],
    ] {
        let error = Checker::new(lone(&points))
            .expect_err("refused")
            .to_string();
        assert!(
            error.starts_with("header.elements.ups-a.curves.points: found "),
            "{error}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Writing an unchanged flow down once more changes nothing, to the last bit.
    #[test]
    fn splitting_a_flow_record_changes_nothing(
        steps in prop::collection::vec((1_u64..4 * S, 0.0..1700.0_f64), 1..12),
        cuts in prop::collection::vec((0_usize..12, 0.0..1.0_f64), 1..8),
    ) {
        let mut times = vec![0];
        for (length_ns, _) in &steps {
            times.push(times[times.len() - 1] + length_ns);
        }
        let whole: Vec<_> = steps.iter().zip(&times).map(|((_, w), t)| (*t, *w)).collect();
        let mut split = whole.clone();
        for (ix, share) in cuts {
            let (length_ns, power_w) = steps[ix % steps.len()];
            let at_ns = times[ix % steps.len()] + (share * length_ns as f64) as u64;
            split.push((at_ns, power_w));
        }
        split.sort_by_key(|step| step.0);
        let end_ns = times[times.len() - 1];
        let (one, two) = (run(&whole, end_ns), run(&split, end_ns));
        prop_assert_eq!(one.violations, two.violations);
        prop_assert_eq!(one.elements, two.elements);
        prop_assert_eq!(one.over_limit_ms, two.over_limit_ms);
    }

    /// More load is never tolerated longer, and the accumulator never leaves the possible.
    #[test]
    fn the_curve_never_rises(low in 0.5..3.0_f64, more in 0.0..1.0_f64) {
        let time = |ratio| ups().tolerated_s(ratio).unwrap_or(f64::INFINITY);
        prop_assert!(time(low + more) <= time(low) * (1.0 + 1e-12));
        prop_assert!(time(low) > 0.0);
    }
}
