//! What can be wrong with a COMTRADE record, with the place where it was seen.
//!
//! Owns the one type used both as error and as note, so that a caller reads the same sentence
//! whether the record was refused or read in part.

use std::fmt;

/// Longest piece of file content repeated in a message, in characters.
const FOUND_MAX_CHARS: usize = 60;

/// Which of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordFile {
    /// The configuration file.
    Cfg,
    /// The data file.
    Dat,
}

/// Where in the file: text by line, binary by byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Line number, from 1.
    Line(usize),
    /// Byte offset, from 0.
    Byte(usize),
}

/// What sort of defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefectKind {
    /// Something required is not there.
    Missing,
    /// A field does not hold what its position demands.
    Malformed,
    /// Understood, but not read by this crate.
    Unsupported,
    /// Two statements of the record contradict each other.
    Mismatch,
    /// The data end before the declared last sample.
    Truncated,
    /// Data follow after the declared last sample.
    Surplus,
    /// Text is not UTF-8: the characters that could not be decoded were replaced.
    Text,
}

/// One defect: kind, file, place, what was found and what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defect {
    /// Sort of defect.
    pub kind: DefectKind,
    /// File it stands in.
    pub file: RecordFile,
    /// Line or byte offset.
    pub place: Place,
    /// What stands there; file content is cut to 60 characters and control characters escaped.
    pub found: String,
    /// What should stand there.
    pub expected: String,
}

impl Defect {
    pub(super) fn new(
        kind: DefectKind,
        file: RecordFile,
        place: Place,
        found: &str,
        expected: &str,
    ) -> Self {
        Self {
            kind,
            file,
            place,
            found: found.to_owned(),
            expected: expected.to_owned(),
        }
    }

    /// As `new`, quoting file content.
    pub(super) fn quoting(
        kind: DefectKind,
        file: RecordFile,
        place: Place,
        found: &[u8],
        expected: &str,
    ) -> Self {
        Self::new(kind, file, place, &quote(found), expected)
    }
}

fn quote(bytes: &[u8]) -> String {
    // Four bytes a character at most: enough is decoded without copying a huge line.
    let head = &bytes[..bytes.len().min(4 * FOUND_MAX_CHARS)];
    let text = String::from_utf8_lossy(head);
    let short: String = text.trim().chars().take(FOUND_MAX_CHARS).collect();
    format!("{short:?}")
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = match self.file {
            RecordFile::Cfg => "cfg",
            RecordFile::Dat => "dat",
        };
        match self.place {
            Place::Line(line) => write!(f, "{file} line {line}")?,
            Place::Byte(byte) => write!(f, "{file} byte {byte}")?,
        }
        write!(f, ": found {}, expected {}", self.found, self.expected)
    }
}

impl std::error::Error for Defect {}
