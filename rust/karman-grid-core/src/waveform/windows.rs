//! Windows of whole sixteenths of a cycle with edges between frames: RMS, power and frequency.
//!
//! Edges come from a free-running phase, never from zero crossings, so a dead bus has values too.
//! Sums over whole frames are exact integers; each edge adds the part of a frame interval on its
//! side (trapezoid, linear between frames). Integer edges would miss the accuracy of a dip's
//! residual below 20 kS/s. Frequency is the slope of the fundamental's phase over two cycles.

use crate::waveform::kernel::{Kernel, Products, SUMS};

/// Integrals of one segment: the exact sums, then six correlations (v·cos, v·sin by phase).
type Integrals = [f64; SUMS + 6];

/// Segments a cycle.
const PER_CYCLE: usize = 16;
/// The same where frames are too rare to fill sixteenths.
const PER_CYCLE_SLOW: usize = 4;
/// Below this rate segments are longer.
const SLOW_HZ: f64 = 4_000.0;

/// What a window of segments holds, in squared counts.
#[derive(Clone, Copy, Debug)]
pub struct Means {
    /// Mean squares of the voltages.
    pub voltage: [f64; 3],
    /// Mean squares of the currents.
    pub current: [f64; 3],
    /// Mean products by phase.
    pub power: [f64; 3],
}

/// Fundamental of half a cycle: phase by phase, relative to the free-running phase.
#[derive(Clone, Copy, Debug, Default)]
struct Half {
    phasor: [[f64; 2]; 3],
    frames: f64,
}

/// Segments of one meter.
#[derive(Clone, Debug)]
pub struct Windows {
    /// Segments a cycle.
    pub per_cycle: usize,
    rate_hz: f64,
    /// Frames in a segment.
    length: f64,
    /// From the last frame to the coming edge, in frames.
    remaining: f64,
    /// Segment being filled, of the cycle.
    index: usize,
    /// Part of the integrals before the first whole frame, less half that frame.
    start: Integrals,
    /// Whether the segment being filled has a proper start.
    begun: bool,
    /// Last cycle: integrals and frames, slot by segment of the cycle.
    history: [(Integrals, f64); PER_CYCLE],
    filled: usize,
    halves: [Half; 4],
    halves_filled: usize,
}

impl Windows {
    /// Windows for `rate_hz` frames a second at `frequency_hz`.
    pub fn new(rate_hz: f64, frequency_hz: f64) -> Windows {
        let per_cycle = if rate_hz < SLOW_HZ {
            PER_CYCLE_SLOW
        } else {
            PER_CYCLE
        };
        let length = rate_hz / frequency_hz / per_cycle as f64;
        Windows {
            per_cycle,
            rate_hz,
            length,
            remaining: length,
            index: 0,
            start: [0.0; SUMS + 6],
            begun: false,
            history: [([0.0; SUMS + 6], 0.0); PER_CYCLE],
            filled: 0,
            halves: [Half::default(); 4],
            halves_filled: 0,
        }
    }

    /// Frames until one lies at or beyond the coming edge, at least 1.
    pub fn frames_to_edge(&self) -> u32 {
        (self.remaining.ceil() as u32).max(1)
    }

    /// Sets the length of segments, from the one just begun on: call it right after `close`.
    pub fn set_frequency(&mut self, kernel: &mut Kernel, frequency_hz: f64) {
        let elapsed = self.length - self.remaining;
        self.length = self.rate_hz / frequency_hz / self.per_cycle as f64;
        self.remaining = self.length - elapsed;
        self.align(kernel);
    }

    /// Whether half a cycle has just been completed.
    pub fn at_half(&self) -> bool {
        self.index.is_multiple_of(self.per_cycle / 2)
    }

    /// Lets missing frames pass: the phase goes on, the windows start again.
    pub fn skip(&mut self, frames: u64) {
        self.remaining -= frames as f64;
        while self.remaining <= 0.0 {
            self.remaining += self.length;
            self.index = (self.index + 1) % self.per_cycle;
        }
        self.begun = false;
        self.filled = 0;
        self.halves_filled = 0;
    }

    /// Closes the segment after the kernel has passed `frames_to_edge` frames.
    pub fn close(&mut self, kernel: &mut Kernel) {
        let whole = f64::from(self.frames_to_edge());
        let part = self.remaining - (whole - 1.0);
        let before = integrands(&kernel.last[0], kernel.scale[0]);
        let after = integrands(&kernel.last[1], kernel.scale[0]);
        let sums = sums(kernel);
        let mut closed = [0.0; SUMS + 6];
        for (at, closed) in closed.iter_mut().enumerate() {
            let (y0, y1) = (before[at], after[at]);
            let right = part * y0 + part * part * 0.5 * (y1 - y0);
            *closed = self.start[at] + (sums[at] - y1) - 0.5 * y0 + right;
            self.start[at] = 0.5 * (y0 + y1) - right - 0.5 * y1;
        }
        kernel.sums = kernel.last[1].squares();
        for phase in 0..3 {
            kernel.correlation[0][phase] = after[SUMS + phase] as f32;
            kernel.correlation[1][phase] = after[SUMS + 3 + phase] as f32;
        }
        if self.begun {
            self.history[self.index] = (closed, self.length);
            self.filled = (self.filled + 1).min(self.per_cycle);
        }
        self.begun = true;
        self.index = (self.index + 1) % self.per_cycle;
        self.remaining += self.length - whole;
        if self.at_half() && self.filled >= self.per_cycle / 2 {
            self.push_half();
        }
        self.align(kernel);
    }

    /// Sets the phasor of the next frame from the phase of the edge last passed.
    pub fn align(&self, kernel: &mut Kernel) {
        let since_edge = self.length - self.remaining + 1.0;
        let turns = (self.index as f64 + since_edge / self.length) / self.per_cycle as f64;
        let (sin, cos) = libm::sincos(core::f64::consts::TAU * turns);
        kernel.phasor = [cos as f32, sin as f32];
    }

    fn push_half(&mut self) {
        let mut half = Half::default();
        for (integrals, frames) in self.last(self.per_cycle / 2) {
            for phase in 0..3 {
                half.phasor[phase][0] += integrals[SUMS + phase];
                half.phasor[phase][1] -= integrals[SUMS + 3 + phase];
            }
            half.frames += frames;
        }
        self.halves.rotate_left(1);
        self.halves[3] = half;
        self.halves_filled = (self.halves_filled + 1).min(4);
    }

    /// The last `count` segments.
    fn last(&self, count: usize) -> impl Iterator<Item = &(Integrals, f64)> {
        let per_cycle = self.per_cycle;
        (1..=count).map(move |back| &self.history[(self.index + per_cycle - back) % per_cycle])
    }

    /// Means over the last half cycle.
    pub fn half_cycle(&self) -> Option<Means> {
        let half = self.per_cycle / 2;
        (self.filled >= half).then(|| means(self.last(half)))
    }

    /// Means over the half cycle before the last.
    pub fn half_cycle_before(&self) -> Option<Means> {
        let half = self.per_cycle / 2;
        (self.filled >= self.per_cycle).then(|| means(self.last(self.per_cycle).skip(half)))
    }

    /// Means over the last cycle.
    pub fn cycle(&self) -> Option<Means> {
        (self.filled >= self.per_cycle).then(|| means(self.last(self.per_cycle)))
    }

    /// Frequency over the last two cycles, while at least a tenth of nominal voltage is there.
    pub fn frequency_hz(&self) -> Option<f64> {
        if self.halves_filled < 4 {
            return None;
        }
        let [h0, h1, h2, h3] = &self.halves;
        let (mut re, mut im, mut power) = (0.0, 0.0, 0.0);
        for phase in 0..3 {
            let old = [0, 1].map(|part| h0.phasor[phase][part] + h1.phasor[phase][part]);
            let new = [0, 1].map(|part| h2.phasor[phase][part] + h3.phasor[phase][part]);
            re += new[0] * old[0] + new[1] * old[1];
            im += new[1] * old[0] - new[0] * old[1];
            power += new[0] * new[0] + new[1] * new[1];
        }
        // A unit sine correlates to half the frames of the window.
        let span = 0.5 * (h0.frames + h1.frames + h2.frames + h3.frames);
        let floor = 0.1 * 0.5 * span;
        if power < 3.0 * floor * floor || re <= 0.0 {
            return None;
        }
        let turns = 1.0 + libm::atan2(im, re) / core::f64::consts::TAU;
        Some(self.rate_hz * turns / span)
    }
}

fn integrands(products: &Products, scale_v: f32) -> Integrals {
    let mut out = [0.0; SUMS + 6];
    for (out, square) in out.iter_mut().zip(products.squares()) {
        *out = square as f64;
    }
    for phase in 0..3 {
        let v = f32::from(products.raw[phase]) * scale_v;
        out[SUMS + phase] = f64::from(v * products.phasor[0]);
        out[SUMS + 3 + phase] = f64::from(v * products.phasor[1]);
    }
    out
}

fn sums(kernel: &Kernel) -> Integrals {
    let mut out = [0.0; SUMS + 6];
    for (out, sum) in out.iter_mut().zip(kernel.sums) {
        *out = sum as f64;
    }
    for phase in 0..3 {
        out[SUMS + phase] = f64::from(kernel.correlation[0][phase]);
        out[SUMS + 3 + phase] = f64::from(kernel.correlation[1][phase]);
    }
    out
}

fn means<'a>(segments: impl Iterator<Item = &'a (Integrals, f64)>) -> Means {
    let mut total = [0.0; SUMS];
    let mut frames = 0.0;
    for (integrals, length) in segments {
        for (total, integral) in total.iter_mut().zip(integrals) {
            *total += integral;
        }
        frames += length;
    }
    let [a, b, c, ia, ib, ic, pa, pb, pc] = total.map(|sum| sum / frames);
    Means {
        voltage: [a, b, c],
        current: [ia, ib, ic],
        power: [pa, pb, pc],
    }
}
