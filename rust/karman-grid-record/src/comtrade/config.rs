//! What a COMTRADE configuration file (`.cfg`) says.
//!
//! Owns the header's types; `config_parser` fills them. The declared line frequency is handed on
//! and used for nothing: recorders get it wrong.

use super::config_parser::Parser;
use super::defect::Defect;

/// Revision of the standard the record claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Revision {
    /// C37.111-1991, which writes no year.
    Ieee1991,
    /// C37.111-1999, also published as IEC 60255-24:2001.
    Ieee1999,
    /// C37.111-2013, also published as IEC 60255-24:2013.
    Ieee2013,
}

/// How the data file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataFormat {
    /// Lines of decimal numbers.
    Ascii,
    /// Little-endian i16.
    Binary,
    /// Little-endian i32 (2013).
    Binary32,
    /// Little-endian IEEE 754 single (2013).
    Float32,
}

/// Side of the instrument transformer that the scaled values refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Referred {
    /// Primary side.
    Primary,
    /// Secondary side.
    Secondary,
}

/// An analog channel's line.
#[derive(Clone, Debug, PartialEq)]
pub struct AnalogChannel {
    /// Channel name.
    pub name: String,
    /// Phase, as written; often empty.
    pub phase: String,
    /// Circuit component, as written; often empty.
    pub component: String,
    /// Unit of `a * x + b`, as written.
    pub unit: String,
    /// Multiplier.
    pub a: f64,
    /// Offset, in `unit`.
    pub b: f64,
    /// Delay of this channel's sample after the sample's time, microseconds. Not applied.
    pub skew_us: f64,
    /// Declared smallest stored value, before scaling.
    pub stored_min: Option<f64>,
    /// Declared largest stored value, before scaling.
    pub stored_max: Option<f64>,
    /// Primary factor of the instrument transformer. Not applied.
    pub primary: Option<f64>,
    /// Secondary factor of the instrument transformer. Not applied.
    pub secondary: Option<f64>,
    /// Side that the scaled values refer to, where written.
    pub referred: Option<Referred>,
}

/// A digital channel's line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigitalChannel {
    /// Channel name.
    pub name: String,
    /// State in normal operation, where written.
    pub normal: Option<bool>,
}

/// A run of samples with one sampling rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateSection {
    /// Samples per second; 0 where the recorder declares none and stamps each sample instead.
    pub rate_hz: f64,
    /// Number of the section's last sample, counted from 1 at the start of the record.
    pub last_sample: usize,
}

/// The header of a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Station name. It may name a real plant: mask it before showing a foreign record.
    pub station: String,
    /// Name of the recording device.
    pub device: String,
    /// Revision claimed.
    pub revision: Revision,
    /// Analog channels in file order.
    pub analog: Vec<AnalogChannel>,
    /// Digital channels in file order.
    pub digital: Vec<DigitalChannel>,
    /// Line frequency as written. Not to be trusted: measure it.
    pub line_hz: Option<f64>,
    /// Sampling rates in order of time; empty where the file declares neither rate nor length.
    pub rates: Vec<RateSection>,
    /// Date and time of the first sample, as written (`date,time`, in the recorder's order of day
    /// and month, its own zone and clock).
    pub start: String,
    /// Date and time of the trigger, as written.
    pub trigger: String,
    /// Seconds from the first sample to the trigger, where both times can be read.
    pub trigger_s: Option<f64>,
    /// How the data file is written.
    pub format: DataFormat,
    /// Factor on the data file's time stamps.
    pub time_multiplier: f64,
    /// Time code and local code (2013), as written.
    pub time_codes: Option<(String, String)>,
    /// Time quality code and leap second mark (2013), as written.
    pub time_quality: Option<(String, String)>,
    pub(super) start_fraction_digits: usize,
}

impl Config {
    /// Reads a configuration file; the second value lists what was tolerated.
    ///
    /// # Errors
    /// A [`Defect`] naming the line, where a line is missing or holds what it must not.
    pub fn parse(cfg: &[u8]) -> Result<(Self, Vec<Defect>), Defect> {
        let mut parser = Parser::new(cfg)?;
        let config = parser.config()?;
        Ok((config, parser.into_notes()))
    }

    /// Samples the header declares, where it does.
    #[must_use]
    pub fn declared_samples(&self) -> Option<usize> {
        self.rates.last().map(|section| section.last_sample)
    }

    /// True where every sample's time follows from the declared rates.
    #[must_use]
    pub fn has_rates(&self) -> bool {
        !self.rates.is_empty() && self.rates.iter().all(|section| section.rate_hz > 0.0)
    }

    /// 16-bit words that a sample's digital channels take.
    pub(super) fn digital_words(&self) -> usize {
        self.digital.len().div_ceil(16)
    }

    /// Ticks of a time stamp in a second. Since 2013 the start time's precision decides between
    /// microseconds and nanoseconds.
    pub(super) fn stamp_ticks_per_s(&self) -> f64 {
        let nanoseconds = self.revision == Revision::Ieee2013 && self.start_fraction_digits > 6;
        if nanoseconds { 1e9 } else { 1e6 }
    }
}
