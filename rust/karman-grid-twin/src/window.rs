//! Means and spans over the last moments of a run, fed step by step at any grain.
//!
//! Owns small ring buffers that are filled once; nothing here allocates later.

use std::collections::VecDeque;

/// Time-weighted mean of several quantities over the last `span_ns`.
#[derive(Clone, Debug)]
pub(crate) struct Mean {
    span_ns: u64,
    width: usize,
    steps: VecDeque<u64>,
    values: VecDeque<f64>,
    sums: Vec<f64>,
    held_ns: u64,
}

impl Mean {
    /// Of `width` quantities.
    pub(crate) fn new(span_ns: u64, width: usize) -> Mean {
        Mean {
            span_ns,
            width,
            steps: VecDeque::new(),
            values: VecDeque::new(),
            sums: vec![0.0; width],
            held_ns: 0,
        }
    }

    /// Takes values that held for `step_ns`; whole older steps beyond the span are forgotten.
    pub(crate) fn push(&mut self, step_ns: u64, values: &[f64]) {
        debug_assert_eq!(values.len(), self.width);
        self.enter(step_ns, values.iter().copied());
    }

    /// The same, with one more value behind the others.
    pub(crate) fn push_with(&mut self, step_ns: u64, values: &[f64], last: f64) {
        debug_assert_eq!(values.len() + 1, self.width);
        self.enter(step_ns, values.iter().copied().chain([last]));
    }

    fn enter(&mut self, step_ns: u64, values: impl Iterator<Item = f64>) {
        self.held_ns += step_ns;
        self.steps.push_back(step_ns);
        for (sum, value) in self.sums.iter_mut().zip(values) {
            self.values.push_back(value);
            *sum += value * step_ns as f64;
        }
        while let Some(oldest_ns) = self.steps.front().copied()
            && self.held_ns - oldest_ns >= self.span_ns
        {
            self.steps.pop_front();
            self.held_ns -= oldest_ns;
            for (sum, value) in self.sums.iter_mut().zip(self.values.drain(..self.width)) {
                *sum -= value * oldest_ns as f64;
            }
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.steps.clear();
        self.values.clear();
        self.sums.fill(0.0);
        self.held_ns = 0;
    }

    /// Whether the span is filled.
    pub(crate) fn is_full(&self) -> bool {
        self.held_ns >= self.span_ns
    }

    /// Mean of quantity `at`; 0 before anything came.
    pub(crate) fn of(&self, at: usize) -> f64 {
        if self.held_ns == 0 {
            0.0
        } else {
            self.sums[at] / self.held_ns as f64
        }
    }
}

/// Largest change of a quantity within a span.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    span_ns: u64,
    /// Falling values from the front: the largest of the span stands first.
    high: VecDeque<(u64, f64)>,
    /// Rising values from the front.
    low: VecDeque<(u64, f64)>,
}

impl Span {
    pub(crate) fn new(span_ns: u64) -> Span {
        Span {
            span_ns,
            high: VecDeque::new(),
            low: VecDeque::new(),
        }
    }

    /// Takes a value; the difference of the largest and the smallest one of the span.
    pub(crate) fn push(&mut self, now_ns: u64, value: f64) -> f64 {
        while self.high.back().is_some_and(|(_, old)| *old <= value) {
            self.high.pop_back();
        }
        self.high.push_back((now_ns, value));
        while self.low.back().is_some_and(|(_, old)| *old >= value) {
            self.low.pop_back();
        }
        self.low.push_back((now_ns, value));
        let since_ns = now_ns.saturating_sub(self.span_ns);
        for queue in [&mut self.high, &mut self.low] {
            while queue.front().is_some_and(|(at_ns, _)| *at_ns < since_ns) {
                queue.pop_front();
            }
        }
        let first = |queue: &VecDeque<(u64, f64)>| queue.front().map_or(value, |(_, v)| *v);
        first(&self.high) - first(&self.low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_forgets() {
        let mut mean = Mean::new(100, 2);
        for n in 0..20 {
            mean.push(10, &[f64::from(n), 1.0]);
        }
        assert!((mean.of(0) - 14.5).abs() < 1e-9 && (mean.of(1) - 1.0).abs() < 1e-12);
        assert!(mean.is_full());
        mean.push(100, &[7.0, 2.0]);
        assert_eq!((mean.of(0), mean.of(1)), (7.0, 2.0));
        mean.clear();
        assert!(!mean.is_full());
    }

    #[test]
    fn the_span_finds_a_step_and_no_more() {
        let mut span = Span::new(100);
        assert_eq!(span.push(0, 5.0), 0.0);
        assert_eq!(span.push(60, 9.0), 4.0);
        assert_eq!(span.push(100, 8.0), 4.0);
        assert_eq!(span.push(160, 8.5), 1.0);
        assert_eq!(span.push(300, 2.0), 0.0);
    }
}
