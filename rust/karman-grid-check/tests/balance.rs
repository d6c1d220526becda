//! Kirchhoff's balance of true flows.

mod common;

use common::*;
use karman_grid_check::Mode::{Battery, Line, Off};
use karman_grid_check::ViolationKind::BooksDoNotBalance;
use karman_grid_check::{Checker, Header, Mode, Verdict, ViolationKind};

fn judge(header: Header, power_w: &[f64], modes: &[Mode]) -> Verdict {
    let mut checker = Checker::new(header).expect("header");
    checker.push_flow(0, power_w, Some(modes)).expect("flow");
    checker.finish(S).expect("verdict")
}

fn kinds(verdict: &Verdict) -> Vec<(ViolationKind, &str)> {
    found(verdict)
        .into_iter()
        .map(|(kind, element, _)| (kind, element))
        .collect()
}

const ALL_LINE: [Mode; 5] = [Line; 5];

#[test]
fn two_percent_of_the_limit_is_near_enough_and_more_is_not() {
    let mut power_w = flows(700.0, 700.0);
    for (gap_w, broken) in [(20.0, false), (20.1, true), (-20.0, false), (-20.1, true)] {
        power_w[UPS_A] = 700.0 + gap_w;
        power_w[UTILITY] = 1400.0 + gap_w;
        let verdict = judge(header(), &power_w, &ALL_LINE);
        assert_eq!(!kinds(&verdict).is_empty(), broken, "{gap_w}");
        if broken {
            assert_eq!(kinds(&verdict), [(BooksDoNotBalance, "ups-a")]);
            let bound_w = 700.0 + 20.0_f64.copysign(gap_w);
            assert_eq!(
                (verdict.violations[0].value, verdict.violations[0].limit),
                (700.0 + gap_w, bound_w)
            );
        }
    }
}

#[test]
fn losses_excuse_more_in_than_out_and_never_more_out_than_in() {
    let mut lossy = header();
    lossy.elements[UPS_A].loss_ratio = 0.05;
    // 50 W of losses; slack of 80 W above the UPS (the utility's) and of 20 W inside it.
    let above = |utility_w| [utility_w, 700.0, 700.0, 700.0, 700.0];
    let inside = [1400.0, 770.0, 700.0, 700.0, 700.0];
    assert!(kinds(&judge(lossy.clone(), &above(1530.0), &ALL_LINE)).is_empty());
    let lost = judge(lossy.clone(), &above(1530.1), &ALL_LINE);
    assert_eq!(kinds(&lost), [(BooksDoNotBalance, "utility")]);
    assert!(kinds(&judge(lossy.clone(), &inside, &ALL_LINE)).is_empty());
    let too_much = [1470.0, 771.0, 700.0, 700.0, 700.0];
    assert_eq!(
        kinds(&judge(lossy.clone(), &too_much, &ALL_LINE)),
        [(BooksDoNotBalance, "ups-a")]
    );
    let from_nothing = [1400.0, 679.0, 700.0, 700.0, 700.0];
    assert_eq!(
        kinds(&judge(lossy, &from_nothing, &ALL_LINE)),
        [(BooksDoNotBalance, "ups-a")]
    );
}

#[test]
fn a_lost_parent_hands_its_child_to_the_next_one() {
    let mut ats = header();
    ats.elements[FEED_A].parents.push("ups-b".into());
    let mut modes = ALL_LINE;
    modes[UPS_A] = Off;
    let moved = [1000.0, 0.0, 1000.0, 300.0, 700.0];
    assert!(kinds(&judge(ats.clone(), &moved, &modes)).is_empty());
    // The same flows while UPS A claims to be alive: it delivers what it does not take.
    let found = judge(ats, &moved, &ALL_LINE);
    assert_eq!(
        kinds(&found),
        [(BooksDoNotBalance, "ups-a"), (BooksDoNotBalance, "ups-b")]
    );
}

#[test]
fn power_from_nowhere_and_through_a_dead_element_is_found() {
    let mut modes = ALL_LINE;
    modes[UPS_A] = Off;
    // Feed A has no other parent, yet it carries load.
    let verdict = judge(header(), &[700.0, 0.0, 700.0, 700.0, 700.0], &modes);
    assert_eq!(kinds(&verdict), [(BooksDoNotBalance, "feed-a")]);
    // UPS A says that it is off, yet it carries load: that would hide its feed.
    let verdict = judge(header(), &[1400.0, 700.0, 700.0, 0.0, 700.0], &modes);
    assert_eq!(kinds(&verdict), [(BooksDoNotBalance, "ups-a")]);
    // Feed A says so, and what feeds it agrees with its load: it is dead all the same.
    let mut dead = ALL_LINE;
    dead[FEED_A] = Off;
    let verdict = judge(header(), &flows(700.0, 700.0), &dead);
    assert_eq!(kinds(&verdict), [(BooksDoNotBalance, "feed-a")]);
    assert_eq!(
        (verdict.violations[0].value, verdict.violations[0].limit),
        (700.0, 20.0)
    );
    assert!(kinds(&judge(header(), &flows(20.0, 700.0), &dead)).is_empty());
    modes[FEED_A] = Off;
    assert!(kinds(&judge(header(), &flows(0.0, 700.0), &modes)).is_empty());
}

#[test]
fn a_ups_on_battery_takes_nothing_or_part_from_its_parent() {
    let mut modes = ALL_LINE;
    modes[UPS_A] = Battery;
    for utility_w in [700.0, 1000.0, 1400.0] {
        let power_w = [utility_w, 700.0, 700.0, 700.0, 700.0];
        assert!(
            kinds(&judge(header(), &power_w, &modes)).is_empty(),
            "{utility_w}"
        );
    }
    let short = [600.0, 700.0, 700.0, 700.0, 700.0];
    assert_eq!(
        kinds(&judge(header(), &short, &modes)),
        [(BooksDoNotBalance, "utility")]
    );
    modes[UTILITY] = Off;
    modes[UPS_B] = Battery;
    assert!(kinds(&judge(header(), &[0.0, 700.0, 700.0, 700.0, 700.0], &modes)).is_empty());
}

#[test]
fn what_has_no_battery_cannot_hide_behind_one() {
    let mut modes = ALL_LINE;
    modes[FEED_A] = Battery;
    let verdict = judge(header(), &[700.0, 0.0, 700.0, 700.0, 700.0], &modes);
    assert_eq!(kinds(&verdict), [(BooksDoNotBalance, "ups-a")]);
}

#[test]
fn an_imbalance_that_persists_is_one_violation() {
    let mut checker = Checker::new(header()).expect("header");
    let (good, bad) = (flows(700.0, 700.0), [1400.0, 600.0, 700.0, 700.0, 700.0]);
    for (at_ms, power_w) in [(0, good), (1, bad), (2, bad), (3, bad), (4, good), (5, bad)] {
        checker.push_flow(at_ms * MS, &power_w, None).expect("flow");
    }
    let verdict = checker.finish(S).expect("verdict");
    let expected = [1.0, 1.0, 5.0, 5.0];
    let starts: Vec<_> = found(&verdict).iter().map(|(_, _, at_ms)| *at_ms).collect();
    assert_eq!(starts, expected, "utility and ups-a, twice");
}
