//! Owns the answer: the document that a judged trace ends in.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::caps::Caps;
use crate::flows::Flows;
use crate::plant::Plant;
use crate::record::{RECORD_TYPES, RecordType};

/// What was done that must not be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ViolationKind {
    /// An element's accumulator reached 1. `value` and `limit`: its power and its limit, W.
    BeyondCurve,
    /// A cap stood above what fallback and lease permit. `value`, `limit`: cap, permission, W.
    CapAboveLease,
    /// An agent accepted an older epoch, or an older sequence of the same epoch, than before.
    /// `value`, `limit`: what it accepted, the highest seen.
    EpochWentBack,
    /// A raise relied on a measurement older than `stale_ns`. `value`, `limit`: ages, ms.
    RaiseOnStaleData,
    /// Power or caps do not add up. `value`, `limit`: what is, the bound it breaks, W.
    BooksDoNotBalance,
}

/// One violation, at its start; a condition that persists is not repeated.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Violation {
    /// Milliseconds since the plant header's `start_mono_ns`; negative before it.
    pub at_ms: f64,
    /// What was done.
    pub kind: ViolationKind,
    /// Id of the element or device; `devices` where the sum over all devices is meant.
    pub element: String,
    /// What was found; unit by kind.
    pub value: f64,
    /// What it should have kept to; unit as `value`.
    pub limit: f64,
}

/// What one element went through.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ElementVerdict {
    /// Element id.
    pub id: String,
    /// Highest accumulator.
    pub accumulator_max_ratio: f64,
    /// When it was highest; null if it never rose.
    pub accumulator_max_at_ms: Option<f64>,
    /// Highest power ÷ limit.
    pub load_max_ratio: f64,
    /// Total time above the limit.
    pub over_limit_ms: f64,
}

/// The verdict on a trace.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// Number of violations.
    #[serde(rename = "unsafe")]
    pub unsafe_count: usize,
    /// Number of trip records of the plant.
    pub trips: u64,
    /// All of them, by time.
    pub violations: Vec<Violation>,
    /// Highest accumulator of any element.
    pub accumulator_max_ratio: f64,
    /// Total time in which at least one element was above its limit.
    pub over_limit_ms: f64,
    /// Records read, headers included.
    pub records: u64,
    /// The same by type: a 0 says that there was nothing to judge.
    pub records_by_type: BTreeMap<&'static str, u64>,
    /// Last lines cut short by the end of their process.
    pub truncated_lines: u64,
    /// Longest time without a flow record: what happened within is not proven.
    pub flow_gap_max_ms: f64,
    /// Caps that rose above the fallback without a raise record of the controller just before.
    pub raises_unrecorded: u64,
    /// Every element, header order.
    pub elements: Vec<ElementVerdict>,
}

/// Whom a finding is about, before ids are put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    Element(usize),
    Device(usize),
    AllDevices,
}

/// A violation as the judges note it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Finding {
    pub at_ns: u64,
    pub kind: ViolationKind,
    pub subject: Subject,
    pub value: f64,
    pub limit: f64,
}

/// Puts the verdict together from what the judges noted.
pub(crate) fn assemble(
    plant: &Plant,
    flows: &Flows,
    caps: &Caps,
    mut findings: Vec<Finding>,
    counts: &[u64; RECORD_TYPES.len()],
) -> Verdict {
    // Held conditions are found late; the verdict tells them in order of their start.
    findings.sort_by_key(|finding| (finding.at_ns, finding.kind, finding.subject));
    let states = plant.elements.iter().zip(&flows.states);
    let elements: Vec<_> = states
        .map(|(element, state)| ElementVerdict {
            id: element.id.clone(),
            accumulator_max_ratio: state.accumulator_max_ratio,
            accumulator_max_at_ms: state.accumulator_max_at_ns.map(|at| since_ms(at, plant)),
            load_max_ratio: state.power_max_w / element.limit_w,
            over_limit_ms: ms(state.over_limit_ns),
        })
        .collect();
    Verdict {
        unsafe_count: findings.len(),
        trips: counts[RecordType::Trip as usize],
        violations: findings
            .iter()
            .map(|finding| violation(plant, finding))
            .collect(),
        accumulator_max_ratio: elements.iter().fold(0.0, |highest, element| {
            element.accumulator_max_ratio.max(highest)
        }),
        over_limit_ms: ms(flows.any_over_ns),
        records: counts.iter().sum(),
        records_by_type: RECORD_TYPES.into_iter().zip(*counts).collect(),
        truncated_lines: 0,
        flow_gap_max_ms: ms(flows.gap_max_ns),
        raises_unrecorded: caps.raises_unrecorded,
        elements,
    }
}

fn violation(plant: &Plant, finding: &Finding) -> Violation {
    let element = match finding.subject {
        Subject::Element(ix) => plant.elements[ix].id.clone(),
        Subject::Device(ix) => plant.devices[ix].id.clone(),
        Subject::AllDevices => "devices".to_owned(),
    };
    Violation {
        at_ms: since_ms(finding.at_ns, plant),
        kind: finding.kind,
        element,
        value: finding.value,
        limit: finding.limit,
    }
}

fn since_ms(at_ns: u64, plant: &Plant) -> f64 {
    if at_ns >= plant.start_ns {
        ms(at_ns - plant.start_ns)
    } else {
        -ms(plant.start_ns - at_ns)
    }
}

fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}
