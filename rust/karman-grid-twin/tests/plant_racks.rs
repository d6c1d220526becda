//! Racks when a cord is lost or comes back: power supplies, transfer switches, boots.

mod common;

use common::{FEED_W, Hall, lose, ratio, run};
use karman_grid_core::ids::{DeviceIx, RackIx};
use karman_grid_core::site::OnLoss;
use karman_grid_core::units::Power;
use karman_grid_twin::params::{DemandKind, PlantParams, RackParams};
use karman_grid_twin::protection::TripPlace;

#[test]
fn power_supplies_too_small_for_one_cord_trip_and_the_rack_goes_dark() {
    // A rack at full power draws 16.8 kW: 1.6 times 10.5 kW once one cord is lost.
    let trips = |psu_rating_w: f64, box_throttles: bool| {
        let hall = Hall {
            psu_rating_w: Some(psu_rating_w),
            ..Hall::default()
        };
        let demand = DemandKind::Constant {
            level_ratio: 1.0752,
        };
        let rack = RackParams {
            box_throttles,
            ..RackParams::default()
        };
        let mut plant = hall.plant(
            PlantParams {
                demand,
                rack,
                ..PlantParams::default()
            },
            1,
        );
        run(&mut plant, 20);
        lose(&mut plant, "feed-a", 0);
        run(&mut plant, 200);
        let dark = (0..64)
            .filter(|rack| !plant.rack_on(RackIx::of(*rack)))
            .count();
        let psu = plant
            .trips()
            .iter()
            .filter(|t| matches!(t.place, TripPlace::Psu { .. }))
            .count();
        (psu, dark)
    };
    assert_eq!(trips(16_800.0, false), (0, 0), "rule 13 kept");
    assert_eq!(
        trips(10_500.0, false),
        (32, 32),
        "rule 13 broken on every rack of feed A"
    );
    assert_eq!(trips(14_500.0, false), (0, 0), "below 120 % nothing trips");
    assert_eq!(trips(10_500.0, true), (0, 0), "the box throttles itself");
}

#[test]
fn transfer_switch_moves_the_whole_rack_in_a_quarter_cycle() {
    let hall = Hall {
        on_loss: OnLoss::Transfer,
        sharing_error: 0.0,
        ..Hall::default()
    };
    let mut plant = hall.at(0.7, 1);
    run(&mut plant, 20);
    let before = ratio(&plant, "feed-b");
    let loss = lose(&mut plant, "feed-a", 0);
    run(&mut plant, 3);
    assert!((ratio(&plant, "feed-b") - before).abs() < 1e-6);
    run(&mut plant, 2);
    let moved = ratio(&plant, "feed-b");
    assert!(moved > before * 1.3, "{moved}");
    plant.clear(loss, plant.now_ns());
    run(&mut plant, 2_990);
    assert!((ratio(&plant, "feed-b") - moved).abs() < 1e-6);
    run(&mut plant, 20);
    assert!((ratio(&plant, "feed-b") - before).abs() < 1e-6);
    assert!((0..64).all(|rack| plant.rack_on(RackIx::of(rack))));
}

/// Supplies that lived through the gap on their capacitors take their share back as soon as the bus
/// is there again; after a longer one they start anew.
#[test]
fn supplies_bridge_a_gap_of_4_ms_and_start_anew_after_one_of_20_ms() {
    let away_after = |gap_ms: u64| {
        let hall = Hall {
            sharing_error: 0.0,
            ..Hall::default()
        };
        let mut plant = hall.at(0.7, 1);
        run(&mut plant, 20);
        let before = ratio(&plant, "feed-a");
        let loss = lose(&mut plant, "feed-a", 0);
        run(&mut plant, gap_ms);
        assert!(ratio(&plant, "feed-a") < 1e-6, "no load in the gap");
        plant.clear(loss, plant.now_ns());
        run(&mut plant, 150);
        assert!((0..64).all(|rack| plant.rack_on(RackIx::of(rack))));
        1.0 - ratio(&plant, "feed-a") / before
    };
    assert!(away_after(4) < 1e-3, "{}", away_after(4));
    assert!(away_after(20) > 0.99, "{}", away_after(20));
}

#[test]
fn dark_racks_boot_without_their_caps() {
    let hall = Hall {
        racks: [4, 0, 0, 0, 0, 0],
        ..Hall::default()
    };
    let rack = RackParams {
        boot_s: 2.0,
        ..RackParams::default()
    };
    let demand = DemandKind::Constant { level_ratio: 0.06 };
    let mut plant = hall.plant(
        PlantParams {
            demand,
            rack,
            ..PlantParams::default()
        },
        1,
    );
    plant.set_cap(DeviceIx::of(3), Power::from_w(300.0), 0);
    run(&mut plant, 100);
    let losses = [lose(&mut plant, "feed-a", 0), lose(&mut plant, "feed-b", 0)];
    run(&mut plant, 11);
    assert!(plant.rack_on(RackIx::of(0)), "capacitors hold for 12 ms");
    run(&mut plant, 3);
    assert!(!plant.rack_on(RackIx::of(0)));
    losses.into_iter().for_each(|loss| plant.clear(loss, 0));
    run(&mut plant, 100);
    assert!(plant.rack_on(RackIx::of(0)));
    assert!(
        plant.power_w().iter().all(|power| *power == 70.0),
        "booting"
    );
    assert_eq!(plant.cap_w(DeviceIx::of(3)), 700.0);
    run(&mut plant, 2_000);
    assert!(plant.power_w().iter().all(|power| *power > 250.0));
}

#[test]
fn a_cord_that_waits_is_used_at_once_when_it_is_the_last() {
    let mut plant = Hall::default().at(0.7, 2);
    let first = lose(&mut plant, "feed-a", 0);
    run(&mut plant, 200);
    plant.clear(first, 0);
    run(&mut plant, 300);
    lose(&mut plant, "feed-b", 0);
    run(&mut plant, 100);
    assert!((0..64).all(|rack| plant.rack_on(RackIx::of(rack))));
    let mean = plant.flows_w()[0] / (4.0 * FEED_W);
    assert!((mean - 0.7).abs() < 1e-3, "{mean}");
}
