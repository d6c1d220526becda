//! A small plant for the tests: utility → two UPSs → one feed each, and three devices.
#![allow(dead_code)]

pub mod traces;

use karman_grid_check::{
    Checker, CurveSpec, DeviceSpec, ElementSpec, Header, Mode, Origin, Verdict, ViolationKind,
};

/// One millisecond.
pub const MS: u64 = 1_000_000;
/// One second.
pub const S: u64 = 1_000_000_000;

/// Default UPS curve of the hall.
pub const UPS_POINTS: [[f64; 2]; 5] = [
    [1.05, 3600.0],
    [1.10, 60.0],
    [1.25, 15.0],
    [1.33, 10.0],
    [1.50, 1.5],
];

/// Places of the elements in `header`.
pub const UTILITY: usize = 0;
pub const UPS_A: usize = 1;
pub const UPS_B: usize = 2;
pub const FEED_A: usize = 3;
pub const FEED_B: usize = 4;

pub fn element(id: &str, kind: &str, parents: &[&str], limit_w: f64) -> ElementSpec {
    ElementSpec {
        id: id.into(),
        kind: kind.into(),
        parents: parents.iter().map(|&parent| parent.into()).collect(),
        limit_w,
        curves: vec![CurveSpec {
            mode: Mode::Line,
            points: UPS_POINTS.to_vec(),
        }],
        loss_ratio: 0.0,
    }
}

pub fn device(id: &str) -> DeviceSpec {
    DeviceSpec {
        id: id.into(),
        fallback_w: 400.0,
        cap_min_w: 200.0,
        cap_max_w: 700.0,
    }
}

pub fn header() -> Header {
    Header {
        schema: 1,
        mono_ns: 0,
        origin: Origin::Plant,
        site: "test".into(),
        start_mono_ns: 0,
        stale_ns: 300 * MS,
        expiry_grace_ns: 100 * MS,
        lease_ttl_max_ns: None,
        elements: vec![
            element("utility", "utility", &[], 4000.0),
            element("ups-a", "ups", &["utility"], 1000.0),
            element("ups-b", "ups", &["utility"], 1000.0),
            element("feed-a", "feed", &["ups-a"], 1000.0),
            element("feed-b", "feed", &["ups-b"], 1000.0),
        ],
        devices: vec![device("gpu-0"), device("gpu-1"), device("gpu-2")],
    }
}

/// One UPS alone, so that its power can be set without minding any balance.
pub fn lone(points: &[[f64; 2]]) -> Header {
    let mut ups = element("ups-a", "ups", &[], 1000.0);
    ups.curves[0].points = points.to_vec();
    Header {
        elements: vec![ups],
        ..header()
    }
}

/// Balanced flows with these loads on the feeds.
pub fn flows(a_w: f64, b_w: f64) -> [f64; 5] {
    [a_w + b_w, a_w, b_w, a_w, b_w]
}

/// A checker that has seen a quiet flow at time 0.
pub fn quiet() -> Checker {
    let mut checker = Checker::new(header()).expect("sound header");
    checker
        .push_flow(0, &flows(700.0, 700.0), None)
        .expect("flow");
    checker
}

/// `[(kind, element, at_ms)]` of a verdict.
pub fn found(verdict: &Verdict) -> Vec<(ViolationKind, &str, f64)> {
    assert_eq!(verdict.unsafe_count, verdict.violations.len());
    verdict
        .violations
        .iter()
        .map(|v| (v.kind, v.element.as_str(), v.at_ms))
        .collect()
}

pub fn close(value: f64, expected: f64) {
    let gap = (value - expected).abs();
    assert!(
        gap <= 1e-9 * expected.abs().max(1.0),
        "{value} is not {expected}"
    );
}
