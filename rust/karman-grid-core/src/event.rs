//! What the detector reports: one electrical happening at one meter, with its times.

use crate::ids::MeterIx;
use crate::time::MonoNs;
use serde::{Deserialize, Serialize};

/// Kinds of electrical events and, by rules 1 and 2, what each allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// Voltage is missing somewhere: freeze raises, nothing else.
    Suspect,
    /// A single path at or below a UPS output is dead: fire its armed plan.
    FeedLost,
    /// A UPS input is dead: its battery carries on; freeze raises, no cut.
    SourceLost,
    /// A dip that is neither; freeze raises only.
    Sag,
    /// Two or more paths at UPS outputs are dead at once: beyond design (rule 17).
    FeedsLost,
    /// A path reported lost holds at least 10 % of its voltage after all: give the cut back.
    Cancelled,
    /// Voltage is back to normal for good.
    Restored,
    /// Current stands above the rating longer than an inrush can.
    Overload,
    /// Current is back under the rating.
    OverloadEnded,
    /// The meter has fallen silent. Never a feed loss.
    Blind,
    /// The meter speaks again.
    Seeing,
}

/// One happening.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ElectricalEvent {
    /// Where it was seen.
    pub meter: MeterIx,
    /// What it is.
    pub kind: EventKind,
    /// First sample that was not normal (the detector's estimate).
    pub first_abnormal_mono_ns: MonoNs,
    /// Time of the sample that decided it.
    pub detected_mono_ns: MonoNs,
    /// Residual voltage over normal (losses and sags), or current over rating (overloads).
    pub depth_ratio: f32,
}
