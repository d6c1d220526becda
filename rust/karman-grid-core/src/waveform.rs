//! The waveform pass of one meter: sample blocks in, marks and values out.
//!
//! Owns continuity (gaps, duplicates, restarts), learning the healthy voltage, tracking its
//! frequency, and the course of a dip; `kernel` owns what every frame costs, `windows` the
//! values. A [`Mark`] says when something observable about this meter changed; what it means for
//! the site is the judge's to say. Durations are counted in frames, so marks and values do not
//! depend on how frames are cut into blocks. Never allocates once a meter's rate is known, except
//! where marks outgrow their vector.

mod continuity;
pub mod dip;
mod follow;
pub mod kernel;
mod overload;
pub mod values;
pub mod windows;

use crate::sample::{CHANNELS, SampleBlock, Validity};
use crate::time::MonoNs;
use dip::{Dip, Signs};
use kernel::Kernel;
use values::{MeterValues, PhaseValues};
use windows::Windows;

/// Slowest and fastest rate accepted, Hz. Figures are claimed from 4.8 to 100 kS/s only.
pub const RATE_HZ: [f64; 2] = [1_000.0, 200_000.0];
/// Frequencies the tracking may settle at, Hz.
pub const FREQUENCY_HZ: [f64; 2] = [40.0, 70.0];
/// The healthy voltage follows with this share per half cycle (0.4 s).
const REFERENCE_SHARE: f64 = 0.02;
/// Healthy current and frequency follow with this share per half cycle.
const FOLLOW_SHARE: f64 = 0.5;
/// A suspicion needs the voltage amplitude below this share of the healthy one: a phase jump
/// leaves it where it is.
const SUSPECT_RATIO: f64 = 0.90;
/// A half cycle's RMS below this is a dip whatever the scores say.
const CONFIRM_RATIO: f64 = 0.85;

/// What is known about a meter beforehand.
#[derive(Clone, Copy, Debug)]
pub struct PassConfig {
    /// Nominal voltage, line to neutral, V RMS.
    pub nominal_v: f64,
    /// Nominal frequency, Hz.
    pub nominal_hz: f64,
    /// Rated current of the element, A RMS.
    pub rated_a: f64,
}

/// When something about a meter changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mark {
    /// Time of the frame that shows it.
    pub at: MonoNs,
    /// What it shows.
    pub what: Shown,
}

/// What a mark shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shown {
    /// Voltage is missing (tier 1), or falls anew within a dip (`fresh` false).
    Suspect {
        /// Estimate of the first abnormal frame.
        first_abnormal: MonoNs,
        /// Amplitude over the healthy one.
        residual: f32,
        /// Whether it is the first of its dip.
        fresh: bool,
    },
    /// The signs of a dip have changed.
    Signs {
        /// What holds now.
        signs: Signs,
        /// Amplitude over the healthy one.
        residual: f32,
    },
    /// Current has been over the rating for longer than an inrush.
    Overload {
        /// Estimate of the first abnormal frame.
        first_abnormal: MonoNs,
        /// Current over rated.
        ratio: f32,
    },
    /// Current is back under the rating.
    OverloadEnded {
        /// Largest phase over rated.
        ratio: f32,
    },
}

/// Frames and blocks counted exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PassCounts {
    /// Frames passed.
    pub frames: u64,
    /// Frames that the indices say were never delivered.
    pub frames_missing: u64,
    /// Frames delivered again.
    pub frames_duplicate: u64,
    /// Frames that came after later ones and were left out; they count as missing too.
    pub frames_out_of_order: u64,
    /// Times a meter was started again (index or rate changed, long gap).
    pub restarts: u64,
    /// Blocks refused: rate or scale out of bounds, or a broken frame at the end.
    pub blocks_refused: u64,
}

/// Tracking state that a restart throws away.
#[derive(Clone, Debug)]
struct Track {
    rate_hz: f64,
    period_ps: u64,
    scale: [f32; 2],
    kernel: Kernel,
    windows: Windows,
    frequency_hz: f64,
    learned_halves: u32,
    jump_halves: u32,
    to_edge: u32,
    next_frame: u64,
    gap: [u64; 2],
    end: MonoNs,
}

/// The pass of one meter.
#[derive(Clone, Debug)]
pub struct MeterPass {
    config: PassConfig,
    track: Option<Box<Track>>,
    armed: bool,
    /// Healthy voltage per unit of nominal, healthy current per unit of rated.
    healthy: [f64; 2],
    dip: Dip,
    over_halves: u32,
    under_ms: f64,
    overloaded: bool,
    values: Option<MeterValues>,
    counts: PassCounts,
}

impl MeterPass {
    /// A pass that has seen nothing yet.
    pub fn new(config: PassConfig) -> MeterPass {
        MeterPass {
            config,
            track: None,
            armed: false,
            healthy: [1.0, 0.0],
            dip: Dip::default(),
            over_halves: 0,
            under_ms: 0.0,
            overloaded: false,
            values: None,
            counts: PassCounts::default(),
        }
    }

    /// Newest values: of the last cycle, refreshed each half cycle.
    pub fn values(&self) -> Option<&MeterValues> {
        self.values.as_ref()
    }

    /// Whether three healthy cycles have been seen, so that losses are detected.
    pub fn armed(&self) -> bool {
        self.armed
    }

    /// Counters since the pass was made.
    pub fn counts(&self) -> PassCounts {
        self.counts
    }

    /// End of the last frame passed.
    pub fn end(&self) -> Option<MonoNs> {
        self.track.as_ref().map(|track| track.end)
    }

    /// Passes over a block and appends what it shows to `marks`.
    pub fn push(&mut self, block: &SampleBlock<'_>, marks: &mut Vec<Mark>) {
        let (frames, rest) = block.samples.as_chunks::<CHANNELS>();
        let Some(mut track) = self.admit(block, rest.is_empty(), marks) else {
            self.counts.blocks_refused += 1;
            return;
        };
        let from = self.continue_at(&mut track, block, frames.len(), marks);
        self.counts.frames += (frames.len() - from) as u64;
        let mut at = from;
        while at < frames.len() {
            let wanted = track.to_edge.min(self.dip.frames_to_look()) as usize;
            let until = frames.len().min(at + wanted);
            let stop = track.kernel.run(&frames[at..until]);
            at += stop.frames;
            track.to_edge -= stop.frames as u32;
            self.dip.pass(stop.frames as u32);
            let now = block.frame_mono_ns(at - 1);
            if stop.suspect {
                self.enter_dip(&mut track, now, marks);
            }
            if stop.overload {
                self.enter_overload(&track, now, marks);
            }
            if track.to_edge == 0 {
                self.on_edge(&mut track, now, marks);
            }
            if self.dip.frames_to_look() == 0 {
                self.dip
                    .look(&mut track.kernel, track.rate_hz, self.healthy, now, marks);
            }
        }
        if from < frames.len() {
            track.end = block.frame_mono_ns(frames.len());
        }
        self.track = Some(track);
    }

    fn enter_dip(&mut self, track: &mut Track, now: MonoNs, marks: &mut Vec<Mark>) {
        let age = track.kernel.excursion_frames();
        self.open_dip(track, now, age, marks);
    }

    fn open_dip(&mut self, track: &mut Track, now: MonoNs, age: u64, marks: &mut Vec<Mark>) {
        // Armed again when the dip closes.
        track.kernel.sag_sum = -1.0;
        track.kernel.blend = [0.0, 1.0];
        let first_abnormal = MonoNs(now.0.saturating_sub(age * track.period_ps / 1_000));
        let residual = residual(&track.kernel, self.healthy);
        self.dip.open(now, track.rate_hz);
        marks.push(Mark {
            at: now,
            what: Shown::Suspect {
                first_abnormal,
                residual,
                fresh: true,
            },
        });
    }

    /// What happens sixteen times a cycle.
    fn on_edge(&mut self, track: &mut Track, now: MonoNs, marks: &mut Vec<Mark>) {
        track.windows.close(&mut track.kernel);
        let at_half = track.windows.at_half();
        if let Some(half) = self.phase_values(track, Span::Half) {
            self.watch_voltage(track, &half, now, marks);
            self.watch_current(track, &half, at_half, now, marks);
        }
        if at_half {
            self.on_half(track, now);
        }
        track.to_edge = track.windows.frames_to_edge();
    }

    fn phase_values(&self, track: &Track, span: Span) -> Option<PhaseValues> {
        let means = match span {
            Span::Half => track.windows.half_cycle(),
            Span::HalfBefore => track.windows.half_cycle_before(),
            Span::Cycle => track.windows.cycle(),
        }?;
        Some(PhaseValues::of(&means, track.scale))
    }

    /// Dips that the scores have not seen, and the way out of those they have.
    fn watch_voltage(
        &mut self,
        track: &mut Track,
        half: &PhaseValues,
        now: MonoNs,
        marks: &mut Vec<Mark>,
    ) {
        if !self.armed {
            return;
        }
        let unit = self.config.nominal_v;
        let reference = self.healthy[0].min(1.0) * unit;
        let lowest = half.voltage_v.iter().copied().fold(f64::MAX, f64::min) / reference;
        let before = self.phase_values(track, Span::HalfBefore);
        let steady = before.is_some_and(|b| {
            (0..3).all(|p| (half.voltage_v[p] - b.voltage_v[p]).abs() <= 0.05 * unit)
        });
        let residual = residual(&track.kernel, self.healthy);
        self.dip.note_residual(residual);
        // A phase jump in the window lowers its RMS too, but not the amplitude.
        if lowest < CONFIRM_RATIO && !self.dip.is_open() && self.dip.lowest() < SUSPECT_RATIO {
            let half = 0.5 * track.rate_hz / track.frequency_hz;
            self.open_dip(track, now, half as u64, marks);
        }
        if lowest < CONFIRM_RATIO {
            self.dip.confirm();
        }
        self.dip
            .note_edge(lowest >= dip::WELL_RATIO && steady, residual, now, marks);
        let learn_again = self.dip.well_edges() > 0;
        if self.dip.is_open() {
            track.kernel.blend = if learn_again { [1.0, 0.0] } else { [0.0, 1.0] };
        }
        if self.dip.is_open() && self.dip.well_edges() >= track.windows.per_cycle as u32 {
            self.dip.close();
            self.arm(track);
        }
    }

    /// What happens twice a cycle: frequency, learning, values.
    fn on_half(&mut self, track: &mut Track, now: MonoNs) {
        let estimate = track.windows.frequency_hz();
        let accepted = self.follow_frequency(track, estimate);
        let Some(cycle) = self.phase_values(track, Span::Cycle) else {
            return;
        };
        let voltage = cycle.voltage_mean_v() / self.config.nominal_v;
        let current = cycle.current_mean_a() / self.config.rated_a;
        if !self.armed {
            self.learn(track, &cycle, accepted);
        } else if !self.dip.is_open() {
            self.healthy[0] += REFERENCE_SHARE * (voltage - self.healthy[0]);
            self.healthy[1] += FOLLOW_SHARE * (current - self.healthy[1]);
            self.arm(track);
        }
        let half = self.phase_values(track, Span::Half);
        let fault = self.sensor_fault(&cycle);
        let sound = self.armed && !fault;
        self.values = Some(MeterValues {
            taken_mono_ns: now,
            power_active_w: cycle.power_w(),
            power_apparent_va: cycle.power_apparent_va(),
            voltage_rms_v: cycle.voltage_mean_v(),
            current_rms_a: cycle.current_mean_a(),
            frequency_hz: estimate.filter(|_| accepted),
            half_cycle: half.unwrap_or(cycle),
            cycle,
            validity: if sound {
                Validity::Good
            } else {
                Validity::Questionable
            },
        });
    }

    /// A phase without voltage whose current flows on: its voltage transformer, not the bus.
    fn sensor_fault(&self, cycle: &PhaseValues) -> bool {
        let healthy_a = self.healthy[1] * self.config.rated_a;
        self.armed
            && self.healthy[1] >= dip::CURRENT_KNOWN_RATIO
            && (0..3).any(|p| {
                cycle.voltage_v[p] < 0.1 * self.config.nominal_v
                    && cycle.current_a[p] >= 0.8 * healthy_a
                    && cycle.current_a[p] <= 1.15 * healthy_a
            })
    }
}

/// Windows that values are taken over.
#[derive(Clone, Copy)]
enum Span {
    Half,
    HalfBefore,
    Cycle,
}

/// Voltage amplitude over the healthy one.
fn residual(kernel: &Kernel, healthy: [f64; 2]) -> f32 {
    kernel.voltage() / healthy[0] as f32
}
