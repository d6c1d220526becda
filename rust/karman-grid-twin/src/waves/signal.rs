//! One waveform meter: its signal model, and voltage and power frame by frame.

use super::{LANES, Lane, frame_after};
use crate::faults::Level;
use crate::nuisance::{Nuisances, Place};
use crate::params::WaveParams;
use crate::protection::{Network, Probe};
use crate::rng::{self, GOLDEN, Stream};
use karman_grid_core::ids::MeterIx;
use karman_grid_core::sample::CHANNELS;
use karman_grid_core::topology::Topology;
use std::f64::consts::TAU;

/// Power and droop at a meter over a part of the last step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) from_ns: u64,
    pub(super) to_ns: u64,
    pub(super) power_w: [f32; 2],
    pub(super) droop: [f32; 2],
}

#[derive(Clone, Debug)]
pub(super) struct WaveMeter {
    pub(super) probe: Probe,
    pub(super) period_ps: u64,
    pub(super) cycle_frames: u64,
    pub(super) key: u64,
    /// Counts for sin and cos of 1, 5 and 7 times the phase, at nominal voltage and at 1 W.
    pub(super) shape: [Lane; 6],
    pub(super) noise: Lane,
    pub(super) peaks: [f32; 2],
    pub(super) nuisances: Nuisances,
    /// Power and droop now.
    pub(super) now: (f32, f32),
    /// Voltage and power when it froze.
    pub(super) held: (f32, f32),
    /// When the power last went away, and how much it was.
    pub(super) tail: (u64, f32),
    pub(super) spans: Vec<Span>,
}

/// Voltage (ratio of nominal) and power with which frames are made.
pub(super) enum Gains<'a> {
    Live {
        meter: &'a WaveMeter,
        levels: &'a [Level],
        settled: Option<f32>,
        span: usize,
    },
    Held {
        voltage: f32,
        power_w: f32,
    },
}

impl WaveMeter {
    pub(super) fn new(
        topology: &Topology,
        network: &Network,
        params: &WaveParams,
        meter: MeterIx,
        seed: u64,
    ) -> Option<WaveMeter> {
        let row = &topology.meters[meter.at()];
        let rate_hz = row.sample_rate_hz?;
        let probe = network.probe(meter);
        let [full_v, full_a] = row.scale;
        let counts = [(32_767.0 / full_v) as f32, (32_767.0 / full_a) as f32];
        let nominal_v = topology.site.nominal_v;
        let limit_a = topology.elements[probe.bus.at()].limit_w / (3.0 * nominal_v);
        let peaks = [2f64.sqrt() * nominal_v, 2f64.sqrt() * limit_a];
        let peaks = [peaks[0] as f32 * counts[0], peaks[1] as f32 * counts[1]];
        // A uniform deviate of half width √3 has a standard deviation of 1.
        let noise = |ratio: f64, peak: f32| (ratio * 1.5f64.sqrt()) as f32 * peak / 512.0;
        let noises = [
            noise(params.voltage_noise_ratio, peaks[0]),
            noise(params.current_noise_ratio, peaks[1]),
        ];
        let mut lanes = [0.0; LANES];
        lanes[..3].fill(noises[0]);
        lanes[3..CHANNELS].fill(noises[1]);
        let (place, place_index) = if probe.input {
            (Place::Input, 0)
        } else {
            (Place::Output, 1 + probe.bus.at() as u64)
        };
        let key = rng::key(seed, Stream::Nuisance, place_index);
        Some(WaveMeter {
            probe,
            period_ps: (1e12 / rate_hz).round() as u64,
            cycle_frames: (rate_hz / topology.site.nominal_hz).round().max(1.0) as u64,
            key: rng::key(seed, Stream::WaveNoise, meter.at() as u64),
            shape: shape(params, counts, nominal_v),
            noise: lanes,
            peaks,
            nuisances: Nuisances::new(key, place, params),
            now: (0.0, 0.0),
            held: (0.0, 0.0),
            tail: (0, 0.0),
            spans: Vec::new(),
        })
    }

    pub(super) fn look(&self, network: &Network) -> (f32, f32) {
        (
            network.power_w(self.probe) as f32,
            network.droop(self.probe) as f32,
        )
    }

    pub(super) fn frame_ns(&self, frame: u64) -> u64 {
        frame * self.period_ps / 1_000
    }

    /// First frame at or after `ns`.
    pub(super) fn frame_after(&self, ns: u64) -> u64 {
        frame_after(ns, self.period_ps)
    }

    /// One frame in counts; `s` and `c` are sine and cosine of the phase.
    #[inline(always)]
    pub(super) fn frame(&self, s: f32, c: f32, frame: u64, voltage: f32, current_w: f32) -> Lane {
        let (s2, c2) = (2.0 * s * c, c * c - s * s);
        let (s4, c4) = (2.0 * s2 * c2, c2 * c2 - s2 * s2);
        let (s5, c5) = (s4 * c + c4 * s, c4 * c - s4 * s);
        let (s7, c7) = (s5 * c2 + c5 * s2, c5 * c2 - s5 * s2);
        let waves = [s, c, s5, c5, s7, c7];
        let bits = rng::mix(self.key.wrapping_add(frame.wrapping_mul(GOLDEN)));
        let (low, high) = (bits as u32, (bits >> 32) as u32);
        let uniform = |word: u32, shift: u32| ((word >> shift) & 1_023) as f32 - 511.5;
        let noise = [
            uniform(low, 0),
            uniform(low, 10),
            uniform(low, 20),
            uniform(high, 0),
            uniform(high, 10),
            uniform(high, 20),
            0.0,
            0.0,
        ];
        let gain = [
            voltage, voltage, voltage, current_w, current_w, current_w, 0.0, 0.0,
        ];
        let mut lanes = [0.0; LANES];
        for lane in 0..LANES {
            let mut sum = 0.0;
            for (wave, shape) in waves.iter().zip(&self.shape) {
                sum += wave * shape[lane];
            }
            lanes[lane] = sum * gain[lane] + noise[lane] * self.noise[lane];
        }
        lanes
    }
}

/// Counts of each lane for sine and cosine of 1, 5 and 7 times the phase.
fn shape(params: &WaveParams, counts: [f32; 2], nominal_v: f64) -> [Lane; 6] {
    let peak_v = 2f64.sqrt() * nominal_v * f64::from(counts[0]);
    // Amperes of one phase for one watt of all three at nominal voltage.
    let peak_a = 2f64.sqrt() / (3.0 * nominal_v * params.power_factor) * f64::from(counts[1]);
    let lag = libm::acos(params.power_factor.clamp(0.5, 1.0));
    let lane = |lane: usize| {
        let turn = -TAU * (lane % 3) as f64 / 3.0;
        // A quarter turn between the harmonics of voltage and current: they carry no power.
        let (peak, lag, h5, h7, turned) = if lane >= 3 {
            (
                peak_a,
                lag,
                params.current_h5_ratio,
                params.current_h7_ratio,
                TAU / 4.0,
            )
        } else {
            (
                peak_v,
                0.0,
                params.voltage_h5_ratio,
                params.voltage_h7_ratio,
                0.0,
            )
        };
        let parts = [
            (1.0, turn - lag),
            (h5, 5.0 * turn + turned),
            (h7, 7.0 * turn + turned),
        ];
        parts.map(|(ratio, angle)| {
            let (sin, cos) = libm::sincos(angle);
            [(peak * ratio * cos) as f32, (peak * ratio * sin) as f32]
        })
    };
    let lanes: [[[f32; 2]; 3]; CHANNELS] = std::array::from_fn(lane);
    std::array::from_fn(|wave| {
        std::array::from_fn(|lane| {
            lanes
                .get(lane)
                .map_or(0.0, |parts| parts[wave / 2][wave % 2])
        })
    })
}

/// The voltage where it does not change from `from_ns` on.
pub(super) fn settled(levels: &[Level], from_ns: u64) -> Option<f32> {
    let product = levels
        .iter()
        .try_fold(1.0, |all, level| Some(all * level.settled(from_ns)?));
    product.map(|level| level as f32)
}

impl Gains<'_> {
    /// Voltage (ratio of nominal) and power at `ns`.
    #[inline(always)]
    pub(super) fn at(&mut self, ns: u64, tail_tau_ms: f64) -> (f32, f32) {
        let (meter, levels, settled, span) = match self {
            Gains::Held { voltage, power_w } => return (*voltage, *power_w),
            Gains::Live {
                meter,
                levels,
                settled,
                span,
            } => (*meter, *levels, *settled, span),
        };
        let level = settled
            .unwrap_or_else(|| levels.iter().map(|level| level.at(ns)).product::<f64>() as f32);
        let spans = &meter.spans;
        while *span + 1 < spans.len() && ns >= spans[*span].to_ns {
            *span += 1;
        }
        let (mut power_w, droop) = match spans.get(*span) {
            Some(span) => {
                let length = (span.to_ns - span.from_ns) as f32;
                let since = ns.clamp(span.from_ns, span.to_ns) - span.from_ns;
                let part = since as f32 / length;
                (
                    span.power_w[0] + (span.power_w[1] - span.power_w[0]) * part,
                    span.droop[0] + (span.droop[1] - span.droop[0]) * part,
                )
            }
            None => meter.now,
        };
        let (tail_ns, tail_w) = meter.tail;
        if tail_w > 0.0 && ns >= tail_ns && ns - tail_ns < (tail_tau_ms * 2e7) as u64 {
            let since_ms = (ns - tail_ns) as f64 / 1e6;
            power_w += tail_w * libm::exp(-since_ms / tail_tau_ms) as f32;
        }
        (level * (1.0 - droop), power_w)
    }
}
