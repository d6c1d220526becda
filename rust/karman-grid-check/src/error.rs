//! Owns the one error of the checker: a trace that cannot be judged.
//!
//! An error is not a verdict. "Unsafe" is an answer and stands in the verdict; an error says that
//! the input is damaged or impossible, where, what was found and what was expected.

use std::fmt;

/// Why a trace cannot be judged. Reads `FILE:LINE: key: found …, expected …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckError {
    /// Name of the trace and line (from 1), where the record came from a file.
    pub place: Option<(String, u64)>,
    /// Record type and key at fault, such as `flow.power_w[3]`.
    pub key: String,
    /// What stands there.
    pub found: String,
    /// What should stand there.
    pub expected: String,
}

impl CheckError {
    /// An error about `key`, not yet tied to a file.
    pub fn new(
        key: impl Into<String>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self {
            place: None,
            key: key.into(),
            found: found.into(),
            expected: expected.into(),
        }
    }

    /// The same error, tied to a line of a trace.
    #[must_use]
    pub fn at(mut self, file: &str, line: u64) -> Self {
        self.place = Some((file.to_owned(), line));
        self
    }
}

impl fmt::Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((file, line)) = &self.place {
            write!(f, "{file}:{line}: ")?;
        }
        write!(
            f,
            "{}: found {}, expected {}",
            self.key, self.found, self.expected
        )
    }
}

impl std::error::Error for CheckError {}

/// Largest power taken as possible, W: a thousand gigawatts is no data centre but a damaged number.
const POSSIBLE_MAX_W: f64 = 1e12;

/// Refuses watts that cannot be: NaN, infinite, negative or absurd.
pub(crate) fn possible_w(key: impl Fn() -> String, value_w: f64) -> Result<(), CheckError> {
    if (0.0..=POSSIBLE_MAX_W).contains(&value_w) {
        return Ok(());
    }
    Err(CheckError::new(
        key(),
        format!("{value_w} W"),
        "a power from 0 to 1e12 W",
    ))
}
