//! What instruments deliver: blocks of waveform frames and single power values, with validity.

use crate::ids::{DeviceIx, MeterIx};
use crate::time::MonoNs;
use serde::{Deserialize, Serialize};

/// Channels of a three-phase waveform frame: `va vb vc ia ib ic`.
pub const CHANNELS: usize = 6;

/// Quality of a value (IEC 61850-7-3 words).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Validity {
    /// Use it.
    #[default]
    Good,
    /// Use the worse of it and the model.
    Questionable,
    /// Do not use it.
    Invalid,
}

/// Consecutive frames of one waveform meter; a frame is [`CHANNELS`] interleaved samples.
#[derive(Clone, Copy, Debug)]
pub struct SampleBlock<'a> {
    /// The instrument.
    pub meter: MeterIx,
    /// Absolute index of the first frame since the meter started; gaps show here.
    pub first_frame: u64,
    /// When the first frame was taken.
    pub first_mono_ns: MonoNs,
    /// Time between frames, ps (31,250,000 at 32 kS/s).
    pub period_ps: u64,
    /// Samples, `frames × CHANNELS`, frame by frame.
    pub samples: &'a [i16],
    /// Volts in one count of a voltage channel.
    pub scale_v: f32,
    /// Amperes in one count of a current channel.
    pub scale_a: f32,
}

impl SampleBlock<'_> {
    /// Frames in the block.
    pub fn frames(&self) -> usize {
        self.samples.len() / CHANNELS
    }

    /// When frame `index` of this block was taken.
    pub fn frame_mono_ns(&self, index: usize) -> MonoNs {
        self.first_mono_ns
            .plus_ns(index as u64 * self.period_ps / 1_000)
    }
}

/// What a power value is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Node {
    /// Three-phase total at a meter.
    Meter(MeterIx),
    /// One device, as its driver reports it.
    Device(DeviceIx),
}

/// One value of power and what was measured with it. Absent means not measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PowerSample {
    /// What it is of.
    pub node: Node,
    /// When it was taken; transport bounds are already added to its age by the source.
    pub taken_mono_ns: MonoNs,
    /// Active power, W.
    pub power_active_w: f64,
    /// Apparent power, VA.
    pub power_apparent_va: Option<f64>,
    /// Mean of the phases' RMS voltages, line to neutral, V.
    pub voltage_rms_v: Option<f64>,
    /// Mean of the phases' RMS currents, A.
    pub current_rms_a: Option<f64>,
    /// Frequency, Hz.
    pub frequency_hz: Option<f64>,
    /// Quality.
    pub validity: Validity,
}
