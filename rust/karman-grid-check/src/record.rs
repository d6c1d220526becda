//! Owns the shape of a trace line: one type per record, as JSON spells it.
//!
//! A record type that is not listed here is refused, because skipping it might skip the evidence;
//! a key that is not listed is ignored, because traces may be widened. Numbers may be written as
//! integers or floats. Meaning and units: `docs/reference/trace.md`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::CheckError;
use crate::whole::{whole, whole_or_none};

/// Layout version that this crate reads.
pub const SCHEMA: u32 = 1;
/// Names of all record types, in the order of [`RecordType`].
pub const RECORD_TYPES: [&str; 10] = [
    "header", "flow", "load", "cap", "lease", "renew", "raise", "books", "trip", "event",
];
/// Kinds of `event` after which a device obeys nobody (see `docs/reference/trace.md`).
pub const DEVICE_FAULTS: [&str; 2] = ["write-ignored", "write-stuck"];

/// Who wrote a trace. The order is the order of records that share one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The physical truth (or the twin that stands for it).
    Plant,
    /// The process that alone writes to devices.
    Agent,
    /// The process that decides.
    Controller,
}

/// The type of a record without its content; the number is the place in [`RECORD_TYPES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum RecordType {
    Header,
    Flow,
    Load,
    Cap,
    Lease,
    Renew,
    Raise,
    Books,
    Trip,
    Event,
}

impl RecordType {
    /// As `type` spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        RECORD_TYPES[self as usize]
    }
}

/// How an element carries its load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// From its parents, the normal way.
    Line,
    /// From its own battery.
    Battery,
    /// From its parents, around the inverter.
    Bypass,
    /// De-energised or lost.
    Off,
}

/// An overload curve as the header gives it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurveSpec {
    /// Mode in which it holds.
    pub mode: Mode,
    /// `[load ratio, tolerated seconds]`, ratios rising, times not rising.
    pub points: Vec<[f64; 2]>,
}

/// An element as the header gives it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ElementSpec {
    /// Unique id.
    pub id: String,
    /// Kind of equipment (`ups`, `feed`, …); only `ups` has a meaning here: it may run on battery.
    pub kind: String,
    /// Ids of what feeds it, preferred first; empty for a source.
    #[serde(default)]
    pub parents: Vec<String>,
    /// Power at load ratio 1, W.
    pub limit_w: f64,
    /// One curve per mode; a mode without one takes that of `line`.
    #[serde(default)]
    pub curves: Vec<CurveSpec>,
    /// Largest share of `limit_w` that the element itself consumes: losses, battery recharge.
    #[serde(default)]
    pub loss_ratio: f64,
}

/// A device with a cap register, as the header gives it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceSpec {
    /// Unique id.
    pub id: String,
    /// Cap allowed without a lease, W.
    pub fallback_w: f64,
    /// Lowest cap the hardware takes, W.
    pub cap_min_w: f64,
    /// Highest cap the hardware takes, W.
    pub cap_max_w: f64,
}

/// First record of every trace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Layout version, [`SCHEMA`].
    pub schema: u32,
    /// Time of writing.
    #[serde(deserialize_with = "whole")]
    pub mono_ns: u64,
    /// Who writes this trace.
    pub origin: Origin,
    /// Site name.
    #[serde(default)]
    pub site: String,
    /// Zero of the verdict's `at_ms`.
    #[serde(deserialize_with = "whole")]
    pub start_mono_ns: u64,
    /// Age above which a measurement is stale. Only the plant's header counts.
    #[serde(default = "default_stale_ns", deserialize_with = "whole")]
    pub stale_ns: u64,
    /// Time to bring a cap down after its permission ended. Only the plant's header counts.
    #[serde(default = "default_expiry_grace_ns", deserialize_with = "whole")]
    pub expiry_grace_ns: u64,
    /// No lease is honoured for longer than this; absent: no bound. Only the plant's header counts.
    #[serde(
        default,
        deserialize_with = "whole_or_none",
        skip_serializing_if = "Option::is_none"
    )]
    pub lease_ttl_max_ns: Option<u64>,
    /// The plant's elements; `flow.power_w` follows this order.
    #[serde(default)]
    pub elements: Vec<ElementSpec>,
    /// The plant's devices.
    #[serde(default)]
    pub devices: Vec<DeviceSpec>,
}

fn default_stale_ns() -> u64 {
    300_000_000
}

fn default_expiry_grace_ns() -> u64 {
    100_000_000
}

/// One line of a trace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Record {
    /// Who writes, and (from the plant) what there is.
    Header(Header),
    /// True power through every element, held until the next flow record (plant).
    Flow {
        /// Time.
        #[serde(deserialize_with = "whole")]
        mono_ns: u64,
        /// One value per element, header order, W.
        power_w: Vec<f64>,
        /// One mode per element, when one changed; all `line` before the first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mode: Option<Vec<Mode>>,
    },
    /// Power of each rack (plant); carried for readers, not judged.
    Load {
        /// Time.
        #[serde(deserialize_with = "whole")]
        mono_ns: u64,
        /// One value per rack, W.
        #[serde(default)]
        rack_power_w: Vec<f64>,
    },
    /// Cap register truly in force from now on (plant).
    Cap {
        /// Time.
        #[serde(deserialize_with = "whole")]
        mono_ns: u64,
        /// Device id.
        device: String,
        /// Cap, W.
        cap_w: f64,
    },
    /// The agent accepted a lease (agent).
    Lease {
        /// Time.
        #[serde(deserialize_with = "whole")]
        mono_ns: u64,
        /// Device id.
        device: String,
        /// Highest cap it permits, W.
        cap_w: f64,
        /// Epoch of the controller that gave it.
        #[serde(deserialize_with = "whole")]
        epoch: u64,
        /// Sequence inside the epoch.
        #[serde(deserialize_with = "whole")]
        seq: u64,
        /// Time to live from now.
        #[serde(deserialize_with = "whole")]
        ttl_ns: u64,
    },
    /// Live leases extended (agent): those of `devices`, or all.
    Renew {
        /// Time.
        #[serde(deserialize_with = "whole")]
        mono_ns: u64,
        /// Device ids.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        devices: Vec<String>,
        /// Every device instead.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        all: bool,
        /// Time to live from now.
        #[serde(deserialize_with = "whole")]
        ttl_ns: u64,
    },
    /// The controller sent a raise (controller).
    Raise {
        /// Time.
        #[serde(deserialize_with = "whole")]
        mono_ns: u64,
        /// Device id.
        device: String,
        /// Cap it sent, W.
        cap_w: f64,
        /// Age of the oldest measurement it relied on.
        #[serde(deserialize_with = "whole")]
        data_age_ns: u64,
    },
    /// The controller's ledger (controller).
    Books {
        /// Time.
        #[serde(deserialize_with = "whole")]
        mono_ns: u64,
        /// Watts accounted through elements, by id; carried for readers, not judged.
        #[serde(default)]
        accounted_w: BTreeMap<String, f64>,
        /// Sum over all devices of the cap it accounts, W.
        devices_accounted_w: f64,
    },
    /// The plant's own protection opened (plant).
    Trip {
        /// Time.
        #[serde(deserialize_with = "whole")]
        mono_ns: u64,
        /// Element id.
        element: String,
    },
    /// Something was done to the plant (plant).
    Event {
        /// Time.
        #[serde(deserialize_with = "whole")]
        mono_ns: u64,
        /// Kind; of the kinds only [`DEVICE_FAULTS`] bear on the verdict.
        kind: String,
        /// Device id of a device fault.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        device: Option<String>,
        /// Device ids of a device fault that strikes several.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        devices: Vec<String>,
        /// How long the fault lasts; absent: to the end.
        #[serde(
            default,
            deserialize_with = "whole_or_none",
            skip_serializing_if = "Option::is_none"
        )]
        duration_ns: Option<u64>,
    },
}

impl Record {
    /// Time of the record.
    #[must_use]
    pub fn mono_ns(&self) -> u64 {
        match self {
            Self::Header(header) => header.mono_ns,
            Self::Flow { mono_ns, .. }
            | Self::Load { mono_ns, .. }
            | Self::Cap { mono_ns, .. }
            | Self::Lease { mono_ns, .. }
            | Self::Renew { mono_ns, .. }
            | Self::Raise { mono_ns, .. }
            | Self::Books { mono_ns, .. }
            | Self::Trip { mono_ns, .. }
            | Self::Event { mono_ns, .. } => *mono_ns,
        }
    }

    /// Its type.
    #[must_use]
    pub fn record_type(&self) -> RecordType {
        match self {
            Self::Header(_) => RecordType::Header,
            Self::Flow { .. } => RecordType::Flow,
            Self::Load { .. } => RecordType::Load,
            Self::Cap { .. } => RecordType::Cap,
            Self::Lease { .. } => RecordType::Lease,
            Self::Renew { .. } => RecordType::Renew,
            Self::Raise { .. } => RecordType::Raise,
            Self::Books { .. } => RecordType::Books,
            Self::Trip { .. } => RecordType::Trip,
            Self::Event { .. } => RecordType::Event,
        }
    }

    /// The only witness for this type of record. A controller's word on the plant is worthless.
    #[must_use]
    pub fn witness(&self) -> Origin {
        match self {
            Self::Header(header) => header.origin,
            Self::Lease { .. } | Self::Renew { .. } => Origin::Agent,
            Self::Raise { .. } | Self::Books { .. } => Origin::Controller,
            _ => Origin::Plant,
        }
    }

    /// Reads one line.
    ///
    /// # Errors
    /// Names what was found: no JSON, no known `type`, or a key missing or of the wrong shape.
    pub fn parse(line: &[u8]) -> Result<Self, CheckError> {
        serde_json::from_slice(line).map_err(|error| explain(line, &error))
    }
}

/// Says in plain words why a line is no record: the slow path, taken once.
fn explain(line: &[u8], error: &serde_json::Error) -> CheckError {
    let value: serde_json::Value = match serde_json::from_slice(line) {
        Ok(value) => value,
        Err(broken) => return CheckError::new("line", format!("{broken}"), "one JSON object"),
    };
    let Some(object) = value.as_object() else {
        return CheckError::new("line", "JSON that is no object", "one JSON object");
    };
    let known = RECORD_TYPES.join(", ");
    match object.get("type") {
        None => CheckError::new("type", "no such key", format!("one of {known}")),
        Some(serde_json::Value::String(name)) if RECORD_TYPES.contains(&name.as_str()) => {
            CheckError::new(
                name.clone(),
                error.to_string(),
                "the keys of docs/reference/trace.md",
            )
        }
        Some(other) => CheckError::new("type", other.to_string(), format!("one of {known}")),
    }
}
