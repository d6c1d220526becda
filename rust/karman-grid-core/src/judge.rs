//! Says what the marks of several meters mean together: rules 1, 2 and 17.
//!
//! A [`Judge`] holds the meters of one position class. It works in signal time: marks and
//! deadlines are taken in order up to the frontier, the time that every meter of the class has
//! reported. A meter that is late or blind is not waited for. What it decides therefore does not
//! depend on how blocks were cut or interleaved. Pure; works only where something is going on.

use crate::event::{ElectricalEvent, EventKind};
use crate::ids::MeterIx;
use crate::time::{MonoNs, NS_PER_MS, NS_PER_S};
use crate::waveform::dip::Signs;
use crate::waveform::{Mark, Shown};
use std::collections::VecDeque;

/// Paths suspect within this of each other dip together, and a path waits it out (rule 2).
const TOGETHER_NS: u64 = 2 * NS_PER_MS;
/// Paths that dip together are lost only after being dead this long (rule 2).
const GROUP_DEAD_NS: u64 = 5 * NS_PER_MS;
/// A residual held this long takes a loss back (rule 2) …
const HELD_NS: u64 = 20 * NS_PER_MS;
/// … if it began this soon after: later it is a restoration, not a mistake.
const CANCEL_WITHIN_NS: u64 = 100 * NS_PER_MS;
/// A dip that still falls is called a sag this long after the suspicion.
const SAG_AFTER_NS: u64 = 10 * NS_PER_MS;
/// Paths of a group still on their way down are waited for this long after the suspicion.
const GROUP_WAIT_NS: u64 = 20 * NS_PER_MS;
/// Voltage well for this long is restored.
const RESTORED_NS: u64 = NS_PER_S;

/// How far a meter's present disturbance has been judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Quiet,
    Suspect,
    Sag,
    Lost,
    /// Lost, and no longer to be cancelled.
    LostForGood,
}

/// What a judge has to know of a meter.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// The meter.
    pub meter: MeterIx,
    /// Meters with the same number hang on the same UPS.
    pub path: u32,
    /// Whether it delivers waveforms, so that it is worth waiting for.
    pub streams: bool,
}

/// One meter of the class.
#[derive(Clone, Debug)]
struct Case {
    meter: MeterIx,
    path: u32,
    reported: Option<MonoNs>,
    awake: bool,
    marks: VecDeque<Mark>,
    stage: Stage,
    suspect_at: Option<MonoNs>,
    first_abnormal: MonoNs,
    signs: Signs,
    residual: f32,
    dead_since: Option<MonoNs>,
    held_since: Option<MonoNs>,
    well_since: Option<MonoNs>,
    fired_at: MonoNs,
}

impl Case {
    fn new(member: Member) -> Case {
        Case {
            meter: member.meter,
            path: member.path,
            reported: None,
            awake: member.streams,
            marks: VecDeque::new(),
            stage: Stage::Quiet,
            suspect_at: None,
            first_abnormal: MonoNs(0),
            signs: Signs::default(),
            residual: 1.0,
            dead_since: None,
            held_since: None,
            well_since: None,
            fired_at: MonoNs(0),
        }
    }

    fn apply(&mut self, mark: &Mark, now: MonoNs) {
        match mark.what {
            Shown::Suspect {
                first_abnormal,
                residual,
                fresh,
            } => {
                self.suspect_at = Some(now);
                self.first_abnormal = first_abnormal;
                self.residual = residual;
                if fresh {
                    self.forget();
                    self.signs.confirmed = false;
                    if matches!(self.stage, Stage::Quiet | Stage::Sag) {
                        self.stage = Stage::Suspect;
                    }
                }
            }
            Shown::Signs { signs, residual } => {
                self.signs = signs;
                self.residual = residual;
                since(&mut self.dead_since, signs.dead && signs.current_gone, now);
                since(&mut self.held_since, signs.held, now);
                since(&mut self.well_since, signs.well, now);
            }
            Shown::Overload { .. } | Shown::OverloadEnded { .. } => {}
        }
    }

    fn forget(&mut self) {
        self.signs = Signs {
            confirmed: self.signs.confirmed,
            ..Signs::default()
        };
        (self.dead_since, self.held_since, self.well_since) = (None, None, None);
    }

    fn undecided(&self) -> bool {
        matches!(self.stage, Stage::Suspect | Stage::Sag)
    }

    /// Times at which a rule may come true without a mark.
    fn deadlines(&self) -> [Option<MonoNs>; 6] {
        if self.stage == Stage::Quiet {
            return [None; 6];
        }
        let after = |at: Option<MonoNs>, ns: u64| at.map(|at| at.plus_ns(ns));
        [
            after(self.suspect_at, TOGETHER_NS),
            after(self.suspect_at, SAG_AFTER_NS),
            after(self.suspect_at, GROUP_WAIT_NS),
            after(self.dead_since, GROUP_DEAD_NS),
            after(self.held_since, HELD_NS),
            after(self.well_since, RESTORED_NS),
        ]
    }

    /// Dead with its own current gone, for as long as a group has to be.
    fn gone(&self, now: MonoNs) -> bool {
        self.dead_since
            .is_some_and(|at| now.since(at) >= GROUP_DEAD_NS)
    }

    /// On its way there.
    fn going(&self, now: MonoNs) -> bool {
        let in_time = self
            .suspect_at
            .is_some_and(|at| now.since(at) < GROUP_WAIT_NS);
        self.undecided() && in_time && !self.gone(now) && (self.signs.dead || self.signs.dying)
    }
}

fn since(slot: &mut Option<MonoNs>, holds: bool, now: MonoNs) {
    *slot = if holds { slot.or(Some(now)) } else { None };
}

/// Judges the meters of one position class together.
#[derive(Clone, Debug)]
pub struct Judge {
    /// Meters at the inputs of UPSs: a loss is the source's.
    at_input: bool,
    cases: Vec<Case>,
    done: MonoNs,
}

impl Judge {
    /// A judge for these meters; `at_input` if they sit at UPS inputs.
    pub fn new(at_input: bool, members: impl IntoIterator<Item = Member>) -> Judge {
        let cases = members.into_iter().map(Case::new).collect();
        Judge {
            at_input,
            cases,
            done: MonoNs(0),
        }
    }

    /// A meter has reported up to `until`, with these marks.
    pub fn report(
        &mut self,
        slot: usize,
        until: MonoNs,
        marks: &[Mark],
        events: &mut Vec<ElectricalEvent>,
    ) {
        let case = &mut self.cases[slot];
        case.marks
            .extend(marks.iter().filter(|mark| !is_overload(mark)));
        case.reported = Some(until);
        case.awake = true;
        self.run(events);
    }

    /// A meter is not to be waited for until it reports again; `blind`: nothing is known of it.
    pub fn leave_out(&mut self, slot: usize, blind: bool, events: &mut Vec<ElectricalEvent>) {
        let case = &mut self.cases[slot];
        if blind {
            case.forget();
        }
        if case.awake {
            case.awake = false;
            self.run(events);
        }
    }

    /// Whether anything is going on at any meter.
    fn waiting(&self) -> bool {
        self.cases
            .iter()
            .any(|case| case.stage != Stage::Quiet || !case.marks.is_empty())
    }

    /// Up to when every meter that is waited for has reported.
    fn frontier(&self) -> Option<MonoNs> {
        let waited_for = self.cases.iter().filter(|case| case.awake);
        waited_for
            .map(|case| case.reported.unwrap_or_default())
            .min()
    }

    fn run(&mut self, events: &mut Vec<ElectricalEvent>) {
        let Some(frontier) = self.frontier() else {
            return;
        };
        if !self.waiting() {
            return;
        }
        while let Some(now) = self.next_time().filter(|at| *at <= frontier) {
            for case in &mut self.cases {
                while let Some(mark) = case.marks.front().copied().filter(|m| m.at <= now) {
                    case.marks.pop_front();
                    case.apply(&mark, now);
                }
            }
            for slot in 0..self.cases.len() {
                self.decide(slot, now, events);
            }
            self.done = now;
        }
    }

    /// Next mark or deadline; marks of meters that were left out count from where we are.
    fn next_time(&self) -> Option<MonoNs> {
        let marks = self.cases.iter().filter_map(|case| case.marks.front());
        let marks = marks.map(|mark| mark.at.max(self.done));
        let deadlines = self
            .cases
            .iter()
            .flat_map(|case| case.deadlines())
            .flatten();
        marks.chain(deadlines.filter(|at| *at > self.done)).min()
    }

    fn decide(&mut self, slot: usize, now: MonoNs, events: &mut Vec<ElectricalEvent>) {
        let case = &self.cases[slot];
        let Some(suspect_at) = case.suspect_at.filter(|_| case.stage != Stage::Quiet) else {
            return;
        };
        let waited = now.since(suspect_at);
        if case.undecided() && case.signs.confirmed {
            if self.at_input {
                if case.signs.dead || case.signs.dying {
                    self.say(slot, EventKind::SourceLost, Stage::LostForGood, now, events);
                }
            } else if waited >= TOGETHER_NS {
                self.decide_loss(slot, now, events);
            }
        }
        let case = &self.cases[slot];
        if case.stage == Stage::Suspect && case.signs.confirmed && waited >= TOGETHER_NS {
            let settled = !case.signs.falling && !case.signs.dead;
            let pending = case.dead_since.is_some() || case.going(now);
            if settled || (waited >= SAG_AFTER_NS && !pending) || waited >= GROUP_WAIT_NS {
                self.say(slot, EventKind::Sag, Stage::Sag, now, events);
            }
        }
        self.decide_return(slot, now, events);
    }

    fn decide_loss(&mut self, slot: usize, now: MonoNs, events: &mut Vec<ElectricalEvent>) {
        let together = self.together(slot);
        if together.is_empty() {
            let signs = self.cases[slot].signs;
            if signs.dead || signs.dying {
                self.say(slot, EventKind::FeedLost, Stage::Lost, now, events);
            }
            return;
        }
        let going = together.iter().any(|other| self.cases[*other].going(now));
        if !self.cases[slot].gone(now) || going {
            return;
        }
        // Others may have been lost a moment before as part of the same group.
        let lost = |case: &Case| case.gone(now) || case.stage == Stage::Lost;
        let others: Vec<usize> = together
            .into_iter()
            .filter(|other| lost(&self.cases[*other]))
            .collect();
        if others.is_empty() {
            // The fault's own path died; the others only sagged with it.
            self.say(slot, EventKind::FeedLost, Stage::Lost, now, events);
            return;
        }
        self.say(slot, EventKind::FeedsLost, Stage::Lost, now, events);
        for other in others {
            if self.cases[other].undecided() {
                self.say(other, EventKind::FeedsLost, Stage::Lost, now, events);
            }
        }
    }

    /// Meters on other paths whose suspicion fell within 2 ms of this one's.
    fn together(&self, slot: usize) -> Vec<usize> {
        let this = &self.cases[slot];
        let Some(at) = this.suspect_at else {
            return Vec::new();
        };
        let close = |other: &Case| {
            other
                .suspect_at
                .is_some_and(|t| t.0.abs_diff(at.0) <= TOGETHER_NS)
        };
        (0..self.cases.len())
            .filter(|other| self.cases[*other].path != this.path && close(&self.cases[*other]))
            .collect()
    }

    fn decide_return(&mut self, slot: usize, now: MonoNs, events: &mut Vec<ElectricalEvent>) {
        let case = &mut self.cases[slot];
        if case.stage == Stage::Lost {
            match case.held_since {
                Some(at) if at.since(case.fired_at) > CANCEL_WITHIN_NS => {
                    case.stage = Stage::LostForGood;
                }
                // Held from before the loss was called counts from the call.
                Some(at) if now.since(at.max(case.fired_at)) >= HELD_NS => {
                    self.say(slot, EventKind::Cancelled, Stage::Sag, now, events);
                }
                _ => {}
            }
        }
        let case = &self.cases[slot];
        if case
            .well_since
            .is_some_and(|at| now.since(at) >= RESTORED_NS)
        {
            self.say(slot, EventKind::Restored, Stage::Quiet, now, events);
        }
    }

    fn say(
        &mut self,
        slot: usize,
        kind: EventKind,
        stage: Stage,
        now: MonoNs,
        events: &mut Vec<ElectricalEvent>,
    ) {
        let case = &mut self.cases[slot];
        case.stage = stage;
        if matches!(kind, EventKind::FeedLost | EventKind::FeedsLost) {
            case.fired_at = now;
        }
        events.push(ElectricalEvent {
            meter: case.meter,
            kind,
            first_abnormal_mono_ns: case.first_abnormal,
            detected_mono_ns: now,
            depth_ratio: case.residual,
        });
    }
}

fn is_overload(mark: &Mark) -> bool {
    matches!(
        mark.what,
        Shown::Overload { .. } | Shown::OverloadEnded { .. }
    )
}
