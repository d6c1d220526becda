//! Waveform meters as the engine hears them: blocks of [`BLOCK_FRAMES`] frames, in order of time.
//!
//! Owns the frames of one step of every meter. A block is there when its last frame was taken.

use crate::hall::Plant;
use crate::waves::frame_after;
use karman_grid_core::ids::{ElementIx, MeterIx};
use karman_grid_core::sample::{CHANNELS, SampleBlock};
use karman_grid_core::site::MeterPosition;
use karman_grid_core::time::MonoNs;
use karman_grid_core::topology::Topology;

/// Frames in a block.
pub const BLOCK_FRAMES: usize = 8;

#[derive(Clone, Debug)]
struct Wave {
    meter: MeterIx,
    period_ps: u64,
    scale: [f32; 2],
    samples: Vec<i16>,
    first_frame: u64,
    frames: usize,
    given: usize,
}

/// All waveform meters.
#[derive(Clone, Debug, Default)]
pub(crate) struct WaveFeed {
    waves: Vec<Wave>,
}

fn frame_ns(frame: u64, period_ps: u64) -> u64 {
    (u128::from(frame) * u128::from(period_ps) / 1_000) as u64
}

impl WaveFeed {
    /// Of this site.
    pub(crate) fn new(topology: &Topology, plant: &Plant) -> WaveFeed {
        let wave = |meter: MeterIx| {
            let period_ps = plant.period_ps(meter)?;
            let scale = plant.count_scale(meter);
            let samples = Vec::new();
            Some(Wave {
                meter,
                period_ps,
                scale,
                samples,
                first_frame: 0,
                frames: 0,
                given: 0,
            })
        };
        WaveFeed {
            waves: (0..topology.meters.len())
                .map(MeterIx::of)
                .filter_map(wave)
                .collect(),
        }
    }

    /// Takes the frames of the plant's last step.
    pub(crate) fn fill(&mut self, plant: &Plant) {
        for wave in &mut self.waves {
            (wave.first_frame, wave.frames) = plant.frames_due(wave.meter);
            wave.given = 0;
            wave.samples.clear();
            plant.fill(wave.meter, wave.first_frame, wave.frames, &mut wave.samples);
        }
    }

    /// The next block of these frames and when its last one was taken, ns.
    pub(crate) fn next_block(&mut self) -> Option<(SampleBlock<'_>, u64)> {
        let due = |wave: &Wave| {
            let end = wave.frames.min(wave.given + BLOCK_FRAMES);
            (end > wave.given).then(|| frame_ns(wave.first_frame + end as u64 - 1, wave.period_ps))
        };
        let mut next: Option<(u64, usize)> = None;
        for (at, wave) in self.waves.iter().enumerate() {
            if let Some(at_ns) = due(wave)
                && next.is_none_or(|(first_ns, _)| at_ns < first_ns)
            {
                next = Some((at_ns, at));
            }
        }
        let (at_ns, at) = next?;
        let wave = &mut self.waves[at];
        let (from, to) = (wave.given, wave.frames.min(wave.given + BLOCK_FRAMES));
        wave.given = to;
        let first_frame = wave.first_frame + from as u64;
        let block = SampleBlock {
            meter: wave.meter,
            first_frame,
            first_mono_ns: MonoNs(frame_ns(first_frame, wave.period_ps)),
            period_ps: wave.period_ps,
            samples: &wave.samples[from * CHANNELS..to * CHANNELS],
            scale_v: wave.scale[0],
            scale_a: wave.scale[1],
        };
        Some((block, at_ns))
    }

    /// When the first frame at or after `at_ns` is taken that shows the bus of `element`: at a
    /// meter of its own or at the output of the UPS above it; `at_ns` itself without such a meter.
    pub(crate) fn first_frame_ns(
        &self,
        topology: &Topology,
        element: ElementIx,
        at_ns: u64,
    ) -> u64 {
        let above = topology.elements[element.at()].parents.first().copied();
        let shows = |wave: &&Wave| {
            let meter = &topology.meters[wave.meter.at()];
            let output = meter.position == MeterPosition::UpsOutput;
            meter.position != MeterPosition::UpsInput
                && (meter.element == element || (output && Some(meter.element) == above))
        };
        let first = self.waves.iter().find(shows);
        first.map_or(at_ns, |wave| {
            frame_ns(frame_after(at_ns, wave.period_ps), wave.period_ps)
        })
    }
}
