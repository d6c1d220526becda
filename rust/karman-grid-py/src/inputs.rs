//! From JSON documents to the inputs of a run.

use crate::errors;
use karman_grid_core::site::SiteSpec;
use karman_grid_twin::arrivals::{Arrival, ArrivalParams, generate};
use karman_grid_twin::scenario::Scenario;
use karman_grid_twin::serving::ServingParams;
use karman_grid_twin::sim::{Control, FIRST_EPOCH, Inputs, RUN_IN_NS, Workload};
use pyo3::prelude::*;
use serde::Deserialize;
use std::sync::Arc;

/// Arrivals as columns: seconds, context tokens, generated tokens.
pub type Columns = (Vec<f64>, Vec<u32>, Vec<u32>);

#[derive(Deserialize)]
struct WorkloadDocument {
    serving: ServingParams,
    arrivals: ArrivalParams,
    arrival_scale: f64,
}

/// Everything of a run but its seed.
#[derive(Clone)]
pub struct Prepared {
    inputs: Inputs,
    generator: Option<(ServingParams, ArrivalParams, f64)>,
}

impl Prepared {
    /// # Errors
    /// `SiteError` naming the document that cannot be used.
    pub fn new(
        site: &str,
        scenario: &str,
        control: &str,
        workload: Option<&str>,
        arrivals: Option<Columns>,
    ) -> PyResult<Prepared> {
        let site: SiteSpec = serde_json::from_str(site).map_err(|e| errors::shape("site", e))?;
        let scenario: Scenario =
            serde_json::from_str(scenario).map_err(|e| errors::shape("scenario", e))?;
        let control: Control =
            serde_json::from_value(control.into()).map_err(|e| errors::shape("control", e))?;
        let mut generator = None;
        let mut fixed = None;
        if let Some(document) = workload {
            let document: WorkloadDocument =
                serde_json::from_str(document).map_err(|e| errors::shape("workload", e))?;
            document
                .serving
                .validate()
                .map_err(|e| errors::shape("workload.serving", e))?;
            document
                .arrivals
                .validate()
                .map_err(|e| errors::shape("workload.arrivals", e))?;
            let scale = scenario
                .demand
                .arrival_scale
                .unwrap_or(document.arrival_scale);
            match arrivals {
                Some(columns) => {
                    let arrivals = rows(columns)?.into();
                    let serving = document.serving;
                    fixed = Some(Workload {
                        serving,
                        arrivals,
                        arrival_scale: scale,
                    });
                }
                None => generator = Some((document.serving, document.arrivals, scale)),
            }
        }
        let inputs = Inputs {
            site,
            scenario,
            seed: 0,
            epoch: FIRST_EPOCH,
            run_in_ns: RUN_IN_NS,
            control,
            workload: fixed,
        };
        Ok(Prepared { inputs, generator })
    }

    /// The inputs of one seed.
    pub fn with_seed(&self, seed: u64) -> Inputs {
        let mut inputs = self.inputs.clone();
        inputs.seed = seed;
        if let Some((serving, params, arrival_scale)) = &self.generator {
            let arrivals: Arc<[Arrival]> =
                generate(params, seed, inputs.scenario.duration_s).into();
            let (serving, arrival_scale) = (serving.clone(), *arrival_scale);
            inputs.workload = Some(Workload {
                serving,
                arrivals,
                arrival_scale,
            });
        }
        inputs
    }
}

fn rows((at_s, context, generated): Columns) -> PyResult<Vec<Arrival>> {
    if at_s.len() != context.len() || at_s.len() != generated.len() {
        return Err(errors::shape("arrivals", "columns of different lengths"));
    }
    let row = |((at_s, context_tokens), generated_tokens)| Arrival {
        at_s,
        context_tokens,
        generated_tokens,
    };
    Ok(at_s
        .into_iter()
        .zip(context)
        .zip(generated)
        .map(row)
        .collect())
}
