//! ASCII data file: one line a sample, `number, time stamp, analog…, digital…`.
//!
//! Owns the reading of those lines. A line that cannot be read is an error, unless it is the last
//! one of the file: then the file was cut, and the whole lines before it are the record.

use super::config::{Config, Revision};
use super::defect::{Defect, DefectKind, Place, RecordFile};
use super::{Data, Stamp, fields, note_sequence};

/// How revisions before 2013 write a missing value, unless it lies in the channel's own range.
const MISSING_MARK: f64 = 99_999.0;

pub(super) fn read(config: &Config, dat: &[u8], notes: &mut Vec<Defect>) -> Result<Data, Defect> {
    let declared = config.declared_samples();
    let mut reader = Reader::new(config, dat);
    let mut rest = dat;
    let mut line_number = 0;
    while declared.is_none_or(|limit| reader.data.count < limit) {
        let Some(line) = fields::take_line(&mut rest) else {
            break;
        };
        line_number += 1;
        if fields::is_blank(line) {
            continue;
        }
        if let Err(defect) = reader.row(line, line_number) {
            if fields::is_blank(rest) {
                notes.push(Defect {
                    kind: DefectKind::Truncated,
                    ..defect
                });
                return Ok(reader.finish(notes));
            }
            return Err(defect);
        }
        let open_end = rest.is_empty() && !dat.ends_with(b"\n");
        if open_end && !line.contains(&fields::END_OF_FILE) {
            notes.push(defect(
                DefectKind::Truncated,
                line_number,
                "no end of line: the line's last value may be cut",
                "a line end",
            ));
        }
    }
    let found = reader.data.count;
    if let Some(declared) = declared.filter(|declared| *declared > found) {
        let (found, expected) = (format!("{found} samples"), format!("{declared} samples"));
        notes.push(defect(
            DefectKind::Truncated,
            line_number + 1,
            &found,
            &expected,
        ));
    } else if !fields::is_blank(rest) {
        let expected = format!("the end of the file after {found} samples");
        notes.push(defect(
            DefectKind::Surplus,
            line_number + 1,
            "more data",
            &expected,
        ));
    }
    Ok(reader.finish(notes))
}

fn defect(kind: DefectKind, line: usize, found: &str, expected: &str) -> Defect {
    Defect::new(kind, RecordFile::Dat, Place::Line(line), found, expected)
}

struct Reader<'a> {
    config: &'a Config,
    data: Data,
    /// One line's scaled values: they reach the channels only when the whole line was readable.
    row: Vec<f64>,
    words: Vec<u16>,
    sample_next: Option<u64>,
    breaks: usize,
    first_break: Option<(usize, String, u64)>,
}

impl<'a> Reader<'a> {
    fn new(config: &'a Config, dat: &[u8]) -> Self {
        let field_count = 2 + config.analog.len() + config.digital.len();
        // A line has at least a comma or line end for each field, so damaged counts cannot make
        // this larger than the file.
        let fits = dat.len() / field_count + 1;
        let capacity = config
            .declared_samples()
            .map_or(fits, |declared| declared.min(fits));
        let channel = || Vec::with_capacity(capacity);
        Self {
            config,
            data: Data {
                count: 0,
                samples: config.analog.iter().map(|_| channel()).collect(),
                digital_words: Vec::with_capacity(capacity * config.digital_words()),
                stamps: (!config.has_rates()).then(Vec::new),
            },
            row: Vec::with_capacity(config.analog.len()),
            words: vec![0; config.digital_words()],
            sample_next: None,
            breaks: 0,
            first_break: None,
        }
    }

    fn row(&mut self, line: &[u8], line_number: usize) -> Result<(), Defect> {
        let line = line.strip_suffix(&[fields::END_OF_FILE]).unwrap_or(line);
        let place = Place::Line(line_number);
        let mut row_fields = line.split(|byte| *byte == b',');
        let mut field = |what: &dyn Fn() -> String| {
            row_fields.next().ok_or_else(|| {
                let kind = DefectKind::Malformed;
                Defect::new(kind, RecordFile::Dat, place, "the end of the line", &what())
            })
        };
        let bad = |found: &[u8], what: &str| {
            Defect::quoting(DefectKind::Malformed, RecordFile::Dat, place, found, what)
        };
        let number_field = field(&|| "a sample number".to_owned())?;
        let Some(number) = fields::count(number_field.trim_ascii(), None) else {
            return Err(bad(number_field, "a sample number"));
        };
        let stamp_field = field(&|| "a time stamp".to_owned())?.trim_ascii();
        let ticks = match stamp_field {
            b"" => f64::NAN,
            _ => fields::number(stamp_field).ok_or_else(|| bad(stamp_field, "a time stamp"))?,
        };
        self.row.clear();
        for (at, channel) in self.config.analog.iter().enumerate() {
            let what = || format!("the value of analog channel {}", at + 1);
            let value_field = field(&what)?.trim_ascii();
            let stored = match value_field {
                b"" => f64::NAN,
                _ => fields::number(value_field).ok_or_else(|| bad(value_field, &what()))?,
            };
            let missing = !stored.is_finite()
                || (stored == MISSING_MARK
                    && self.config.revision < Revision::Ieee2013
                    && channel.stored_max.is_none_or(|max| max < MISSING_MARK));
            self.row.push(if missing {
                f64::NAN
            } else {
                channel.a * stored + channel.b
            });
        }
        self.words.fill(0);
        for at in 0..self.config.digital.len() {
            let what = || format!("the state of digital channel {}, 0 or 1", at + 1);
            match field(&what)?.trim_ascii() {
                b"0" => {}
                b"1" => self.words[at / 16] |= 1 << (at % 16),
                other => return Err(bad(other, &what())),
            }
        }
        if let Some(extra) = row_fields.find(|extra| !extra.trim_ascii().is_empty()) {
            return Err(bad(extra, "the end of the line after the last channel"));
        }
        self.accept(number as u64, ticks, line_number);
        Ok(())
    }

    fn accept(&mut self, number: u64, ticks: f64, line_number: usize) {
        for (channel, value) in self.data.samples.iter_mut().zip(&self.row) {
            channel.push(*value);
        }
        self.data.digital_words.extend_from_slice(&self.words);
        if let Some(stamps) = &mut self.data.stamps {
            stamps.push(Stamp {
                ticks,
                place: Place::Line(line_number),
            });
        }
        if let Some(next) = self.sample_next.filter(|next| *next != number) {
            self.breaks += 1;
            self.first_break
                .get_or_insert_with(|| (line_number, number.to_string(), next));
        }
        self.sample_next = Some(number.wrapping_add(1));
        self.data.count += 1;
    }

    fn finish(self, notes: &mut Vec<Defect>) -> Data {
        if let Some((line, found, next)) = self.first_break {
            note_sequence(notes, Place::Line(line), self.breaks, found, next);
        }
        self.data
    }
}
