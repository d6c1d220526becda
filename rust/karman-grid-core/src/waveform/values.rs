//! Values of one meter in SI units, from exact means of squared counts.

use crate::ids::MeterIx;
use crate::sample::{Node, PowerSample, Validity};
use crate::time::MonoNs;
use crate::waveform::windows::Means;

/// RMS and power by phase over one window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PhaseValues {
    /// RMS voltage of each phase, V.
    pub voltage_v: [f64; 3],
    /// RMS current of each phase, A.
    pub current_a: [f64; 3],
    /// Active power of each phase, W.
    pub power_active_w: [f64; 3],
}

impl PhaseValues {
    /// From means of squared counts and the volts and amperes of one count.
    pub fn of(means: &Means, scale: [f32; 2]) -> PhaseValues {
        let [v, a] = scale.map(f64::from);
        PhaseValues {
            voltage_v: means.voltage.map(|square| square.max(0.0).sqrt() * v),
            current_a: means.current.map(|square| square.max(0.0).sqrt() * a),
            power_active_w: means.power.map(|product| product * v * a),
        }
    }

    /// Three-phase active power, W.
    pub fn power_w(&self) -> f64 {
        self.power_active_w.iter().sum()
    }

    /// Sum of the phases' apparent powers, VA.
    pub fn power_apparent_va(&self) -> f64 {
        (0..3)
            .map(|phase| self.voltage_v[phase] * self.current_a[phase])
            .sum()
    }

    /// Mean of the phases' RMS voltages, V.
    pub fn voltage_mean_v(&self) -> f64 {
        self.voltage_v.iter().sum::<f64>() / 3.0
    }

    /// Mean of the phases' RMS currents, A.
    pub fn current_mean_a(&self) -> f64 {
        self.current_a.iter().sum::<f64>() / 3.0
    }
}

/// Values of the last whole cycle, refreshed each half cycle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeterValues {
    /// End of the window.
    pub taken_mono_ns: MonoNs,
    /// Three-phase active power, W.
    pub power_active_w: f64,
    /// Sum of the phases' apparent powers, VA.
    pub power_apparent_va: f64,
    /// Mean of the phases' RMS voltages, line to neutral, V.
    pub voltage_rms_v: f64,
    /// Mean of the phases' RMS currents, A.
    pub current_rms_a: f64,
    /// Frequency over two cycles, Hz; absent while it cannot be told.
    pub frequency_hz: Option<f64>,
    /// The phases over the last half cycle: quicker, but moved by a direct offset of a sensor.
    pub half_cycle: PhaseValues,
    /// The phases over the last cycle.
    pub cycle: PhaseValues,
    /// Questionable while learning, and where a voltage is gone but its current flows on.
    pub validity: Validity,
}

impl MeterValues {
    /// As a sample of `meter`.
    pub fn sample(&self, meter: MeterIx) -> PowerSample {
        PowerSample {
            node: Node::Meter(meter),
            taken_mono_ns: self.taken_mono_ns,
            power_active_w: self.power_active_w,
            power_apparent_va: Some(self.power_apparent_va),
            voltage_rms_v: Some(self.voltage_rms_v),
            current_rms_a: Some(self.current_rms_a),
            frequency_hz: self.frequency_hz,
            validity: self.validity,
        }
    }
}
