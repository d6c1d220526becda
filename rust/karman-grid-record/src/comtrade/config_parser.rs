//! Parser of the COMTRADE configuration file.
//!
//! Owns the order and the shape of its lines. Every line is taken by position, as the standard
//! lays it out; what a later revision added at the end may be absent. Fails at the first line
//! that is absent or holds what it must not, and notes what can be lived with.

use super::config::{
    AnalogChannel, Config, DataFormat, DigitalChannel, RateSection, Referred, Revision,
};
use super::defect::{Defect, DefectKind, Place, RecordFile};
use super::fields;

pub(super) struct Parser<'a> {
    rest: &'a [u8],
    line: usize,
    notes: Vec<Defect>,
}

impl<'a> Parser<'a> {
    pub(super) fn new(cfg: &'a [u8]) -> Result<Self, Defect> {
        if cfg.starts_with(&[0xff, 0xfe]) || cfg.starts_with(&[0xfe, 0xff]) {
            let place = Place::Byte(0);
            let (kind, file) = (DefectKind::Unsupported, RecordFile::Cfg);
            return Err(Defect::new(
                kind,
                file,
                place,
                "UTF-16",
                "one byte a character",
            ));
        }
        let rest = cfg.strip_prefix(b"\xef\xbb\xbf").unwrap_or(cfg);
        let mut notes = Vec::new();
        if let Err(error) = std::str::from_utf8(rest) {
            let line = 1 + rest[..error.valid_up_to()]
                .iter()
                .filter(|b| **b == b'\n')
                .count();
            notes.push(Defect::new(
                DefectKind::Text,
                RecordFile::Cfg,
                Place::Line(line),
                "text that is not UTF-8; its undecodable characters are replaced",
                "UTF-8",
            ));
        }
        Ok(Self {
            rest,
            line: 0,
            notes,
        })
    }

    pub(super) fn config(&mut self) -> Result<Config, Defect> {
        let (station, device, revision) = self.identity()?;
        let (analog_count, digital_count) = self.counts()?;
        // Not reserved from the declared counts: those may be damaged, the lines are really there.
        let mut analog = Vec::new();
        for index in 0..analog_count {
            analog.push(self.analog(index, analog_count)?);
        }
        let mut digital = Vec::new();
        for index in 0..digital_count {
            digital.push(self.digital(index, digital_count)?);
        }
        let line_hz = self.line_hz()?;
        let rates = self.rates()?;
        let start = self.take("date and time of the first sample")?;
        let trigger = self.take("date and time of the trigger")?;
        let format = self.format()?;
        let start_ns = time_field(start);
        Ok(Config {
            station,
            device,
            revision,
            analog,
            digital,
            line_hz,
            rates,
            start: fields::text(start.trim_ascii()),
            trigger: fields::text(trigger.trim_ascii()),
            trigger_s: trigger_s(start, trigger),
            format,
            time_multiplier: self.time_multiplier()?,
            time_codes: self.optional_pair(),
            time_quality: self.optional_pair(),
            start_fraction_digits: start_ns.map_or(0, |(_, digits)| digits),
        })
    }

    pub(super) fn into_notes(self) -> Vec<Defect> {
        self.notes
    }

    fn identity(&mut self) -> Result<(String, String, Revision), Defect> {
        let line = self.take("station, device and revision year")?;
        let parts = fields::split(line);
        let year = parts.get(2).copied().unwrap_or_default();
        let revision = match fields::count(year, None) {
            None if year.is_empty() => Revision::Ieee1991,
            None => return Err(self.bad(year, "revision year 1991, 1999 or 2013")),
            Some(found) => {
                if ![1991, 1999, 2001, 2013].contains(&found) {
                    let note = self.defect(DefectKind::Unsupported, year, "1991, 1999 or 2013");
                    self.notes.push(note);
                }
                match found {
                    ..1999 => Revision::Ieee1991,
                    1999..2013 => Revision::Ieee1999,
                    2013.. => Revision::Ieee2013,
                }
            }
        };
        let device = parts.get(1).copied().unwrap_or_default();
        Ok((fields::text(parts[0]), fields::text(device), revision))
    }

    fn counts(&mut self) -> Result<(usize, usize), Defect> {
        let expected = "channel counts such as 12,8A,4D";
        let line = self.take(expected)?;
        let parts = fields::split(line);
        let field = |at: usize| parts.get(at).copied().unwrap_or_default();
        let counted = (
            fields::count(field(0), None),
            fields::count(field(1), Some(b'A')),
            fields::count(field(2), Some(b'D')),
        );
        let (Some(total), Some(analog), Some(digital)) = counted else {
            return Err(self.bad(line, expected));
        };
        if analog == 0 && digital == 0 {
            return Err(self.bad(line, "at least one channel"));
        }
        if analog.checked_add(digital) != Some(total) {
            let sum = format!("a total of {analog} analog and {digital} digital channels");
            let note = self.defect(DefectKind::Mismatch, line, &sum);
            self.notes.push(note);
        }
        Ok((analog, digital))
    }

    fn analog(&mut self, index: usize, count: usize) -> Result<AnalogChannel, Defect> {
        let line = self.take(&format!("analog channel {} of {count}", index + 1))?;
        let parts = fields::split(line);
        let extra = parts.iter().skip(13).any(|field| !field.is_empty());
        if parts.len() < 7 || extra {
            return Err(self.bad(line, "an analog channel of 7 to 13 fields"));
        }
        let field = |at: usize| parts.get(at).copied().unwrap_or_default();
        let factor = |at: usize, what: &str| {
            fields::finite(field(at)).ok_or_else(|| self.bad(field(at), what))
        };
        let optional = |at: usize, what: &str| match field(at) {
            b"" => Ok(None),
            _ => factor(at, what).map(Some),
        };
        Ok(AnalogChannel {
            name: fields::text(field(1)),
            phase: fields::text(field(2)),
            component: fields::text(field(3)),
            unit: fields::text(field(4)),
            a: factor(5, "the multiplier a, a finite number")?,
            b: factor(6, "the offset b, a finite number")?,
            skew_us: optional(7, "the skew in microseconds")?.unwrap_or(0.0),
            stored_min: optional(8, "the smallest stored value")?,
            stored_max: optional(9, "the largest stored value")?,
            primary: optional(10, "the primary factor")?,
            secondary: optional(11, "the secondary factor")?,
            referred: match field(12) {
                b"P" | b"p" => Some(Referred::Primary),
                b"S" | b"s" => Some(Referred::Secondary),
                b"" => None,
                other => return Err(self.bad(other, "P or S")),
            },
        })
    }

    /// Three fields in 1991, five since 1999; the normal state is the last of either.
    fn digital(&mut self, index: usize, count: usize) -> Result<DigitalChannel, Defect> {
        let line = self.take(&format!("digital channel {} of {count}", index + 1))?;
        let parts = fields::split(line);
        let normal = match parts.len() {
            0 | 1 => return Err(self.bad(line, "a digital channel of 3 or 5 fields")),
            3 => parts[2],
            _ => parts.get(4).copied().unwrap_or_default(),
        };
        let normal = match normal {
            b"0" => Some(false),
            b"1" => Some(true),
            b"" => None,
            other => return Err(self.bad(other, "normal state 0 or 1")),
        };
        Ok(DigitalChannel {
            name: fields::text(parts[1]),
            normal,
        })
    }

    fn line_hz(&mut self) -> Result<Option<f64>, Defect> {
        let line = self.take("line frequency in Hz")?;
        match fields::split(line)[0] {
            b"" => Ok(None),
            field => match fields::finite(field) {
                Some(value) => Ok(Some(value)),
                None => Err(self.bad(line, "line frequency in Hz")),
            },
        }
    }

    /// A count of 0 is followed by one line all the same, which then gives only the length; some
    /// recorders leave it out.
    fn rates(&mut self) -> Result<Vec<RateSection>, Defect> {
        let line = self.take("number of sampling rates")?;
        let Some(count) = fields::count(fields::split(line)[0], None) else {
            return Err(self.bad(line, "number of sampling rates"));
        };
        if count == 0 && self.peek().is_none_or(|next| next.contains(&b'/')) {
            return Ok(Vec::new());
        }
        let mut rates: Vec<RateSection> = Vec::new();
        for _ in 0..count.max(1) {
            let expected = "sampling rate in Hz and number of its last sample";
            let line = self.take(expected)?;
            let parts = fields::split(line);
            let last = parts.get(1).and_then(|field| fields::count(field, None));
            let (Some(rate_hz), Some(last_sample)) = (fields::finite(parts[0]), last) else {
                return Err(self.bad(line, expected));
            };
            if rate_hz < 0.0 {
                return Err(self.bad(parts[0], "a sampling rate of 0 or more"));
            }
            let before = rates.last().map_or(0, |section| section.last_sample);
            if last_sample <= before {
                return Err(self.bad(line, &format!("a last sample after {before}")));
            }
            let rate_hz = if count == 0 { 0.0 } else { rate_hz };
            rates.push(RateSection {
                rate_hz,
                last_sample,
            });
        }
        Ok(rates)
    }

    fn format(&mut self) -> Result<DataFormat, Defect> {
        let expected = "ASCII, BINARY, BINARY32 or FLOAT32";
        let line = self.take(expected)?;
        match line.trim_ascii().to_ascii_uppercase().as_slice() {
            b"ASCII" => Ok(DataFormat::Ascii),
            b"BINARY" => Ok(DataFormat::Binary),
            b"BINARY32" => Ok(DataFormat::Binary32),
            b"FLOAT32" => Ok(DataFormat::Float32),
            _ => Err(self.defect(DefectKind::Unsupported, line, expected)),
        }
    }

    fn time_multiplier(&mut self) -> Result<f64, Defect> {
        // 1991 has no such line.
        let Some(line) = self.next() else {
            return Ok(1.0);
        };
        let field = fields::split(line)[0];
        if fields::is_blank(field) {
            return Ok(1.0);
        }
        fields::finite(field)
            .filter(|value| *value > 0.0)
            .ok_or_else(|| self.bad(line, "a time stamp multiplier above 0"))
    }

    fn optional_pair(&mut self) -> Option<(String, String)> {
        let line = self.next().filter(|line| !fields::is_blank(line))?;
        let parts = fields::split(line);
        Some((
            fields::text(parts[0]),
            fields::text(parts.get(1).copied().unwrap_or_default()),
        ))
    }

    fn peek(&self) -> Option<&'a [u8]> {
        let mut rest = self.rest;
        fields::take_line(&mut rest)
    }

    fn next(&mut self) -> Option<&'a [u8]> {
        let line = fields::take_line(&mut self.rest)?;
        self.line += 1;
        Some(line)
    }

    fn take(&mut self, expected: &str) -> Result<&'a [u8], Defect> {
        let line = self.next().filter(|line| *line != [fields::END_OF_FILE]);
        line.ok_or_else(|| {
            let place = Place::Line(self.line + 1);
            let (kind, file) = (DefectKind::Missing, RecordFile::Cfg);
            Defect::new(kind, file, place, "the end of the file", expected)
        })
    }

    fn defect(&self, kind: DefectKind, found: &[u8], expected: &str) -> Defect {
        Defect::quoting(
            kind,
            RecordFile::Cfg,
            Place::Line(self.line),
            found,
            expected,
        )
    }

    fn bad(&self, found: &[u8], expected: &str) -> Defect {
        self.defect(DefectKind::Malformed, found, expected)
    }
}

fn time_field(line: &[u8]) -> Option<(u64, usize)> {
    fields::split(line)
        .get(1)
        .and_then(|field| fields::time_of_day_ns(field))
}

/// The order of day and month differs between revisions and recorders, so the dates are only
/// compared: a record whose trigger lies on another date crossed midnight once.
fn trigger_s(start: &[u8], trigger: &[u8]) -> Option<f64> {
    const DAY_NS: i64 = 86_400_000_000_000;
    let start_ns = i64::try_from(time_field(start)?.0).ok()?;
    let trigger_ns = i64::try_from(time_field(trigger)?.0).ok()?;
    let same_date = fields::split(start)[0] == fields::split(trigger)[0];
    let offset_ns = trigger_ns - start_ns;
    let offset_ns = if same_date {
        offset_ns
    } else {
        offset_ns + DAY_NS
    };
    let plausible = (-DAY_NS..DAY_NS).contains(&offset_ns);
    plausible.then(|| offset_ns as f64 / 1e9)
}
