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
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}

/// Renders `snapshot`.
pub fn render(snapshot: &Value, notes_dropped: u64) -> String {
    let mut page = Page(String::new());
    let empty = Vec::new();
    let elements = snapshot["elements"].as_array().unwrap_or(&empty);
    let word = |v: &Value| v.as_str().unwrap_or_default().to_string();
    let each: Vec<(String, String, &Value)> =
        elements.iter().map(|e| (word(&e["kind"]), word(&e["id"]), e)).collect();
    page.family("karman_power_watts", "gauge", "Measured active power of an element.");
    for (level, id, e) in &each {
        let quality = if e["power_w"].is_null() { "invalid" } else { "good" };
        let labels = [("level", level.as_str()), ("id", id.as_str()), ("quality", quality)];
        page.sample("karman_power_watts", &labels, &e["power_w"]);
    }
    page.family("karman_headroom_watts", "gauge", "Limit less measured power of an element.");
    for (level, id, e) in &each {
        if let (Some(limit_w), Some(power_w)) = (e["limit_w"].as_f64(), e["power_w"].as_f64()) {
            let labels = [("level", level.as_str()), ("id", id.as_str())];
            page.sample("karman_headroom_watts", &labels, &Value::from(limit_w - power_w));
        }
    }
    page.family("karman_accumulator_ratio", "gauge", "Share of an overload curve used up.");
    for (level, id, e) in &each {
        let labels = [("level", level.as_str()), ("id", id.as_str())];
        page.sample("karman_accumulator_ratio", &labels, &e["accumulator_ratio"]);
    }
    let single: [(&str, &str, &str, &Value); 7] = [
        ("karman_grant_watts", "gauge", "Reserve that may be used now.", &snapshot["grant_w"]),
        ("karman_grant_ratio", "gauge", "The same, of the zero-margin reserve.",
            &snapshot["grant_ratio"]),
        ("karman_caps_accounted_watts", "gauge", "Sum of the caps that the books count.",
            &snapshot["accounted_w"]),
        ("karman_contingencies_armed", "gauge", "Failures for which a plan is held.",
            &snapshot["contingencies_armed"]),
        ("karman_escalations_total", "counter", "Devices, agents and elements escalated.",
            &snapshot["escalations"]),
        ("karman_trips_total", "counter", "Protective devices of the plant that opened.",
            &snapshot["trips"]),
        ("karman_violations_total", "counter", "Violations that the checker has found.",
            &snapshot["unsafe"]),
    ];
    for (name, kind, help, value) in single {
        page.family(name, kind, help);
        page.sample(name, &[], value);
    }
    page.family("karman_agents", "gauge", "Agents by state.");
    page.sample("karman_agents", &[("state", "ready")], &snapshot["agents"]["ready"]);
    page.sample("karman_agents", &[("state", "known")], &snapshot["agents"]["total"]);
    page.family("karman_reaction_seconds", "gauge",
        "First abnormal sample to acknowledged cap at the newest loss, by quantile.");
    for (quantile, key) in [("0.5", "p50"), ("0.99", "p99"), ("0.999", "p999"), ("1", "max")] {
        let value = snapshot["latency_ms"]["react"][key].as_f64().map(|ms| ms / 1e3);
        let value = value.map_or(Value::Null, Value::from);
        page.sample("karman_reaction_seconds", &[("quantile", quantile)], &value);
    }
    page.family("karman_notes_dropped_total", "counter", "Notes that no reader fetched in time.");
    page.sample("karman_notes_dropped_total", &[], &Value::from(notes_dropped));
    page.0
}
