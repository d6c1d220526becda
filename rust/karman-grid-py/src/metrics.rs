//! The snapshot as Prometheus text (exposition format 0.0.4), rendered without Python.

use serde_json::Value;
use std::fmt::Write;

struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing into a String cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// A sample; an absent value writes no line, never a sentinel.
    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: &Value) {
        let Some(value) = value.as_f64() else { return };
        let labels: Vec<String> = labels.iter().map(|(k, v)| format!("{k}=\"{v}\"")).collect();
        let labels = if labels.is_empty() {
            String::new()
        } else {
            format!("{{{}}}", labels.join(","))
        };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}

/// Where the samples of a family come from.
enum Source {
    /// One for each element: its kind, its id and what the function adds.
    Each(fn(&mut Page, &str, [(&str, &str); 2], &Value)),
    /// One, the snapshot's value of this key.
    Key(&'static str),
    /// One for each kind of sum of caps.
    Caps,
    /// One for each state of agents.
    Agents,
    /// One for each quantile of the reaction time.
    Reaction,
    /// One, counted outside the snapshot.
    NotesDropped,
}
use Source::{Agents, Caps, Each, Key, NotesDropped, Reaction};

/// Name, kind, help and samples of every family, in the order of the page.
const FAMILIES: [(&str, &str, &str, Source); 15] = [
    (
        "karman_power_watts",
        "gauge",
        "Measured active power of an element.",
        Each(power),
    ),
    (
        "karman_headroom_watts",
        "gauge",
        "Limit less measured power of an element.",
        Each(headroom),
    ),
    (
        "karman_accumulator_ratio",
        "gauge",
        "Share of an overload curve used up.",
        Each(accumulator),
    ),
    (
        "karman_grant_watts",
        "gauge",
        "Reserve that may be used now.",
        Key("grant_w"),
    ),
    (
        "karman_grant_ratio",
        "gauge",
        "The same, of the zero-margin reserve.",
        Key("grant_ratio"),
    ),
    (
        "karman_cap_watts",
        "gauge",
        "Sum of caps: asked for, counted by the books, reported by devices, written without lease.",
        Caps,
    ),
    (
        "karman_lease_epoch",
        "gauge",
        "Epoch of the controller.",
        Key("epoch"),
    ),
    (
        "karman_sample_age_seconds",
        "gauge",
        "Age of the oldest load meter's newest value.",
        Key("sample_age_s"),
    ),
    (
        "karman_contingencies_armed",
        "gauge",
        "Failures for which a plan is held.",
        Key("contingencies_armed"),
    ),
    (
        "karman_escalations_total",
        "counter",
        "Devices, agents and elements escalated.",
        Key("escalations"),
    ),
    (
        "karman_trips_total",
        "counter",
        "Protective devices of the plant that opened.",
        Key("trips"),
    ),
    (
        "karman_violations_total",
        "counter",
        "Violations that the checker has found.",
        Key("unsafe"),
    ),
    ("karman_agents", "gauge", "Agents by state.", Agents),
    (
        "karman_reaction_seconds",
        "gauge",
        "First abnormal sample to acknowledged cap at the newest loss, by quantile.",
        Reaction,
    ),
    (
        "karman_notes_dropped_total",
        "counter",
        "Notes that no reader fetched in time.",
        NotesDropped,
    ),
];

/// Quantile as Prometheus writes it, and its key in the snapshot.
const QUANTILES: [(&str, &str); 4] = [
    ("0.5", "p50"),
    ("0.99", "p99"),
    ("0.999", "p999"),
    ("1", "max"),
];

fn power(page: &mut Page, name: &str, [level, id]: [(&str, &str); 2], element: &Value) {
    let known = !element["power_w"].is_null();
    let quality = ("quality", if known { "good" } else { "invalid" });
    page.sample(name, &[level, id, quality], &element["power_w"]);
}

fn headroom(page: &mut Page, name: &str, labels: [(&str, &str); 2], element: &Value) {
    let (limit_w, power_w) = (element["limit_w"].as_f64(), element["power_w"].as_f64());
    if let (Some(limit_w), Some(power_w)) = (limit_w, power_w) {
        page.sample(name, &labels, &Value::from(limit_w - power_w));
    }
}

fn accumulator(page: &mut Page, name: &str, labels: [(&str, &str); 2], element: &Value) {
    page.sample(name, &labels, &element["accumulator_ratio"]);
}

/// Renders `snapshot`.
pub fn render(snapshot: &Value, notes_dropped: u64) -> String {
    let mut page = Page(String::new());
    for (name, kind, help, source) in FAMILIES {
        page.family(name, kind, help);
        match source {
            Each(add) => {
                for element in snapshot["elements"].as_array().into_iter().flatten() {
                    let word = |key: &str| element[key].as_str().unwrap_or_default();
                    let labels = [("level", word("kind")), ("id", word("id"))];
                    add(&mut page, name, labels, element);
                }
            }
            Key(key) => page.sample(name, &[], &snapshot[key]),
            Caps => {
                for kind in ["requested", "accounted", "enforced", "safe"] {
                    page.sample(name, &[("kind", kind)], &snapshot["caps_w"][kind]);
                }
            }
            Agents => {
                let agents = &snapshot["agents"];
                page.sample(name, &[("state", "ready")], &agents["ready"]);
                page.sample(name, &[("state", "known")], &agents["total"]);
            }
            Reaction => {
                for (quantile, key) in QUANTILES {
                    let ms = snapshot["latency_ms"]["react"][key].as_f64();
                    let value = ms.map_or(Value::Null, |ms| Value::from(ms / 1e3));
                    page.sample(name, &[("quantile", quantile)], &value);
                }
            }
            NotesDropped => page.sample(name, &[], &Value::from(notes_dropped)),
        }
    }
    page.0
}
