//! What happens in a run: the resolved scenario as one plain value, and its events with the targets
//! and instants that the seed drew.
//!
//! Owns the shape of the JSON that the configuration resolves a scenario file into (defaults are
//! filled in there, so every timing stands here) and the meaning of patterns such as `feed-*`.
//! Fails by naming the event whose target does not exist.

use crate::rng::{Rng, Stream};
use karman_grid_core::error::SiteError;
use karman_grid_core::ids::{DeviceIx, ElementIx, HostIx, MeterIx};
use karman_grid_core::site::ElementKind;
use karman_grid_core::time::ns_from_s;
use karman_grid_core::topology::Topology;
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
        matches!(self, EventKind::FeedLoss | EventKind::SourceLoss | EventKind::GridSag)
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

/// An event with everything drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// Kind.
    pub kind: EventKind,
    /// Start, ns after the run-in.
    pub at_ns: u64,
    /// End, ns after the run-in; absent: it lasts.
    pub until_ns: Option<u64>,
    /// How much; 0 where the kind takes no value.
    pub value: f64,
    /// Elements it strikes.
    pub elements: Vec<ElementIx>,
    /// Hosts it strikes.
    pub hosts: Vec<HostIx>,
    /// Devices it strikes.
    pub devices: Vec<DeviceIx>,
    /// Meters it strikes.
    pub meters: Vec<MeterIx>,
}

impl Planned {
    /// At `at_ns` after the run-in, for ever, striking nothing yet.
    pub fn new(kind: EventKind, at_ns: u64) -> Planned {
        Planned {
            kind,
            at_ns,
            until_ns: None,
            value: 0.0,
            elements: Vec::new(),
            hosts: Vec::new(),
            devices: Vec::new(),
            meters: Vec::new(),
        }
    }
}

/// Draws instants and targets; in order of time, ties in file order.
///
/// # Errors
/// [`SiteError`] naming the event whose target the site lacks.
pub fn plan(scenario: &Scenario, topology: &Topology, seed: u64) -> Result<Vec<Planned>, SiteError> {
    let mut planned = Vec::with_capacity(scenario.event.len());
    for (at, event) in scenario.event.iter().enumerate() {
        let mut rng = Rng::stream(seed, Stream::Scenario, at as u64);
        planned.push(draw(event, at, topology, &mut rng)?);
    }
    let ignored = scenario.timing.write_ignored_ratio;
    let mut rng = Rng::stream(seed, Stream::Scenario, IGNORED_STREAM);
    let struck = draw_share(topology.devices.len(), ignored, &mut rng);
    if !struck.is_empty() {
        let devices = struck.into_iter().map(DeviceIx::of).collect();
        planned.push(Planned { devices, ..Planned::new(EventKind::WriteIgnored, 0) });
    }
    planned.sort_by_key(|p| p.at_ns);
    Ok(planned)
}

/// An event that begins now, its target drawn from the stream `number`.
///
/// # Errors
/// [`SiteError`] where the site lacks its target.
pub(crate) fn draw_now(
    event: &Event,
    topology: &Topology,
    seed: u64,
    number: u64,
) -> Result<Planned, SiteError> {
    let now = Event { at_s_min: 0.0, at_s_max: 0.0, ..event.clone() };
    draw(&now, 0, topology, &mut Rng::stream(seed, Stream::Scenario, number))
}

/// When the first electrical event begins, ns after the run-in; without one, the first event.
pub(crate) fn first_disturbance(planned: &[Planned]) -> Option<u64> {
    let electrical = planned.iter().find(|p| p.kind.is_disturbance());
    electrical.or(planned.first()).map(|p| p.at_ns)
}

/// Stream of random numbers that draws the devices which ignore caps.
const IGNORED_STREAM: u64 = 2 << 32;

fn draw(
    event: &Event,
    at: usize,
    topology: &Topology,
    rng: &mut Rng,
) -> Result<Planned, SiteError> {
    let at_s = event.at_s_min + rng.uniform() * (event.at_s_max - event.at_s_min);
    let at_ns = ns_from_s(at_s);
    let mut planned = Planned {
        until_ns: event.duration_s.map(|s| at_ns + ns_from_s(s)),
        value: event.value.unwrap_or(0.0),
        ..Planned::new(event.kind, at_ns)
    };
    let missing = |key: &str, found: &Option<String>, wanted: &str| {
        let found = found.as_ref().map_or("nothing".to_string(), |id| format!("{id:?}"));
        Err(SiteError::new(format!("event[{at}].{key}"), found, wanted))
    };
    match event.kind {
        EventKind::FeedLoss | EventKind::SourceLoss => {
            let ids = topology.elements.iter().map(|e| e.id.as_str());
            match pick(ids, event.element.as_deref(), rng) {
                Some(ix) => planned.elements.push(of_kind(event.kind, topology, ix)),
                None => return missing("element", &event.element, "the id of an element"),
            }
        }
        EventKind::GridSag => {
            let is_utility = |id: &String| {
                let element = topology.elements.iter().find(|e| e.id == *id);
                element.is_some_and(|e| e.kind == ElementKind::Utility)
            };
            if event.element.as_ref().is_some_and(|id| !is_utility(id)) {
                let wanted = "no element or the utility: a sag reaches every UPS input";
                return missing("element", &event.element, wanted);
            }
        }
        EventKind::MeterFrozen | EventKind::MeterScale | EventKind::MeterOffset => {
            let ids = topology.meters.iter().map(|m| m.id.as_str());
            match pick(ids, event.meter.as_deref(), rng) {
                Some(ix) => planned.meters.push(MeterIx::of(ix)),
                None => return missing("meter", &event.meter, "the id of a meter"),
            }
        }
        EventKind::AgentSilent => {
            let ids = topology.hosts.iter().map(|h| h.id.as_str());
            match &event.device {
                None => {
                    let share = event.value.unwrap_or(1.0);
                    let struck = draw_share(topology.hosts.len(), share, rng);
                    planned.hosts = struck.into_iter().map(HostIx::of).collect();
                }
                some => match pick(ids, some.as_deref(), rng) {
                    Some(ix) => planned.hosts.push(HostIx::of(ix)),
                    None => return missing("device", some, "the id of a [[device]] row"),
                },
            }
        }
        EventKind::WriteIgnored | EventKind::WriteStuck => {
            let Some(among) = device_range(topology, event.device.as_deref(), rng) else {
                return missing("device", &event.device, "the id of a [[device]] row or device");
            };
            let share = event.value.unwrap_or(1.0);
            let struck = draw_share(among.len(), share, rng);
            planned.devices = struck.into_iter().map(|d| DeviceIx::of(among.start + d)).collect();
        }
        EventKind::ControllerKill | EventKind::DemandStep => {}
    }
    Ok(planned)
}

/// `wanted` itself, or one of those that the pattern matches, drawn.
fn pick<'a>(
    ids: impl Iterator<Item = &'a str> + Clone,
    wanted: Option<&str>,
    rng: &mut Rng,
) -> Option<usize> {
    let wanted = wanted?;
    let matching: Vec<usize> =
        ids.enumerate().filter(|(_, id)| matches(wanted, id)).map(|(at, _)| at).collect();
    (!matching.is_empty()).then(|| matching[below(rng, matching.len())])
}

/// Whether `id` fits `pattern`, in which `*` stands for any text.
fn matches(pattern: &str, id: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == id };
    let Some(tail) = id.strip_prefix(head) else { return false };
    (0..=tail.len()).any(|from| tail.is_char_boundary(from) && matches(rest, &tail[from..]))
}

/// The UPS above a feed or below a supply where the kind strikes a UPS; else the element itself.
fn of_kind(kind: EventKind, topology: &Topology, ix: usize) -> ElementIx {
    let element = ElementIx::of(ix);
    let wanted = match kind {
        EventKind::FeedLoss => ElementKind::Feed,
        _ => ElementKind::Ups,
    };
    let below = || {
        (0..topology.elements.len())
            .map(ElementIx::of)
            .find(|e| {
                topology.elements[e.at()].kind == wanted
                    && topology.elements[e.at()].parents.contains(&element)
            })
            .unwrap_or(element)
    };
    topology.ancestor(element, wanted).unwrap_or_else(below)
}

fn device_range(
    topology: &Topology,
    wanted: Option<&str>,
    rng: &mut Rng,
) -> Option<std::ops::Range<usize>> {
    if wanted.is_none() {
        return Some(0..topology.devices.len());
    }
    if let Some(host) = pick(topology.hosts.iter().map(|h| h.id.as_str()), wanted, rng) {
        return Some(topology.hosts[host].devices.clone());
    }
    let device = pick(topology.devices.iter().map(|d| d.id.as_str()), wanted, rng)?;
    Some(device..device + 1)
}

/// Uniform among the first `count` whole numbers.
fn below(rng: &mut Rng, count: usize) -> usize {
    ((rng.uniform() * count as f64) as usize).min(count.saturating_sub(1))
}

/// `share` of `count` positions, rounded to the nearest whole number, rising.
pub(crate) fn draw_share(count: usize, share: f64, rng: &mut Rng) -> Vec<usize> {
    let wanted = ((count as f64 * share).round() as usize).min(count);
    let mut all: Vec<usize> = (0..count).collect();
    for at in 0..wanted {
        let other = at + below(rng, count - at);
        all.swap(at, other);
    }
    all.truncate(wanted);
    all.sort_unstable();
    all
}
