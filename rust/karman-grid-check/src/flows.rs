//! Owns the judgement of true flows: every element against its curve, and Kirchhoff's balance.
//!
//! Power is held from one flow record to the next, so each accumulator is piecewise linear and is
//! settled only when its element's power or mode changes: exact, fast, and blind to how often an
//! unchanged flow was written down.

use crate::curve::{DECAY_S, FULL_RATIO};
use crate::error::{CheckError, possible_w};
use crate::plant::{Element, Plant};
use crate::record::Mode;
use crate::verdict::{Finding, Subject, ViolationKind};

/// Imbalance allowed at an element, as a share of its limit.
pub const BALANCE_RATIO: f64 = 0.02;
/// Above the limit means above it by more than rounding.
const OVER_RATIO: f64 = 1.0 + 1e-9;

/// What an element goes through.
#[derive(Clone, Debug)]
pub(crate) struct ElementState {
    /// Power and mode held since `since_ns`; `accumulator_ratio` is the value at that instant.
    power_w: f64,
    mode: Mode,
    since_ns: u64,
    accumulator_ratio: f64,
    beyond: bool,
    unbalanced: bool,
    pub accumulator_max_ratio: f64,
    pub accumulator_max_at_ns: Option<u64>,
    pub power_max_w: f64,
    pub over_limit_ns: u64,
}

/// All elements.
#[derive(Clone, Debug)]
pub(crate) struct Flows {
    pub states: Vec<ElementState>,
    pub last_ns: Option<u64>,
    any_over: bool,
    pub any_over_ns: u64,
    pub gap_max_ns: u64,
    /// Per element: power its children surely take from it, and power they may take.
    drawn_w: Vec<(f64, f64)>,
}

impl Flows {
    pub fn new(plant: &Plant) -> Self {
        let state = ElementState {
            power_w: 0.0,
            mode: Mode::Line,
            since_ns: 0,
            accumulator_ratio: 0.0,
            beyond: false,
            unbalanced: false,
            accumulator_max_ratio: 0.0,
            accumulator_max_at_ns: None,
            power_max_w: 0.0,
            over_limit_ns: 0,
        };
        Self {
            states: vec![state; plant.elements.len()],
            last_ns: None,
            any_over: false,
            any_over_ns: 0,
            gap_max_ns: 0,
            drawn_w: vec![(0.0, 0.0); plant.elements.len()],
        }
    }

    /// Takes a flow record; power in W and modes in header order.
    pub fn push(
        &mut self,
        plant: &Plant,
        at_ns: u64,
        power_w: &[f64],
        modes: Option<&[Mode]>,
        findings: &mut Vec<Finding>,
    ) -> Result<(), CheckError> {
        self.validate(power_w, modes)?;
        self.hold_until(at_ns);
        self.any_over = false;
        for (ix, (element, state)) in plant.elements.iter().zip(&mut self.states).enumerate() {
            let mode = modes.map_or(state.mode, |modes| modes[ix]);
            if power_w[ix] != state.power_w || mode != state.mode {
                state.settle(ix, element, at_ns, findings);
                state.power_w = power_w[ix];
                state.mode = mode;
                state.power_max_w = state.power_max_w.max(power_w[ix]);
            }
            self.any_over |= state.power_w > element.limit_w * OVER_RATIO;
        }
        self.last_ns = Some(at_ns);
        self.balance(plant, at_ns, findings);
        Ok(())
    }

    /// Judges the flows still held up to the end of the trace.
    pub fn finish(&mut self, plant: &Plant, end_ns: u64, findings: &mut Vec<Finding>) {
        self.hold_until(end_ns);
        for (ix, (element, state)) in plant.elements.iter().zip(&mut self.states).enumerate() {
            state.settle(ix, element, end_ns, findings);
        }
    }

    /// Accumulators as they are at `at_ns` if the present flow is held until then.
    pub fn accumulators(&self, plant: &Plant, at_ns: u64) -> Vec<f64> {
        let at = |(element, state): (&Element, &ElementState)| {
            let mut state = state.clone();
            state.settle(0, element, at_ns, &mut Vec::new());
            state.accumulator_ratio
        };
        plant.elements.iter().zip(&self.states).map(at).collect()
    }

    fn validate(&self, power_w: &[f64], modes: Option<&[Mode]>) -> Result<(), CheckError> {
        let count = self.states.len();
        let wrong_length = |key: &str, len: usize| {
            Err(CheckError::new(
                key,
                format!("{len} values"),
                format!("{count}, one per element"),
            ))
        };
        if power_w.len() != count {
            return wrong_length("flow.power_w", power_w.len());
        }
        if let Some(modes) = modes.filter(|modes| modes.len() != count) {
            return wrong_length("flow.mode", modes.len());
        }
        for (ix, value_w) in power_w.iter().enumerate() {
            possible_w(|| format!("flow.power_w[{ix}]"), *value_w)?;
        }
        Ok(())
    }

    fn hold_until(&mut self, at_ns: u64) {
        if let Some(last_ns) = self.last_ns {
            let held_ns = at_ns.saturating_sub(last_ns);
            self.gap_max_ns = self.gap_max_ns.max(held_ns);
            if self.any_over {
                self.any_over_ns += held_ns;
            }
        }
    }

    /// What goes into an element must come out of it, and come from somewhere.
    fn balance(&mut self, plant: &Plant, at_ns: u64, findings: &mut Vec<Finding>) {
        self.attribute(plant);
        for (ix, element) in plant.elements.iter().enumerate() {
            let broken_bound_w = self.broken_bound_w(plant, ix, element);
            let state = &mut self.states[ix];
            if let Some(limit) = broken_bound_w.filter(|_| !state.unbalanced) {
                let subject = Subject::Element(ix);
                let kind = ViolationKind::BooksDoNotBalance;
                findings.push(Finding {
                    at_ns,
                    kind,
                    subject,
                    value: state.power_w,
                    limit,
                });
            }
            state.unbalanced = broken_bound_w.is_some();
        }
    }

    /// Charges each element's power to the first of its parents that is not off. A UPS on battery
    /// may take anything from nothing to all of its power from there.
    fn attribute(&mut self, plant: &Plant) {
        self.drawn_w.fill((0.0, 0.0));
        for (element, state) in plant.elements.iter().zip(&self.states) {
            if let Some(parent) = live_parent(element, &self.states) {
                let surely_w = if on_battery(element, state) {
                    0.0
                } else {
                    state.power_w
                };
                self.drawn_w[parent].0 += surely_w;
                self.drawn_w[parent].1 += state.power_w + element.loss_w;
            }
        }
    }

    fn broken_bound_w(&self, plant: &Plant, ix: usize, element: &Element) -> Option<f64> {
        let state = &self.states[ix];
        let slack_w = BALANCE_RATIO * element.limit_w;
        let off = state.mode == Mode::Off;
        let orphan = !element.parents.is_empty()
            && !on_battery(element, state)
            && live_parent(&plant.elements[ix], &self.states).is_none();
        if off || orphan {
            return (state.power_w > slack_w).then_some(slack_w);
        }
        if !element.has_children {
            return None;
        }
        let (surely_w, at_most_w) = self.drawn_w[ix];
        let low_w = surely_w - slack_w;
        let high_w = at_most_w + element.loss_w + slack_w;
        if state.power_w < low_w {
            return Some(low_w);
        }
        (state.power_w > high_w).then_some(high_w)
    }
}

fn live_parent(element: &Element, states: &[ElementState]) -> Option<usize> {
    element
        .parents
        .iter()
        .copied()
        .find(|&parent| states[parent].mode != Mode::Off)
}

fn on_battery(element: &Element, state: &ElementState) -> bool {
    element.has_battery && state.mode == Mode::Battery
}

impl ElementState {
    /// Moves the accumulator along the held power from `since_ns` to `to_ns`.
    fn settle(&mut self, ix: usize, element: &Element, to_ns: u64, findings: &mut Vec<Finding>) {
        let held_ns = to_ns.saturating_sub(self.since_ns);
        if held_ns == 0 {
            return;
        }
        let held_s = held_ns as f64 / 1e9;
        match element
            .curve(self.mode)
            .tolerated_s(self.power_w / element.limit_w)
        {
            Some(tolerated_s) => {
                let reached = self.accumulator_ratio + held_s / tolerated_s;
                if reached >= FULL_RATIO && !self.beyond {
                    let until_full_s = (1.0 - self.accumulator_ratio).max(0.0) * tolerated_s;
                    findings.push(Finding {
                        at_ns: self.since_ns + ((until_full_s * 1e9).round() as u64).min(held_ns),
                        kind: ViolationKind::BeyondCurve,
                        subject: Subject::Element(ix),
                        value: self.power_w,
                        limit: element.limit_w,
                    });
                    self.beyond = true;
                }
                self.accumulator_ratio = reached;
                if reached > self.accumulator_max_ratio {
                    self.accumulator_max_ratio = reached;
                    self.accumulator_max_at_ns = Some(to_ns);
                }
            }
            None => {
                self.accumulator_ratio = (self.accumulator_ratio - held_s / DECAY_S).max(0.0);
                self.beyond &= self.accumulator_ratio >= FULL_RATIO;
            }
        }
        if self.power_w > element.limit_w * OVER_RATIO {
            self.over_limit_ns += held_ns;
        }
        self.since_ns = to_ns;
    }
}
