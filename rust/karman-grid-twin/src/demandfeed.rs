//! Requests as the hall's demand: the serving model stepped beside the plant.
//!
//! Owns the coupling. A server works at the pace that its most throttled GPU leaves it: pace =
//! (power − idle) ÷ (demand − idle), which is pessimistic for decoding (model, unverified). A
//! second copy of the model runs uncapped on the same arrivals, so that lost work can be told.

use crate::arrivals::Arrival;
use crate::hall::Plant;
use crate::params::GpuParams;
use crate::serving::{Serving, ServingParams};
use karman_grid_core::time::NS_PER_S;
use karman_grid_core::topology::Topology;
use std::ops::Range;
use std::sync::Arc;

/// Requests that make the demand.
#[derive(Clone, Debug)]
pub struct Workload {
    /// How servers work.
    pub serving: ServingParams,
    /// What arrives; time 0 is the end of the run-in.
    pub arrivals: Arc<[Arrival]>,
    /// Requests that one arrival stands for.
    pub arrival_scale: f64,
}

/// Servers of the hall.
#[derive(Clone, Debug)]
pub(crate) struct DemandFeed {
    arrivals: Arc<[Arrival]>,
    serving: Serving,
    uncapped: Serving,
    hosts: Vec<Range<usize>>,
    pace: Vec<f32>,
    full: Vec<f32>,
    ratio: Vec<f32>,
    uncapped_ratio: Vec<f32>,
    idle_w: f32,
}

impl DemandFeed {
    pub(crate) fn new(workload: &Workload, topology: &Topology) -> DemandFeed {
        let count = topology.hosts.len();
        let serving = Serving::new(workload.serving.clone(), count, workload.arrival_scale);
        DemandFeed {
            arrivals: Arc::clone(&workload.arrivals),
            uncapped: serving.clone(),
            serving,
            hosts: topology.hosts.iter().map(|h| h.devices.clone()).collect(),
            pace: vec![1.0; count],
            full: vec![1.0; count],
            ratio: vec![0.0; count],
            uncapped_ratio: vec![0.0; count],
            idle_w: GpuParams::default().idle_w as f32,
        }
    }

    /// Works from `from_ns` for `step_ns` and sets what the GPUs want to draw meanwhile.
    pub(crate) fn step(&mut self, plant: &mut Plant, from_ns: u64, step_ns: u64, start_ns: u64) {
        let (demand_w, power_w) = (plant.demand_w(), plant.power_w());
        for (pace, host) in self.pace.iter_mut().zip(&self.hosts) {
            let pairs = demand_w[host.clone()].iter().zip(&power_w[host.clone()]);
            *pace = pairs.fold(1.0, |slowest: f32, (demand, power)| {
                let wanted = demand - self.idle_w;
                let given = (power - self.idle_w).max(0.0);
                if wanted > 1.0 {
                    slowest.min(given / wanted)
                } else {
                    slowest
                }
            });
        }
        let t_s = (from_ns as f64 - start_ns as f64) / NS_PER_S as f64;
        let dt_s = step_ns as f64 / NS_PER_S as f64;
        self.serving
            .step(t_s, dt_s, &self.arrivals, &self.pace, &mut self.ratio);
        self.uncapped.step(
            t_s,
            dt_s,
            &self.arrivals,
            &self.full,
            &mut self.uncapped_ratio,
        );
        plant.set_host_demand_ratio(&self.ratio);
    }

    /// Share of the work of an uncapped run that was not done.
    pub(crate) fn work_lost_ratio(&self) -> f64 {
        self.serving.work_lost_ratio(&self.uncapped)
    }
}
