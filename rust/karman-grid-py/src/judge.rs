//! Where the truth of a run goes: to the independent checker, and to a trace file where one is
//! wanted. The checker sees exactly what the file holds.

use crate::errors;
use karman_grid_check as check;
use karman_grid_core::ids::{DeviceIx, ElementIx, HostIx};
use karman_grid_core::limits::STALE_MIN_NS;
use karman_grid_core::site::SiteSpec;
use karman_grid_core::topology::Topology;
use karman_grid_core::units::Power;
use karman_grid_twin::protection::Mode;
use karman_grid_twin::result::Violation;
use karman_grid_twin::scenario::EventKind;
use karman_grid_twin::sink::{LeaseRecord, Sink};
use pyo3::prelude::*;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufWriter, Write};

/// Kinds of faults that keep devices from obeying.
const DEVICE_FAULTS: [EventKind; 3] = [
    EventKind::WriteIgnored,
    EventKind::WriteStuck,
    EventKind::AgentSilent,
];
/// Share of its limit that a UPS may take to charge its battery, beside what it passes on.
const UPS_LOSS_RATIO: f64 = 0.15;
/// Writing a fallback may take the write bound, and the agent looks at its clock every 5 ms.
const EXPIRY_GRACE_NS: u64 = 100_000_000;

/// A sink that judges.
pub struct Judge {
    topology: Topology,
    curves: Vec<Vec<check::CurveSpec>>,
    checker: Option<check::Checker>,
    error: Option<check::CheckError>,
    trace: Option<BufWriter<File>>,
    failed: Option<std::io::Error>,
    modes: Vec<check::Mode>,
    devices: Vec<usize>,
    start_mono_ns: u64,
}

impl Judge {
    /// For a run on `site`; `trace`: file for its trace.
    ///
    /// # Errors
    /// `SiteError`, or `OSError` where the file cannot be made.
    pub fn new(site: &SiteSpec, trace: Option<&str>) -> PyResult<Judge> {
        let topology = Topology::build(site).map_err(errors::site)?;
        let trace = trace.map(File::create).transpose()?.map(BufWriter::new);
        Ok(Judge {
            curves: curves(site, &topology),
            topology,
            checker: None,
            error: None,
            trace,
            failed: None,
            modes: Vec::new(),
            devices: Vec::new(),
            start_mono_ns: 0,
        })
    }

    /// The verdict at `end_mono_ns`.
    ///
    /// # Errors
    /// `TraceError` for a record that cannot be, `OSError` for a file that could not be written.
    pub fn verdict(mut self, end_mono_ns: u64) -> PyResult<check::Verdict> {
        if let Some(trace) = &mut self.trace
            && let Err(error) = trace.flush()
        {
            self.failed.get_or_insert(error);
        }
        match (self.failed, self.error, self.checker) {
            (Some(failed), _, _) => Err(failed.into()),
            (_, Some(error), _) => Err(errors::trace(error)),
            (_, _, Some(checker)) => {
                let end_mono_ns = end_mono_ns.max(checker.last_mono_ns());
                checker.finish(end_mono_ns).map_err(errors::trace)
            }
            (_, _, None) => Err(errors::shape("run", "it ended before it began")),
        }
    }

    /// The verdict if the run ended at `end_mono_ns`; it goes on all the same.
    ///
    /// # Errors
    /// `TraceError` for a record that cannot be.
    pub fn verdict_so_far(&self, end_mono_ns: u64) -> PyResult<check::Verdict> {
        match (&self.error, &self.checker) {
            (Some(error), _) => Err(errors::trace(error.clone())),
            (_, Some(checker)) => {
                let end_mono_ns = end_mono_ns.max(checker.last_mono_ns());
                checker.clone().finish(end_mono_ns).map_err(errors::trace)
            }
            (_, None) => Err(errors::shape("run", "it has not begun")),
        }
    }

    /// Violations found so far.
    pub fn violations(&self) -> usize {
        self.checker.as_ref().map_or(0, check::Checker::violations)
    }

    fn header(&self, start_mono_ns: u64, fallbacks: &[Power]) -> check::Header {
        let id = |e: &ElementIx| self.topology.elements[e.at()].id.clone();
        let elements = self
            .topology
            .elements
            .iter()
            .zip(&self.curves)
            .map(|(element, curves)| {
                let kind = serde_json::to_value(element.kind).unwrap_or_default();
                let kind = kind.as_str().unwrap_or_default().to_string();
                let loss_ratio = if kind == "ups" { UPS_LOSS_RATIO } else { 0.0 };
                check::ElementSpec {
                    id: element.id.clone(),
                    kind,
                    parents: element.parents.iter().map(id).collect(),
                    limit_w: element.limit_w,
                    curves: curves.clone(),
                    loss_ratio,
                }
            });
        let devices = self
            .topology
            .devices
            .iter()
            .zip(fallbacks)
            .map(|(device, fallback)| check::DeviceSpec {
                id: device.id.clone(),
                fallback_w: fallback.w(),
                cap_min_w: device.cap_min.w(),
                cap_max_w: device.cap_max.w(),
            });
        check::Header {
            schema: check::record::SCHEMA,
            mono_ns: 0,
            origin: check::Origin::Plant,
            site: self.topology.site.name.clone(),
            start_mono_ns,
            stale_ns: STALE_MIN_NS,
            expiry_grace_ns: EXPIRY_GRACE_NS,
            lease_ttl_max_ns: None,
            elements: elements.collect(),
            devices: devices.collect(),
        }
    }

    fn judge(&mut self, f: impl FnOnce(&mut check::Checker) -> Result<(), check::CheckError>) {
        if self.error.is_none()
            && let Some(checker) = &mut self.checker
            && let Err(error) = f(checker)
        {
            self.error = Some(error);
        }
    }

    fn write(&mut self, line: impl FnOnce(&Topology) -> Value) {
        if self.failed.is_some() {
            return;
        }
        if let Some(trace) = &mut self.trace {
            let line = line(&self.topology);
            if let Err(error) = writeln!(trace, "{line}") {
                self.failed = Some(error);
            }
        }
    }
}

/// What the checker found, in the words of the result document.
pub fn violations(verdict: &check::Verdict) -> Vec<Violation> {
    let word = |v: &check::Violation| {
        let kind = serde_json::to_value(v.kind).unwrap_or_default();
        Violation {
            at_ms: v.at_ms,
            kind: kind.as_str().unwrap_or_default().to_string(),
            element: v.element.clone(),
            value: v.value,
            limit: v.limit,
            seed: None,
        }
    };
    verdict.violations.iter().map(word).collect()
}

fn curves(site: &SiteSpec, topology: &Topology) -> Vec<Vec<check::CurveSpec>> {
    let of = |id: &str| {
        let ids = site
            .element
            .iter()
            .find(|e| e.id == id)
            .map(|e| e.curve.as_slice());
        let rows = ids.unwrap_or_default().iter();
        let rows = rows.filter_map(|id| site.curve.iter().find(|c| c.id == *id));
        rows.map(|c| check::CurveSpec {
            mode: curve_mode(c.mode),
            points: c.points.clone(),
        })
        .collect()
    };
    topology.elements.iter().map(|e| of(&e.id)).collect()
}

fn curve_mode(mode: karman_grid_core::site::CurveMode) -> check::Mode {
    use karman_grid_core::site::CurveMode;
    match mode {
        CurveMode::Line => check::Mode::Line,
        CurveMode::Battery => check::Mode::Battery,
        CurveMode::Bypass => check::Mode::Bypass,
    }
}

fn mode(mode: &Mode) -> check::Mode {
    match mode {
        Mode::Line => check::Mode::Line,
        Mode::Battery => check::Mode::Battery,
        Mode::Bypass => check::Mode::Bypass,
        Mode::Off => check::Mode::Off,
    }
}

impl Sink for Judge {
    fn start(&mut self, start_mono_ns: u64, fallbacks: &[Power]) {
        self.start_mono_ns = start_mono_ns;
        let header = self.header(start_mono_ns, fallbacks);
        match check::Checker::new(header.clone()) {
            Ok(checker) => self.checker = Some(checker),
            Err(error) => self.error = Some(error),
        }
        let record = check::Record::Header(header);
        self.write(|_| serde_json::to_value(record).unwrap_or_default());
    }

    fn flow(&mut self, mono_ns: u64, power_w: &[f64], modes: Option<&[Mode]>) {
        let mut changed = std::mem::take(&mut self.modes);
        changed.clear();
        changed.extend(modes.unwrap_or_default().iter().map(mode));
        let some = modes.map(|_| changed.as_slice());
        self.judge(|c| c.push_flow(mono_ns, power_w, some));
        self.write(|_| match some {
            Some(mode) => {
                json!({"type": "flow", "mono_ns": mono_ns, "power_w": power_w, "mode": mode})
            }
            None => json!({"type": "flow", "mono_ns": mono_ns, "power_w": power_w}),
        });
        self.modes = changed;
    }

    fn cap(&mut self, mono_ns: u64, device: DeviceIx, cap: Power) {
        self.judge(|c| c.push_cap(mono_ns, device.at(), cap.w()));
        self.write(|t| {
            let id = &t.devices[device.at()].id;
            json!({"type": "cap", "mono_ns": mono_ns, "device": id, "cap_w": cap.w()})
        });
    }

    fn lease(&mut self, mono_ns: u64, lease: LeaseRecord) {
        let (device, cap_w) = (lease.device.at(), lease.cap.w());
        let (epoch, seq, ttl_ns) = (lease.epoch, lease.seq, lease.ttl_ns);
        self.judge(|c| c.push_lease(mono_ns, device, cap_w, epoch, seq, ttl_ns));
        self.write(|t| {
            json!({"type": "lease", "mono_ns": mono_ns, "device": t.devices[device].id,
                "cap_w": cap_w, "epoch": epoch, "seq": seq, "ttl_ns": ttl_ns})
        });
    }

    fn renew(&mut self, mono_ns: u64, host: HostIx, ttl_ns: u64) {
        let mut devices = std::mem::take(&mut self.devices);
        devices.clear();
        devices.extend(self.topology.hosts[host.at()].devices.clone());
        self.judge(|c| c.push_renew(mono_ns, &devices, ttl_ns));
        self.write(|t| {
            let ids: Vec<&str> = devices.iter().map(|d| t.devices[*d].id.as_str()).collect();
            json!({"type": "renew", "mono_ns": mono_ns, "devices": ids, "ttl_ns": ttl_ns})
        });
        self.devices = devices;
    }

    fn raise(&mut self, mono_ns: u64, device: DeviceIx, cap: Power, data_age_ns: u64) {
        self.judge(|c| c.push_raise(mono_ns, device.at(), cap.w(), data_age_ns));
        self.write(|t| {
            json!({"type": "raise", "mono_ns": mono_ns, "device": t.devices[device.at()].id,
                "cap_w": cap.w(), "data_age_ns": data_age_ns})
        });
    }

    fn books(&mut self, mono_ns: u64, devices_accounted: Power) {
        self.judge(|c| c.push_books(mono_ns, devices_accounted.w()));
        self.write(|_| {
            json!({"type": "books", "mono_ns": mono_ns,
                "devices_accounted_w": devices_accounted.w()})
        });
    }

    fn trip(&mut self, mono_ns: u64, element: ElementIx) {
        self.judge(|c| c.push_trip(mono_ns, element.at()));
        self.write(
            |t| json!({"type": "trip", "mono_ns": mono_ns, "element": t.elements[element.at()].id}),
        );
    }

    fn event(
        &mut self,
        mono_ns: u64,
        kind: EventKind,
        devices: &[DeviceIx],
        duration_ns: Option<u64>,
    ) {
        if DEVICE_FAULTS.contains(&kind) && !devices.is_empty() {
            let struck: Vec<usize> = devices.iter().map(|d| d.at()).collect();
            self.judge(|c| c.push_fault(mono_ns, &struck, duration_ns));
        }
        self.write(|t| {
            let ids: Vec<&str> = devices
                .iter()
                .map(|d| t.devices[d.at()].id.as_str())
                .collect();
            let mut line = json!({"type": "event", "mono_ns": mono_ns, "kind": kind.name()});
            if !ids.is_empty() {
                line["devices"] = json!(ids);
            }
            if let Some(duration_ns) = duration_ns {
                line["duration_ns"] = json!(duration_ns);
            }
            line
        });
    }
}
