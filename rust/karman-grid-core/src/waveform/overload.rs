//! Overload of one meter (rule 4): found inside a cycle, silent for an inrush of half a cycle.

use crate::time::MonoNs;
use crate::waveform::kernel::{self, Kernel};
use crate::waveform::values::PhaseValues;
use crate::waveform::{Mark, MeterPass, Shown, Track};

/// Overload starts above this share of the rated current …
const OVERLOAD_RATIO: f64 = 1.05;
/// … held for half a cycle and this long: an inrush of half a cycle, smeared by the window of
/// 0.5 ms, ends before.
const OVERLOAD_EXTRA_MS: f64 = 0.9;
/// One phase over the threshold for this many half cycles is an overload too.
const OVERLOAD_HALVES: u32 = 3;
/// Overload ends when every phase has stayed under the rating this long, ms.
const OVERLOAD_END_MS: f64 = 100.0;

/// Sets the kernel's thresholds.
pub(super) fn arm(kernel: &mut Kernel, rate_hz: f64, frequency_hz: f64) {
    kernel.over_sum = kernel.current_sum(OVERLOAD_RATIO);
    let over_ms = 500.0 / frequency_hz + OVERLOAD_EXTRA_MS;
    kernel.over_frames = (over_ms * 1e-3 * rate_hz).ceil() as u32;
}

impl MeterPass {
    pub(super) fn enter_overload(&mut self, track: &Track, now: MonoNs, marks: &mut Vec<Mark>) {
        let frames = f64::from(track.kernel.over) * track.period_ps as f64 / 1e3;
        let back = frames + kernel::WINDOW_I_MS * 0.5e6;
        self.overload(now, back as u64, track.kernel.current(), marks);
    }

    fn overload(&mut self, now: MonoNs, back_ns: u64, ratio: f32, marks: &mut Vec<Mark>) {
        self.under_ms = 0.0;
        if self.overloaded {
            return;
        }
        self.overloaded = true;
        let first_abnormal = MonoNs(now.0.saturating_sub(back_ns));
        marks.push(Mark {
            at: now,
            what: Shown::Overload {
                first_abnormal,
                ratio,
            },
        });
    }

    pub(super) fn watch_current(
        &mut self,
        track: &Track,
        half: &PhaseValues,
        at_half: bool,
        now: MonoNs,
        marks: &mut Vec<Mark>,
    ) {
        let highest = half.current_a.iter().copied().fold(0.0, f64::max) / self.config.rated_a;
        let segment_ms = 1e3 / track.frequency_hz / track.windows.per_cycle as f64;
        if at_half && self.armed {
            self.over_halves = if highest > OVERLOAD_RATIO {
                self.over_halves + 1
            } else {
                0
            };
            if self.over_halves == OVERLOAD_HALVES {
                let back_ms = f64::from(OVERLOAD_HALVES) * 500.0 / track.frequency_hz;
                self.overload(now, (back_ms * 1e6) as u64, highest as f32, marks);
            }
        }
        self.under_ms = if highest < 1.0 {
            self.under_ms + segment_ms
        } else {
            0.0
        };
        if self.overloaded && self.under_ms >= OVERLOAD_END_MS {
            self.overloaded = false;
            let what = Shown::OverloadEnded {
                ratio: highest as f32,
            };
            marks.push(Mark { at: now, what });
        }
    }
}
