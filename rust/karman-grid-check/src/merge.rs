//! Owns the way from files to a verdict: reads several traces, merges them by time, judges.
//!
//! Each trace is JSON lines, its header first, its times never going back. Records of one instant
//! are taken in the order plant, agent, controller, then in the order of the traces given. Reading
//! is streamed. A last line cut short is what a killed process leaves: counted, not an error.

use std::io::{BufRead, Read};

use crate::checker::Checker;
use crate::error::CheckError;
use crate::record::{Header, Origin, Record};
use crate::verdict::Verdict;

/// Longest line read; a header with 100,000 devices has about 12 MB.
pub const LINE_MAX_BYTES: u64 = 32 << 20;
/// The plant promises a flow record at least this often: its last one is held for as long.
pub const FLOW_PERIOD_MAX_NS: u64 = 100_000_000;

/// Judges the traces `(name, reader)` together.
///
/// # Errors
/// Names the trace and line, what was found and what was expected; also when no trace, or more
/// than one, is the plant's.
pub fn merge<R: BufRead>(traces: Vec<(String, R)>) -> Result<Verdict, CheckError> {
    let mut plant_header = None;
    let mut sources = Vec::with_capacity(traces.len());
    for (name, reader) in traces {
        let (mut source, header) = Source::open(name, reader)?;
        if header.origin != Origin::Plant {
            sources.push((source, Some(header)));
            continue;
        }
        if plant_header.replace((header, sources.len())).is_some() {
            return Err(source.error(second_plant()));
        }
        source.is_plant = true;
        sources.push((source, None));
    }
    let Some((header, plant_ix)) = plant_header else {
        return Err(no_plant(
            sources.iter().map(|(source, _)| source.name.as_str()),
        ));
    };
    let opened = Checker::new(header).map_err(|error| sources[plant_ix].0.error(error));
    let mut checker = opened?;
    for (source, other) in &sources {
        if let Some(header) = other {
            let counted = checker.push(&Record::Header(header.clone()));
            counted.map_err(|error| source.error(error))?;
        }
    }
    let mut sources: Vec<_> = sources.into_iter().map(|(source, _)| source).collect();
    for source in &mut sources {
        source.advance()?;
    }
    judge(checker, &mut sources)
}

fn judge<R: BufRead>(
    mut checker: Checker,
    sources: &mut [Source<R>],
) -> Result<Verdict, CheckError> {
    // `min_by_key` keeps the first of equals, which is the order of the traces given.
    while let Some(source) = sources
        .iter_mut()
        .filter(|source| source.next.is_some())
        .min_by_key(|source| (source.last_ns, source.origin))
    {
        if let Some(record) = source.next.take() {
            checker.push(&record).map_err(|error| source.error(error))?;
        }
        source.advance()?;
        if source.is_plant && source.next.is_none() {
            checker.plant_ended(source.last_ns.saturating_add(FLOW_PERIOD_MAX_NS));
        }
    }
    let truncated_lines = sources.iter().map(|source| source.truncated_lines).sum();
    let end_ns = checker.last_mono_ns();
    let mut verdict = checker.finish(end_ns).map_err(|mut error| {
        if let Some(plant) = sources.iter().find(|source| source.is_plant) {
            error = plant.error(error);
        }
        error
    })?;
    verdict.truncated_lines = truncated_lines;
    Ok(verdict)
}

fn second_plant() -> CheckError {
    CheckError::new(
        "header.origin",
        "a second plant",
        "one plant header in all traces together",
    )
}

fn no_plant<'a>(names: impl Iterator<Item = &'a str>) -> CheckError {
    let names: Vec<_> = names.collect();
    let found = if names.is_empty() {
        "no trace at all".to_owned()
    } else {
        format!("no plant trace among {}", names.join(", "))
    };
    let expected = "one trace whose header says \"origin\":\"plant\": it holds the limits, the \
                    true flows and the caps in force (the plant's own trace of a run on a wall \
                    clock, or the file that `twin run --trace` wrote)";
    CheckError::new("traces", found, expected)
}

/// One trace being read: `next` is its record in waiting.
struct Source<R> {
    name: String,
    reader: R,
    origin: Origin,
    is_plant: bool,
    line: Vec<u8>,
    line_no: u64,
    next: Option<Record>,
    last_ns: u64,
    truncated_lines: u64,
}

impl<R: BufRead> Source<R> {
    /// Reads the header, which alone says whose trace this is.
    fn open(name: String, reader: R) -> Result<(Self, Header), CheckError> {
        let mut source = Self {
            name,
            reader,
            origin: Origin::Plant,
            is_plant: false,
            line: Vec::new(),
            line_no: 0,
            next: None,
            last_ns: 0,
            truncated_lines: 0,
        };
        let expected = "a header record first";
        match source.read()? {
            Some(Record::Header(header)) => {
                source.origin = header.origin;
                Ok((source, header))
            }
            Some(other) => {
                let found = format!("a {} record", other.record_type().name());
                Err(source.error(CheckError::new("type", found, expected)))
            }
            None => {
                let found = if source.truncated_lines > 0 {
                    "only a line that was cut short"
                } else {
                    "an empty trace"
                };
                Err(source.error(CheckError::new("line", found, expected)))
            }
        }
    }

    /// Puts the next record in waiting, or none at the end of the trace.
    fn advance(&mut self) -> Result<(), CheckError> {
        self.next = self.read()?;
        let Some(record) = &self.next else {
            return Ok(());
        };
        let (name, witness) = (record.record_type().name(), record.witness());
        if !self.is_plant && witness != self.origin {
            let found = format!("a {name} record in the trace of the {:?}", self.origin);
            let expected = format!("it in the trace of the {witness:?}");
            let error = CheckError::new("type", found.to_lowercase(), expected.to_lowercase());
            return Err(self.error(error));
        }
        let mono_ns = record.mono_ns();
        if mono_ns < self.last_ns {
            let expected = format!("{} or later: times never go back", self.last_ns);
            let error = CheckError::new(format!("{name}.mono_ns"), mono_ns.to_string(), expected);
            return Err(self.error(error));
        }
        self.last_ns = mono_ns;
        Ok(())
    }

    fn read(&mut self) -> Result<Option<Record>, CheckError> {
        loop {
            self.line.clear();
            let mut bounded = self.reader.by_ref().take(LINE_MAX_BYTES);
            let length = bounded.read_until(b'\n', &mut self.line);
            self.line_no += 1;
            let length = length.map_err(|error| {
                self.error(CheckError::new(
                    "line",
                    error.to_string(),
                    "a readable file",
                ))
            })?;
            if length == 0 {
                return Ok(None);
            }
            if length as u64 == LINE_MAX_BYTES {
                let found = format!("a line of {LINE_MAX_BYTES} bytes or more");
                return Err(self.error(CheckError::new("line", found, "JSON lines")));
            }
            if self.line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            return match Record::parse(&self.line) {
                Ok(record) => Ok(Some(record)),
                Err(_) if self.cut_short() => {
                    self.truncated_lines += 1;
                    Ok(None)
                }
                Err(error) => Err(self.error(error)),
            };
        }
    }

    /// Whether the present line, the last one, simply stops in the middle.
    fn cut_short(&self) -> bool {
        let whole = self.line.ends_with(b"\n");
        let parsed = serde_json::from_slice::<serde_json::Value>(&self.line);
        !whole && parsed.is_err_and(|error| error.is_eof())
    }

    fn error(&self, error: CheckError) -> CheckError {
        error.at(&self.name, self.line_no)
    }
}
