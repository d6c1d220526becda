//! Errors of the pure crates as Python exceptions, one class for each kind of person who must act.

use karman_grid_check::CheckError;
use pyo3::create_exception;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

create_exception!(
    _core,
    SiteError,
    PyValueError,
    "A site or scenario that cannot be run."
);
create_exception!(
    _core,
    TraceError,
    PyValueError,
    "A trace that cannot be judged."
);

pub fn site(error: karman_grid_core::error::SiteError) -> PyErr {
    SiteError::new_err(error.to_string())
}

pub fn trace(error: CheckError) -> PyErr {
    TraceError::new_err(error.to_string())
}

/// A document of ours that does not have the agreed shape: a mistake of the caller.
pub fn shape(what: &str, error: impl std::fmt::Display) -> PyErr {
    SiteError::new_err(format!("{what}: {error}"))
}
