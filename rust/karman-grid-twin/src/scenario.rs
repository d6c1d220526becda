//! What happens in a run: the resolved scenario as one plain value.
//!
//! Owns the shape of the JSON that the configuration resolves a scenario file into: defaults are
//! filled in there, so every timing stands here. What the seed draws is in [`crate::planned`].

use serde::{Deserialize, Serialize};

/// A scenario, `schema = 1`, defaults filled in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Version of the layout.
    pub schema: u32,
    /// Name.
    pub name: String,
    /// Length of the run after the run-in, s.
    pub duration_s: f64,
    /// How finely the plant is stepped.
    pub grain: Grain,
    /// What the devices would draw if nothing held them.
    pub demand: Demand,
    /// How long things take and how they fail.
    pub timing: Timing,
    /// What happens.
    #[serde(default)]
    pub event: Vec<Event>,
}

/// How finely the plant is stepped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grain {
    /// 1 ms with waveforms throughout.
    Fine,
    /// 1 ms with waveforms around events and cap changes, 100 ms elsewhere.
    Adaptive,
}

/// Kinds of demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DemandKind {
    /// Requests arrive and are served.
    Inference,
    /// Near-square waves between compute and communication.
    Training,
    /// The same demand throughout.
    Constant,
    /// Requests of a given list.
    File,
}

/// `[demand]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Demand {
    /// Kind.
    pub kind: DemandKind,
    /// Demand ÷ sum of the feed ratings; absent: what the arrivals make it.
    pub level_ratio: Option<f64>,
    /// Requests that one arrival stands for; absent: the generator's own.
    pub arrival_scale: Option<f64>,
    /// Standard deviation of a device's demand around its level.
    pub fluctuation_ratio: f64,
}

/// `[timing]`; times in ms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Timing {
    /// From an event to the command in the mailbox.
    pub decide_ms: f64,
    /// Way between controller and agent, lognormal.
    pub transport_median_ms: f64,
    pub transport_p99_ms: f64,
    /// A cap write, lognormal.
    pub write_median_ms: f64,
    pub write_p99_ms: f64,
    /// Whether the driver takes the writes of a host one after the other.
    pub serialise_per_host: bool,
    /// From a write to less power.
    pub gpu_dead_time_min_ms: f64,
    pub gpu_dead_time_max_ms: f64,
    /// Time constants of falling and rising power.
    pub gpu_fall_tau_ms: f64,
    pub gpu_rise_tau_ms: f64,
    /// Power above the cap while it settles.
    pub gpu_overshoot_ratio: f64,
    /// Time constant with which cords take over the load of a lost one.
    pub psu_transfer_tau_ms: f64,
    /// Longest time constant of the voltage decay on a lost bus, drawn from 0.
    pub backfeed_tau_max_ms: f64,
    /// Share of devices that acknowledge caps and ignore them.
    pub write_ignored_ratio: f64,
    /// Share of writes that never return.
    pub write_stuck_ratio: f64,
}

/// Kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// The bus at a UPS's output dies.
    FeedLoss,
    /// The supply upstream of a UPS dies.
    SourceLoss,
    /// The voltage at UPS inputs falls to `value` × nominal.
    GridSag,
    /// The controller dies and does not return.
    ControllerKill,
    /// The agent of a host stops answering.
    AgentSilent,
    /// Devices acknowledge caps and do not follow.
    WriteIgnored,
    /// Cap writes never return.
    WriteStuck,
    /// A meter repeats what it last measured.
    MeterFrozen,
    /// A meter reads `value` × the truth.
    MeterScale,
    /// A meter adds `value` × its nominal amplitude.
    MeterOffset,
    /// Demand becomes `value` × the sum of the feed ratings.
    DemandStep,
}

impl EventKind {
    /// As a scenario file spells it.
    pub fn name(self) -> &'static str {
        match self {
            EventKind::FeedLoss => "feed-loss",
            EventKind::SourceLoss => "source-loss",
            EventKind::GridSag => "grid-sag",
            EventKind::ControllerKill => "controller-kill",
            EventKind::AgentSilent => "agent-silent",
            EventKind::WriteIgnored => "write-ignored",
            EventKind::WriteStuck => "write-stuck",
            EventKind::MeterFrozen => "meter-frozen",
            EventKind::MeterScale => "meter-scale",
            EventKind::MeterOffset => "meter-offset",
            EventKind::DemandStep => "demand-step",
        }
    }

    /// Whether it disturbs the electrical supply.
    pub fn is_disturbance(self) -> bool {
        matches!(
            self,
            EventKind::FeedLoss | EventKind::SourceLoss | EventKind::GridSag
        )
    }
}

/// `[[event]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Kind.
    pub kind: EventKind,
    /// Id of an element, or a pattern.
    #[serde(default)]
    pub element: Option<String>,
    /// Id of a `[[device]]` row or of one device, or a pattern.
    #[serde(default)]
    pub device: Option<String>,
    /// Id of a meter, or a pattern.
    #[serde(default)]
    pub meter: Option<String>,
    /// Earliest instant after the run-in, s.
    pub at_s_min: f64,
    /// Latest instant, s.
    pub at_s_max: f64,
    /// How long it lasts; absent: to the end.
    #[serde(default)]
    pub duration_s: Option<f64>,
    /// How much, by kind.
    #[serde(default)]
    pub value: Option<f64>,
}
