//! A hall on a thread of its own, paced by the wall clock.
//!
//! The thread owns plant, agents, engine and checker and never takes the interpreter's lock;
//! others read the snapshot that it publishes and leave wishes in a mailbox. It sleeps between
//! steps and catches up after it was held up, so simulated time follows the clock.

use crate::errors;
use crate::inputs::Prepared;
use crate::judge::{Judge, violations};
use crate::metrics;
use crate::view::{note, snapshot};
use karman_grid_core::error::SiteError;
use karman_grid_core::time::{NS_PER_MS, NS_PER_S};
use karman_grid_twin::live::{Live, event_now};
use karman_grid_twin::result::pool;
use karman_grid_twin::scenario::EventKind;
use karman_grid_twin::sim::Inputs;
use pyo3::prelude::*;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Simulated time is brought up to the clock this often.
const PACE: Duration = Duration::from_millis(2);
/// A snapshot is published this often, ns.
const PUBLISH_NS: u64 = 50 * NS_PER_MS;
/// Time lost beyond this is not caught up: the machine slept.
const BEHIND_MAX: Duration = Duration::from_secs(2);
/// Notes that wait for a reader; the oldest are dropped and counted.
const NOTES_MAX: usize = 10_000;
/// Acknowledgements of the static caps are awaited this long, ns of simulated time.
const RELEASE_NS: u64 = 2 * NS_PER_S;

enum Wish {
    Inject {
        kind: String,
        element: String,
        duration_s: Option<f64>,
    },
    Outcome,
    Release,
}

type Answer = Result<Value, SiteError>;

#[derive(Default)]
struct Shared {
    snapshot: Value,
    notes: VecDeque<Value>,
    notes_dropped: u64,
    wish: Option<Wish>,
    answer: Option<Answer>,
    released: Option<Value>,
    failure: Option<String>,
}

#[derive(Default)]
struct Mailbox {
    shared: Mutex<Shared>,
    answered: Condvar,
}

impl Mailbox {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        // A panic of the thread is reported as its failure; the data stays readable.
        self.shared.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// The hall's own side of the mailbox.
struct Hall {
    live: Live,
    judge: Judge,
    inputs: Inputs,
    mailbox: Arc<Mailbox>,
    published_ns: u64,
}

/// A hall paced by the wall clock.
#[pyclass(frozen)]
pub struct LiveTwin {
    mailbox: Arc<Mailbox>,
    hall: Mutex<Option<Hall>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[pymethods]
impl LiveTwin {
    /// A hall whose caps stand at the fallback (rule 5): the controller raises them as it runs.
    #[new]
    #[pyo3(signature = (site, scenario, seed, epoch, workload=None))]
    fn new(
        py: Python<'_>,
        site: &str,
        scenario: &str,
        seed: u64,
        epoch: u64,
        workload: Option<&str>,
    ) -> PyResult<LiveTwin> {
        let prepared = Prepared::new(site, scenario, "on", workload, None)?;
        let mailbox = Arc::new(Mailbox::default());
        let hall = py.detach(|| {
            let mut inputs = prepared.with_seed(seed);
            inputs.epoch = epoch;
            inputs.run_in_ns = 0;
            let mut judge = Judge::new(&inputs.site, None)?;
            let live = Live::new(&inputs, &mut judge).map_err(errors::site)?;
            let mut hall = Hall {
                live,
                judge,
                inputs,
                mailbox: Arc::clone(&mailbox),
                published_ns: 0,
            };
            hall.publish();
            PyResult::Ok(hall)
        })?;
        Ok(LiveTwin {
            mailbox,
            hall: Mutex::new(Some(hall)),
            thread: Mutex::new(None),
        })
    }

    /// Starts the thread; a second call does nothing.
    fn start(&self) -> PyResult<()> {
        let hall = self.hall.lock().unwrap_or_else(|e| e.into_inner()).take();
        if let Some(mut hall) = hall {
            let thread = std::thread::Builder::new().name("karman-hall".into());
            let thread = thread.spawn(move || hall.live_on())?;
            *self.thread.lock().unwrap_or_else(|e| e.into_inner()) = Some(thread);
        }
        Ok(())
    }

    /// The newest snapshot, as JSON.
    fn status(&self) -> String {
        let shared = self.mailbox.lock();
        let mut snapshot = shared.snapshot.clone();
        snapshot["failure"] = json!(shared.failure.clone().or_else(|| self.died(&shared)));
        snapshot.to_string()
    }

    /// What happened since the last call, as a JSON list.
    fn notes(&self) -> String {
        let mut shared = self.mailbox.lock();
        Value::Array(shared.notes.drain(..).collect()).to_string()
    }

    /// The newest snapshot as Prometheus text.
    fn metrics(&self) -> String {
        let shared = self.mailbox.lock();
        metrics::render(&shared.snapshot, shared.notes_dropped)
    }

    /// Does something to the plant.
    #[pyo3(signature = (kind, element, duration_s=None))]
    fn inject(
        &self,
        py: Python<'_>,
        kind: &str,
        element: &str,
        duration_s: Option<f64>,
    ) -> PyResult<()> {
        let (kind, element) = (kind.to_string(), element.to_string());
        self.ask(
            py,
            Wish::Inject {
                kind,
                element,
                duration_s,
            },
        )
        .map(|_| ())
    }

    /// The result document so far, judged, and the course for a figure, both as JSON.
    fn outcome(&self, py: Python<'_>) -> PyResult<(String, String)> {
        let both = self.ask(py, Wish::Outcome)?;
        Ok((both["document"].to_string(), both["series"].to_string()))
    }

    /// Writes the static caps, waits for their acknowledgements and ends the thread.
    fn release(&self, py: Python<'_>) -> PyResult<String> {
        if self.mailbox.lock().released.is_none() {
            self.start()?;
            self.ask(py, Wish::Release)?;
            let thread = self.thread.lock().unwrap_or_else(|e| e.into_inner()).take();
            py.detach(|| thread.map(JoinHandle::join));
        }
        Ok(self
            .mailbox
            .lock()
            .released
            .clone()
            .unwrap_or_default()
            .to_string())
    }
}

impl LiveTwin {
    /// Leaves a wish and waits for its answer with the interpreter released.
    fn ask(&self, py: Python<'_>, wish: Wish) -> PyResult<Value> {
        let answer = py.detach(|| {
            let mut shared = self.mailbox.lock();
            shared.answer = None;
            shared.wish = Some(wish);
            loop {
                if let Some(answer) = shared.answer.take() {
                    return Some(answer);
                }
                if shared.failure.is_some() || self.died(&shared).is_some() {
                    return None;
                }
                let wait = self
                    .mailbox
                    .answered
                    .wait_timeout(shared, Duration::from_millis(100));
                shared = wait.unwrap_or_else(|e| e.into_inner()).0;
            }
        });
        match answer {
            Some(answer) => answer.map_err(errors::site),
            None => Err(errors::shape("hall", "its thread has ended")),
        }
    }

    fn died(&self, shared: &Shared) -> Option<String> {
        let thread = self.thread.lock().unwrap_or_else(|e| e.into_inner());
        let ended = thread.as_ref().is_some_and(JoinHandle::is_finished);
        (ended && shared.released.is_none()).then(|| "the hall's thread has died".to_string())
    }
}

impl Hall {
    fn live_on(&mut self) {
        let mut started = Instant::now();
        loop {
            let behind = Duration::from_nanos(
                (started.elapsed().as_nanos() as u64).saturating_sub(self.live.now_ns()),
            );
            if behind > BEHIND_MAX {
                started += behind - BEHIND_MAX;
            }
            self.live
                .advance_to(started.elapsed().as_nanos() as u64, &mut self.judge);
            self.tell();
            if self.live.now_ns() >= self.published_ns + PUBLISH_NS {
                self.publish();
            }
            if self.serve() {
                return;
            }
            std::thread::sleep(PACE);
        }
    }

    fn tell(&mut self) {
        let start_ns = self.live.start_ns();
        let told = self.live.told();
        let mut notes: Vec<Value> = told
            .iter()
            .filter_map(|e| note(e, self.live.topology(), start_ns))
            .collect();
        if notes.is_empty() {
            return;
        }
        let mut shared = self.mailbox.lock();
        for note in notes.drain(..) {
            if shared.notes.len() >= NOTES_MAX {
                shared.notes.pop_front();
                shared.notes_dropped += 1;
            }
            shared.notes.push_back(note);
        }
    }

    fn publish(&mut self) {
        self.published_ns = self.live.now_ns();
        let snapshot = snapshot(&self.live, self.judge.violations());
        self.mailbox.lock().snapshot = snapshot;
    }

    /// Does what is wished; true: it was the last wish.
    fn serve(&mut self) -> bool {
        let wish = self.mailbox.lock().wish.take();
        let Some(wish) = wish else { return false };
        let (answer, last) = match wish {
            Wish::Inject {
                kind,
                element,
                duration_s,
            } => (self.inject(&kind, &element, duration_s), false),
            Wish::Outcome => (self.outcome(), false),
            Wish::Release => (Ok(self.release()), true),
        };
        let mut shared = self.mailbox.lock();
        if last {
            shared.released = answer.as_ref().ok().cloned();
        }
        shared.answer = Some(answer);
        self.mailbox.answered.notify_all();
        last
    }

    fn inject(&mut self, kind: &str, element: &str, duration_s: Option<f64>) -> Answer {
        let known: EventKind = serde_json::from_value(json!(kind)).map_err(|_| {
            SiteError::new(
                "event.kind",
                format!("{kind:?}"),
                "a kind of `scenarios kinds`",
            )
        })?;
        self.live
            .inject(&event_now(known, Some(element), duration_s))
            .map(|()| Value::Null)
    }

    fn outcome(&mut self) -> Answer {
        let wrong = |e: PyErr| SiteError::new("trace", e.to_string(), "a sound record of the run");
        let mut result = self.live.result(&self.inputs);
        let end_ns = self.live.start_ns() + self.live.now_ns();
        result.violations = violations(&self.judge.verdict_so_far(end_ns).map_err(wrong)?);
        let document = serde_json::to_value(pool(std::slice::from_ref(&result)));
        let series = serde_json::to_value(&result.series);
        let odd = |e: serde_json::Error| SiteError::new("result", e.to_string(), "plain numbers");
        Ok(json!({"document": document.map_err(odd)?, "series": series.map_err(odd)?}))
    }

    fn release(&mut self) -> Value {
        self.live.release();
        let until_ns = self.live.now_ns() + RELEASE_NS;
        while !self.live.is_static() && self.live.now_ns() < until_ns {
            let next_ns = self.live.now_ns() + NS_PER_MS;
            self.live.advance_to(next_ns, &mut self.judge);
        }
        self.tell();
        self.publish();
        let (devices, at_fallback) = self.live.fallback_count();
        let truth = self.live.truth();
        json!({
            "devices": devices,
            "at_fallback": at_fallback,
            "caps_w": truth.caps_w,
            "static_w": truth.static_w,
            "load_w": truth.load_w,
        })
    }
}
