//! Signals with closed-form truth, a four-path site, and a feeder that cuts them into blocks.
#![allow(dead_code)]

use karman_grid_core::detect::Detector;
use karman_grid_core::event::{ElectricalEvent, EventKind};
use karman_grid_core::ids::MeterIx;
use karman_grid_core::sample::SampleBlock;
use karman_grid_core::site::SiteSpec;
use karman_grid_core::time::MonoNs;
use karman_grid_core::topology::Topology;
use serde_json::json;
use std::f64::consts::{PI, SQRT_2, TAU};

pub const NOMINAL_V: f64 = 277.0;
pub const LIMIT_W: f64 = 250e3;
pub const RATED_A: f64 = LIMIT_W / (3.0 * NOMINAL_V);
pub const SCALE_V: f64 = 2.0 * NOMINAL_V * 1.5 / 32_768.0;
pub const SCALE_A: f64 = 14.0 * RATED_A * 1.5 / 32_768.0;
/// Meters 0..4 at UPS outputs, 4..8 at UPS inputs.
pub const OUTPUTS: usize = 4;

/// Four UPSs with a feed each; a waveform meter at every output, then at every input.
pub fn site(nominal_hz: f64) -> Topology {
    let mut elements = vec![json!({"id": "grid", "kind": "utility", "rating_w": 4.0 * LIMIT_W})];
    let mut meters = Vec::new();
    for name in ["a", "b", "c", "d"] {
        let (ups, feed) = (format!("ups-{name}"), format!("feed-{name}"));
        elements.push(json!({"id": ups, "kind": "ups", "parents": ["grid"], "rating_w": LIMIT_W}));
        elements.push(json!({"id": feed, "kind": "feed", "parents": [ups], "rating_w": LIMIT_W}));
        meters.push(json!({"id": format!("out-{name}"), "element": feed,
            "position": "ups_output", "sample_rate_hz": 32000.0}));
    }
    for name in ["a", "b", "c", "d"] {
        meters.push(
            json!({"id": format!("in-{name}"), "element": format!("ups-{name}"),
            "position": "ups_input", "sample_rate_hz": 32000.0}),
        );
    }
    let spec = json!({"schema": 1, "element": elements, "meter": meters,
        "site": {"name": "four paths", "nominal_v": NOMINAL_V, "nominal_hz": nominal_hz,
            "mode": "active"}});
    let spec: SiteSpec = serde_json::from_value(spec).expect("a site");
    Topology::build(&spec).expect("a sound site")
}

/// SplitMix64: small, seeded, the same everywhere.
#[derive(Clone)]
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// About normal, standard deviation 1.
    pub fn normal(&mut self) -> f64 {
        let bits = self.next();
        let part = |shift: u32| f64::from((bits >> shift) as u16) / 65_536.0 - 0.5;
        (part(0) + part(16) + part(32) + part(48)) * 3_f64.sqrt()
    }
}

/// A healthy three-phase signal; per unit of nominal voltage and rated current.
#[derive(Clone)]
pub struct Wave {
    pub rate_hz: f64,
    pub frequency_hz: f64,
    pub ramp_hz_per_s: f64,
    /// Phase at time 0, turns.
    pub phase: f64,
    /// Ratio and phase (rad) of the 5th and 7th harmonics of the voltage.
    pub fifth: (f64, f64),
    pub seventh: (f64, f64),
    pub noise: f64,
    /// Load over rated and lag of the current, rad.
    pub load: f64,
    pub lag: f64,
    pub dice: Dice,
}

impl Wave {
    pub fn clean(rate_hz: f64, frequency_hz: f64) -> Wave {
        Wave {
            rate_hz,
            frequency_hz,
            ramp_hz_per_s: 0.0,
            phase: 0.0,
            fifth: (0.0, 0.0),
            seventh: (0.0, 0.0),
            noise: 0.0,
            load: 0.75,
            lag: 0.2,
            dice: Dice(1),
        }
    }

    /// Frequency ±1 Hz, harmonics up to 5 and 4 %, noise 0.5 %, load 60 to 95 %.
    pub fn random(rate_hz: f64, dice: &mut Dice) -> Wave {
        Wave {
            rate_hz,
            frequency_hz: dice.between(59.0, 61.0),
            ramp_hz_per_s: 0.0,
            phase: dice.unit(),
            fifth: (dice.between(0.0, 0.05), dice.between(0.0, TAU)),
            seventh: (dice.between(0.0, 0.04), dice.between(0.0, TAU)),
            noise: 0.005,
            load: dice.between(0.6, 0.95),
            lag: dice.between(-0.1, 0.3),
            dice: Dice(dice.next()),
        }
    }

    pub fn time_s(&self, frame: usize) -> f64 {
        frame as f64 / self.rate_hz
    }

    /// Angle of phase a at `time_s`, moved by `jump` rad.
    pub fn angle(&self, time_s: f64, jump: f64) -> f64 {
        let turns = self.frequency_hz * time_s + 0.5 * self.ramp_hz_per_s * time_s * time_s;
        (turns + self.phase) * TAU + jump
    }

    /// Voltages and currents at `angle`, per unit of their peak values, without noise.
    pub fn at(&self, angle: f64, harmonics: f64) -> [f64; 6] {
        let mut out = [0.0; 6];
        for phase in 0..3 {
            let theta = angle - phase as f64 * TAU / 3.0;
            out[phase] = libm::sin(theta)
                + harmonics * self.fifth.0 * libm::sin(5.0 * theta + self.fifth.1)
                + harmonics * self.seventh.0 * libm::sin(7.0 * theta + self.seventh.1);
            out[phase + 3] = self.load * libm::sin(theta - self.lag);
        }
        out
    }

    /// Adds noise and rounds to counts.
    pub fn counts(&mut self, x: [f64; 6]) -> [i16; 6] {
        let mut out = [0; 6];
        for (lane, x) in x.iter().enumerate() {
            let noisy = x + self.noise * self.dice.normal();
            let unit = if lane < 3 {
                NOMINAL_V * SQRT_2 / SCALE_V
            } else {
                RATED_A * SQRT_2 / SCALE_A
            };
            out[lane] = (noisy * unit).round().clamp(-32_768.0, 32_767.0) as i16;
        }
        out
    }

    /// Frames of the signal with each frame changed by `change(time_s, values)`.
    pub fn frames(
        &mut self,
        count: usize,
        mut change: impl FnMut(f64, &mut [f64; 6]),
    ) -> Vec<[i16; 6]> {
        (0..count)
            .map(|frame| {
                let time_s = self.time_s(frame);
                let mut x = self.at(self.angle(time_s, 0.0), 1.0);
                change(time_s, &mut x);
                self.counts(x)
            })
            .collect()
    }
}

/// A detector fed with whole recordings, meter by meter, window by window.
pub struct Bench {
    pub detector: Detector,
    pub events: Vec<ElectricalEvent>,
    pub period_ps: u64,
}

impl Bench {
    pub fn new(rate_hz: f64) -> Bench {
        Bench::with_nominal(rate_hz, 60.0)
    }

    pub fn with_nominal(rate_hz: f64, nominal_hz: f64) -> Bench {
        // Whole nanoseconds, so that times do not depend on where blocks begin.
        let period_ps = (1e9 / rate_hz).round() as u64 * 1_000;
        Bench {
            detector: Detector::new(&site(nominal_hz)),
            events: Vec::new(),
            period_ps,
        }
    }

    /// From now on meters that have not been heard are not waited for.
    pub fn start(&mut self) {
        for ms in [0, 10] {
            let now = MonoNs(self.time(0).0 - 20_000_000 + ms * 1_000_000);
            self.detector.tick(now, &mut self.events);
        }
    }

    pub fn time(&self, frame: u64) -> MonoNs {
        MonoNs(1_000_000_000 + frame * self.period_ps / 1_000)
    }

    pub fn push(&mut self, meter: usize, first_frame: u64, frames: &[[i16; 6]]) {
        let block = SampleBlock {
            meter: MeterIx::of(meter),
            first_frame,
            first_mono_ns: self.time(first_frame),
            period_ps: self.period_ps,
            samples: frames.as_flattened(),
            scale_v: SCALE_V as f32,
            scale_a: SCALE_A as f32,
        };
        self.detector.push(&block, &mut self.events);
    }

    /// Feeds `(meter, recording)` pairs in blocks of `block` frames, in step.
    pub fn play(&mut self, recordings: &[(usize, &[[i16; 6]])], block: usize) {
        self.start();
        let longest = recordings.iter().map(|r| r.1.len()).max().unwrap_or(0);
        for first in (0..longest).step_by(block) {
            for (meter, frames) in recordings {
                let until = frames.len().min(first + block);
                if first < until {
                    self.push(*meter, first as u64, &frames[first..until]);
                }
            }
        }
    }

    pub fn of(&self, kind: EventKind) -> Vec<ElectricalEvent> {
        self.events
            .iter()
            .copied()
            .filter(|event| event.kind == kind)
            .collect()
    }

    pub fn kinds(&self, meter: usize) -> Vec<EventKind> {
        let mut events: Vec<_> = self
            .events
            .iter()
            .filter(|event| event.meter.at() == meter)
            .collect();
        events.sort_by_key(|event| (event.detected_mono_ns, event.kind));
        events.iter().map(|event| event.kind).collect()
    }
}

/// Value below which `share` of the sorted values lie.
pub fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = ((values.len() as f64 * share).ceil() as usize).clamp(1, values.len());
    values[at - 1]
}

/// Milliseconds from `at_s` of the recording to the event.
pub fn delay_ms(bench: &Bench, at_s: f64, event: &ElectricalEvent) -> f64 {
    (event.detected_mono_ns.0 as f64 - bench.time(0).0 as f64) * 1e-6 - at_s * 1e3
}

pub const HALF_TURN: f64 = PI;
