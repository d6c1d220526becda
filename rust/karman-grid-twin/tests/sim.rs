//! Runs repeat to the last bit, follow every default, and hide nothing from what is asked of them.

#![allow(clippy::unwrap_used, reason = "a test that finds nothing has failed")]

#[path = "sim_support/mod.rs"]
mod support;

use karman_grid_core::ids::{DeviceIx, ElementIx, HostIx};
use karman_grid_core::units::Power;
use karman_grid_twin::live::{Live, event_now};
use karman_grid_twin::protection::Mode;
use karman_grid_twin::result::pool;
use karman_grid_twin::runner::run;
use karman_grid_twin::scenario::{Event, EventKind, Grain, Scenario};
use karman_grid_twin::sim::{Control, Inputs, RUN_IN_NS};
use karman_grid_twin::sink::{LeaseRecord, NoSink, Sink};
use support::{inputs, run_one};

fn short(name: &str, seed: u64) -> Inputs {
    let mut inputs = inputs(name, seed, Control::On);
    inputs.scenario.duration_s = 6.0;
    inputs
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_one_does_not() {
    let first = run(&short("feed-loss", 7), &mut NoSink).unwrap();
    let again = run(&short("feed-loss", 7), &mut NoSink).unwrap();
    assert_eq!(first, again);
    let other = run(&short("feed-loss", 8), &mut NoSink).unwrap();
    assert_ne!(first.digest, other.digest);
    assert_eq!(first.config_hash, other.config_hash);
}

#[test]
fn any_changed_default_changes_the_digest() {
    let plain = run(&short("steady", 1), &mut NoSink).unwrap().digest;
    let timing = |change: &dyn Fn(&mut Scenario)| {
        let mut inputs = short("steady", 1);
        change(&mut inputs.scenario);
        run(&inputs, &mut NoSink).unwrap().digest
    };
    assert_ne!(plain, timing(&|s| s.timing.gpu_fall_tau_ms += 1.0));
    assert_ne!(plain, timing(&|s| s.timing.backfeed_tau_max_ms += 1.0));
    assert_ne!(plain, timing(&|s| s.timing.write_median_ms += 0.1));
    assert_ne!(plain, timing(&|s| s.demand.fluctuation_ratio = 0.01));
    let mut site = short("steady", 1);
    site.site.site.restore_hold_s += 1.0;
    assert_ne!(plain, run(&site, &mut NoSink).unwrap().digest);
}

/// A meter's currents doubled: the truth is the same, the decisions are not.
#[test]
fn a_corrupted_meter_changes_the_decisions() {
    let plain = run(&short("steady", 1), &mut NoSink).unwrap();
    let mut corrupted = short("steady", 1);
    corrupted.scenario.event.push(Event {
        kind: EventKind::MeterScale,
        element: None,
        device: None,
        meter: Some("m-feed-a".into()),
        at_s_min: 2.0,
        at_s_max: 2.0,
        duration_s: None,
        value: Some(2.0),
    });
    let run = run(&corrupted, &mut NoSink).unwrap();
    assert_eq!(plain.commands_sent, 0);
    assert!(run.commands_sent > 0, "{} commands", run.commands_sent);
    assert_eq!(run.over_limit_ms, 0.0, "nothing was truly over its limit");
}

/// Counts records and checks that time never goes back and flows are never far apart.
#[derive(Default)]
struct Counts {
    last_ns: u64,
    flow_ns: u64,
    caps: usize,
    leases: usize,
    renewals: usize,
    raises: usize,
    books: usize,
    events: Vec<EventKind>,
    off: bool,
    gap_max_ns: u64,
}

impl Counts {
    fn enter(&mut self, mono_ns: u64) {
        assert!(mono_ns >= self.last_ns, "{mono_ns} after {}", self.last_ns);
        self.last_ns = mono_ns;
    }
}

impl Sink for Counts {
    fn start(&mut self, start_mono_ns: u64, fallbacks: &[Power]) {
        assert_eq!((start_mono_ns, fallbacks.len()), (RUN_IN_NS, 1024));
    }
    fn flow(&mut self, mono_ns: u64, power_w: &[f64], modes: Option<&[Mode]>) {
        self.enter(mono_ns);
        assert_eq!(power_w.len(), 13);
        self.gap_max_ns = self.gap_max_ns.max(mono_ns - self.flow_ns);
        self.flow_ns = mono_ns;
        self.off |= modes.is_some_and(|modes| modes.contains(&Mode::Off));
    }
    fn cap(&mut self, mono_ns: u64, _: DeviceIx, _: Power) {
        self.enter(mono_ns);
        self.caps += 1;
    }
    fn lease(&mut self, mono_ns: u64, _: LeaseRecord) {
        self.enter(mono_ns);
        self.leases += 1;
    }
    fn renew(&mut self, mono_ns: u64, _: HostIx, _: u64) {
        self.enter(mono_ns);
        self.renewals += 1;
    }
    fn raise(&mut self, mono_ns: u64, _: DeviceIx, _: Power, data_age_ns: u64) {
        self.enter(mono_ns);
        assert!(data_age_ns <= 300_000_000);
        self.raises += 1;
    }
    fn books(&mut self, mono_ns: u64, _: Power) {
        self.enter(mono_ns);
        self.books += 1;
    }
    fn trip(&mut self, _: u64, element: ElementIx) {
        panic!("element {element:?} tripped");
    }
    fn event(&mut self, mono_ns: u64, kind: EventKind, _: &[DeviceIx], _: Option<u64>) {
        self.enter(mono_ns);
        self.events.push(kind);
    }
}

#[test]
fn the_sink_sees_everything_in_order() {
    let mut counts = Counts::default();
    run(&short("feed-loss", 2), &mut counts).unwrap();
    assert!(counts.caps > 1024 + 768 && counts.leases > 768 && counts.renewals > 128);
    assert!(counts.raises > 768 && counts.books > 10 && counts.off);
    assert_eq!(counts.events, [EventKind::FeedLoss]);
    assert!(counts.gap_max_ns <= 100_000_000);
}

/// Plans follow the loss while the `Fire` is still on its way to some agents: what an agent does is
/// what it held, not what was sent to it last.
#[test]
fn every_command_expected_is_answered_where_plans_follow_the_loss_closely() {
    let site = include_str!("../../../tests/cases/sites/2n.json");
    for seed in 1..=4 {
        let mut inputs = short("feed-loss", seed);
        inputs.site = serde_json::from_str(site).unwrap();
        inputs.scenario.duration_s = 8.0;
        let run = run(&inputs, &mut NoSink).unwrap();
        assert_eq!(
            run.commands_expected, 768,
            "seed {seed}: every inference device falls"
        );
        assert_eq!(run.latencies.react.len(), 768, "seed {seed}");
    }
}

/// A transfer upstream takes a feed away for 4 ms, which the supplies bridge: whether a plan is
/// fired (it is with the first seed) or not, nobody critical feels it.
#[test]
fn a_gap_of_4_ms_sheds_nothing_that_is_critical_and_escalates_nothing() {
    for seed in 1..=3 {
        let mut inputs = inputs("feed-loss", seed, Control::On);
        inputs.scenario.duration_s = 12.0;
        let gap = &mut inputs.scenario.event[0];
        gap.element = Some("feed-a".into());
        (gap.at_s_min, gap.at_s_max, gap.duration_s) = (5.0, 5.0, Some(0.004));
        let run = run(&inputs, &mut NoSink).unwrap();
        assert_eq!(run.critical_shed_w, 0.0, "seed {seed}");
        assert_eq!((run.escalations, run.trips), (0, 0), "seed {seed}");
    }
}

#[test]
fn an_adaptive_run_goes_back_without_a_trace_and_repeats() {
    let mut inputs = short("feed-loss", 3);
    inputs.scenario.grain = Grain::Adaptive;
    inputs.scenario.duration_s = 14.0;
    inputs.scenario.event[0].at_s_min = 10.0;
    inputs.scenario.event[0].at_s_max = 10.02;
    // Demand that falls and comes back makes the controller move caps in a coarse second.
    inputs.scenario.event.push(Event {
        kind: EventKind::DemandStep,
        element: None,
        device: None,
        meter: None,
        at_s_min: 2.5,
        at_s_max: 2.5,
        duration_s: Some(1.0),
        value: Some(0.7),
    });
    let mut counts = Counts::default();
    let first = run(&inputs, &mut counts).unwrap();
    assert!(counts.gap_max_ns <= 100_000_000);
    assert_eq!(counts.events, [EventKind::DemandStep, EventKind::FeedLoss]);
    assert_eq!(first, run(&inputs, &mut NoSink).unwrap());
    assert_eq!(first.latencies.react.len() as u64, first.commands_expected);
    assert!(first.commands_expected > 0 && first.survivor_peak_ratio.unwrap() > 1.2);
    let at_ms = &first.series.at_ms;
    assert!(
        at_ms.windows(2).all(|pair| pair[0] < pair[1]),
        "the course goes back"
    );
}

#[test]
fn a_live_run_does_what_a_stepped_one_does_and_can_be_released() {
    let mut inputs = inputs("feed-loss", 5, Control::On);
    inputs.scenario.event.clear();
    let mut live = Live::new(&inputs, &mut NoSink).unwrap();
    live.advance_to(2_000_000_000, &mut NoSink);
    let before = live.truth();
    assert!(before.load_w > 0.9 * before.rating_w && before.caps_w > before.static_w);
    live.inject(&event_now(EventKind::FeedLoss, Some("feed-b"), Some(3.0)))
        .unwrap();
    live.advance_to(3_000_000_000, &mut NoSink);
    let story = live.story().unwrap();
    assert!(story.latency_ms.react.max.unwrap() < 50.0 && story.time_to_limit_ms < 1000.0);
    let after = live.truth();
    assert_eq!((after.feeds[1].mode, after.feeds[1].power_w), ("off", 0.0));
    assert!(after.feeds.iter().all(|feed| feed.power_w <= feed.limit_w));
    assert!(
        live.inject(&event_now(EventKind::FeedLoss, Some("feed-z"), None))
            .is_err()
    );
    live.release();
    live.advance_to(3_500_000_000, &mut NoSink);
    assert!(live.is_static());
    assert_eq!(live.now_ns(), 3_500_000_000);
    assert!(!live.series().at_ms.is_empty());
}

#[test]
fn runs_are_pooled_as_stated() {
    let runs = [
        run_one("feed-loss", 1, Control::On),
        run_one("feed-loss", 2, Control::On),
    ];
    let both = pool(&runs);
    let one = pool(&runs[..1]);
    assert_eq!(
        (both.runs, both.per_seed.len(), one.per_seed.len()),
        (2, 2, 0)
    );
    let count = runs
        .iter()
        .map(|r| r.latencies.react.len() as u64)
        .sum::<u64>();
    assert_eq!(both.latency_ms.react.count, count);
    assert!((both.energy_kwh - runs.iter().map(|r| r.energy_kwh).sum::<f64>()).abs() < 1e-9);
    let least = runs
        .iter()
        .filter_map(|r| r.survivor_peak_ratio)
        .fold(f64::MAX, f64::min);
    assert_eq!(both.survivor_peak_ratio, Some(least));
    assert_ne!(both.digest, one.digest);
    let json = serde_json::to_value(&one).unwrap();
    for key in [
        "unsafe",
        "trips",
        "violations",
        "latency_ms",
        "digest",
        "config_hash",
        "mode",
    ] {
        assert!(json.get(key).is_some(), "{key}");
    }
}

#[test]
fn a_scenario_that_cannot_be_names_the_event() {
    let mut inputs = inputs("feed-loss", 1, Control::On);
    inputs.scenario.event[0].element = Some("feed-x".into());
    let error = run(&inputs, &mut NoSink).unwrap_err();
    assert_eq!(
        (error.path.as_str(), error.found.as_str()),
        ("event[0].element", "\"feed-x\"")
    );
    inputs.scenario = support::scenario("inference-day");
    assert_eq!(run(&inputs, &mut NoSink).unwrap_err().path, "demand");
}
