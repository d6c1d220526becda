//! The grant follows the site file, and shrinks by itself when something it relies on is gone.

mod common;

use common::{Bench, hall};
use serde_json::json;

fn grant_ratio(site: &serde_json::Value) -> f64 {
    let mut bench = Bench::new(site);
    bench.greet();
    bench.run_ms(3_000);
    let status = bench.engine.status(bench.now);
    assert_eq!(status.contingencies_armed, 12);
    status.grant.grant_ratio
}

#[test]
fn two_percent_sharing_error_leaves_the_known_share() {
    let ratio = grant_ratio(&hall());
    assert!((0.80..=0.85).contains(&ratio), "{ratio}");
}

#[test]
fn five_percent_leaves_less() {
    let mut site = hall();
    site["site"]["psu_sharing_error"] = json!(0.05);
    let ratio = grant_ratio(&site);
    assert!((0.59..=0.64).contains(&ratio), "{ratio}");
}

#[test]
fn ups_times_divided_by_four_leave_less() {
    let mut site = hall();
    for point in site["curve"][0]["points"].as_array_mut().unwrap() {
        point[1] = json!(point[1].as_f64().unwrap() / 4.0);
    }
    let (quick, usual) = (grant_ratio(&site), grant_ratio(&hall()));
    assert!(quick < usual - 0.02, "{quick} against {usual}");
    assert!(quick > 0.5, "{quick}");
}

#[test]
fn no_agents_no_grant() {
    let mut bench = Bench::new(&hall());
    bench.run_ms(2_000);
    assert_eq!(bench.engine.status(bench.now).grant.grant_w, 0.0);
    let mut site = hall();
    site["actuator"] = json!([]);
    let mut bench = Bench::new(&site);
    bench.greet();
    bench.run_ms(2_000);
    let status = bench.engine.status(bench.now);
    assert_eq!((status.grant.grant_w, status.agents.0), (0.0, 0));
}

#[test]
fn jobs_that_do_not_wait_for_a_lease_leave_no_grant() {
    let mut site = hall();
    site["site"]["jobs_wait_for_lease"] = json!(false);
    let mut bench = Bench::new(&site);
    bench.greet();
    bench.run_ms(2_000);
    assert_eq!(bench.engine.status(bench.now).grant.grant_w, 0.0);
}

#[test]
fn load_rises_to_the_grant_by_the_ramp_and_not_beyond() {
    let mut bench = Bench::new(&hall());
    bench.greet();
    let start_w = bench.caps_w();
    bench.run_ms(1_000);
    assert!(
        bench.caps_w() - start_w < 60e3,
        "{}",
        bench.caps_w() - start_w
    );
    bench.run_ms(9_000);
    let load_w = bench.caps_w() + 128.0 * 2800.0;
    let granted_w = bench.engine.status(bench.now).grant.load_w;
    assert!(
        load_w <= granted_w + 1.0 && load_w >= 0.99 * granted_w,
        "{load_w} {granted_w}"
    );
}

#[test]
fn a_blind_meter_takes_the_grant_away_and_the_caps_follow() {
    let mut bench = Bench::new(&hall());
    bench.greet();
    bench.run_ms(10_000);
    let before_w = bench.caps_w();
    let blind = bench
        .engine
        .topology()
        .meters
        .iter()
        .position(|m| m.id == "m-feed-b")
        .unwrap();
    bench.blind.push(karman_grid_core::ids::MeterIx::of(blind));
    bench.run_ms(2_000);
    let status = bench.engine.status(bench.now);
    assert!(status.grant.grant_ratio < 0.05, "{:?}", status.grant);
    assert!(
        bench.caps_w() < before_w - 150e3,
        "{} {before_w}",
        bench.caps_w()
    );
}

#[test]
fn watts_that_the_books_do_not_know_are_cut_around() {
    let mut bench = Bench::new(&hall());
    bench.greet();
    bench.run_ms(10_000);
    let before_w = bench.caps_w();
    bench.hidden_w = 20e3;
    bench.run_ms(3_000);
    let status = bench.engine.status(bench.now);
    assert!(
        bench.caps_w() < before_w - 20e3,
        "{} {before_w}",
        bench.caps_w()
    );
    assert!(status.escalations > 0);
    for element in status.elements.iter().filter(|e| e.power_w.is_some()) {
        assert!(
            element.power_w.unwrap() <= element.limit_w * 1.001,
            "{element:?}"
        );
    }
}

#[test]
fn silence_of_the_controller_ends_at_the_fallback() {
    let mut bench = Bench::new(&hall());
    bench.greet();
    bench.run_ms(10_000);
    let fallback_w: f64 = bench.engine.fallbacks().iter().map(|p| p.w()).sum();
    assert!(bench.caps_w() > fallback_w + 100e3);
    for ms in [999, 1_001, 2_100] {
        let at = bench.now.plus_ns(ms * 1_000_000);
        for agent in &mut bench.agents {
            agent.expire(at);
        }
    }
    assert!((bench.caps_w() - fallback_w).abs() < 1.0);
}

#[test]
fn release_writes_the_static_caps() {
    let mut bench = Bench::new(&hall());
    bench.greet();
    bench.run_ms(10_000);
    bench.engine.release(bench.now);
    bench.run_ms(10);
    let fallback_w: f64 = bench.engine.fallbacks().iter().map(|p| p.w()).sum();
    assert!((bench.caps_w() - fallback_w).abs() < 1.0);
}
