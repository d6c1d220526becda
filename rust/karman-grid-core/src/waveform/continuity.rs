//! Continuity of one meter's frames: restarts, gaps, duplicates, each counted exactly.

use crate::sample::SampleBlock;
use crate::waveform::kernel::Kernel;
use crate::waveform::windows::Windows;
use crate::waveform::{FREQUENCY_HZ, Mark, MeterPass, RATE_HZ, Track};

/// A gap longer than this starts the meter again, s.
const GAP_MAX_S: f64 = 2.0;

impl MeterPass {
    /// The track for this block, new where there is none or the meter's rate has changed.
    pub(super) fn admit(
        &mut self,
        block: &SampleBlock<'_>,
        whole: bool,
        marks: &mut Vec<Mark>,
    ) -> Option<Box<Track>> {
        let rate_hz = 1e12 / block.period_ps.max(1) as f64;
        let scales = [block.scale_v, block.scale_a];
        let sound = scales.iter().all(|s| s.is_finite() && *s > 0.0);
        if !whole || !sound || !(RATE_HZ[0]..=RATE_HZ[1]).contains(&rate_hz) {
            return None;
        }
        let same = |t: &Track| t.period_ps == block.period_ps && t.scale == scales;
        match self.track.take() {
            Some(track) if same(&track) => Some(track),
            before => {
                self.counts.restarts += u64::from(before.is_some());
                Some(self.start(block, marks))
            }
        }
    }

    /// Starts learning anew with this block.
    pub(super) fn start(&mut self, block: &SampleBlock<'_>, marks: &mut Vec<Mark>) -> Box<Track> {
        let rate_hz = 1e12 / block.period_ps as f64;
        let hz = self.config.nominal_hz;
        self.armed = false;
        self.over_halves = 0;
        self.dip.close();
        self.dip.forget(block.first_mono_ns, marks);
        let mut kernel = Kernel::new(rate_hz, hz, FREQUENCY_HZ[0]);
        let root_2 = core::f64::consts::SQRT_2;
        kernel.scale = [
            (f64::from(block.scale_v) / (root_2 * self.config.nominal_v)) as f32,
            (f64::from(block.scale_a) / (root_2 * self.config.rated_a)) as f32,
        ];
        let windows = Windows::new(rate_hz, hz);
        windows.align(&mut kernel);
        Box::new(Track {
            rate_hz,
            period_ps: block.period_ps,
            scale: [block.scale_v, block.scale_a],
            to_edge: windows.frames_to_edge(),
            kernel,
            windows,
            frequency_hz: hz,
            learned_halves: 0,
            jump_halves: 0,
            next_frame: block.first_frame,
            gap: [0, 0],
            end: block.first_mono_ns,
        })
    }

    /// First frame of the block to pass, after accounting for gaps and for frames seen before.
    pub(super) fn continue_at(
        &mut self,
        track: &mut Box<Track>,
        block: &SampleBlock<'_>,
        frames: usize,
        marks: &mut Vec<Mark>,
    ) -> usize {
        let (first, last) = (block.first_frame, block.first_frame + frames as u64);
        let expected = track.next_frame;
        let gap_max = (track.rate_hz * GAP_MAX_S) as u64;
        let again = first < expected && block.first_mono_ns >= track.end;
        if again || first > expected.saturating_add(gap_max) {
            self.counts.restarts += 1;
            self.counts.frames_missing += first.saturating_sub(expected);
            *track = self.start(block, marks);
        } else if first > expected {
            let missing = first - expected;
            self.counts.frames_missing += missing;
            track.gap = [expected, first];
            track.kernel.skip(missing);
            track.windows.skip(missing);
            track.windows.align(&mut track.kernel);
            track.to_edge = track.windows.frames_to_edge();
            self.dip.forget(block.first_mono_ns, marks);
        } else if first < expected {
            let old = expected.min(last) - first;
            let late = track.gap[0] <= first && last <= track.gap[1];
            let count = if late {
                &mut self.counts.frames_out_of_order
            } else {
                &mut self.counts.frames_duplicate
            };
            *count += old;
            track.next_frame = expected.max(last);
            return old as usize;
        }
        track.next_frame = last;
        0
    }
}
