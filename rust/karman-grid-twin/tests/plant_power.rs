//! Power flows, protection and faults of the plant, against figures worked out by hand.

mod common;

use common::{FEED_W, Hall, MS, S, UPS_CURVE, element_of, lose, ratio, run};
use karman_grid_core::ids::RackIx;
use karman_grid_core::topology::Topology;
use karman_grid_twin::faults::Fault;
use karman_grid_twin::hall::Plant;
use karman_grid_twin::params::{DemandKind, PlantParams, ProtectionParams, RackParams};
use karman_grid_twin::protection::{Mode, TripCause, TripPlace};

#[test]
fn level_is_total_over_ratings() {
    for level in [0.6, 0.75, 0.95, 1.0] {
        let mut plant = Hall::default().at(level, 1);
        run(&mut plant, 5);
        let total: f64 = plant.flows_w()[element_of(&plant, "utility").at()];
        assert!(
            (total / (4.0 * FEED_W) - level).abs() < 1e-4,
            "{level}: {total}"
        );
    }
}

#[test]
fn four_feeds_at_full_use_put_133_percent_on_three() {
    let even = Hall {
        racks: [10; 6],
        sharing_error: 0.0,
        ..Hall::default()
    };
    let mut plant = even.at(1.0, 1);
    run(&mut plant, 10);
    assert!((ratio(&plant, "feed-a") - 1.0).abs() < 1e-4);
    lose(&mut plant, "feed-a", 0);
    run(&mut plant, 100);
    for feed in ["feed-b", "feed-c", "feed-d"] {
        assert!(
            (ratio(&plant, feed) - 4.0 / 3.0).abs() < 1e-3,
            "{}",
            ratio(&plant, feed)
        );
    }
    assert_eq!(ratio(&plant, "feed-a"), 0.0);
    assert_eq!(plant.modes()[element_of(&plant, "feed-a").at()], Mode::Off);
    assert_eq!(plant.modes()[element_of(&plant, "pdu-a").at()], Mode::Off);
}

#[test]
fn skewed_pairs_give_the_textbook_survivors() {
    // Load at 75 %, pairs AB and CD with (1 + S) of an even share, the others with (1 - S/2).
    for (racks, expected) in [
        ([22, 22, 19, 19, 19, 19], 1.025),
        ([24, 24, 18, 18, 18, 18], 1.05),
        ([26, 26, 17, 17, 17, 17], 1.075),
    ] {
        let hall = Hall {
            racks,
            servers: 1,
            sharing_error: 0.0,
            ..Hall::default()
        };
        let mut plant = hall.at(0.75, 1);
        lose(&mut plant, "feed-a", MS);
        run(&mut plant, 100);
        assert!(
            (ratio(&plant, "feed-b") - expected).abs() < 1e-3,
            "{}",
            ratio(&plant, "feed-b")
        );
    }
}

#[test]
fn load_moves_with_the_declared_time_constant() {
    let hall = Hall {
        racks: [10; 6],
        sharing_error: 0.0,
        ..Hall::default()
    };
    let mut plant = hall.at(0.9, 1);
    run(&mut plant, 10);
    lose(&mut plant, "feed-a", 0);
    run(&mut plant, 10);
    let part = (ratio(&plant, "feed-b") - 0.9) / 0.3;
    assert!((part - (1.0 - libm::exp(-1.0))).abs() < 0.01, "{part}");
}

#[test]
fn sharing_error_stays_in_its_bound() {
    let hall = Hall {
        sharing_error: 0.02,
        ..Hall::default()
    };
    let mut worst = 0.0f64;
    for seed in 0..40 {
        let mut plant = hall.at(0.9, seed);
        run(&mut plant, 2);
        for feed in ["feed-a", "feed-b", "feed-c", "feed-d"] {
            worst = worst.max((ratio(&plant, feed) / 0.9 - 1.0).abs());
        }
    }
    // A feed where every rack errs by 2 % of its power is off by 4 %; errors of 32 racks mostly
    // cancel.
    assert!(worst > 0.002 && worst < 0.04, "{worst}");
}

/// Level at which the survivors of feed A stand at `target`, pairs being even.
fn survivors_at(target: f64) -> (Hall, f64) {
    (
        Hall {
            racks: [10; 6],
            sharing_error: 0.0,
            ..Hall::default()
        },
        target * 0.75,
    )
}

#[test]
fn ups_trips_on_its_curve_within_a_grain() {
    for (target, tolerated_s) in [
        (UPS_CURVE[3][0], UPS_CURVE[3][1]),
        (1.25, 15.0),
        (1.10, 60.0),
    ] {
        let (hall, level) = survivors_at(target);
        let rack = RackParams {
            psu_transfer_tau_ms: 1e-3,
            ..RackParams::default()
        };
        let demand = DemandKind::Constant {
            level_ratio: level + 1e-7,
        };
        let mut plant = hall.plant(
            PlantParams {
                demand,
                rack,
                ..PlantParams::default()
            },
            1,
        );
        plant.step(MS);
        lose(&mut plant, "feed-a", 0);
        let mut trips = Vec::new();
        while trips.is_empty() && plant.now_ns() < 100 * S {
            plant.step(MS);
            trips = plant.trips();
        }
        let at_s = (trips[0].at_ns - MS) as f64 / 1e9;
        assert!((at_s - tolerated_s).abs() <= 0.001, "{target}: {at_s} s");
        assert_eq!(trips[0].cause, TripCause::Overload);
        assert!(matches!(trips[0].place, TripPlace::Element(_)));
    }
}

#[test]
fn no_trip_below_the_first_point() {
    let (hall, level) = survivors_at(1.04);
    let mut plant = hall.at(level, 1);
    lose(&mut plant, "feed-a", MS);
    for _ in 0..6000 {
        plant.step(100 * MS);
    }
    assert!(plant.trips().is_empty());
    assert!(plant.accumulator_ratio().iter().all(|ratio| *ratio < 1e-3));
}

#[test]
fn uncontrolled_loss_cascades_until_the_hall_is_dark() {
    let mut plant = Hall::default().at(1.0, 3);
    lose(&mut plant, "feed-b", 10 * MS);
    run(&mut plant, 20_000);
    let trips = plant.trips();
    assert!(trips.len() >= 3, "{trips:?}");
    assert!(
        trips[0].at_ns > 8 * S && trips[0].at_ns < 12 * S,
        "{trips:?}"
    );
    // The second survivor follows at once: half as many feeds carry twice as much.
    assert!(trips[2].at_ns - trips[0].at_ns < S, "{trips:?}");
    assert!((0..64).all(|rack| !plant.rack_on(RackIx::of(rack))));
    assert!(plant.power_w().iter().all(|power| *power == 0.0));
}

#[test]
fn ups_with_a_bypass_goes_there_first() {
    let hall = Hall {
        bypass: true,
        racks: [10; 6],
        sharing_error: 0.0,
        ..Hall::default()
    };
    let mut plant = hall.at(1.0, 1);
    lose(&mut plant, "feed-a", MS);
    run(&mut plant, 10_500);
    let trips = plant.trips();
    assert_eq!(trips.len(), 3);
    assert!(trips.iter().all(|trip| trip.mode == Mode::Bypass));
    assert_eq!(
        plant.modes()[element_of(&plant, "ups-b").at()],
        Mode::Bypass
    );
    // Without any protection left between grid and load, a dead source is a dead feed.
    let ups = element_of(&plant, "ups-b");
    plant.inject(Fault::SourceLoss { ups }, plant.now_ns());
    run(&mut plant, 2);
    assert_eq!(plant.trips()[0].cause, TripCause::BypassInputLost);
    assert_eq!(ratio(&plant, "feed-b"), 0.0);
}

#[test]
fn feed_that_returns_takes_its_load_back_after_a_second() {
    let mut plant = Hall::default().at(0.7, 2);
    run(&mut plant, 50);
    let before = ratio(&plant, "feed-b");
    let loss = lose(&mut plant, "feed-b", 0);
    run(&mut plant, 500);
    plant.clear(loss, plant.now_ns());
    run(&mut plant, 990);
    assert_eq!(ratio(&plant, "feed-b"), 0.0);
    run(&mut plant, 110);
    assert!((ratio(&plant, "feed-b") - before).abs() < 1e-3);
}

#[test]
fn source_loss_and_sag_leave_the_load_alone() {
    let mut plant = Hall::default().at(0.9, 2);
    run(&mut plant, 20);
    let before = plant.flows_w().to_vec();
    let ups = element_of(&plant, "ups-c");
    let loss = plant.inject(Fault::SourceLoss { ups }, plant.now_ns());
    run(&mut plant, 5_000);
    assert_eq!(plant.modes()[ups.at()], Mode::Battery);
    assert_eq!(plant.inputs_w()[ups.at()], 0.0);
    assert!((plant.flows_w()[ups.at()] / before[ups.at()] - 1.0).abs() < 1e-3);
    plant.clear(loss, plant.now_ns());
    run(&mut plant, 2_990);
    assert_eq!(plant.modes()[ups.at()], Mode::Battery);
    run(&mut plant, 20);
    assert_eq!(plant.modes()[ups.at()], Mode::Line);
    let recharge = plant.inputs_w()[ups.at()] - plant.flows_w()[ups.at()];
    assert!((recharge / plant.flows_w()[ups.at()] - 0.10).abs() < 1e-3);
    let sag = plant.inject(Fault::GridSag { value: 0.7 }, plant.now_ns());
    plant.clear(sag, plant.now_ns() + S / 2);
    run(&mut plant, 400);
    assert!(
        ["ups-a", "ups-b", "ups-c", "ups-d"]
            .iter()
            .all(|id| plant.modes()[element_of(&plant, id).at()] == Mode::Battery)
    );
    run(&mut plant, 3_200);
    assert!(plant.modes().iter().all(|mode| *mode == Mode::Line));
    assert!(plant.trips().is_empty());
}

#[test]
fn battery_carries_full_load_for_its_declared_time() {
    let hall = Hall {
        racks: [10; 6],
        sharing_error: 0.0,
        ..Hall::default()
    };
    let protection = ProtectionParams {
        battery_full_load_s: 20.0,
        ..ProtectionParams::default()
    };
    let demand = DemandKind::Constant { level_ratio: 1.0 };
    let mut plant = hall.plant(
        PlantParams {
            demand,
            protection,
            ..PlantParams::default()
        },
        1,
    );
    let ups = element_of(&plant, "ups-a");
    plant.inject(Fault::SourceLoss { ups }, 0);
    let mut trips = Vec::new();
    while trips.is_empty() && plant.now_ns() < 40 * S {
        plant.step(10 * MS);
        trips = plant.trips();
    }
    assert_eq!(trips[0].cause, TripCause::BatteryEmpty);
    assert!(
        (trips[0].at_ns as f64 / 1e9 - 20.0).abs() < 0.05,
        "{trips:?}"
    );
}

#[test]
fn the_sites_of_the_test_cases_run() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/cases/sites");
    for (name, text) in [
        ("4n3", include_str!("../../../tests/cases/sites/4n3.json")),
        ("3n2", include_str!("../../../tests/cases/sites/3n2.json")),
        ("2n", include_str!("../../../tests/cases/sites/2n.json")),
    ] {
        let spec = serde_json::from_str(text).unwrap_or_else(|e| panic!("{folder}/{name}: {e}"));
        let topology = Topology::build(&spec).expect("a good site");
        let demand = DemandKind::Constant { level_ratio: 0.6 };
        let params = PlantParams {
            demand,
            ..PlantParams::default()
        };
        let mut plant = Plant::new(&topology, params, 1).expect("good parameters");
        run(&mut plant, 50);
        let feeds: f64 = topology
            .feeds()
            .map(|feed| plant.flows_w()[feed.at()])
            .sum();
        assert!(
            (feeds / topology.feed_rating_w() - 0.6).abs() < 1e-3,
            "{name}: {feeds}"
        );
        let lost = topology.feeds().next().expect("a feed");
        plant.inject(
            Fault::FeedLoss {
                element: lost,
                backfeed_tau_ns: 0,
            },
            0,
        );
        run(&mut plant, 100);
        let after: f64 = topology
            .feeds()
            .map(|feed| plant.flows_w()[feed.at()])
            .sum();
        assert!(
            (after / feeds - 1.0).abs() < 1e-3,
            "{name}: nothing is dropped"
        );
    }
}
