//! COMTRADE reader (IEEE C37.111-1991, -1999, -2013): a `.cfg` and a `.dat` as bytes, physical
//! values out.
//!
//! Owns the assembled record and its time axis; [`Config`] owns the header, `data_ascii` and
//! `data_binary` the two families of data files. What makes a record unreadable is a [`Defect`]
//! returned as the error; what leaves part of it readable is the same type in
//! [`Comtrade::notes`], so nothing is repaired in silence.
//!
//! ```
//! use karman_grid_record::comtrade::Comtrade;
//!
//! let cfg = b"Hall 1,meter,1999\n2,1A,1D\n1,VA,A,,V,0.5,10,0,-32767,32767,1,1,P\n\
//!             1,breaker,,,0\n60\n1\n4800,2\n\
//!             01/02/2026,10:00:00.000000\n01/02/2026,10:00:00.000208\nASCII\n1\n";
//! let record = Comtrade::read(cfg, b"1,0,100,0\n2,208,-40,1\n")?;
//! assert_eq!(record.samples[0], [60.0, -10.0]);
//! assert_eq!(record.digital_state(0, 1), Some(true));
//! assert_eq!(record.times_s, [0.0, 1.0 / 4800.0]);
//! assert!(record.notes.is_empty());
//! # Ok::<(), karman_grid_record::comtrade::Defect>(())
//! ```

mod config;
mod config_parser;
mod data_ascii;
mod data_binary;
mod defect;
mod fields;

pub use config::{
    AnalogChannel, Config, DataFormat, DigitalChannel, RateSection, Referred, Revision,
};
pub use defect::{Defect, DefectKind, Place, RecordFile};

/// One record: its header, its values and what was wrong with it.
///
/// `samples[channel][sample]` and `times_s[sample]` share the sample axis; every inner vector has
/// [`Comtrade::sample_count`] values.
#[derive(Clone, Debug, PartialEq)]
pub struct Comtrade {
    /// The header as read.
    pub config: Config,
    /// Per analog channel, in file order: `a * x + b` in the channel's own unit. NaN where the
    /// file marks the value as missing or holds a value that is not finite.
    pub samples: Vec<Vec<f64>>,
    /// Time of each sample in seconds. From the declared sampling rates the first sample is at 0;
    /// where the file declares none, the recorder's own time stamps, counted from
    /// [`Config::start`].
    pub times_s: Vec<f64>,
    /// What could not be read or does not fit together, in the order it was met. Empty for a
    /// whole record.
    pub notes: Vec<Defect>,
    digital_words: Vec<u16>,
}

impl Comtrade {
    /// Reads a record from the whole `.cfg` and the whole `.dat`.
    ///
    /// A data file that ends early gives the whole samples before the cut and a note of kind
    /// [`DefectKind::Truncated`].
    ///
    /// # Errors
    /// A [`Defect`] naming file and place, where the header is incomplete or contradictory, a
    /// value in the middle of the data is not a number, or the time axis cannot be known.
    pub fn read(cfg: &[u8], dat: &[u8]) -> Result<Self, Defect> {
        let (config, mut notes) = Config::parse(cfg)?;
        let data = match config.format {
            DataFormat::Ascii => data_ascii::read(&config, dat, &mut notes)?,
            _ => data_binary::read(&config, dat, &mut notes)?,
        };
        let times_s = match &data.stamps {
            Some(stamps) => times_from_stamps(&config, stamps)?,
            None => times_from_rates(&config.rates, data.count),
        };
        Ok(Self {
            config,
            samples: data.samples,
            times_s,
            notes,
            digital_words: data.digital_words,
        })
    }

    /// Number of samples read, the same for every channel.
    #[must_use]
    pub fn sample_count(&self) -> usize {
        self.times_s.len()
    }

    /// State of a digital channel (0-based, file order) at a sample; `None` outside the record.
    #[must_use]
    pub fn digital_state(&self, channel: usize, sample: usize) -> Option<bool> {
        if channel >= self.config.digital.len() || sample >= self.sample_count() {
            return None;
        }
        let words = self.config.digital_words();
        let word = self.digital_words.get(sample * words + channel / 16)?;
        Some(word >> (channel % 16) & 1 == 1)
    }
}

/// What either data reader hands back. `stamps` only where the header declares no rate.
struct Data {
    count: usize,
    samples: Vec<Vec<f64>>,
    digital_words: Vec<u16>,
    stamps: Option<Vec<Stamp>>,
}

/// A recorder's time stamp in its own ticks (NaN: missing) and where it stands.
struct Stamp {
    ticks: f64,
    place: Place,
}

/// The step that leads to a sample belongs to the section that the sample lies in. Each time is
/// counted from the start of its section, so that rounding does not add up over a long record.
fn times_from_rates(rates: &[RateSection], count: usize) -> Vec<f64> {
    let mut times_s = Vec::with_capacity(count);
    let mut base_s = 0.0;
    let mut base_sample = 1_usize;
    for (at, section) in rates.iter().enumerate() {
        // A sample past the last declared one cannot exist: the data readers stop there.
        let last = section.last_sample.min(count);
        for sample in times_s.len() + 1..=last {
            times_s.push(base_s + (sample - base_sample) as f64 / section.rate_hz);
        }
        if at + 1 < rates.len() && last == section.last_sample {
            base_s += (last - base_sample) as f64 / section.rate_hz;
            base_sample = last;
        }
    }
    times_s
}

fn times_from_stamps(config: &Config, stamps: &[Stamp]) -> Result<Vec<f64>, Defect> {
    let ticks_per_s = config.stamp_ticks_per_s();
    stamps
        .iter()
        .map(|stamp| {
            if stamp.ticks.is_finite() {
                Ok(stamp.ticks * config.time_multiplier / ticks_per_s)
            } else {
                Err(Defect::new(
                    DefectKind::Missing,
                    RecordFile::Dat,
                    stamp.place,
                    "no time stamp",
                    "a time stamp on every sample, as the header declares no sampling rate",
                ))
            }
        })
        .collect()
}

/// Note for a data file whose sample numbers do not count up by one.
fn note_sequence(notes: &mut Vec<Defect>, place: Place, breaks: usize, found: String, next: u64) {
    let more = if breaks > 1 {
        format!(" ({breaks} such breaks in all)")
    } else {
        String::new()
    };
    notes.push(Defect::new(
        DefectKind::Mismatch,
        RecordFile::Dat,
        place,
        &format!("sample number {found}{more}"),
        &format!("sample number {next}"),
    ));
}
