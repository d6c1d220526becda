//! Caps against leases, epochs, stale raises, and the controller's books.

mod common;

use common::*;
use karman_grid_check::ViolationKind::{
    BooksDoNotBalance, CapAboveLease, EpochWentBack, RaiseOnStaleData,
};
use karman_grid_check::{Checker, Verdict};

/// gpu-0 with a lease to 600 W for 1 s at 0, and its cap there.
fn leased() -> Checker {
    let mut checker = quiet();
    checker.push_lease(0, 0, 600.0, 1, 1, S).expect("lease");
    checker.push_cap(5 * MS, 0, 600.0).expect("cap");
    checker
}

fn end(checker: Checker, end_ns: u64) -> Verdict {
    checker.finish(end_ns).expect("verdict")
}

#[test]
fn the_fallback_needs_no_lease_and_a_watt_more_does() {
    let mut checker = quiet();
    checker.push_cap(S, 0, 400.4).expect("cap");
    checker.push_cap(S, 1, 401.0).expect("cap");
    let verdict = end(checker, 2 * S);
    assert_eq!(found(&verdict), [(CapAboveLease, "gpu-1", 1000.0)]);
    assert_eq!(
        (verdict.violations[0].value, verdict.violations[0].limit),
        (401.0, 400.0)
    );
}

#[test]
fn a_cap_must_fall_within_the_grace_after_its_lease_ended() {
    assert_eq!(end(leased(), 1100 * MS).unsafe_count, 0);
    let verdict = end(leased(), 1101 * MS);
    assert_eq!(found(&verdict), [(CapAboveLease, "gpu-0", 1100.0)]);
    assert_eq!(
        (verdict.violations[0].value, verdict.violations[0].limit),
        (600.0, 400.0)
    );
    let mut checker = leased();
    checker.push_cap(1099 * MS, 0, 400.0).expect("cap");
    assert_eq!(end(checker, 9 * S).unsafe_count, 0);
}

#[test]
fn a_cap_above_its_live_lease_is_found_even_if_it_is_the_last_record() {
    let mut checker = leased();
    checker.push_cap(50 * MS, 0, 650.0).expect("cap");
    assert_eq!(
        found(&end(checker, 50 * MS)),
        [(CapAboveLease, "gpu-0", 50.0)]
    );
}

#[test]
fn no_lease_permits_more_than_the_hardware() {
    let mut checker = quiet();
    checker.push_lease(0, 0, 900.0, 1, 1, 9 * S).expect("lease");
    checker.push_cap(MS, 0, 700.0).expect("cap");
    checker.push_cap(2 * MS, 0, 702.0).expect("cap");
    let verdict = end(checker, S);
    assert_eq!(found(&verdict), [(CapAboveLease, "gpu-0", 2.0)]);
    assert_eq!(verdict.violations[0].limit, 700.0);
}

#[test]
fn a_cap_and_its_lease_may_share_an_instant_in_either_order() {
    let mut checker = quiet();
    checker.push_cap(MS, 0, 600.0).expect("cap");
    checker.push_lease(MS, 0, 600.0, 1, 1, S).expect("lease");
    assert_eq!(end(checker, S).unsafe_count, 0);
    let mut checker = quiet();
    checker.push_cap(MS, 0, 600.0).expect("cap");
    checker
        .push_lease(MS + 1, 0, 600.0, 1, 1, S)
        .expect("lease");
    assert_eq!(found(&end(checker, S)), [(CapAboveLease, "gpu-0", 1.0)]);
}

#[test]
fn a_lower_lease_leaves_the_grace_to_write_and_no_more() {
    for (written_ms, unsafe_count) in [(199, 0), (200, 0), (201, 1)] {
        let mut checker = leased();
        checker
            .push_lease(100 * MS, 0, 450.0, 1, 2, 5 * S)
            .expect("lease");
        checker.push_cap(written_ms * MS, 0, 450.0).expect("cap");
        assert_eq!(end(checker, S).unsafe_count, unsafe_count, "{written_ms}");
    }
}

#[test]
fn a_chain_of_new_leases_does_not_stretch_the_grace() {
    // The controller asks lower every 50 ms; the agent accepts and never writes.
    let mut checker = leased();
    for step in 0..10 {
        let cap_w = 590.0 - step as f64;
        checker
            .push_lease((100 + 50 * step) * MS, 0, cap_w, 1, 2 + step, 5 * S)
            .expect("lease");
    }
    assert_eq!(found(&end(checker, S)), [(CapAboveLease, "gpu-0", 200.0)]);
}

#[test]
fn a_renewal_extends_a_live_lease_and_cannot_revive_one() {
    let mut checker = leased();
    checker.push_renew(900 * MS, &[0], S).expect("renew");
    checker.push_renew_all(1800 * MS, S).expect("renew");
    assert_eq!(end(checker.clone(), 2900 * MS).unsafe_count, 0);
    assert_eq!(
        found(&end(checker.clone(), 4 * S)),
        [(CapAboveLease, "gpu-0", 2900.0)]
    );
    // 2.8 s is over; a renewal inside the grace comes too late.
    checker.push_renew_all(2850 * MS, S).expect("renew");
    assert_eq!(
        found(&end(checker, 4 * S)),
        [(CapAboveLease, "gpu-0", 2900.0)]
    );
    let mut checker = leased();
    checker.push_renew(900 * MS, &[1, 2], S).expect("renew");
    assert_eq!(
        end(checker, 2 * S).unsafe_count,
        1,
        "others' renewal is not one's own"
    );
}

#[test]
fn a_shorter_renewal_does_not_shorten_a_lease() {
    let mut checker = leased();
    checker.push_renew_all(100 * MS, 10 * MS).expect("renew");
    assert_eq!(end(checker, 1100 * MS).unsafe_count, 0);
}

#[test]
fn a_lease_longer_than_the_declared_bound_is_honoured_for_the_bound() {
    let mut header = header();
    header.lease_ttl_max_ns = Some(2 * S);
    let mut checker = Checker::new(header).expect("header");
    checker.push_flow(0, &flows(1.0, 1.0), None).expect("flow");
    checker
        .push_lease(0, 0, 600.0, 1, 1, 3600 * S)
        .expect("lease");
    checker.push_cap(0, 0, 600.0).expect("cap");
    checker.push_renew_all(S, 3600 * S).expect("renew");
    assert_eq!(
        found(&end(checker, 9 * S)),
        [(CapAboveLease, "gpu-0", 3100.0)]
    );
}

#[test]
fn a_condition_that_persists_is_one_violation_through_records_and_renewals() {
    let mut checker = quiet();
    checker.push_cap(10 * MS, 0, 600.0).expect("cap");
    checker.push_renew_all(20 * MS, S).expect("renew");
    checker.push_cap(30 * MS, 0, 610.0).expect("cap");
    checker
        .push_lease(40 * MS, 0, 500.0, 1, 1, S)
        .expect("lease");
    checker.push_cap(50 * MS, 0, 500.0).expect("cap");
    checker.push_cap(60 * MS, 0, 501.0).expect("cap");
    let expected = [
        (CapAboveLease, "gpu-0", 10.0),
        (CapAboveLease, "gpu-0", 60.0),
    ];
    assert_eq!(found(&end(checker, S)), expected);
}

#[test]
fn a_lease_in_between_makes_two_violations_of_one_cap() {
    let mut checker = quiet();
    checker.push_cap(10 * MS, 0, 600.0).expect("cap");
    checker
        .push_lease(20 * MS, 0, 600.0, 1, 1, 100 * MS)
        .expect("lease");
    let expected = [
        (CapAboveLease, "gpu-0", 10.0),
        (CapAboveLease, "gpu-0", 220.0),
    ];
    assert_eq!(found(&end(checker, S)), expected);
}

#[test]
fn an_old_controller_does_not_become_the_new_one_by_insisting() {
    let mut checker = quiet();
    for (at_ms, epoch, seq) in [(1, 8, 1), (2, 7, 1), (3, 7, 2), (4, 8, 2)] {
        checker
            .push_lease(at_ms * MS, 0, 500.0, epoch, seq, S)
            .expect("lease");
    }
    let expected = [(EpochWentBack, "gpu-0", 2.0), (EpochWentBack, "gpu-0", 3.0)];
    assert_eq!(found(&end(checker, S)), expected);
}

#[test]
fn epochs_never_go_back_per_device() {
    let mut checker = quiet();
    checker.push_lease(1, 0, 500.0, 7, 1, S).expect("lease");
    checker
        .push_lease(2, 1, 500.0, 6, 9, S)
        .expect("another device may lag");
    checker
        .push_lease(3, 0, 500.0, 7, 2, S)
        .expect("same epoch");
    checker
        .push_lease(4, 0, 500.0, 8, 1, S)
        .expect("newer epoch, sequence anew");
    checker
        .push_lease(5 * MS, 0, 500.0, 7, 3, S)
        .expect("older epoch");
    let verdict = end(checker, S);
    assert_eq!(found(&verdict), [(EpochWentBack, "gpu-0", 5.0)]);
    assert_eq!(
        (verdict.violations[0].value, verdict.violations[0].limit),
        (7.0, 8.0)
    );
}

#[test]
fn an_old_message_of_the_same_epoch_is_found_and_a_repeated_one_is_harmless() {
    let mut checker = quiet();
    checker.push_lease(MS, 0, 500.0, 7, 4, S).expect("lease");
    checker
        .push_lease(2 * MS, 0, 500.0, 7, 4, S)
        .expect("repeated");
    checker
        .push_lease(3 * MS, 0, 600.0, 7, 3, S)
        .expect("overtaken");
    let verdict = end(checker, S);
    assert_eq!(found(&verdict), [(EpochWentBack, "gpu-0", 3.0)]);
    assert_eq!(
        (verdict.violations[0].value, verdict.violations[0].limit),
        (3.0, 4.0)
    );
}

#[test]
fn a_raise_on_stale_data_is_found_and_one_at_the_bound_is_not() {
    let mut checker = quiet();
    checker.push_raise(MS, 0, 500.0, 300 * MS).expect("raise");
    checker
        .push_raise(2 * MS, 1, 500.0, 300 * MS + 1)
        .expect("raise");
    let verdict = end(checker, S);
    assert_eq!(found(&verdict), [(RaiseOnStaleData, "gpu-1", 2.0)]);
    assert_eq!(verdict.violations[0].limit, 300.0);
}

#[test]
fn the_books_must_cover_the_caps_in_force() {
    // Three devices at the fallback; one raised by lease: 600 + 400 + 400.
    let mut checker = leased();
    for (at_ms, accounted_w) in [(10, 1400.0), (11, 1399.1), (12, 5000.0)] {
        checker.push_books(at_ms * MS, accounted_w).expect("books");
    }
    for (at_ms, accounted_w) in [(20, 1398.9), (21, 1300.0), (22, 1400.0), (23, 1398.0)] {
        checker.push_books(at_ms * MS, accounted_w).expect("books");
    }
    let verdict = end(checker, S);
    let expected = [
        (BooksDoNotBalance, "devices", 20.0),
        (BooksDoNotBalance, "devices", 23.0),
    ];
    assert_eq!(found(&verdict), expected);
    assert_eq!(
        (verdict.violations[0].value, verdict.violations[0].limit),
        (1400.0, 1398.9)
    );
}

#[test]
fn books_follow_every_cap_without_drift() {
    let mut checker = quiet();
    for round in 0..100_000_u64 {
        let cap_w = 200.0 + (round % 7) as f64 * 28.571;
        checker
            .push_cap(round, (round % 3) as usize, cap_w)
            .expect("cap");
    }
    checker.push_cap(S, 0, 210.0).expect("cap");
    checker.push_cap(S, 1, 220.0).expect("cap");
    checker.push_cap(S, 2, 230.0).expect("cap");
    checker.push_books(S, 659.0).expect("books");
    assert_eq!(end(checker.clone(), S).unsafe_count, 0);
    checker.push_books(S + 1, 658.99).expect("books");
    assert_eq!(end(checker, S + 1).unsafe_count, 1);
}

#[test]
fn a_device_that_obeys_nobody_is_no_ones_fault_while_the_fault_lasts() {
    let mut checker = leased();
    checker.push_fault(50 * MS, &[0], Some(S)).expect("fault");
    checker
        .push_lease(100 * MS, 0, 450.0, 1, 2, 5 * S)
        .expect("lease");
    // The controller believes 450 until it sees the watts: 600 in force is not its lie.
    checker.push_books(150 * MS, 450.0 + 800.0).expect("books");
    assert_eq!(end(checker.clone(), 1150 * MS).unsafe_count, 0);
    let expected = [(CapAboveLease, "gpu-0", 1150.0)];
    assert_eq!(
        found(&end(checker.clone(), 2 * S)),
        expected,
        "fault over, grace over"
    );
    // Less than cap_min_w for the faulty one nobody can account.
    checker.push_books(160 * MS, 199.0 + 799.0).expect("books");
    assert_eq!(
        found(&end(checker.clone(), S)),
        [(BooksDoNotBalance, "devices", 160.0)]
    );
}

#[test]
fn after_a_fault_the_books_must_cover_the_device_again() {
    let mut checker = quiet();
    checker.push_fault(0, &[0], Some(S)).expect("fault");
    checker
        .push_books(1100 * MS, 200.0 + 800.0)
        .expect("inside the grace");
    checker
        .push_books(1101 * MS, 200.0 + 800.0)
        .expect("after it");
    assert_eq!(
        found(&end(checker, 2 * S)),
        [(BooksDoNotBalance, "devices", 1101.0)]
    );
}

#[test]
fn a_faulty_device_excuses_no_other() {
    let mut checker = quiet();
    checker.push_fault(0, &[0], None).expect("fault");
    checker.push_cap(MS, 0, 700.0).expect("cap");
    checker.push_cap(MS, 1, 700.0).expect("cap");
    checker.push_books(2 * MS, 1200.0).expect("books");
    let expected = [
        (CapAboveLease, "gpu-1", 1.0),
        (BooksDoNotBalance, "devices", 2.0),
    ];
    assert_eq!(found(&end(checker, 9 * S)), expected);
}

#[test]
fn a_rise_that_the_controller_did_not_record_is_counted() {
    let mut checker = quiet();
    for device_ix in 0..3 {
        checker
            .push_lease(0, device_ix, 700.0, 1, 1, 9 * S)
            .expect("lease");
        checker
            .push_cap(0, device_ix, 500.0)
            .expect("the first cap is where it starts");
    }
    checker.push_raise(MS, 0, 600.0, 0).expect("raise");
    checker.push_cap(4 * MS, 0, 600.0).expect("recorded");
    checker.push_cap(4 * MS, 1, 600.0).expect("not recorded");
    checker.push_raise(5 * MS, 2, 550.0, 0).expect("raise");
    checker
        .push_cap(9 * MS, 2, 600.0)
        .expect("higher than recorded");
    checker.push_cap(10 * MS, 2, 300.0).expect("falls");
    checker
        .push_cap(11 * MS, 2, 400.0)
        .expect("back to the fallback");
    let verdict = end(checker, S);
    assert_eq!((verdict.unsafe_count, verdict.raises_unrecorded), (0, 2));
}

#[test]
fn after_the_plant_ended_only_raises_and_epochs_are_judged() {
    let mut checker = leased();
    checker.plant_ended(200 * MS);
    checker
        .push_lease(3 * S, 0, 450.0, 0, 1, S)
        .expect("older epoch");
    checker.push_books(3 * S, 1.0).expect("books");
    checker
        .push_raise(3 * S, 0, 500.0, 3 * S)
        .expect("stale raise");
    let expected = [
        (EpochWentBack, "gpu-0", 3000.0),
        (RaiseOnStaleData, "gpu-0", 3000.0),
    ];
    assert_eq!(found(&end(checker, 3 * S)), expected);
}

#[test]
fn what_cannot_be_is_refused_and_leaves_no_mark() {
    let mut checker = leased();
    for power_w in [-1.0, f64::NAN, f64::INFINITY, 1e13] {
        assert!(checker.push_flow(S, &flows(power_w, 700.0), None).is_err());
        assert!(checker.push_cap(S, 0, power_w).is_err());
        assert!(checker.push_lease(S, 0, power_w, 1, 2, S).is_err());
        assert!(checker.push_raise(S, 0, power_w, 0).is_err());
        assert!(checker.push_books(S, power_w).is_err());
    }
    assert!(
        checker.push_flow(S, &[1.0], None).is_err(),
        "too few values"
    );
    assert!(checker.push_cap(S, 3, 1.0).is_err(), "no such device");
    assert!(checker.push_trip(S, 5).is_err(), "no such element");
    assert!(checker.push_cap(4 * MS, 0, 400.0).is_err(), "back in time");
    let verdict = end(checker, 500 * MS);
    assert_eq!((verdict.unsafe_count, verdict.records), (0, 4));
    assert!(leased().finish(MS).is_err(), "ends before its last record");
    let empty = Checker::new(header()).expect("header");
    assert!(empty.finish(S).is_err(), "nothing was judged");
}
