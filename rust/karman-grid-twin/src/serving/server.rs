//! One server: a line of prompts, prefilled in batches, and a batch of requests decoded together.
//!
//! Owns how work turns into time and power. Each request's end is kept as a reading of one clock
//! that counts the tokens of the whole batch, so a step costs the same however many requests run.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{ServingParams, ServingTotals};

/// Prompts that a server holds in line before requests wait for a free place in the hall.
pub(super) const LINE_MAX: usize = 8;

/// A request on its way.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Request {
    pub(super) context_tokens: u32,
    pub(super) generated_tokens: u32,
}

/// One server. Hot fields first; the line is a ring of at most `LINE_MAX` prompts, of which the
/// first `batch` are being prefilled.
#[derive(Debug, Clone)]
pub(super) struct Server {
    prefill_left_s: f64,
    prefill_tokens_per_s: f64,
    prefill_ratio: f64,
    /// Tokens that a request decoding since the start would have by now: one clock for the batch.
    decoded_tokens: f64,
    decode_tokens_per_s: f64,
    decode_ratio: f64,
    batch: usize,
    line_len: usize,
    line_head: usize,
    line_s: f64,
    /// Sum of the readings of the clock at which the requests of the batch end.
    ends_sum: f64,
    /// The first of these readings; infinite without requests.
    end_first: f64,
    /// All of them, as the bits of an f64 ≥ 0, which order as the numbers do.
    ends: BinaryHeap<Reverse<u64>>,
    line: [Request; LINE_MAX],
}

impl Server {
    /// An idle server. Its room for requests is taken here, once and for all.
    pub(super) fn new(params: &ServingParams) -> Self {
        Self {
            prefill_left_s: 0.0,
            prefill_tokens_per_s: 0.0,
            prefill_ratio: 0.0,
            decoded_tokens: 0.0,
            decode_tokens_per_s: 0.0,
            decode_ratio: 0.0,
            batch: 0,
            line_len: 0,
            line_head: 0,
            line_s: 0.0,
            ends_sum: 0.0,
            end_first: f64::INFINITY,
            ends: BinaryHeap::with_capacity(params.decode_requests_max as usize),
            line: [Request::default(); LINE_MAX],
        }
    }

    /// Places taken in its line.
    pub(super) fn line_len(&self) -> usize {
        self.line_len
    }

    /// Requests being decoded.
    pub(super) fn decode_requests(&self) -> usize {
        self.ends.len()
    }

    /// Outstanding work, s: prompts in line and tokens to decode.
    pub(super) fn load_s(&self, decode_slope_s: f64) -> f64 {
        let tokens = self.ends_sum - self.decoded_tokens * self.ends.len() as f64;
        self.line_s + decode_slope_s * tokens
    }

    pub(super) fn enqueue(&mut self, request: Request, alone_s: f64) {
        self.line[(self.line_head + self.line_len) % LINE_MAX] = request;
        self.line_len += 1;
        self.line_s += alone_s;
    }

    /// Works for `budget_s` and returns the mean power ratio over it.
    #[inline]
    pub(super) fn advance(
        &mut self,
        budget_s: f64,
        params: &ServingParams,
        totals: &mut ServingTotals,
    ) -> f64 {
        if budget_s <= 0.0 {
            return self.ratio_now(params);
        }
        // Most steps stay inside one phase.
        if self.prefill_left_s > budget_s {
            self.prefill_left_s -= budget_s;
            totals.tokens_done[0] += budget_s * self.prefill_tokens_per_s;
            return self.prefill_ratio;
        }
        let mut left_s = budget_s;
        let mut energy = 0.0;
        while left_s > 0.0 && (self.batch > 0 || self.start_batch(params)) {
            let spent_s = self.prefill_left_s.min(left_s);
            self.prefill_left_s -= spent_s;
            left_s -= spent_s;
            energy += spent_s * self.prefill_ratio;
            totals.tokens_done[0] += spent_s * self.prefill_tokens_per_s;
            if self.prefill_left_s <= 0.0 {
                self.finish_batch(params, totals);
            }
        }
        if left_s > 0.0 {
            energy += if self.ends.is_empty() {
                left_s * params.idle_power_ratio
            } else {
                self.decode(left_s, params, totals)
            };
        }
        energy / budget_s
    }

    /// The power ratio of what a server that stands still would do next.
    fn ratio_now(&mut self, params: &ServingParams) -> f64 {
        if self.batch > 0 || self.start_batch(params) {
            self.prefill_ratio
        } else if self.ends.is_empty() {
            params.idle_power_ratio
        } else {
            self.decode_ratio
        }
    }

    /// Forms the next prefill batch from the head of the line; false where nothing can start.
    fn start_batch(&mut self, params: &ServingParams) -> bool {
        let room = (params.decode_requests_max as usize).saturating_sub(self.ends.len());
        let mut tokens = 0.0;
        while self.batch < self.line_len.min(room) {
            let request = self.line[(self.line_head + self.batch) % LINE_MAX];
            let with = tokens + f64::from(request.context_tokens);
            if self.batch > 0 && with > params.prefill_batch_tokens_max {
                break;
            }
            tokens = with;
            self.batch += 1;
        }
        if self.batch == 0 {
            return false;
        }
        self.prefill_left_s = params.prefill_s(tokens);
        self.prefill_tokens_per_s = tokens / self.prefill_left_s;
        self.prefill_ratio = params.prefill_ratio(tokens);
        true
    }

    /// Moves the prefilled requests into the decode batch; the prefill gave their first token.
    fn finish_batch(&mut self, params: &ServingParams, totals: &mut ServingTotals) {
        for _ in 0..self.batch {
            let request = self.line[self.line_head];
            self.line_head = (self.line_head + 1) % LINE_MAX;
            self.line_len -= 1;
            self.line_s -= params.prefill_s(f64::from(request.context_tokens));
            if request.generated_tokens > 1 {
                let end = self.decoded_tokens + f64::from(request.generated_tokens - 1);
                self.ends_sum += end;
                self.ends.push(Reverse(end.to_bits()));
            } else {
                totals.requests_done += 1;
            }
        }
        self.batch = 0;
        if self.line_len == 0 {
            self.line_s = 0.0;
        }
        self.find_first();
        self.set_pace(params);
    }

    fn find_first(&mut self) {
        let bits = self.ends.peek().map(|end| end.0);
        self.end_first = bits.map_or(f64::INFINITY, f64::from_bits);
    }

    fn set_pace(&mut self, params: &ServingParams) {
        self.decode_tokens_per_s = params.decode_tokens_per_s(self.ends.len());
        self.decode_ratio = params.decode_ratio(self.ends.len());
    }

    /// Decodes for `time_s` at the pace of the present batch; returns ratio × time.
    fn decode(&mut self, time_s: f64, params: &ServingParams, totals: &mut ServingTotals) -> f64 {
        let energy = time_s * self.decode_ratio;
        let tokens = time_s * self.decode_tokens_per_s;
        self.decoded_tokens += tokens;
        totals.tokens_done[1] += tokens * self.ends.len() as f64;
        if self.end_first > self.decoded_tokens {
            return energy;
        }
        while self.end_first <= self.decoded_tokens {
            self.ends.pop();
            self.ends_sum -= self.end_first;
            // What the request did not need was not done.
            totals.tokens_done[1] -= self.decoded_tokens - self.end_first;
            totals.requests_done += 1;
            self.find_first();
        }
        if self.ends.is_empty() {
            self.decoded_tokens = 0.0;
            self.ends_sum = 0.0;
        }
        self.set_pace(params);
        energy
    }
}
