//! What a meter takes for healthy: learning it, following its frequency, arming.

use crate::waveform::values::PhaseValues;
use crate::waveform::{
    FOLLOW_SHARE, FREQUENCY_HZ, MeterPass, SUSPECT_RATIO, Span, Track, overload,
};

/// Healthy half cycles in a row before a meter arms: three cycles.
const LEARN_HALVES: u32 = 6;
/// Phase voltages that can be learned as healthy, per unit of nominal.
const LEARN_VOLTAGE: [f64; 2] = [0.5, 1.5];
/// Largest change between half cycles while learning, per unit.
const LEARN_STEADY: f64 = 0.03;
/// An armed meter takes no frequency further away than this, Hz (a phase jump looks like one) …
const JUMP_HZ: f64 = 0.5;
/// … unless it says so for this many half cycles in a row.
const JUMP_HALVES: u32 = 8;

impl MeterPass {
    /// Follows the frequency; whether the estimate was believed.
    pub(super) fn follow_frequency(&mut self, track: &mut Track, estimate: Option<f64>) -> bool {
        let Some(hz) = estimate else { return false };
        let far = (hz - track.frequency_hz).abs() > JUMP_HZ;
        track.jump_halves = if far { track.jump_halves + 1 } else { 0 };
        let in_range = (FREQUENCY_HZ[0]..=FREQUENCY_HZ[1]).contains(&hz);
        let believed = !far || !self.armed || track.jump_halves >= JUMP_HALVES;
        let free_running = self.dip.is_open() && self.dip.well_edges() == 0;
        if !in_range || !believed || free_running {
            return false;
        }
        let share = if far { 1.0 } else { FOLLOW_SHARE };
        track.frequency_hz += share * (hz - track.frequency_hz);
        track
            .kernel
            .set_frequency(track.rate_hz, track.frequency_hz);
        track
            .windows
            .set_frequency(&mut track.kernel, track.frequency_hz);
        true
    }

    /// Counts healthy half cycles and arms after three cycles of them.
    pub(super) fn learn(&mut self, track: &mut Track, cycle: &PhaseValues, tracked: bool) {
        let unit = self.config.nominal_v;
        let before = self.phase_values(track, Span::HalfBefore);
        let after = self.phase_values(track, Span::Half);
        let (Some(before), Some(after)) = (before, after) else {
            return;
        };
        let steady = (0..3).all(|p| {
            let per_unit = cycle.voltage_v[p] / unit;
            let change = (after.voltage_v[p] - before.voltage_v[p]).abs() / unit;
            (LEARN_VOLTAGE[0]..=LEARN_VOLTAGE[1]).contains(&per_unit) && change <= LEARN_STEADY
        });
        let near = track.jump_halves == 0;
        let healthy = steady && tracked && near;
        track.learned_halves = if healthy { track.learned_halves + 1 } else { 0 };
        if track.learned_halves >= LEARN_HALVES {
            self.armed = true;
            self.healthy[0] = cycle.voltage_mean_v() / unit;
            self.healthy[1] = cycle.current_mean_a() / self.config.rated_a;
            track.kernel.clear_scores();
            self.dip.well_again();
            self.arm(track);
        }
    }

    /// Gives the kernel its thresholds for a healthy meter.
    pub(super) fn arm(&self, track: &mut Track) {
        let kernel = &mut track.kernel;
        if kernel.sag_sum < 0.0 {
            kernel.clear_scores();
        }
        kernel.blend = [0.5, 0.5];
        kernel.set_reference(track.rate_hz, self.healthy[0] as f32);
        kernel.sag_sum = SUSPECT_RATIO * self.healthy[0] * kernel.window_v as f64;
        overload::arm(kernel, track.rate_hz, track.frequency_hz);
    }
}
