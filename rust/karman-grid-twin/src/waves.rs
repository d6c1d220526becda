//! Waveforms: what a meter with a sample rate would deliver, three voltages and three currents as
//! i16, from the state of the plant.
//!
//! Owns the signal model. A sample is a function of absolute time, of the seed and of the power in
//! the last step, so frames may be asked for in any blocks, skipped, or asked for again. The power
//! is taken as linear inside a step; instants at which a fault began or ended are kept exactly.
//! Frames are made in runs of 32 from an exactly computed phase: 31 rotations in f32 lose nothing
//! that a count of the converter would show.

use crate::meters::Meters;
use crate::params::WaveParams;
use crate::protection::Network;
use crate::rng::{Rng, Stream};
use karman_grid_core::ids::MeterIx;
use karman_grid_core::sample::CHANNELS;
use karman_grid_core::topology::Topology;
use signal::{Gains, Span, WaveMeter, settled};
use std::f64::consts::TAU;

mod signal;

/// Frames computed from one exact phase.
const RUN: u64 = 32;
/// Lanes of a frame, padded to what vector registers hold.
const LANES: usize = 8;
type Lane = [f32; LANES];
/// Adding and taking away 1.5 · 2²³ rounds an f32 to the nearest integer.
const ROUND: f32 = 12_582_912.0;
/// Least voltage at which power supplies still hold their power by drawing more current.
const VOLTAGE_MIN: f32 = 0.7;

/// All waveform meters.
#[derive(Clone, Debug)]
pub struct Waves {
    params: WaveParams,
    nominal_hz: f64,
    /// Period s, phase 0..1 of each part of the wander.
    wander: [(f64, f64); 2],
    meters: Vec<Option<WaveMeter>>,
}

impl Waves {
    /// For this site.
    pub fn new(topology: &Topology, network: &Network, params: WaveParams, seed: u64) -> Waves {
        let mut rng = Rng::stream(seed, Stream::Wander, 0);
        let wander = [17.0, 41.0].map(|period_s| (period_s, rng.uniform()));
        let meters = (0..topology.meters.len())
            .map(|at| WaveMeter::new(topology, network, &params, MeterIx::of(at), seed))
            .collect();
        Waves {
            nominal_hz: topology.site.nominal_hz,
            wander,
            meters,
            params,
        }
    }

    /// Begins a step: forgets the spans of the last one.
    pub fn begin(&mut self) {
        for meter in self.meters.iter_mut().flatten() {
            meter.spans.clear();
        }
    }

    /// Power changed at once at `at_ns`, without time passing.
    pub fn mark(&mut self, network: &Network, at_ns: u64) {
        for meter in self.meters.iter_mut().flatten() {
            let before_w = meter.now.0;
            meter.now = meter.look(network);
            if before_w > 0.0 && meter.now.0 == 0.0 {
                meter.tail = (at_ns, before_w);
            }
        }
    }

    /// The plant lived from `from_ns` to `to_ns`.
    pub fn extend(&mut self, network: &Network, from_ns: u64, to_ns: u64) {
        for meter in self.meters.iter_mut().flatten() {
            let (before, after) = (meter.now, meter.look(network));
            let (power_w, droop) = ([before.0, after.0], [before.1, after.1]);
            meter.spans.push(Span {
                from_ns,
                to_ns,
                power_w,
                droop,
            });
            meter.now = after;
        }
    }

    /// `meter` freezes at `at_ns`: what it repeats from then on.
    pub fn freeze(&mut self, network: &Network, meter: MeterIx, at_ns: u64) {
        let Some(wave) = &mut self.meters[meter.at()] else {
            return;
        };
        let mut levels = Vec::new();
        network.voltage(wave.probe, &mut levels);
        let before_ns = at_ns.saturating_sub(1);
        let level: f64 = levels.iter().map(|level| level.at(before_ns)).product();
        wave.held = (level as f32 * (1.0 - wave.now.1), wave.now.0);
    }

    /// Time between frames, ps; `None`: `meter` gives no waveform.
    pub fn period_ps(&self, meter: MeterIx) -> Option<u64> {
        self.meters[meter.at()].as_ref().map(|m| m.period_ps)
    }

    /// Appends `frames` frames of `meter` from absolute index `first` on. Nothing for a meter
    /// without a sample rate.
    pub fn fill(
        &self,
        network: &Network,
        meters: &Meters,
        meter: MeterIx,
        first: u64,
        frames: usize,
        out: &mut Vec<i16>,
    ) {
        let Some(wave) = &self.meters[meter.at()] else {
            return;
        };
        let fault = meters.fault(meter);
        let alter = (fault.scale as f32, fault.offset_w as f32);
        let mut levels = Vec::with_capacity(8);
        network.voltage(wave.probe, &mut levels);
        let frozen = fault.frozen_ns.map_or(u64::MAX, |ns| wave.frame_after(ns));
        let end = first + frames as u64;
        if first < frozen {
            let settled = settled(&levels, wave.frame_ns(first));
            let mut gains = Gains::Live {
                meter: wave,
                levels: &levels,
                settled,
                span: 0,
            };
            self.run(wave, &mut gains, alter, first, frozen.min(end), true, out);
        }
        // Frozen: the cycle before the fault, with its own noise, again and again.
        let mut at = first.max(frozen);
        while at < end {
            let base = frozen.saturating_sub(wave.cycle_frames);
            let offset = (at - frozen) % wave.cycle_frames;
            let count = (wave.cycle_frames - offset).min(end - at);
            let (voltage, power_w) = wave.held;
            let mut held = Gains::Held { voltage, power_w };
            let from = base + offset;
            self.run(wave, &mut held, alter, from, from + count, false, out);
            at += count;
        }
    }

    /// Phase of the voltage of phase a at `at_ns`, in turns, and its frequency, Hz.
    fn phase(&self, at_ns: u64) -> (f64, f64) {
        let at_s = at_ns as f64 / 1e9;
        let (mut turns, mut hz) = (self.nominal_hz * at_s, self.nominal_hz);
        let part_hz = self.params.wander_hz / self.wander.len() as f64;
        for (period_s, start) in self.wander {
            let (sin, cos) = libm::sincos(TAU * (at_s / period_s + start));
            turns += part_hz * period_s / TAU * sin;
            hz += part_hz * cos;
        }
        (turns - turns.floor(), hz)
    }

    #[allow(clippy::too_many_arguments)]
    fn run(
        &self,
        wave: &WaveMeter,
        gains: &mut Gains<'_>,
        (scale, offset_w): (f32, f32),
        first: u64,
        end: u64,
        nuisances: bool,
        out: &mut Vec<i16>,
    ) {
        out.reserve((end - first) as usize * CHANNELS);
        let mut at = first;
        while at < end {
            let anchor = at - at % RUN;
            let stop = end.min(anchor + RUN);
            let (turns, hz) = self.phase(wave.frame_ns(anchor));
            let (sin, cos) = libm::sincos(TAU * turns);
            let (mut s, mut c) = (sin as f32, cos as f32);
            let (sin, cos) = libm::sincos(TAU * hz * wave.period_ps as f64 / 1e12);
            let (ws, wc) = (sin as f32, cos as f32);
            for _ in anchor..at {
                (s, c) = (s * wc + c * ws, c * wc - s * ws);
            }
            let span_ns = (wave.frame_ns(at), wave.frame_ns(stop));
            let upset = if nuisances {
                wave.nuisances.in_span(span_ns)
            } else {
                [None; 2]
            };
            let quiet = upset.iter().all(Option::is_none);
            for frame in at..stop {
                let ns = wave.frame_ns(frame);
                let (voltage, power_w) = gains.at(ns, self.params.own_current_tau_ms);
                let drawn_w = if voltage < VOLTAGE_MIN {
                    power_w
                } else {
                    power_w / voltage
                };
                let mut lanes = wave.frame(s, c, frame, voltage, drawn_w * scale + offset_w);
                if !quiet {
                    let mut phase = |at_ns| self.phase(at_ns).0;
                    for nuisance in upset.iter().flatten() {
                        nuisance.disturb(ns, (s, c), voltage, &wave.peaks, &mut phase, &mut lanes);
                    }
                }
                for lane in &lanes[..CHANNELS] {
                    let held = lane.clamp(-32_767.0, 32_767.0);
                    // The low bits of the rounded number are the integer itself.
                    out.push((held + ROUND).to_bits() as i16);
                }
                (s, c) = (s * wc + c * ws, c * wc - s * ws);
            }
            at = stop;
        }
    }
}

/// First frame at or after `ns` of a meter with this time between frames.
pub fn frame_after(ns: u64, period_ps: u64) -> u64 {
    (u128::from(ns) * 1_000).div_ceil(u128::from(period_ps)) as u64
}
