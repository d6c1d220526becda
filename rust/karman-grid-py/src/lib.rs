//! karman_grid._core: the compiled part of karman-grid as Python sees it.
//!
//! The only crate with PyO3 and the only one that reads the OS clock. Owns conversions and error
//! mapping, nothing else: what is computed is computed in the pure crates, with the interpreter
//! released.

mod errors;
mod facts;
mod inputs;
mod judge;
mod live;
mod metrics;
mod run;
mod view;

use pyo3::prelude::*;

#[pymodule]
mod _core {
    #[pymodule_export]
    use crate::errors::{SiteError, TraceError};
    #[pymodule_export]
    use crate::facts::site_facts;
    #[pymodule_export]
    use crate::live::LiveTwin;
    #[pymodule_export]
    use crate::run::{judge_traces, run_scenario};
}
