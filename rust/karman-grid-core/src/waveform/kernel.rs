//! The fused pass over frames: what every frame costs, and nothing else.
//!
//! One loop converts a frame, compares it with the voltage one tracked period ago, integrates the
//! missing amplitude, keeps the sliding amplitude means, and adds to the exact sums and to the
//! fundamental's correlators. Everything it needs that changes slowly is set from outside between
//! runs. Loops over `[f32; 4]` lanes are written so that they vectorise without intrinsics;
//! nothing here may be contracted to fused multiply-adds (rule 26).

// Lanes are indexed side by side: that is what vectorises.
#![allow(clippy::needless_range_loop)]

use crate::ring::Ring;
use crate::sample::CHANNELS;

/// One frame as delivered: `va vb vc ia ib ic`.
pub type Frame = [i16; CHANNELS];
/// Exact sums: squares of the voltages, squares of the currents, products by phase.
pub const SUMS: usize = 9;
/// The scores are in units of tier 1, so 1 is "suspect".
pub const SUSPECT: f32 = 1.0;

/// Tier 1 of a phase and of the three together, ms of missing unit amplitude.
const TIER_1_MS: [f32; 4] = [0.5, 0.5, 0.5, 0.25];
/// Tier 2 in the same order, ms.
const TIER_2_MS: [f32; 4] = [1.3, 1.3, 1.3, 0.7];
/// What is forgiven per ms, of unit amplitude.
const LEAK: [f32; 4] = [0.10, 0.10, 0.10, 0.12];
/// Weight of a phase's matched product, and of the sum of the three.
const WEIGHT: [f32; 4] = [2.0, 2.0, 2.0, 1.0 / 1.5];
/// Scores saturate here, so that they are soon back at 0 once the voltage is.
const SCORE_MAX: f32 = 4.0;
/// A single sample counts for no more than this, in unit amplitudes.
const CLIP: f32 = 1.1;
/// Window of the voltage's amplitude mean, ms.
pub const WINDOW_V_MS: f64 = 1.0;
/// Window of the current's amplitude mean, ms.
pub const WINDOW_I_MS: f64 = 0.5;
/// "Falling" compares with the mean this long ago, ms: a sixth of a 60 Hz cycle, so that the
/// ripple of 5th and 7th harmonics in the amplitude cancels.
pub const LAG_MS: f64 = 2.78;

/// What a run of the kernel stopped for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// Frames consumed.
    pub frames: usize,
    /// The scores and the amplitude say "suspect".
    pub suspect: bool,
    /// The current has stood above the overload threshold long enough.
    pub overload: bool,
}

/// State of the fused pass of one meter.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// Voltage and current of one count, in unit amplitudes (√2 × nominal, √2 × rated).
    pub scale: [f32; 2],
    /// Share of the new sample and of the old reference in the new reference.
    pub blend: [f32; 2],
    /// A suspicion needs the sum of amplitudes below this; negative: not armed.
    pub sag_sum: f64,
    /// Sum of current amplitudes that counts as overload.
    pub over_sum: f64,
    /// Frames above it that make an overload.
    pub over_frames: u32,
    /// Frames above it so far.
    pub over: u32,
    /// Scores in units of tier 1: three phases and the three together.
    pub score: [f32; 4],
    /// Frames since each score left 0.
    pub age: [f32; 4],
    /// Sums since the first frame after the last edge.
    pub sums: [i64; SUMS],
    /// Σ v·cos and Σ v·sin of the free-running phase, since the same frame.
    pub correlation: [[f32; 4]; 2],
    /// Cosine and sine for the next frame.
    pub phasor: [f32; 2],
    /// Products of the last two frames, older first: what edges between frames need.
    pub last: [Products; 2],
    /// Frames in the windows and in the lag.
    pub window_v: usize,
    window_i: usize,
    lag: usize,
    sum_v: f64,
    sum_v_lag: f64,
    sum_i: f64,
    comb: Ring<[f32; 4]>,
    amplitude: Ring<[f32; 2]>,
    delay: usize,
    delay_share: [f32; 2],
    turn: [f32; 2],
    gain: [f32; 4],
    leak: [f32; 4],
}

/// What one frame adds: raw samples and the phasor it was correlated with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Products {
    /// The frame.
    pub raw: Frame,
    /// Cosine and sine at the frame.
    pub phasor: [f32; 2],
}

impl Products {
    /// Squares and products, in the order of the sums.
    pub fn squares(&self) -> [i64; SUMS] {
        let mut out = [0; SUMS];
        add_squares(&mut out, &self.raw);
        out
    }
}

#[inline(always)]
fn add_squares(sums: &mut [i64; SUMS], raw: &Frame) {
    let wide = raw.map(i32::from);
    for phase in 0..3 {
        let (v, i) = (wide[phase], wide[phase + 3]);
        sums[phase] += i64::from(v * v);
        sums[phase + 3] += i64::from(i * i);
        sums[phase + 6] += i64::from(v * i);
    }
}

/// Amplitude of the space vector of three phases (zero sequence drops out).
#[inline(always)]
fn clarke(a: f32, b: f32, c: f32) -> f32 {
    let square = a * a + b * b + c * c - a * b - b * c - c * a;
    larger(square * (4.0 / 9.0), 0.0).sqrt()
}

// The built-in max has to care for NaN, which integers times finite scales never are.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

#[inline(always)]
fn smaller(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

impl Kernel {
    /// A kernel for `rate_hz` frames a second, tracking `frequency_hz`, with periods down to
    /// `frequency_min_hz`.
    pub fn new(rate_hz: f64, frequency_hz: f64, frequency_min_hz: f64) -> Kernel {
        let frames = |ms: f64| ((rate_hz * ms * 1e-3).round() as usize).max(2);
        let (window_v, window_i, lag) = (frames(WINDOW_V_MS), frames(WINDOW_I_MS), frames(LAG_MS));
        let mut kernel = Kernel {
            scale: [0.0; 2],
            blend: [1.0, 0.0],
            sag_sum: -1.0,
            over_sum: f64::MAX,
            over_frames: u32::MAX,
            over: 0,
            score: [0.0; 4],
            age: [0.0; 4],
            sums: [0; SUMS],
            correlation: [[0.0; 4]; 2],
            phasor: [1.0, 0.0],
            last: [Products::default(); 2],
            window_v,
            window_i,
            lag,
            sum_v: 0.0,
            sum_v_lag: 0.0,
            sum_i: 0.0,
            comb: Ring::with_span((rate_hz / frequency_min_hz) as usize + 3),
            amplitude: Ring::with_span(window_v + lag + 2),
            delay: 1,
            delay_share: [1.0, 0.0],
            turn: [1.0, 0.0],
            gain: [0.0; 4],
            leak: [0.0; 4],
        };
        kernel.set_frequency(rate_hz, frequency_hz);
        kernel.set_reference(rate_hz, 1.0);
        kernel
    }

    /// Sets the period of the comb and the speed of the phasor.
    pub fn set_frequency(&mut self, rate_hz: f64, frequency_hz: f64) {
        let period = rate_hz / frequency_hz;
        let whole = (period as usize).max(1);
        let part = (period - whole as f64) as f32;
        self.delay = whole;
        self.delay_share = [1.0 - part, part];
        let (sin, cos) = libm::sincos(core::f64::consts::TAU / period);
        self.turn = [cos as f32, sin as f32];
    }

    /// Sets the healthy voltage that "unit amplitude" means, per unit of nominal.
    pub fn set_reference(&mut self, rate_hz: f64, reference: f32) {
        let step_ms = (1e3 / rate_hz) as f32;
        for lane in 0..4 {
            let unit = step_ms / TIER_1_MS[lane];
            self.gain[lane] = WEIGHT[lane] * unit / (reference * reference);
            self.leak[lane] = LEAK[lane] * unit;
        }
    }

    /// Whether a score has reached tier 2.
    pub fn confirmed(&self) -> bool {
        (0..4).any(|lane| self.score[lane] * TIER_1_MS[lane] >= TIER_2_MS[lane])
    }

    /// Frames since the score that stands highest left 0.
    pub fn excursion_frames(&self) -> u64 {
        let mut best = 0;
        for lane in 1..4 {
            if self.score[lane] > self.score[best] {
                best = lane;
            }
        }
        self.age[best] as u64
    }

    /// Forgets what is missing.
    pub fn clear_scores(&mut self) {
        self.score = [0.0; 4];
        self.age = [0.0; 4];
    }

    /// Voltage amplitude, mean of the window, per unit of nominal.
    pub fn voltage(&self) -> f32 {
        (self.sum_v / self.window_v as f64) as f32
    }

    /// The same one lag ago.
    pub fn voltage_before(&self) -> f32 {
        (self.sum_v_lag / self.window_v as f64) as f32
    }

    /// Current amplitude, mean of the window, per unit of rated.
    pub fn current(&self) -> f32 {
        (self.sum_i / self.window_i as f64) as f32
    }

    /// Sum of current amplitudes that stands for `ratio` of rated.
    pub fn current_sum(&self, ratio: f64) -> f64 {
        ratio * self.window_i as f64
    }

    /// Lets `frames` missing frames pass: the reference is held, the scores start again.
    pub fn skip(&mut self, frames: u64) {
        for _ in 0..frames {
            let held = self.comb.back(self.delay);
            self.comb.put(held);
        }
        self.clear_scores();
        self.over = 0;
    }

    /// Passes over `frames` until they end or something needs a decision.
    pub fn run(&mut self, frames: &[Frame]) -> Stop {
        let mut stop = Stop {
            frames: frames.len(),
            suspect: false,
            overload: false,
        };
        let (mut phasor, mut before) = (self.phasor, self.last[1].phasor);
        let mut older = before;
        for (at, raw) in frames.iter().enumerate() {
            (older, before) = (before, phasor);
            phasor = self.step(raw, phasor);
            let [a, b, c, d] = self.score;
            let highest = larger(larger(a, b), larger(c, d));
            let suspect = highest >= SUSPECT && self.sum_v < self.sag_sum;
            let overload = self.over == self.over_frames;
            if suspect | overload {
                stop = Stop {
                    frames: at + 1,
                    suspect,
                    overload,
                };
                break;
            }
        }
        self.phasor = phasor;
        if let Some(newest) = stop.frames.checked_sub(1) {
            let second = newest
                .checked_sub(1)
                .map_or(self.last[1].raw, |at| frames[at]);
            self.last = [
                Products {
                    raw: second,
                    phasor: older,
                },
                Products {
                    raw: frames[newest],
                    phasor: before,
                },
            ];
        }
        stop
    }

    /// One frame, correlated with `phasor`; the phasor of the next.
    #[inline(always)]
    fn step(&mut self, raw: &Frame, phasor: [f32; 2]) -> [f32; 2] {
        let [kv, ki] = self.scale;
        let v = [
            f32::from(raw[0]) * kv,
            f32::from(raw[1]) * kv,
            f32::from(raw[2]) * kv,
            0.0,
        ];
        let i = [
            f32::from(raw[3]) * ki,
            f32::from(raw[4]) * ki,
            f32::from(raw[5]) * ki,
        ];
        self.match_reference(&v);
        add_squares(&mut self.sums, raw);
        let [cos, sin] = phasor;
        for lane in 0..4 {
            self.correlation[0][lane] += v[lane] * cos;
            self.correlation[1][lane] += v[lane] * sin;
        }
        self.average(clarke(v[0], v[1], v[2]), clarke(i[0], i[1], i[2]));
        let [turn_cos, turn_sin] = self.turn;
        [
            cos * turn_cos - sin * turn_sin,
            sin * turn_cos + cos * turn_sin,
        ]
    }

    /// Comb reference, matched missing amplitude and its four integrals.
    #[inline(always)]
    fn match_reference(&mut self, v: &[f32; 4]) {
        let (near, far) = (self.comb.back(self.delay), self.comb.back(self.delay + 1));
        let [share_near, share_far] = self.delay_share;
        let [blend_new, blend_old] = self.blend;
        let mut missing = [0.0; 4];
        let mut kept = [0.0; 4];
        for lane in 0..4 {
            let r = near[lane] * share_near + far[lane] * share_far;
            let lack = smaller(larger(r - v[lane], -CLIP), CLIP);
            missing[lane] = lack * r;
            kept[lane] = v[lane] * blend_new + r * blend_old;
        }
        missing[3] = missing[0] + missing[1] + missing[2];
        self.comb.put(kept);
        for lane in 0..4 {
            let raised = self.score[lane] + (missing[lane] * self.gain[lane] - self.leak[lane]);
            let score = smaller(larger(raised, 0.0), SCORE_MAX);
            self.age[lane] = if score > 0.0 {
                self.age[lane] + 1.0
            } else {
                0.0
            };
            self.score[lane] = score;
        }
    }

    /// Sliding means. Differences of `f32` values in `f64` are exact over this range, so the
    /// sums do not drift.
    #[inline(always)]
    fn average(&mut self, voltage: f32, current: f32) {
        let v = |distance: usize| f64::from(self.amplitude.back(distance)[0]);
        let (leaves, enters) = (v(self.window_v), v(self.lag));
        let leaves_lag = v(self.lag + self.window_v);
        let leaves_i = f64::from(self.amplitude.back(self.window_i)[1]);
        self.sum_v += f64::from(voltage) - leaves;
        self.sum_v_lag += enters - leaves_lag;
        self.sum_i += f64::from(current) - leaves_i;
        self.amplitude.put([voltage, current]);
        self.over = if self.sum_i > self.over_sum {
            self.over.saturating_add(1)
        } else {
            0
        };
    }
}
