//! The site file as the core reads it: the same tables and keys as the TOML, as one plain value.
//!
//! Owns the shape of a site, not its meaning (`topology` gives it meaning). Absent optional keys
//! stay absent (`None`): absence is never 0 and never "unlimited".

use serde::{Deserialize, Serialize};

/// A whole site file, `schema = 1`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteSpec {
    /// Version of the file layout.
    pub schema: u32,
    /// Site-wide values.
    pub site: SiteTable,
    /// Utility, transformers, UPSs, feeds, PDUs and so on.
    #[serde(default)]
    pub element: Vec<ElementSpec>,
    /// Racks and their cords.
    #[serde(default)]
    pub rack: Vec<RackSpec>,
    /// Groups of devices in racks; one entry is what one host (server) holds.
    #[serde(default)]
    pub device: Vec<DeviceSpec>,
    /// Instruments.
    #[serde(default)]
    pub meter: Vec<MeterSpec>,
    /// Overload curves.
    #[serde(default)]
    pub curve: Vec<CurveSpec>,
    /// Ports that read.
    #[serde(default)]
    pub source: Vec<PortSpec>,
    /// Ports that write.
    #[serde(default)]
    pub actuator: Vec<PortSpec>,
}

/// `[site]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteTable {
    /// Site name.
    pub name: String,
    /// Line-to-neutral voltage, V.
    pub nominal_v: f64,
    /// Nominal frequency, Hz.
    pub nominal_hz: f64,
    /// Contracted import, W.
    pub contract_w: Option<f64>,
    /// Largest own step allowed at the connection point, W.
    pub pcc_step_max_w: Option<f64>,
    /// Limit on the rise of the total of caps, W/s; absent: no ramp limit declared.
    pub ramp_up_w_per_s: Option<f64>,
    /// Limit on a non-protective fall of the total of caps, W/s.
    pub ramp_down_w_per_s: Option<f64>,
    /// Wait after a feed is healthy again before caps rise, s.
    #[serde(default = "defaults::restore_hold_s")]
    pub restore_hold_s: f64,
    /// `shadow` or `active`.
    pub mode: ModeSpec,
    /// Whether a server's jobs wait for its agent's lease after a reboot (rule 9).
    #[serde(default)]
    pub jobs_wait_for_lease: bool,
    /// Largest deviation of a cord's share from the declared one (absolute, 0.02 = 2 %).
    #[serde(default = "defaults::psu_sharing_error")]
    pub psu_sharing_error: f64,
    /// Reversals in ten minutes before caps latch low; 0 switches the latch off.
    #[serde(default = "defaults::flap_max")]
    pub flap_max: u32,
    /// Longest lease given to an agent, s.
    #[serde(default = "defaults::lease_ttl_max_s")]
    pub lease_ttl_max_s: f64,
    /// Bound on a cap write, ms.
    #[serde(default = "defaults::write_bound_ms")]
    pub write_bound_ms: f64,
    /// Bound on the time from a written cap to watts down, ms.
    #[serde(default = "defaults::settle_bound_ms")]
    pub settle_bound_ms: f64,
    /// How far watts may exceed a cap for `cap_excess_ms` (rule 18).
    #[serde(default = "defaults::cap_excess_ratio")]
    pub cap_excess_ratio: f64,
    /// How long watts may exceed a cap, ms.
    #[serde(default = "defaults::cap_excess_ms")]
    pub cap_excess_ms: f64,
    /// Hosts that one cause can bare of their caps at once (rule 9).
    #[serde(default = "defaults::bare_hosts")]
    pub bare_hosts: u32,
}

/// Whether decisions are written to devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModeSpec {
    /// Decide and show, write nothing.
    Shadow,
    /// Decide and write.
    Active,
}

/// `[[element]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ElementSpec {
    /// Unique id.
    pub id: String,
    /// Kind of equipment.
    pub kind: ElementKind,
    /// Upstream elements, preferred first; empty only for a utility or generator.
    #[serde(default)]
    pub parents: Vec<String>,
    /// Rating, W.
    pub rating_w: Option<f64>,
    /// Rating, VA.
    pub rating_va: Option<f64>,
    /// Rating of a phase conductor, A.
    pub rating_a: Option<f64>,
    /// Continuous share of a current rating (0.8 unless marked 100 %).
    #[serde(default = "defaults::continuous_ratio")]
    pub continuous_ratio: f64,
    /// Lowest power factor expected.
    #[serde(default = "defaults::pf_min")]
    pub pf_min: f64,
    /// 1 or 3.
    #[serde(default = "defaults::phases")]
    pub phases: u8,
    /// Ids of `[[curve]]` rows, at most one for each mode.
    #[serde(default)]
    pub curve: Vec<String>,
    /// Whether its loss is a contingency; absent: true for feed, ups and pdu.
    pub credible: Option<bool>,
}

/// Kinds of elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum ElementKind {
    Utility,
    Transformer,
    Generator,
    Ups,
    Feed,
    Switchboard,
    Pdu,
    Busway,
    Branch,
    Cooling,
}

/// `[[rack]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RackSpec {
    /// Unique id.
    pub id: String,
    /// Cords; shares sum to 1.
    pub cords: Vec<CordSpec>,
    /// What happens to a lost cord's share.
    #[serde(default)]
    pub on_loss: OnLoss,
    /// 1 or 3.
    #[serde(default = "defaults::phases")]
    pub phases: u8,
}

/// One cord of a rack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CordSpec {
    /// Element that the cord is plugged into.
    pub element: String,
    /// Share of the rack's power in normal operation, 0..=1.
    pub share: f64,
    /// Sum of the ratings of the power supplies on this cord, W (rule 13); absent: not checked.
    pub psu_rating_w: Option<f64>,
}

/// What happens to a rack when one of its cords is lost (rule 12).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnLoss {
    /// Remaining cords take over in proportion to their shares.
    #[default]
    Rescale,
    /// A transfer switch moves the whole rack to the first cord alive.
    Transfer,
    /// The rack goes dark.
    Dark,
}

/// `[[device]]`: `count` devices of one host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceSpec {
    /// Id; with `count` > 1 the devices are `id-0`, `id-1`, …
    pub id: String,
    /// Rack that holds them.
    pub rack: String,
    /// How many.
    #[serde(default = "defaults::count")]
    pub count: u32,
    /// Kind of device.
    pub kind: DeviceKind,
    /// Lowest cap the hardware takes, W each; absent: not controllable.
    pub cap_min_w: Option<f64>,
    /// Highest cap, W each; absent: not controllable.
    pub cap_max_w: Option<f64>,
    /// Power that no cap reaches, W each.
    #[serde(default)]
    pub fixed_w: f64,
    /// 0 is served first.
    #[serde(default)]
    pub tier: u8,
    /// Share within a tier.
    #[serde(default = "defaults::weight")]
    pub weight: f64,
    /// Who pays for it.
    pub tenant: Option<String>,
}

/// Kinds of devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum DeviceKind {
    Gpu,
    Server,
    Other,
}

/// `[[meter]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeterSpec {
    /// Unique id.
    pub id: String,
    /// Element it measures.
    pub element: String,
    /// Where on the element it sits (rule 1).
    pub position: MeterPosition,
    /// Waveform instruments: samples a second and channel.
    pub sample_rate_hz: Option<f64>,
    /// Polled instruments: seconds between values.
    pub period_s: Option<f64>,
    /// Channels (6 = three voltages, three currents).
    #[serde(default = "defaults::channels")]
    pub channels: u8,
    /// Volts and amperes at full scale of an i16 sample, `[v, a]`.
    pub scale: Option<[f64; 2]>,
}

/// Where a meter sits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum MeterPosition {
    UpsInput,
    UpsOutput,
    Pdu,
    Branch,
}

/// `[[curve]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurveSpec {
    /// Unique id.
    pub id: String,
    /// What the ratio is taken of.
    pub quantity: CurveQuantity,
    /// UPS mode it holds for; breakers use `line`.
    #[serde(default)]
    pub mode: CurveMode,
    /// `[load_ratio, tolerated_s]`, load rising, log-linear between; below the first: no trip.
    pub points: Vec<[f64; 2]>,
    /// Where the figures come from.
    pub source: String,
    /// Whether somebody checked them on the unit.
    pub verified: bool,
}

/// Quantity of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum CurveQuantity {
    Power,
    Current,
}

/// Mode of a UPS (breakers: `Line`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum CurveMode {
    #[default]
    Line,
    Battery,
    Bypass,
}

/// `[[source]]` and `[[actuator]]`, as far as the core needs them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PortSpec {
    /// Unique id.
    pub id: String,
    /// Entry point name.
    pub adapter: String,
    /// Elements it reads; empty: all of the site.
    #[serde(default)]
    pub elements: Vec<String>,
    /// Devices it serves, as ids of `[[device]]` rows; empty: all of the site.
    #[serde(default)]
    pub devices: Vec<String>,
    /// Actuators: whether writing is allowed.
    #[serde(default)]
    pub write: bool,
}

mod defaults {
    pub fn restore_hold_s() -> f64 {
        10.0
    }
    pub fn psu_sharing_error() -> f64 {
        0.02
    }
    pub fn flap_max() -> u32 {
        3
    }
    pub fn lease_ttl_max_s() -> f64 {
        1.0
    }
    pub fn write_bound_ms() -> f64 {
        50.0
    }
    pub fn settle_bound_ms() -> f64 {
        1000.0
    }
    pub fn cap_excess_ratio() -> f64 {
        0.10
    }
    pub fn cap_excess_ms() -> f64 {
        50.0
    }
    pub fn bare_hosts() -> u32 {
        1
    }
    pub fn continuous_ratio() -> f64 {
        0.8
    }
    pub fn pf_min() -> f64 {
        0.95
    }
    pub fn phases() -> u8 {
        3
    }
    pub fn count() -> u32 {
        1
    }
    pub fn weight() -> f64 {
        1.0
    }
    pub fn channels() -> u8 {
        6
    }
}
