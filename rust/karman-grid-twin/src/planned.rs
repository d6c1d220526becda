//! Events with their instants and targets, as the seed drew them.
//!
//! Owns the meaning of patterns such as `feed-*` and of shares of devices. Fails by naming the
//! event whose target does not exist.

use crate::rng::{Rng, Stream};
use crate::scenario::{Event, EventKind, Scenario};
use karman_grid_core::error::SiteError;
use karman_grid_core::ids::{DeviceIx, ElementIx, HostIx, MeterIx};
use karman_grid_core::site::ElementKind;
use karman_grid_core::time::ns_from_s;
use karman_grid_core::topology::Topology;

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
pub fn plan(
    scenario: &Scenario,
    topology: &Topology,
    seed: u64,
) -> Result<Vec<Planned>, SiteError> {
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
        planned.push(Planned {
            devices,
            ..Planned::new(EventKind::WriteIgnored, 0)
        });
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
    let now = Event {
        at_s_min: 0.0,
        at_s_max: 0.0,
        ..event.clone()
    };
    draw(
        &now,
        0,
        topology,
        &mut Rng::stream(seed, Stream::Scenario, number),
    )
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
    match event.kind {
        EventKind::FeedLoss | EventKind::SourceLoss | EventKind::GridSag => {
            draw_element(event, at, topology, rng, &mut planned)?;
        }
        EventKind::MeterFrozen | EventKind::MeterScale | EventKind::MeterOffset => {
            let ids = topology.meters.iter().map(|m| m.id.as_str());
            let Some(ix) = pick(ids, event.meter.as_deref(), rng) else {
                return Err(missing(at, "meter", &event.meter, "the id of a meter"));
            };
            planned.meters.push(MeterIx::of(ix));
        }
        EventKind::AgentSilent | EventKind::WriteIgnored | EventKind::WriteStuck => {
            draw_devices(event, at, topology, rng, &mut planned)?;
        }
        EventKind::ControllerKill | EventKind::DemandStep => {}
    }
    Ok(planned)
}

/// Target of an event that strikes the electrical path.
fn draw_element(
    event: &Event,
    at: usize,
    topology: &Topology,
    rng: &mut Rng,
    planned: &mut Planned,
) -> Result<(), SiteError> {
    if event.kind == EventKind::GridSag {
        let is_utility = |id: &String| {
            let element = topology.elements.iter().find(|e| e.id == *id);
            element.is_some_and(|e| e.kind == ElementKind::Utility)
        };
        if event.element.as_ref().is_some_and(|id| !is_utility(id)) {
            let wanted = "no element or the utility: a sag reaches every UPS input";
            return Err(missing(at, "element", &event.element, wanted));
        }
        return Ok(());
    }
    let ids = topology.elements.iter().map(|e| e.id.as_str());
    let Some(ix) = pick(ids, event.element.as_deref(), rng) else {
        let wanted = "the id of an element";
        return Err(missing(at, "element", &event.element, wanted));
    };
    planned.elements.push(of_kind(event.kind, topology, ix));
    Ok(())
}

/// Hosts whose agents an event silences, or devices whose writes it spoils.
fn draw_devices(
    event: &Event,
    at: usize,
    topology: &Topology,
    rng: &mut Rng,
    planned: &mut Planned,
) -> Result<(), SiteError> {
    let wanted = event.device.as_deref();
    let share = event.value.unwrap_or(1.0);
    if event.kind == EventKind::AgentSilent {
        if wanted.is_none() {
            let struck = draw_share(topology.hosts.len(), share, rng);
            planned.hosts = struck.into_iter().map(HostIx::of).collect();
            return Ok(());
        }
        let ids = topology.hosts.iter().map(|h| h.id.as_str());
        let Some(ix) = pick(ids, wanted, rng) else {
            let wanted = "the id of a [[device]] row";
            return Err(missing(at, "device", &event.device, wanted));
        };
        planned.hosts.push(HostIx::of(ix));
        return Ok(());
    }
    let Some(among) = device_range(topology, wanted, rng) else {
        let wanted = "the id of a [[device]] row or device";
        return Err(missing(at, "device", &event.device, wanted));
    };
    let struck = draw_share(among.len(), share, rng).into_iter();
    planned.devices = struck.map(|d| DeviceIx::of(among.start + d)).collect();
    Ok(())
}

/// The error for a target of event `at` that the site lacks.
fn missing(at: usize, key: &str, found: &Option<String>, wanted: &str) -> SiteError {
    let found = found
        .as_ref()
        .map_or("nothing".to_string(), |id| format!("{id:?}"));
    SiteError::new(format!("event[{at}].{key}"), found, wanted)
}

/// `wanted` itself, or one of those that the pattern matches, drawn.
fn pick<'a>(
    ids: impl Iterator<Item = &'a str> + Clone,
    wanted: Option<&str>,
    rng: &mut Rng,
) -> Option<usize> {
    let wanted = wanted?;
    let matching: Vec<usize> = ids
        .enumerate()
        .filter(|(_, id)| matches(wanted, id))
        .map(|(at, _)| at)
        .collect();
    (!matching.is_empty()).then(|| matching[below(rng, matching.len())])
}

/// Whether `id` fits `pattern`, in which `*` stands for any text.
fn matches(pattern: &str, id: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == id;
    };
    let Some(tail) = id.strip_prefix(head) else {
        return false;
    };
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
fn draw_share(count: usize, share: f64, rng: &mut Rng) -> Vec<usize> {
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
