//! Stepped runs on all cores, and judging traces.

use crate::errors;
use crate::inputs::{Columns, Prepared};
use crate::judge::{Judge, violations};
use karman_grid_twin::result::{RunResult, pool};
use karman_grid_twin::runner;
use pyo3::prelude::*;
use std::fs::File;
use std::io::BufReader;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::Thread;
use std::time::Duration;

/// How often waiting for the runs looks at signals.
const LOOK: Duration = Duration::from_millis(100);

/// Runs a scenario with the seeds `seed … seed + runs − 1` and returns the result document and the
/// course of the first seed, both as JSON.
///
/// `control`: `on`, `off` or `static-75`. `workload`: fitted parameters, for demand that requests
/// make; `arrivals`: columns of seconds, context and generated tokens in place of its generator.
/// `progress` is called with (runs done, runs in all).
#[pyfunction]
#[pyo3(signature = (
    site, scenario, seed, runs, control,
    workload=None, arrivals=None, trace=None, progress=None,
))]
#[allow(clippy::too_many_arguments)]
pub fn run_scenario(
    py: Python<'_>,
    site: &str,
    scenario: &str,
    seed: u64,
    runs: u64,
    control: &str,
    workload: Option<&str>,
    arrivals: Option<Columns>,
    trace: Option<&str>,
    progress: Option<Py<PyAny>>,
) -> PyResult<(String, String)> {
    let prepared = Prepared::new(site, scenario, control, workload, arrivals)?;
    let mut results = run_all(py, &prepared, seed, runs, trace, progress.as_ref())?;
    results.sort_by_key(|r| r.seed);
    let document = pool(&results);
    let write = |e| errors::shape("result", e);
    let text = serde_json::to_string(&document).map_err(write)?;
    let course = serde_json::to_string(&results[0].series).map_err(write)?;
    Ok((text, course))
}

/// What the threads of a pool of runs share.
struct Pool<'a> {
    prepared: &'a Prepared,
    seed: u64,
    runs: u64,
    trace: Option<&'a str>,
    next: AtomicU64,
    done: AtomicU64,
    stop: AtomicBool,
    results: Mutex<Vec<PyResult<RunResult>>>,
}

impl Pool<'_> {
    /// Takes runs until there are none left, waking `waiting` after each.
    fn work(&self, waiting: &Thread) {
        while !self.stop.load(Ordering::Relaxed) {
            let at = self.next.fetch_add(1, Ordering::Relaxed);
            if at >= self.runs {
                break;
            }
            let result = run_one(self.prepared, self.seed + at, self.trace);
            let failed = result.is_err();
            self.results
                .lock()
                .unwrap_or_else(|e| e.into_inner())
                .push(result);
            self.done.fetch_add(1, Ordering::Release);
            self.stop.fetch_or(failed, Ordering::Relaxed);
            waiting.unpark();
        }
    }

    /// Waits for the runs with the interpreter released; looks at signals in between.
    fn watch(&self, py: Python<'_>, progress: Option<&Py<PyAny>>) -> PyResult<()> {
        let mut told = 0;
        loop {
            let done = self.done.load(Ordering::Acquire);
            if done > told
                && let Some(progress) = progress
            {
                progress.call1(py, (done, self.runs))?;
            }
            told = done;
            if done >= self.runs || self.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            py.detach(|| std::thread::park_timeout(LOOK));
            py.check_signals()?;
        }
    }
}

fn run_all(
    py: Python<'_>,
    prepared: &Prepared,
    seed: u64,
    runs: u64,
    trace: Option<&str>,
    progress: Option<&Py<PyAny>>,
) -> PyResult<Vec<RunResult>> {
    let pool = Pool {
        prepared,
        seed,
        runs,
        trace,
        next: AtomicU64::new(0),
        done: AtomicU64::new(0),
        stop: AtomicBool::new(false),
        results: Mutex::new(Vec::new()),
    };
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let waiting = std::thread::current();
    std::thread::scope(|scope| {
        for _ in 0..cores.min(runs) {
            scope.spawn(|| pool.work(&waiting));
        }
        let watched = pool.watch(py, progress);
        pool.stop.fetch_or(watched.is_err(), Ordering::Relaxed);
        watched
    })?;
    pool.results
        .into_inner()
        .unwrap_or_else(|e| e.into_inner())
        .into_iter()
        .collect()
}

fn run_one(prepared: &Prepared, seed: u64, trace: Option<&str>) -> PyResult<RunResult> {
    let inputs = prepared.with_seed(seed);
    let mut judge = Judge::new(&inputs.site, trace)?;
    let mut result = runner::run(&inputs, &mut judge).map_err(errors::site)?;
    let end_ns = karman_grid_twin::sim::RUN_IN_NS
        + karman_grid_core::time::ns_from_s(inputs.scenario.duration_s);
    let verdict = judge.verdict(end_ns)?;
    result.violations = violations(&verdict);
    Ok(result)
}

/// Merges and judges traces; returns the verdict as JSON.
#[pyfunction]
pub fn judge_traces(py: Python<'_>, paths: Vec<String>) -> PyResult<String> {
    py.detach(|| {
        let mut traces = Vec::with_capacity(paths.len());
        for path in paths {
            let file = File::open(&path)?;
            if file.metadata()?.is_dir() {
                return Err(errors::shape(
                    &path,
                    "found a directory, expected a trace file",
                ));
            }
            traces.push((path, BufReader::new(file)));
        }
        let verdict = karman_grid_check::merge(traces).map_err(errors::trace)?;
        serde_json::to_string(&verdict).map_err(|e| errors::shape("verdict", e))
    })
}
