//! Snapshots and notes of a live hall as JSON: ids for indices, words for enums.

use karman_grid_core::engine::{ElementStatus, Status};
use karman_grid_core::ids::ElementIx;
use karman_grid_core::journal::{Because, Entry, Escalated};
use karman_grid_core::time::{MonoNs, NS_PER_MS, NS_PER_S};
use karman_grid_core::topology::Topology;
use karman_grid_twin::live::{Live, Truth};
use karman_grid_twin::result::{LatencyMs, Quantiles};
use serde::Serialize;
use serde_json::{Value, json};

/// As the enum's serde name.
fn word(value: impl Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().to_string()
}

fn id(topology: &Topology, element: ElementIx) -> String {
    topology.elements[element.at()].id.clone()
}

fn at_s(mono_ns: MonoNs, start_ns: u64) -> f64 {
    mono_ns.0.saturating_sub(start_ns) as f64 / NS_PER_S as f64
}

/// The state of the hall; `unsafe_count`: violations that the checker has found so far.
pub fn snapshot(live: &Live, unsafe_count: usize) -> Value {
    let topology = live.topology();
    let truth = live.truth();
    let story = live.story();
    let none = Quantiles::default();
    let latency_ms = story.map_or(
        LatencyMs {
            detect: none,
            decide: none,
            deliver: none,
            settle: none,
            react: none,
            react_event: none,
            react_all: none,
        },
        |story| story.latency_ms,
    );
    let Some(status) = live.status() else {
        return without_controller(live, &truth, &latency_ms, unsafe_count);
    };
    json!({
        "mono_ns": status.mono_ns.0,
        "at_s": truth.at_ns as f64 / NS_PER_S as f64,
        "control": status.mode,
        "grant_w": status.grant.grant_w,
        "grant_ratio": status.grant.grant_ratio,
        "grant_load_w": status.grant.load_w,
        "binding": binding(&status, topology),
        "contingencies_armed": status.contingencies_armed,
        "agents": {"ready": status.agents.0, "total": status.agents.1},
        "elements": status.elements.iter().map(|e| element(e, topology)).collect::<Vec<_>>(),
        "lease_ms": status.lease_ns as f64 / NS_PER_MS as f64,
        "caps_w": {
            "requested": status.caps.requested_w,
            "accounted": status.caps.accounted_w,
            "enforced": status.caps.enforced_w,
            "safe": status.caps.safe_w,
        },
        "epoch": status.epoch,
        "sample_age_s": status.sample_age_ns as f64 / NS_PER_S as f64,
        "escalations": status.escalations,
        "last_event": status.last_event.map(|e| event(&e, topology, live.start_ns())),
        "deposed_by": status.deposed_by,
        "latency_ms": latency_ms,
        "unsafe": unsafe_count,
        "trips": truth.trips,
    })
}

/// What can be told when the controller is dead: nobody grants, nobody measures.
fn without_controller(
    live: &Live,
    truth: &Truth,
    latency_ms: &LatencyMs,
    unsafe_count: usize,
) -> Value {
    let topology = live.topology();
    let blind = |at: usize| ElementStatus {
        element: ElementIx::of(at),
        power_w: None,
        limit_w: topology.elements[at].limit_w,
        accumulator_ratio: 0.0,
        path_accumulator_ratio: 0.0,
        lost: false,
        on_battery: false,
    };
    let elements = (0..topology.elements.len()).map(|at| element(&blind(at), topology));
    json!({
        "mono_ns": live.start_ns() + truth.at_ns,
        "at_s": truth.at_ns as f64 / NS_PER_S as f64,
        "control": "dead",
        "grant_w": 0.0,
        "grant_ratio": 0.0,
        "grant_load_w": truth.static_w,
        "binding": null,
        "contingencies_armed": 0,
        "agents": {"ready": 0, "total": topology.hosts.len()},
        "elements": elements.collect::<Vec<_>>(),
        "lease_ms": 0.0,
        "caps_w": {},
        "escalations": 0,
        "last_event": null,
        "deposed_by": null,
        "latency_ms": latency_ms,
        "unsafe": unsafe_count,
        "trips": truth.trips,
    })
}

fn binding(status: &Status, topology: &Topology) -> Value {
    status.grant.binding.map_or(Value::Null, |binding| {
        json!({
            "contingency": status.binding_contingency.map(|e| id(topology, e)),
            "element": id(topology, binding.element),
            // Rows of single phases come with phase-wise topologies; these bind as a whole.
            "phase": null,
        })
    })
}

fn element(element: &ElementStatus, topology: &Topology) -> Value {
    let of = &topology.elements[element.element.at()];
    json!({
        "id": of.id,
        "kind": of.kind,
        "power_w": element.power_w,
        "limit_w": element.limit_w,
        "accumulator_ratio": element.accumulator_ratio,
        "path_accumulator_ratio": element.path_accumulator_ratio,
        "lost": element.lost,
        "on_battery": element.on_battery,
    })
}

fn event(
    event: &karman_grid_core::event::ElectricalEvent,
    topology: &Topology,
    start_ns: u64,
) -> Value {
    let meter = &topology.meters[event.meter.at()];
    json!({
        "kind": "event",
        "event": event.kind,
        "at_s": at_s(event.detected_mono_ns, start_ns),
        "meter": meter.id,
        "element": id(topology, meter.element),
        "depth_ratio": event.depth_ratio,
    })
}

/// An entry of the journal as a note for people; `None`: not worth telling.
pub fn note(entry: &Entry, topology: &Topology, start_ns: u64) -> Option<Value> {
    match entry {
        Entry::Event(happened) => Some(event(happened, topology, start_ns)),
        Entry::Decision {
            mono_ns,
            because,
            lowered,
            raised,
            ..
        } => Some(json!({
            "kind": "decision",
            "at_s": at_s(*mono_ns, start_ns),
            "because": because_word(because),
            "lowered": lowered,
            "raised": raised,
        })),
        Entry::Escalation { mono_ns, who } => {
            let (who, id) = match who {
                Escalated::Device(d) => ("device", topology.devices[d.at()].id.clone()),
                Escalated::Element(e) => ("element", id(topology, *e)),
                Escalated::Host(h) => ("agent", topology.hosts[h.at()].id.clone()),
            };
            let at_s = at_s(*mono_ns, start_ns);
            Some(json!({"kind": "escalation", "at_s": at_s, "who": who, "id": id}))
        }
        Entry::Grant { mono_ns, grant } => Some(json!({
            "kind": "grant",
            "at_s": at_s(*mono_ns, start_ns),
            "grant_w": grant.grant_w,
            "grant_ratio": grant.grant_ratio,
        })),
        Entry::Mode { mono_ns, mode } => {
            Some(json!({"kind": "mode", "at_s": at_s(*mono_ns, start_ns), "mode": word(mode)}))
        }
        Entry::Cap { .. } | Entry::Books { .. } => None,
    }
}

fn because_word(because: &Because) -> &'static str {
    match because {
        Because::Fired(_) => "fired",
        Because::Infeasible(_) => "infeasible",
        Because::Cancelled(_) => "cancelled",
        Because::Protection => "protection",
        Because::Overload(_) => "overload",
        Because::Sharing => "sharing",
        Because::Release => "release",
    }
}
