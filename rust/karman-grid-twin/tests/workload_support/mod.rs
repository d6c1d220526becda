//! The shipped parameters of the workload, which come from the Python package's data.
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests read files and may panic"
)]

use std::path::{Path, PathBuf};

use karman_grid_twin::arrivals::ArrivalParams;
use karman_grid_twin::serving::ServingParams;
use serde_json::{Map, Value};

/// The project's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The shipped document. Reads the plain TOML that the fit writes: tables, arrays of tables and
/// values that are JSON too.
fn document() -> Value {
    let path = root().join("python/karman_grid/twin/data/workload-2023.toml");
    let text = std::fs::read_to_string(path).unwrap();
    let mut top = Value::Object(Map::new());
    let mut at: Vec<String> = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix('[') {
            at = name
                .trim_matches(['[', ']'])
                .split('.')
                .map(String::from)
                .collect();
            let (last, parents) = at.split_last().unwrap();
            let table = descend(&mut top, parents);
            if line.starts_with("[[") {
                let list = table
                    .entry(last.clone())
                    .or_insert(Value::Array(Vec::new()));
                list.as_array_mut().unwrap().push(Value::Object(Map::new()));
            }
        } else {
            let (key, value) = line.split_once(" = ").unwrap();
            let value = serde_json::from_str(value).unwrap();
            let mut path = at.clone();
            path.extend(key.split('.').map(String::from));
            let key = path.pop().unwrap();
            descend(&mut top, &path).insert(key, value);
        }
    }
    top
}

fn descend<'a>(top: &'a mut Value, at: &[String]) -> &'a mut Map<String, Value> {
    let mut table = top.as_object_mut().unwrap();
    for name in at {
        let next = table
            .entry(name.clone())
            .or_insert(Value::Object(Map::new()));
        table = match next {
            Value::Array(list) => list.last_mut().unwrap().as_object_mut().unwrap(),
            other => other.as_object_mut().unwrap(),
        };
    }
    table
}

/// What the package ships.
pub struct Shipped {
    pub arrivals: ArrivalParams,
    pub serving: ServingParams,
    pub arrival_scale: f64,
}

/// The shipped parameters, found sound.
pub fn shipped() -> Shipped {
    let document = document();
    let shipped = Shipped {
        arrivals: serde_json::from_value(document["arrivals"].clone()).unwrap(),
        serving: serde_json::from_value(document["serving"].clone()).unwrap(),
        arrival_scale: document["calibration"]["arrival_scale"].as_f64().unwrap(),
    };
    shipped.arrivals.validate().unwrap();
    shipped.serving.validate().unwrap();
    shipped
}
