//! What the engine did and why, as a list of entries for the record: events, decisions, raises,
//! books, escalations, grants. Nothing in the core reads it back.

use crate::admission::Grant;
use crate::event::ElectricalEvent;
use crate::ids::{ContingencyIx, DeviceIx, ElementIx, HostIx};
use crate::mode::Mode;
use crate::time::MonoNs;
use crate::units::Power;

/// Why caps were changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// A failure fired its plan.
    Fired(ContingencyIx),
    /// A failure had no feasible plan: everything that helps was cut (rule 17).
    Infeasible(ContingencyIx),
    /// The failure did not hold: the cut was given back (rule 2).
    Cancelled(ContingencyIx),
    /// The grant or a limit shrank.
    Protection,
    /// A measurement stands above the books.
    Overload(ElementIx),
    /// Load moved, or caps return after a failure.
    Sharing,
    /// Service ends (rule 8).
    Release,
}

/// Who was taken out of the controllable pool or cut around.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escalated {
    /// A device that acknowledges and does not obey, or does not answer.
    Device(DeviceIx),
    /// An element over its limit although all caps are acknowledged: others cut deeper.
    Element(ElementIx),
    /// An agent that fell silent.
    Host(HostIx),
}

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Entry {
    /// The detector reported something.
    Event(ElectricalEvent),
    /// Caps were decided.
    Decision {
        /// When.
        mono_ns: MonoNs,
        /// Order.
        seq: u64,
        /// Why.
        because: Because,
        /// Devices lowered.
        lowered: u32,
        /// Devices raised.
        raised: u32,
        /// Event that led to it: its first abnormal and its deciding sample.
        event: Option<(MonoNs, MonoNs)>,
    },
    /// A cap was commanded (`raise`: above what was asked for before).
    Cap {
        /// When.
        mono_ns: MonoNs,
        /// Decision it belongs to.
        decision_seq: u64,
        /// Device.
        device: DeviceIx,
        /// Cap.
        cap: Power,
        /// Whether it is a raise.
        raise: bool,
        /// Age of the oldest measurement it relied on, ns.
        data_age_ns: u64,
    },
    /// The books.
    Books {
        /// When.
        mono_ns: MonoNs,
        /// Sum of accounted caps.
        devices_accounted: Power,
    },
    /// Somebody was escalated.
    Escalation {
        /// When.
        mono_ns: MonoNs,
        /// Who.
        who: Escalated,
    },
    /// The grant changed.
    Grant {
        /// When.
        mono_ns: MonoNs,
        /// Its new value.
        grant: Grant,
    },
    /// The control mode changed.
    Mode {
        /// When.
        mono_ns: MonoNs,
        /// Its new value.
        mode: Mode,
    },
}
