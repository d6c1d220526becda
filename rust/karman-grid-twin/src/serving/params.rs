//! Parameters of the serving model and the curves they describe.
//!
//! Owns the checks on them and the evaluation of times and power ratios. Pure functions.

use serde::{Deserialize, Serialize};

use crate::arrivals::interpolate;

/// Parameters of the serving model; ratios are power ÷ TDP of the GPU.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServingParams {
    /// Knots of the prefill tables: prompt tokens of a batch, rising.
    pub prefill_tokens: Vec<f64>,
    /// Time that prefilling such a batch takes, s.
    pub prefill_time_s: Vec<f64>,
    /// Power while prefilling such a batch.
    pub prefill_power_ratio: Vec<f64>,
    /// Time of one token for each request of the batch, at a batch of 0, s.
    pub decode_time_base_s: f64,
    /// What each request adds to that time, s.
    pub decode_time_per_request_s: f64,
    /// Power while decoding, at a batch of 0.
    pub decode_power_ratio_base: f64,
    /// What each request adds to that power.
    pub decode_power_ratio_per_request: f64,
    /// Batch above which the decode power is held.
    pub decode_power_requests_max: u32,
    /// Power without work.
    pub idle_power_ratio: f64,
    /// Prompt tokens that one prefill batch takes at most (a longer prompt goes alone).
    pub prefill_batch_tokens_max: f64,
    /// Requests that a server decodes at once at most.
    pub decode_requests_max: u32,
    /// Time over which the requests of one arrival are spread evenly, s; 0 = all at once.
    pub spread_s: f64,
}

impl ServingParams {
    /// Checks what the model relies on.
    ///
    /// # Errors
    /// Names the first parameter that is out of range, what was found and what was expected.
    pub fn validate(&self) -> Result<(), String> {
        let knots = self.prefill_tokens.len();
        if knots < 2
            || self.prefill_time_s.len() != knots
            || self.prefill_power_ratio.len() != knots
        {
            return Err(
                "prefill_tokens, prefill_time_s, prefill_power_ratio: found tables of \
                        different or too small length, expected one length, at least 2"
                    .into(),
            );
        }
        if !self.prefill_tokens.windows(2).all(|pair| pair[0] < pair[1]) {
            return Err("prefill_tokens: found knots out of order, expected rising ones".into());
        }
        if !self
            .prefill_time_s
            .windows(2)
            .all(|pair| pair[0] <= pair[1])
        {
            return Err("prefill_time_s: found a falling time, expected none".into());
        }
        let within = |name: &str, value: f64, low: f64, high: f64| {
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                Err(format!("{name}: found {value}, expected {low} to {high}"))
            }
        };
        for index in 0..knots {
            within("prefill_tokens", self.prefill_tokens[index], 1.0, 1e9)?;
            within("prefill_time_s", self.prefill_time_s[index], 1e-6, 1e6)?;
            within(
                "prefill_power_ratio",
                self.prefill_power_ratio[index],
                0.0,
                1.0,
            )?;
        }
        let decode = self.decode_time_base_s;
        within("decode_time_base_s", decode, 1e-6, 1e3)?;
        let slope = self.decode_time_per_request_s;
        within("decode_time_per_request_s", slope, 0.0, 1e3)?;
        let decode = self.decode_power_ratio_base;
        within("decode_power_ratio_base", decode, 0.0, 1.0)?;
        let slope = self.decode_power_ratio_per_request;
        within("decode_power_ratio_per_request", slope, 0.0, 1.0)?;
        within("idle_power_ratio", self.idle_power_ratio, 0.0, 1.0)?;
        let batch = self.prefill_batch_tokens_max;
        within("prefill_batch_tokens_max", batch, 1.0, 1e9)?;
        let requests = f64::from(self.decode_requests_max);
        within("decode_requests_max", requests, 1.0, 4096.0)?;
        within("spread_s", self.spread_s, 0.0, 3600.0)
    }

    pub(super) fn prefill_s(&self, tokens: f64) -> f64 {
        interpolate(tokens, &self.prefill_tokens, &self.prefill_time_s)
    }

    pub(super) fn prefill_ratio(&self, tokens: f64) -> f64 {
        let ratio = interpolate(tokens, &self.prefill_tokens, &self.prefill_power_ratio);
        ratio.clamp(0.0, 1.0)
    }

    pub(super) fn decode_tokens_per_s(&self, requests: usize) -> f64 {
        1.0 / (self.decode_time_base_s + self.decode_time_per_request_s * requests as f64)
    }

    pub(super) fn decode_ratio(&self, requests: usize) -> f64 {
        let counted = requests.min(self.decode_power_requests_max as usize) as f64;
        let ratio = self.decode_power_ratio_base + self.decode_power_ratio_per_request * counted;
        ratio.clamp(0.0, 1.0)
    }

    /// Reference time of work: prefill and decode at their fullest batches, s.
    pub(super) fn work_s(&self, prefill_tokens: f64, decode_tokens: f64) -> f64 {
        let batch = self.prefill_batch_tokens_max;
        let requests = self.decode_requests_max as usize;
        prefill_tokens * self.prefill_s(batch) / batch
            + decode_tokens / (self.decode_tokens_per_s(requests) * requests as f64)
    }
}
