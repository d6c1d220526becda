//! A run paced by somebody else's clock: the twin behind a service.
//!
//! Owns the same [`Sim`] as a stepped run and the bound on what it remembers, for it may run for
//! months. Reads no clock: the caller says how far simulated time has come. One thread calls it.

use crate::loss::Loss;
use crate::measure::Measure;
use crate::planned;
use crate::protection::Mode;
use crate::result::{Latencies, LatencyMs, Quantiles, RunResult, Series};
use crate::rng::{Rng, Stream};
use crate::runner::config_hash;
use crate::scenario::{Event, EventKind};
use crate::sim::{FINE_NS, Inputs, Sim};
use crate::sink::{Keep, Sink};
use karman_grid_core::engine::Status;
use karman_grid_core::error::SiteError;
use karman_grid_core::journal::Entry;
use karman_grid_core::time::{MonoNs, NS_PER_S, ns_from_ms};
use karman_grid_core::topology::Topology;
use serde::Serialize;

/// Points of its course that a live run remembers: two minutes and the 6 s around an event.
const COURSE_MAX: usize = 1_200;
/// Losses whose latencies it remembers.
const LOSSES_MAX: usize = 16;

/// A run in progress, paced from outside. Times are ns after the run-in.
#[derive(Clone, Debug)]
pub struct Live {
    sim: Sim,
    keep: Keep,
    seed: u64,
    backfeed_tau_max_ms: f64,
    injected: u64,
}

/// The hall as it truly is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Truth {
    /// Time after the run-in, ns.
    pub at_ns: u64,
    /// Power of all racks, W.
    pub load_w: f64,
    /// What they would draw without caps, W.
    pub demand_w: f64,
    /// Sum of the feeds' ratings, W.
    pub rating_w: f64,
    /// Sum of the caps in force and of uncontrollable power, W.
    pub caps_w: f64,
    /// What the static share allows in all, W.
    pub static_w: f64,
    /// The feeds.
    pub feeds: Vec<FeedTruth>,
    /// Trips so far.
    pub trips: u64,
}

/// One feed as it truly is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FeedTruth {
    /// Id.
    pub id: String,
    /// Power, W.
    pub power_w: f64,
    /// Limit, W.
    pub limit_w: f64,
    /// `line`, `battery`, `bypass` or `off`; of its UPS where the feed itself is energised.
    pub mode: &'static str,
    /// The fuller of its accumulator and its UPS's.
    pub accumulator_ratio: f64,
}

/// What became of the newest loss to which a plan was fired.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Story {
    /// Losses answered so far.
    pub losses: usize,
    /// Latencies of this one.
    pub latency_ms: LatencyMs,
    /// Largest 10 ms mean of a survivor's flow ÷ its limit.
    pub survivor_peak_ratio: f64,
    /// First abnormal sample → every survivor under its limit for good, so far.
    pub time_to_limit_ms: f64,
    /// Devices that the plan lowered.
    pub commands_expected: u64,
}

impl Live {
    /// Lives through the run-in, at once.
    ///
    /// # Errors
    /// [`SiteError`] where site or scenario cannot be.
    pub fn new(inputs: &Inputs, sink: &mut dyn Sink) -> Result<Live, SiteError> {
        let mut sim = Sim::new(inputs)?;
        sink.start(sim.start_ns, &sim.fallbacks);
        let mut keep = Keep::new(sim.start_ns, sim.measure.series());
        keep.course_max = COURSE_MAX;
        sim.run_in();
        sim.records.flush(sink, &mut keep);
        sim.told = Some(Vec::new());
        let backfeed_tau_max_ms = inputs.scenario.timing.backfeed_tau_max_ms;
        Ok(Live {
            sim,
            keep,
            seed: inputs.seed,
            backfeed_tau_max_ms,
            injected: 0,
        })
    }

    /// Time after the run-in, ns.
    pub fn now_ns(&self) -> u64 {
        self.sim.now_ns - self.sim.start_ns
    }

    /// Lives until `to_ns` after the run-in, in whole steps.
    pub fn advance_to(&mut self, to_ns: u64, sink: &mut dyn Sink) {
        while self.now_ns() + FINE_NS <= to_ns {
            self.sim.fine_step();
            self.sim.records.flush(sink, &mut self.keep);
        }
        let losses = &mut self.sim.measure.losses;
        let beyond = losses.len().saturating_sub(LOSSES_MAX);
        losses.drain(..beyond);
    }

    /// Begins an event now; with `duration_s` it ends by itself.
    ///
    /// # Errors
    /// [`SiteError`] where it aims at nothing of this site.
    pub fn inject(&mut self, event: &Event) -> Result<(), SiteError> {
        let topology = std::sync::Arc::clone(&self.sim.topology);
        let number = LIVE_STREAM + self.injected;
        let drawn = planned::draw_now(event, &topology, self.seed, number)?;
        self.injected += 1;
        let mut rng = Rng::stream(self.seed, Stream::Scenario, number ^ BACKFEED_BIT);
        let tau_ns = ns_from_ms(rng.uniform_in(0.0, self.backfeed_tau_max_ms));
        let now_ns = self.sim.now_ns;
        self.sim.measure.focus(now_ns);
        self.sim.begin_live(&drawn, tau_ns);
        let at_ms = self.now_ns() as f64 / 1e6;
        self.keep
            .series
            .events
            .push((at_ms, drawn.kind.name().to_string()));
        Ok(())
    }

    /// Rule 8: the controller writes the static caps and then nothing more.
    pub fn release(&mut self) {
        let now_ns = self.sim.now_ns;
        if let Some(engine) = &mut self.sim.engine {
            engine.release(MonoNs(now_ns));
            self.sim.sent_ns = now_ns;
            self.sim.drain();
        }
    }

    /// Whether no cap register stands above its fallback.
    pub fn is_static(&self) -> bool {
        let caps = self.sim.plant.caps().iter().zip(&self.sim.fallbacks);
        caps.fold(true, |all, (cap, fallback)| all & (cap <= fallback))
    }

    /// Devices in all, and those whose cap register stands at or under the fallback.
    pub fn fallback_count(&self) -> (usize, usize) {
        let caps = self.sim.plant.caps().iter().zip(&self.sim.fallbacks);
        (
            self.sim.fallbacks.len(),
            caps.filter(|(cap, fallback)| cap <= fallback).count(),
        )
    }

    /// What the controller knows; absent once it is dead.
    pub fn status(&self) -> Option<Status> {
        let now = MonoNs(self.sim.now_ns);
        self.sim.engine.as_ref().map(|engine| engine.status(now))
    }

    /// What is true.
    pub fn truth(&self) -> Truth {
        let (plant, topology) = (&self.sim.plant, &self.sim.topology);
        let fixed_w: f64 = topology.racks.iter().map(|r| r.fixed_w).sum();
        let sum = |caps: &[karman_grid_core::units::Power]| {
            fixed_w + caps.iter().map(|cap| cap.w()).sum::<f64>()
        };
        let feed = |(feed, ups): &(usize, usize)| {
            let mode = match (plant.modes()[*feed], plant.modes()[*ups]) {
                (Mode::Off, _) => "off",
                (_, Mode::Battery) => "battery",
                (_, Mode::Bypass) => "bypass",
                (_, Mode::Line | Mode::Off) => "line",
            };
            FeedTruth {
                id: topology.elements[*feed].id.clone(),
                power_w: plant.flows_w()[*feed],
                limit_w: topology.elements[*feed].limit_w,
                mode,
                accumulator_ratio: plant.accumulator_ratio()[*feed]
                    .max(plant.accumulator_ratio()[*ups]),
            }
        };
        Truth {
            at_ns: self.now_ns(),
            load_w: plant.rack_power_w().iter().sum(),
            demand_w: fixed_w + plant.demand_w().iter().map(|w| f64::from(*w)).sum::<f64>(),
            rating_w: topology.feed_rating_w(),
            caps_w: sum(plant.caps()),
            static_w: sum(&self.sim.fallbacks),
            feeds: self.sim.measure.feeds().iter().map(feed).collect(),
            trips: self.sim.measure.trips,
        }
    }

    /// The newest loss that was answered.
    pub fn story(&self) -> Option<Story> {
        let measure: &Measure = &self.sim.measure;
        let fired = || measure.losses.iter().filter(|loss| loss.is_fired());
        let loss: &Loss = fired().next_back()?;
        let mut latencies = Latencies::default();
        loss.latencies(&self.sim.topology, &mut latencies);
        Some(Story {
            losses: fired().count(),
            latency_ms: LatencyMs {
                detect: Quantiles::of(latencies.detect),
                decide: Quantiles::of(latencies.decide),
                deliver: Quantiles::of(latencies.deliver),
                settle: Quantiles::of(latencies.settle),
                react: Quantiles::of(latencies.react),
                react_event: Quantiles::of(latencies.react_event),
                react_all: Quantiles::of(latencies.react_all),
            },
            survivor_peak_ratio: loss.peak_ratio(),
            time_to_limit_ms: loss.time_to_limit_ms(),
            commands_expected: loss.commands_expected(),
        })
    }

    /// What the engine did since the last call, but for single caps and books; bounded by the
    /// caller, who must call.
    pub fn told(&mut self) -> Vec<Entry> {
        self.sim
            .told
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// The figures of the run so far; `inputs` as it was started with.
    pub fn result(&self, inputs: &Inputs) -> RunResult {
        let config = config_hash(inputs);
        let mut result = self
            .sim
            .clone()
            .into_result(inputs, &config, self.keep.clone());
        result.duration_s = self.now_ns() as f64 / NS_PER_S as f64;
        result
    }

    /// The site.
    pub fn topology(&self) -> &Topology {
        &self.sim.topology
    }

    /// Instant of the run-in's end on the engine's clock, ns.
    pub fn start_ns(&self) -> u64 {
        self.sim.start_ns
    }

    /// The course of the last minutes.
    pub fn series(&self) -> &Series {
        &self.keep.series
    }
}

/// Streams of random numbers for events that are injected live.
const LIVE_STREAM: u64 = 3 << 32;
const BACKFEED_BIT: u64 = 1 << 48;

/// An event of this kind at an element, now, for good: what a demonstration injects.
pub fn event_now(kind: EventKind, element: Option<&str>, duration_s: Option<f64>) -> Event {
    Event {
        kind,
        element: element.map(str::to_string),
        device: None,
        meter: None,
        at_s_min: 0.0,
        at_s_max: 0.0,
        duration_s,
        value: None,
    }
}
