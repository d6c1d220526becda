//! What the core makes of a site, before anything runs.

use crate::errors;
use karman_grid_core::command::FromAgent;
use karman_grid_core::engine::Engine;
use karman_grid_core::ids::{DeviceIx, HostIx, MeterIx};
use karman_grid_core::sample::{Node, PowerSample, Validity};
use karman_grid_core::site::SiteSpec;
use karman_grid_core::time::MonoNs;
use karman_grid_core::topology::Topology;
use pyo3::prelude::*;
use serde_json::json;

/// Limits, static share and the grant with every agent ready and every meter fresh, as JSON.
#[pyfunction]
pub fn site_facts(site: &str) -> PyResult<String> {
    let spec: SiteSpec = serde_json::from_str(site).map_err(|e| errors::shape("site", e))?;
    let topology = Topology::build(&spec).map_err(errors::site)?;
    let mut engine = Engine::new(topology, 1).map_err(errors::site)?;
    let now = MonoNs(1);
    greet(&mut engine, now);
    engine.tick(now);
    let status = engine.status(now);
    let topology = engine.topology();
    let id = |e: karman_grid_core::ids::ElementIx| topology.elements[e.at()].id.clone();
    let binding = status.grant.binding.map(
        |b| json!({"element": id(b.element), "contingency": status.binding_contingency.map(id)}),
    );
    let fallback_w: f64 = engine.fallbacks().iter().map(|c| c.w()).sum();
    let document = json!({
        "rating_w": topology.feed_rating_w(),
        "static_w": topology.feed_rating_w() - topology.reserve_w(),
        "fallback_w": fallback_w,
        "grant_w": status.grant.grant_w,
        "grant_ratio": status.grant.grant_ratio,
        "load_w": status.grant.load_w,
        "binding": binding,
        "devices": topology.devices.len(),
        "hosts": topology.hosts.len(),
        "contingencies": topology.elements.iter().filter(|e| e.credible).count(),
        "limits_w": topology.elements.iter().map(|e| (e.id.clone(), e.limit_w))
            .collect::<std::collections::BTreeMap<_, _>>(),
    });
    Ok(document.to_string())
}

/// Agents and meters as they would be in good order.
fn greet(engine: &mut Engine, now: MonoNs) {
    let hosts: Vec<_> = engine
        .topology()
        .hosts
        .iter()
        .map(|host| host.devices.clone())
        .collect();
    for (at, devices) in hosts.into_iter().enumerate() {
        let caps = devices
            .map(|d| (DeviceIx::of(d), engine.fallbacks()[d]))
            .collect();
        let host = HostIx::of(at);
        engine.agent(
            &FromAgent::Hello {
                host,
                boot_id: 0,
                highest_epoch: 0,
                caps,
            },
            now,
        );
    }
    for meter in (0..engine.topology().meters.len()).map(MeterIx::of) {
        let sample = PowerSample {
            node: Node::Meter(meter),
            taken_mono_ns: now,
            power_active_w: 0.0,
            power_apparent_va: None,
            voltage_rms_v: None,
            current_rms_a: None,
            frequency_hz: None,
            validity: Validity::Good,
        };
        engine.power(&sample, now);
    }
}
