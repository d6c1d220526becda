//! What the hall's GPUs would draw without any cap: a level of the whole hall spread evenly over
//! the devices, with fluctuations host by host, or ratios given from outside.
//!
//! Owns the demand ratio of each host and the demand of each device. It changes on a grid of 10 ms
//! of absolute time, whatever the grain of the plant, so that its path does not depend on the
//! grain.

use crate::params::DemandKind;
use crate::rng::{Rng, Stream};
use karman_grid_core::time::NS_PER_S;
use karman_grid_core::topology::Topology;
use std::ops::Range;

/// Grid on which demand changes.
const UPDATE_NS: u64 = 10_000_000;
/// Correlation time of a host's fluctuation, s (model, unverified).
const CORRELATION_S: f64 = 1.5;
/// Latest start of a host's step after the hall's, in a period of synchronised training (model).
const EDGE_JITTER_NS: f64 = 20e6;

#[derive(Clone, Debug)]
struct HostDemand {
    devices: Range<usize>,
    rng: Rng,
    deviation: f64,
    edge_ns: u64,
    ratio: f32,
}

/// Demand of all hosts.
#[derive(Clone, Debug)]
pub struct Demand {
    kind: DemandKind,
    hosts: Vec<HostDemand>,
    cap_max_w: Vec<f32>,
    rating_w: f64,
    fixed_w: f64,
    idle_w: f32,
    next_ns: u64,
    demand_w: Vec<f32>,
}

impl Demand {
    /// For this site; `idle_w` is the least that a GPU draws.
    pub fn new(topology: &Topology, kind: DemandKind, idle_w: f64, seed: u64) -> Demand {
        let hosts = topology.hosts.iter().enumerate().map(|(at, host)| {
            let mut rng = Rng::stream(seed, Stream::Demand, at as u64);
            let deviation = rng.normal();
            let edge_ns = rng.uniform_in(0.0, EDGE_JITTER_NS) as u64;
            HostDemand {
                devices: host.devices.clone(),
                rng,
                deviation,
                edge_ns,
                ratio: 0.0,
            }
        });
        let mut demand = Demand {
            kind,
            hosts: hosts.collect(),
            cap_max_w: topology
                .devices
                .iter()
                .map(|d| d.cap_max.w() as f32)
                .collect(),
            rating_w: topology.feed_rating_w(),
            fixed_w: topology.racks.iter().map(|r| r.fixed_w).sum(),
            idle_w: idle_w as f32,
            next_ns: UPDATE_NS,
            demand_w: vec![idle_w as f32; topology.devices.len()],
        };
        demand.update(0);
        demand
    }

    /// Demand of each device, W.
    pub fn demand_w(&self) -> &[f32] {
        &self.demand_w
    }

    /// Replaces the kind from now on.
    pub fn set_kind(&mut self, kind: DemandKind, now_ns: u64) {
        self.kind = kind;
        self.spread(now_ns);
    }

    /// Replaces the level from now on; without effect where demand comes from outside.
    pub fn set_level(&mut self, level: f64, now_ns: u64) {
        match &mut self.kind {
            DemandKind::Constant { level_ratio }
            | DemandKind::Inference { level_ratio, .. }
            | DemandKind::Training { level_ratio, .. } => *level_ratio = level,
            DemandKind::External => {}
        }
        self.spread(now_ns);
    }

    /// Sets each host's demand, ratio of its devices' highest cap, and takes demand from outside
    /// from now on.
    pub fn set_host_ratios(&mut self, ratios: &[f32]) {
        self.kind = DemandKind::External;
        for (host, ratio) in self.hosts.iter_mut().zip(ratios) {
            set_host(
                host,
                *ratio,
                &self.cap_max_w,
                self.idle_w,
                &mut self.demand_w,
            );
        }
    }

    /// Lives until `to_ns`.
    pub fn advance(&mut self, to_ns: u64) {
        while self.next_ns <= to_ns {
            let at_ns = self.next_ns;
            self.next_ns += UPDATE_NS;
            self.update(at_ns);
        }
    }

    fn update(&mut self, at_ns: u64) {
        if let DemandKind::Inference { .. } = self.kind {
            let step_s = UPDATE_NS as f64 / NS_PER_S as f64;
            let keep = 1.0 - step_s / CORRELATION_S;
            let kick = (1.0 - keep * keep).sqrt();
            for host in &mut self.hosts {
                host.deviation = keep * host.deviation + kick * host.rng.normal();
            }
        }
        if !matches!(
            self.kind,
            DemandKind::Constant { .. } | DemandKind::External
        ) || at_ns == 0
        {
            self.spread(at_ns);
        }
    }

    /// Works the devices' demands out of the level.
    fn spread(&mut self, at_ns: u64) {
        let (level, kind) = match &self.kind {
            DemandKind::Constant { level_ratio }
            | DemandKind::Inference { level_ratio, .. }
            | DemandKind::Training { level_ratio, .. } => (*level_ratio, &self.kind),
            DemandKind::External => return,
        };
        let total: f64 = self.cap_max_w.iter().map(|w| f64::from(*w)).sum();
        let mean = ((level * self.rating_w - self.fixed_w) / total.max(1.0)).max(0.0);
        for host in &mut self.hosts {
            let factor = match kind {
                DemandKind::Inference {
                    fluctuation_ratio, ..
                } => 1.0 + fluctuation_ratio * host.deviation,
                DemandKind::Training {
                    swing_ratio,
                    frequency_hz,
                    duty_ratio,
                    ..
                } => {
                    let since_s = at_ns.saturating_sub(host.edge_ns) as f64 / NS_PER_S as f64;
                    let phase = since_s * frequency_hz;
                    if phase - phase.floor() < *duty_ratio {
                        1.0 + swing_ratio * (1.0 - duty_ratio)
                    } else {
                        1.0 - swing_ratio * duty_ratio
                    }
                }
                DemandKind::Constant { .. } | DemandKind::External => 1.0,
            };
            let ratio = (mean * factor) as f32;
            set_host(
                host,
                ratio,
                &self.cap_max_w,
                self.idle_w,
                &mut self.demand_w,
            );
        }
    }
}

fn set_host(
    host: &mut HostDemand,
    ratio: f32,
    cap_max_w: &[f32],
    idle_w: f32,
    demand_w: &mut [f32],
) {
    if ratio == host.ratio {
        return;
    }
    host.ratio = ratio;
    let (caps, demands) = (
        &cap_max_w[host.devices.clone()],
        &mut demand_w[host.devices.clone()],
    );
    for (demand, cap) in demands.iter_mut().zip(caps) {
        *demand = (ratio * cap).min(*cap).max(idle_w);
    }
}
