//! Errors by who must act: here only the author of a site file can.

use std::fmt;

/// A site that cannot be run, and where in the file it says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteError {
    /// Path of the key, such as `element.feed-a.parents`.
    pub path: String,
    /// What stands there.
    pub found: String,
    /// What would be right.
    pub expected: String,
}

impl SiteError {
    /// A problem at `path`.
    pub fn new(
        path: impl Into<String>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> SiteError {
        SiteError {
            path: path.into(),
            found: found.into(),
            expected: expected.into(),
        }
    }
}

impl fmt::Display for SiteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: found {}, expected {}",
            self.path, self.found, self.expected
        )
    }
}

impl std::error::Error for SiteError {}
