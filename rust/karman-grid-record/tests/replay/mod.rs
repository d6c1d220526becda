//! Plays a record through the core's detector: channels to frames, frames to blocks, on a small
//! site whose rating the test chooses.
//!
//! Owns what is done to a record on the way (other rates, repeated cycles, neighbours) and the
//! table of what fired. Records hold V and A, as read; every frame goes through 16-bit counts.

use karman_grid_core::detect::Detector;
use karman_grid_core::event::{ElectricalEvent, EventKind};
use karman_grid_core::ids::MeterIx;
use karman_grid_core::sample::SampleBlock;
use karman_grid_core::site::SiteSpec;
use karman_grid_core::time::MonoNs;
use karman_grid_core::topology::Topology;
use karman_grid_core::waveform::values::MeterValues;
use karman_grid_record::comtrade::Comtrade;
use serde_json::json;
use std::collections::BTreeMap;
use std::f64::consts::{PI, SQRT_2, TAU};
use std::ops::Range;

/// When the first frame is taken.
const START_NS: u64 = 1_000_000_000;
/// Frames of a record on either side that a resampled one is made from.
const SINC_FRAMES: isize = 12;

/// What the site file says about every path.
#[derive(Clone, Copy)]
pub struct Rating {
    pub nominal_v: f64,
    pub rated_a: f64,
}

/// Where the meters sit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    Output,
    Input,
}

/// What a second path of the site shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// There is none.
    Nothing,
    /// A sine of ours at nominal voltage: nothing happens there.
    Healthy,
    /// The voltages of the record and a resistive load: everything happens there too.
    SameBus,
}

/// Every site that a record is tried on.
pub fn sites() -> impl Iterator<Item = (Position, Beside)> {
    let all = [Beside::Nothing, Beside::Healthy, Beside::SameBus];
    [Position::Output, Position::Input]
        .into_iter()
        .flat_map(move |at| all.map(|b| (at, b)))
}

/// Frames `va vb vc ia ib ic` in V and A.
#[derive(Clone)]
pub struct Signal {
    pub rate_hz: f64,
    pub frames: Vec<[f64; 6]>,
}

impl Signal {
    /// Six channels of a record with a single rate.
    pub fn of(record: &Comtrade, channels: [usize; 6]) -> Signal {
        let frames: Vec<[f64; 6]> = (0..record.sample_count())
            .map(|at| channels.map(|c| record.samples[c][at]))
            .collect();
        assert!(frames.iter().flatten().all(|value| value.is_finite()));
        Signal {
            rate_hz: record.config.rates[0].rate_hz,
            frames,
        }
    }

    /// Every `step`-th frame from `first` on, without a filter before.
    pub fn every(&self, step: usize, first: usize) -> Signal {
        let frames = self
            .frames
            .iter()
            .skip(first)
            .step_by(step)
            .copied()
            .collect();
        Signal {
            rate_hz: self.rate_hz / step as f64,
            frames,
        }
    }

    /// `factor` frames for one, by a sinc under a Hann window.
    pub fn denser(&self, factor: usize) -> Signal {
        let last = self.frames.len() as isize - 1;
        let kernels: Vec<Vec<f64>> = (0..factor)
            .map(|part| sinc(part as f64 / factor as f64))
            .collect();
        let mut frames = Vec::with_capacity(self.frames.len() * factor);
        for at in 0..=last {
            for kernel in &kernels {
                let mut out = [0.0; 6];
                for (weight, near) in kernel.iter().zip(at + 1 - SINC_FRAMES..) {
                    let frame = &self.frames[near.clamp(0, last) as usize];
                    (0..6).for_each(|lane| out[lane] += weight * frame[lane]);
                }
                frames.push(out);
            }
        }
        Signal {
            rate_hz: self.rate_hz * factor as f64,
            frames,
        }
    }

    /// The record with `cycle` of it repeated `before` times in front of it, and its last
    /// `cycle.len()` frames `after` times behind it.
    pub fn extended(&self, cycle: Range<usize>, before: usize, after: usize) -> Signal {
        let tail = self.frames.len() - cycle.len();
        let mut frames = self.frames[cycle].repeat(before);
        frames.extend(&self.frames);
        frames.extend(self.frames[tail..].repeat(after));
        Signal {
            rate_hz: self.rate_hz,
            frames,
        }
    }

    /// RMS of each lane over some frames.
    pub fn rms(&self, frames: Range<usize>) -> [f64; 6] {
        let count = frames.len() as f64;
        let mut squares = [0.0; 6];
        for frame in &self.frames[frames] {
            (0..6).for_each(|lane| squares[lane] += frame[lane] * frame[lane]);
        }
        squares.map(|sum: f64| (sum / count).sqrt())
    }

    /// What the second path shows, as long as this record.
    fn neighbour(&self, beside: Beside, rating: Rating) -> Option<Signal> {
        let load_s = 0.6 * rating.rated_a / rating.nominal_v;
        let frame = |at: usize| {
            let turns = 60.0 * at as f64 / self.rate_hz;
            let v = |phase: usize| match beside {
                Beside::SameBus => self.frames[at][phase],
                _ => SQRT_2 * rating.nominal_v * libm::sin(TAU * (turns - phase as f64 / 3.0)),
            };
            [
                v(0),
                v(1),
                v(2),
                load_s * v(0),
                load_s * v(1),
                load_s * v(2),
            ]
        };
        let frames = || (0..self.frames.len()).map(frame).collect();
        (beside != Beside::Nothing).then(|| Signal {
            rate_hz: self.rate_hz,
            frames: frames(),
        })
    }

    /// Volts and amperes of a count: the largest value of each with a fifth to spare.
    fn scale(&self) -> [f32; 2] {
        let largest = |lanes: Range<usize>| {
            let values = self.frames.iter().flat_map(|frame| &frame[lanes.clone()]);
            values.fold(0.0, |most: f64, value| most.max(value.abs()))
        };
        [largest(0..3), largest(3..6)].map(|most| (1.2 * most / 32_767.0) as f32)
    }

    fn counts(&self, scale: [f32; 2]) -> Vec<i16> {
        let lane_scale = |lane: usize| f64::from(scale[lane / 3]);
        let count = |(lane, value): (usize, &f64)| (value / lane_scale(lane % 6)).round() as i16;
        self.frames
            .iter()
            .flat_map(|frame| frame.iter().enumerate().map(count))
            .collect()
    }
}

/// Weights of the neighbours of a point `part` of the way from one frame to the next.
fn sinc(part: f64) -> Vec<f64> {
    let weight = |offset: isize| {
        let x = part - offset as f64;
        let lobe = if x == 0.0 {
            1.0
        } else {
            libm::sin(PI * x) / (PI * x)
        };
        lobe * (0.5 + 0.5 * libm::cos(PI * x / SINC_FRAMES as f64))
    };
    (1 - SINC_FRAMES..=SINC_FRAMES).map(weight).collect()
}

/// One or two paths utility → UPS → feed, with a waveform meter each.
fn site(rating: Rating, rate_hz: f64, position: Position, paths: usize) -> Topology {
    let limit_w = 3.0 * rating.nominal_v * rating.rated_a;
    let mut element = vec![json!({"id": "grid", "kind": "utility", "rating_w": 9.0 * limit_w})];
    let mut meter = Vec::new();
    for path in ["a", "b"].into_iter().take(paths) {
        let (ups, feed) = (format!("ups-{path}"), format!("feed-{path}"));
        element.push(json!({"id": ups, "kind": "ups", "parents": ["grid"], "rating_w": limit_w}));
        element.push(json!({"id": feed, "kind": "feed", "parents": [ups], "rating_w": limit_w}));
        let (on, place) = match position {
            Position::Output => (feed, "ups_output"),
            Position::Input => (ups, "ups_input"),
        };
        meter.push(
            json!({"id": format!("meter-{path}"), "element": on, "position": place,
            "sample_rate_hz": rate_hz}),
        );
    }
    let spec = json!({"schema": 1, "element": element, "meter": meter,
        "site": {"name": "record", "nominal_v": rating.nominal_v, "nominal_hz": 60.0,
            "mode": "active"}});
    let spec: SiteSpec = serde_json::from_value(spec).expect("a site");
    Topology::build(&spec).expect("a sound site")
}

/// A played record: what fired, and what the meter of the record showed.
pub struct Played {
    pub events: Vec<ElectricalEvent>,
    pub values: Vec<MeterValues>,
    /// When the meter armed, s from the first frame.
    pub armed_s: Option<f64>,
    rate_hz: f64,
}

/// Plays `signal` on path a of a site, in blocks of about 1 ms, with a tick after each.
pub fn play(signal: &Signal, rating: Rating, position: Position, beside: Beside) -> Played {
    let mut paths = vec![signal.clone()];
    paths.extend(signal.neighbour(beside, rating));
    let scales: Vec<[f32; 2]> = paths.iter().map(Signal::scale).collect();
    let counts: Vec<Vec<i16>> = paths
        .iter()
        .zip(&scales)
        .map(|(p, s)| p.counts(*s))
        .collect();
    let mut detector = Detector::new(&site(rating, signal.rate_hz, position, paths.len()));
    let period_ps = (1e12 / signal.rate_hz).round() as u64;
    let mut played = Played {
        events: Vec::new(),
        values: Vec::new(),
        armed_s: None,
        rate_hz: signal.rate_hz,
    };
    let block_frames = (signal.rate_hz * 1e-3).ceil() as usize;
    for first in (0..signal.frames.len()).step_by(block_frames) {
        let until = signal.frames.len().min(first + block_frames);
        let time = |frame: usize| MonoNs(START_NS + frame as u64 * period_ps / 1_000);
        for (path, [scale_v, scale_a]) in scales.iter().copied().enumerate() {
            let block = SampleBlock {
                meter: MeterIx::of(path),
                first_frame: first as u64,
                first_mono_ns: time(first),
                period_ps,
                samples: &counts[path][6 * first..6 * until],
                scale_v,
                scale_a,
            };
            detector.push(&block, &mut played.events);
        }
        detector.tick(time(until), &mut played.events);
        let newest = detector.values(MeterIx::of(0));
        let known = played.values.last().map(|v| v.taken_mono_ns);
        played
            .values
            .extend(newest.filter(|v| Some(v.taken_mono_ns) != known));
        if played.armed_s.is_none() && detector.armed(MeterIx::of(0)) {
            played.armed_s = Some(until as f64 / signal.rate_hz);
        }
    }
    for path in 0..paths.len() {
        let counts = detector.counts(MeterIx::of(path));
        assert_eq!(
            (counts.frames, counts.blocks_refused),
            (signal.frames.len() as u64, 0)
        );
    }
    played
}

/// Seconds from the first frame.
pub fn time_s(at: MonoNs) -> f64 {
    (at.0 as f64 - START_NS as f64) * 1e-9
}

impl Played {
    /// Kinds reported by the meter of a path, in order of signal time.
    pub fn kinds(&self, path: usize) -> Vec<EventKind> {
        let mut events: Vec<_> = self
            .events
            .iter()
            .filter(|e| e.meter.at() == path)
            .collect();
        events.sort_by_key(|event| (event.detected_mono_ns, event.kind));
        events.iter().map(|event| event.kind).collect()
    }

    /// Milliseconds from `from_s` to the first event of `kind` on path a.
    pub fn delay_ms(&self, kind: EventKind, from_s: f64) -> Option<f64> {
        let mine = self
            .events
            .iter()
            .filter(|e| e.meter.at() == 0 && e.kind == kind);
        mine.map(|e| (time_s(e.detected_mono_ns) - from_s) * 1e3)
            .min_by(f64::total_cmp)
    }
}

/// What fired, by record and path; plays of the same kind share a row.
#[derive(Default)]
pub struct Table {
    rows: Vec<Row>,
}

struct Row {
    what: String,
    plays: usize,
    /// Plays in which it fired, and the least and largest delay.
    fired: BTreeMap<EventKind, (usize, f64, f64)>,
}

impl Table {
    /// Adds a play; delays count from `from_s`.
    pub fn add(&mut self, played: &Played, what: &str, beside: Beside, from_s: f64) {
        let rate_ks = played.rate_hz * 1e-3;
        let neighbour = match beside {
            Beside::Nothing => None,
            Beside::Healthy => Some("beside, healthy"),
            Beside::SameBus => Some("beside, same bus"),
        };
        for (path, place) in std::iter::once("its path").chain(neighbour).enumerate() {
            let events = played.events.iter().filter(|e| e.meter.at() == path);
            let delays = events.map(|e| (e.kind, (time_s(e.detected_mono_ns) - from_s) * 1e3));
            self.row(format!("{what:<20} {rate_ks:>7.3} {place:<16}"), delays);
        }
    }

    fn row(&mut self, what: String, delays_ms: impl Iterator<Item = (EventKind, f64)>) {
        let at = self
            .rows
            .iter()
            .position(|row| row.what == what)
            .unwrap_or_else(|| {
                self.rows.push(Row {
                    what,
                    plays: 0,
                    fired: BTreeMap::new(),
                });
                self.rows.len() - 1
            });
        let row = &mut self.rows[at];
        row.plays += 1;
        for (kind, delay_ms) in delays_ms {
            let (count, least, most) = row.fired.entry(kind).or_insert((0, f64::MAX, f64::MIN));
            *count += 1;
            (*least, *most) = (least.min(delay_ms), most.max(delay_ms));
        }
    }

    /// Prints the rows.
    pub fn print(&self) {
        let mut text = format!(
            "\n{:<20} {:>7} {:<16} plays  fired (times): ms after the event, least to largest\n",
            "record", "kS/s", "path"
        );
        for row in &self.rows {
            let mut fired: Vec<_> = row.fired.iter().collect();
            fired.sort_by(|l, r| l.1.1.total_cmp(&r.1.1));
            let fired = fired.into_iter().map(|(kind, (count, least, most))| {
                format!("{kind:?} ({count}): {least:.2} to {most:.2}")
            });
            let fired: Vec<String> = fired.collect();
            let fired = if fired.is_empty() {
                "nothing".to_owned()
            } else {
                fired.join(", ")
            };
            text += &format!("{} {:>5}  {fired}\n", row.what, row.plays);
        }
        println!("{text}");
    }
}
