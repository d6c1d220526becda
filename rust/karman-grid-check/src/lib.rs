//! Independent checker: judges a plain trace without knowing core or twin.
//!
//! Owns the verdict on a run: was an element loaded beyond its curve, a cap above its lease, a
//! raise sent on stale data, an epoch gone back, a book out of balance? It shares no code with
//! what it judges and reads no clock: time is the `mono_ns` of the records. The layout of the
//! trace is told in `docs/reference/trace.md`.
//!
//! Read in this order: [`record`] (what a line may hold) → [`plant`] (the header, made sound) →
//! [`curve`] → `flows` (elements: curves and balance) → `caps` (devices: leases, epochs, books)
//! → [`checker`] (the front door) → [`mod@merge`] (files in) → [`verdict`] (the answer out).
//!
//! ```
//! use karman_grid_check::{merge, ViolationKind};
//!
//! let trace = concat!(
//!     r#"{"type":"header","schema":1,"mono_ns":0,"origin":"plant","start_mono_ns":0,"#,
//!     r#""elements":[{"id":"ups-a","kind":"ups","limit_w":100.0,"#,
//!     r#""curves":[{"mode":"line","points":[[1.05,3600],[1.5,1.5]]}]}],"devices":[]}"#, "\n",
//!     r#"{"type":"flow","mono_ns":0,"power_w":[150.0]}"#, "\n",
//!     r#"{"type":"flow","mono_ns":2000000000,"power_w":[90.0]}"#, "\n",
//! );
//! let verdict = merge(vec![("trace.jsonl".to_owned(), trace.as_bytes())]).expect("a sound trace");
//! assert_eq!(verdict.violations[0].kind, ViolationKind::BeyondCurve);
//! assert_eq!(verdict.violations[0].at_ms, 1500.0);
//! ```

mod caps;
pub mod checker;
pub mod curve;
pub mod error;
mod flows;
pub mod merge;
pub mod plant;
pub mod record;
pub mod verdict;
mod whole;

pub use checker::Checker;
pub use error::CheckError;
pub use merge::merge;
pub use record::{CurveSpec, DeviceSpec, ElementSpec, Header, Mode, Origin, Record};
pub use verdict::{ElementVerdict, Verdict, Violation, ViolationKind};
