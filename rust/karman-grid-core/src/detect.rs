//! The detector of a site: routes each block through its meter's pass and the marks to the judge
//! of its position class; notices silence.
//!
//! Owns which meters are independent of each other and which are silent; `waveform` owns what a
//! meter shows, `judge` what that means. Time comes with the blocks, and for silence as `now`.

use crate::event::{ElectricalEvent, EventKind};
use crate::ids::MeterIx;
use crate::judge::{Judge, Member};
use crate::limits::STALE_MIN_NS;
use crate::sample::SampleBlock;
use crate::site::{ElementKind, MeterPosition};
use crate::time::{MonoNs, NS_PER_MS, ns_from_s};
use crate::topology::{Meter, Topology};
use crate::waveform::values::MeterValues;
use crate::waveform::{Mark, MeterPass, PassConfig, PassCounts, Shown};

/// A meter further behind than this and one of its blocks is not waited for.
const LATE_NS: u64 = 3 * NS_PER_MS;

/// One meter's pass and its place among the judges.
#[derive(Clone, Debug)]
struct Instrument {
    pass: MeterPass,
    judge: usize,
    slot: usize,
    silence_max_ns: u64,
    heard: Option<MonoNs>,
    block_ns: u64,
    blind: bool,
}

/// Detects losses, sags, overloads and silence at all meters of a site.
#[derive(Clone, Debug)]
pub struct Detector {
    instruments: Vec<Instrument>,
    judges: Vec<Judge>,
    marks: Vec<Mark>,
    unknown_meter_blocks: u64,
}

impl Detector {
    /// A detector for every meter of `topology`. Meters are independent of each other if they
    /// have the same position and hang on different UPSs (preferred parents decide).
    pub fn new(topology: &Topology) -> Detector {
        let positions = [
            MeterPosition::UpsOutput,
            MeterPosition::Pdu,
            MeterPosition::Branch,
        ];
        let of_class = |position: MeterPosition| -> Vec<usize> {
            (0..topology.meters.len())
                .filter(|at| topology.meters[*at].position == position)
                .collect()
        };
        let mut places = vec![(0, 0); topology.meters.len()];
        let mut judges = Vec::new();
        for members in positions.map(of_class) {
            for (slot, member) in members.iter().enumerate() {
                places[*member] = (judges.len(), slot);
            }
            let members = members.iter().map(|at| member(topology, *at));
            judges.push(Judge::new(false, members));
        }
        // The loss of a source is judged meter by meter: nobody has to be waited for.
        for at in of_class(MeterPosition::UpsInput) {
            places[at] = (judges.len(), 0);
            judges.push(Judge::new(true, [member(topology, at)]));
        }
        let meters = topology.meters.iter().zip(places);
        let instruments = meters
            .map(|(meter, place)| instrument(topology, meter, place))
            .collect();
        Detector {
            instruments,
            judges,
            marks: Vec::with_capacity(256),
            unknown_meter_blocks: 0,
        }
    }

    /// Passes a block and appends what has happened. Blocks of an unknown meter are counted and
    /// left out.
    pub fn push(&mut self, block: &SampleBlock<'_>, events: &mut Vec<ElectricalEvent>) {
        let Some(instrument) = self.instruments.get_mut(block.meter.at()) else {
            self.unknown_meter_blocks += 1;
            return;
        };
        self.marks.clear();
        instrument.pass.push(block, &mut self.marks);
        let Some(end) = instrument.pass.end() else {
            return;
        };
        instrument.block_ns = end.since(block.first_mono_ns);
        see(instrument, block.meter, end, events);
        events.extend(
            self.marks
                .iter()
                .filter_map(|mark| immediate(block.meter, mark)),
        );
        let (judge, slot) = (instrument.judge, instrument.slot);
        self.judges[judge].report(slot, end, &self.marks, events);
    }

    /// A value of `meter` came by another way (a polled meter): a sign of life.
    pub fn heard(&mut self, meter: MeterIx, now: MonoNs, events: &mut Vec<ElectricalEvent>) {
        if let Some(instrument) = self.instruments.get_mut(meter.at()) {
            see(instrument, meter, now, events);
        }
    }

    /// Notices silence, and decides without meters that are late. Call it after all blocks that
    /// have arrived by `now` were pushed.
    pub fn tick(&mut self, now: MonoNs, events: &mut Vec<ElectricalEvent>) {
        for (at, instrument) in self.instruments.iter_mut().enumerate() {
            let heard = *instrument.heard.get_or_insert(now);
            let silence_ns = now.since(heard);
            let judge = &mut self.judges[instrument.judge];
            if !instrument.blind && silence_ns > instrument.silence_max_ns {
                instrument.blind = true;
                events.push(ElectricalEvent {
                    meter: MeterIx::of(at),
                    kind: EventKind::Blind,
                    first_abnormal_mono_ns: heard,
                    detected_mono_ns: now,
                    depth_ratio: 1.0,
                });
                judge.leave_out(instrument.slot, true, events);
            }
            let behind_ns = now.since(instrument.pass.end().unwrap_or(heard));
            if behind_ns > LATE_NS + instrument.block_ns {
                judge.leave_out(instrument.slot, false, events);
            }
        }
    }

    /// Newest values of a waveform meter.
    pub fn values(&self, meter: MeterIx) -> Option<MeterValues> {
        self.instruments
            .get(meter.at())
            .and_then(|i| i.pass.values().copied())
    }

    /// Whether losses are detected at `meter`: three healthy cycles have been seen.
    pub fn armed(&self, meter: MeterIx) -> bool {
        self.instruments
            .get(meter.at())
            .is_some_and(|i| i.pass.armed())
    }

    /// Whether `meter` has fallen silent.
    pub fn blind(&self, meter: MeterIx) -> bool {
        self.instruments.get(meter.at()).is_some_and(|i| i.blind)
    }

    /// Exact counters of a meter's blocks and frames.
    pub fn counts(&self, meter: MeterIx) -> PassCounts {
        self.instruments
            .get(meter.at())
            .map_or(PassCounts::default(), |i| i.pass.counts())
    }

    /// Blocks that named a meter the site does not have.
    pub fn unknown_meter_blocks(&self) -> u64 {
        self.unknown_meter_blocks
    }
}

fn instrument(topology: &Topology, meter: &Meter, place: (usize, usize)) -> Instrument {
    let site = &topology.site;
    let limit_w = topology.elements[meter.element.at()].limit_w;
    let config = PassConfig {
        nominal_v: site.nominal_v,
        nominal_hz: site.nominal_hz,
        rated_a: limit_w / (3.0 * site.nominal_v),
    };
    let period_ns = ns_from_s(meter.period_s.unwrap_or(0.0));
    Instrument {
        pass: MeterPass::new(config),
        judge: place.0,
        slot: place.1,
        silence_max_ns: STALE_MIN_NS.max(period_ns.saturating_mul(2)),
        heard: None,
        block_ns: 0,
        blind: false,
    }
}

/// What makes a path: the UPS it hangs on, else its feed, else the element itself.
fn member(topology: &Topology, at: usize) -> Member {
    let meter = &topology.meters[at];
    let path = topology
        .ancestor(meter.element, ElementKind::Ups)
        .or_else(|| topology.ancestor(meter.element, ElementKind::Feed))
        .unwrap_or(meter.element);
    Member {
        meter: MeterIx::of(at),
        path: path.0,
        streams: meter.sample_rate_hz.is_some(),
    }
}

fn see(instrument: &mut Instrument, meter: MeterIx, at: MonoNs, events: &mut Vec<ElectricalEvent>) {
    let heard = instrument.heard.get_or_insert(at);
    let first_abnormal_mono_ns = *heard;
    *heard = at.max(*heard);
    if instrument.blind {
        instrument.blind = false;
        events.push(ElectricalEvent {
            meter,
            kind: EventKind::Seeing,
            first_abnormal_mono_ns,
            detected_mono_ns: at,
            depth_ratio: 1.0,
        });
    }
}

/// Marks that are events by themselves.
fn immediate(meter: MeterIx, mark: &Mark) -> Option<ElectricalEvent> {
    let (kind, first_abnormal_mono_ns, depth_ratio) = match mark.what {
        Shown::Suspect {
            first_abnormal,
            residual,
            fresh: true,
        } => (EventKind::Suspect, first_abnormal, residual),
        Shown::Overload {
            first_abnormal,
            ratio,
        } => (EventKind::Overload, first_abnormal, ratio),
        Shown::OverloadEnded { ratio } => (EventKind::OverloadEnded, mark.at, ratio),
        Shown::Suspect { .. } | Shown::Signs { .. } => return None,
    };
    Some(ElectricalEvent {
        meter,
        kind,
        first_abnormal_mono_ns,
        detected_mono_ns: mark.at,
        depth_ratio,
    })
}
