//! Serving: what the requests make the servers' GPUs do, and so what they draw.
//!
//! Owns the servers' queues and decode batches and the demand ratio that follows from them. Each
//! server (tensor parallel over its GPUs) first prefills waiting prompts in batches, then decodes
//! all its requests together; a lower `speed` makes the same work take longer. Stepped at any grain
//! from 1 to 100 ms without allocating. Formulas and sources: `docs/reference/workload-model.md`.

mod params;
mod server;

use std::collections::VecDeque;

use serde::Serialize;

use self::server::{LINE_MAX, Request, Server};
use crate::arrivals::Arrival;

pub use self::params::ServingParams;

/// Largest 10 s mean of the hall's uncapped load under the measured arrivals of 2023, W: what the
/// default `arrival_scale` is calibrated to (1,000 kW without any margin, less the 4 % of sharing
/// error).
pub const HALL_PEAK_TARGET_W: f64 = 961_500.0;

/// Requests that may wait for a place in the hall; beyond them arrivals are turned away.
const WAITING_MAX: usize = 1 << 18;

/// Totals since the start, over all servers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct ServingTotals {
    /// Requests that arrived.
    pub requests_offered: u64,
    /// Requests answered completely.
    pub requests_done: u64,
    /// Requests turned away because too many waited.
    pub requests_refused: u64,
    /// Prompt tokens and tokens to generate that arrived.
    pub tokens_offered: [f64; 2],
    /// Prompt tokens prefilled and tokens generated after the first.
    pub tokens_done: [f64; 2],
}

/// All servers of a hall and the requests waiting for them.
#[derive(Debug, Clone)]
pub struct Serving {
    params: ServingParams,
    arrival_scale: f64,
    servers: Vec<Server>,
    waiting: VecDeque<Request>,
    places: usize,
    /// First arrival whose requests have not all been released.
    cursor: usize,
    now_s: Option<f64>,
    totals: ServingTotals,
}

impl Serving {
    /// Idle servers. `arrival_scale` (finite, > 0, fractions allowed) is the number of requests an
    /// arrival stands for; `params` must pass [`ServingParams::validate`].
    #[must_use]
    pub fn new(params: ServingParams, servers: usize, arrival_scale: f64) -> Self {
        let servers: Vec<Server> = (0..servers).map(|_| Server::new(&params)).collect();
        Self {
            places: servers.len() * LINE_MAX,
            waiting: VecDeque::with_capacity(WAITING_MAX),
            servers,
            params,
            arrival_scale,
            cursor: 0,
            now_s: None,
            totals: ServingTotals::default(),
        }
    }

    /// Moves all servers from `t_s` to `t_s + dt_s`.
    ///
    /// `arrivals` is the whole list, in order of time and the same at every call; those before the
    /// first `t_s` are skipped. Per server, `speed` (0 to 1, 1 = uncapped) is the pace of its work
    /// and `demand_ratio_out` receives the mean power ÷ TDP that its GPUs would draw at that work.
    /// Consecutive calls must follow each other without gap.
    ///
    /// # Panics
    /// When a slice is shorter than the number of servers.
    pub fn step(
        &mut self,
        t_s: f64,
        dt_s: f64,
        arrivals: &[Arrival],
        speed: &[f32],
        demand_ratio_out: &mut [f32],
    ) {
        let until_s = t_s + dt_s;
        self.release(self.now_s.unwrap_or(t_s), until_s, arrivals);
        // The end of this step, not the caller's next start: rounding must lose no request.
        self.now_s = Some(until_s);
        self.dispatch();
        let count = self.servers.len();
        let (speed, out) = (&speed[..count], &mut demand_ratio_out[..count]);
        for (index, server) in self.servers.iter_mut().enumerate() {
            let before = server.line_len();
            let budget_s = dt_s * f64::from(speed[index].clamp(0.0, 1.0));
            let ratio = server.advance(budget_s, &self.params, &mut self.totals);
            self.places += before - server.line_len();
            out[index] = ratio as f32;
        }
    }

    /// Puts the requests that arrive in [`from_s`, `until_s`) into the waiting line.
    fn release(&mut self, from_s: f64, until_s: f64, arrivals: &[Arrival]) {
        let spread_s = self.params.spread_s;
        while let Some(arrival) = arrivals.get(self.cursor)
            && arrival.at_s + spread_s < from_s
        {
            self.cursor += 1;
        }
        for (index, arrival) in arrivals.iter().enumerate().skip(self.cursor) {
            if arrival.at_s >= until_s {
                break;
            }
            let requests = self.requests_of(index);
            let already = released_by(from_s, arrival.at_s, spread_s, requests);
            let due = released_by(until_s, arrival.at_s, spread_s, requests) - already;
            for _ in 0..due as u64 {
                self.offer(Request {
                    context_tokens: arrival.context_tokens,
                    generated_tokens: arrival.generated_tokens,
                });
            }
        }
    }

    /// Whole requests of an arrival: the fraction of the scale is carried along the list.
    fn requests_of(&self, index: usize) -> f64 {
        let scale = self.arrival_scale;
        (scale * (index + 1) as f64).floor() - (scale * index as f64).floor()
    }

    fn offer(&mut self, request: Request) {
        let totals = &mut self.totals;
        totals.requests_offered += 1;
        totals.tokens_offered[0] += f64::from(request.context_tokens);
        totals.tokens_offered[1] += f64::from(request.generated_tokens.saturating_sub(1));
        if self.waiting.len() < WAITING_MAX {
            self.waiting.push_back(request);
        } else {
            totals.requests_refused += 1;
        }
    }

    /// Gives waiting requests, oldest first, to the least loaded server with a place in its line.
    fn dispatch(&mut self) {
        while self.places > 0 {
            let Some(request) = self.waiting.pop_front() else {
                return;
            };
            let slope_s = self.params.decode_time_per_request_s;
            let mut best = (f64::INFINITY, 0);
            for (index, server) in self.servers.iter().enumerate() {
                let load_s = server.load_s(slope_s);
                if server.line_len() < LINE_MAX && load_s < best.0 {
                    best = (load_s, index);
                }
            }
            let alone_s = self.params.prefill_s(f64::from(request.context_tokens));
            self.servers[best.1].enqueue(request, alone_s);
            self.places -= 1;
        }
    }

    /// Totals since the start.
    #[must_use]
    pub fn totals(&self) -> ServingTotals {
        self.totals
    }

    /// Requests that wait for a place in a server's line.
    #[must_use]
    pub fn requests_waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Requests in the decode batch of a server.
    #[must_use]
    pub fn decode_requests(&self, server: usize) -> usize {
        self.servers[server].decode_requests()
    }

    /// Work done since the start, in seconds of one server at its fullest batches.
    #[must_use]
    pub fn work_done_s(&self) -> f64 {
        let done = self.totals.tokens_done;
        self.params.work_s(done[0], done[1])
    }

    /// Work that arrived since the start, in the same unit.
    #[must_use]
    pub fn work_offered_s(&self) -> f64 {
        let offered = self.totals.tokens_offered;
        self.params.work_s(offered[0], offered[1])
    }

    /// Share of the work of an uncapped run on the same arrivals that this run did not get done
    /// by the same instant; 0 where it did all of it.
    #[must_use]
    pub fn work_lost_ratio(&self, uncapped: &Self) -> f64 {
        let reference_s = uncapped.work_done_s();
        if reference_s > 0.0 {
            (1.0 - self.work_done_s() / reference_s).max(0.0)
        } else {
            0.0
        }
    }
}

/// Requests of an arrival at `at_s`, `requests` in all, spread over `spread_s`, before `t_s`.
fn released_by(t_s: f64, at_s: f64, spread_s: f64, requests: f64) -> f64 {
    if t_s <= at_s {
        0.0
    } else if t_s >= at_s + spread_s {
        requests
    } else {
        ((t_s - at_s) / spread_s * requests + 0.5).floor()
    }
}
