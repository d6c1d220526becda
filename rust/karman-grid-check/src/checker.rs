//! Owns the front door: records in, by id or by index, in order of time; one verdict out.
//!
//! Streaming: memory grows with elements, devices and violations, not with records. Fails by
//! refusing a record that cannot be; it then keeps its state as before that record.

use crate::caps::{Caps, Lease};
use crate::error::{CheckError, possible_w};
use crate::flows::Flows;
use crate::plant::{Plant, sound_schema};
use crate::record::{DEVICE_FAULTS, Header, Mode, Origin, RECORD_TYPES, Record, RecordType};
use crate::verdict::{self, Finding, Verdict};
use std::collections::BTreeMap;

/// Judges a trace record by record.
#[derive(Clone, Debug)]
pub struct Checker {
    plant: Plant,
    flows: Flows,
    caps: Caps,
    findings: Vec<Finding>,
    last_ns: u64,
    counts: [u64; RECORD_TYPES.len()],
}

impl Checker {
    /// Starts from the plant's header. Headers of others are not believed about limits.
    ///
    /// # Errors
    /// A header that is not the plant's or that is not sound.
    pub fn new(header: Header) -> Result<Self, CheckError> {
        let plant = Plant::new(header)?;
        let mut counts = [0; RECORD_TYPES.len()];
        counts[RecordType::Header as usize] = 1;
        Ok(Self {
            flows: Flows::new(&plant),
            caps: Caps::new(&plant),
            plant,
            findings: Vec::new(),
            last_ns: 0,
            counts,
        })
    }

    /// The header, made sound: ask it for indices.
    #[must_use]
    pub fn plant(&self) -> &Plant {
        &self.plant
    }

    /// Violations noted so far; what is still held may add to them at the end.
    pub fn violations(&self) -> usize {
        self.findings.len()
    }

    /// Time of the newest record, ns.
    #[must_use]
    pub fn last_mono_ns(&self) -> u64 {
        self.last_ns
    }

    /// Accumulator of every element at `at_mono_ns`, the present flow held until then.
    #[must_use]
    pub fn accumulators(&self, at_mono_ns: u64) -> Vec<f64> {
        self.flows.accumulators(&self.plant, at_mono_ns)
    }

    /// Takes one record; times may not go back.
    ///
    /// # Errors
    /// An id that the header lacks, a time that goes back, a value that cannot be, a second plant.
    pub fn push(&mut self, record: &Record) -> Result<(), CheckError> {
        match record {
            Record::Header(header) => self.push_header(header),
            Record::Flow {
                mono_ns,
                power_w,
                mode,
            } => self.push_flow(*mono_ns, power_w, mode.as_deref()),
            Record::Load { mono_ns, .. } => self.enter(*mono_ns, RecordType::Load),
            Record::Cap {
                mono_ns,
                device,
                cap_w,
            } => self.push_cap(*mono_ns, self.device("cap.device", device)?, *cap_w),
            Record::Lease {
                mono_ns,
                device,
                cap_w,
                epoch,
                seq,
                ttl_ns,
            } => {
                let device_ix = self.device("lease.device", device)?;
                self.push_lease(*mono_ns, device_ix, *cap_w, *epoch, *seq, *ttl_ns)
            }
            Record::Renew {
                mono_ns,
                devices,
                all,
                ttl_ns,
            } => {
                if *all {
                    return self.push_renew_all(*mono_ns, *ttl_ns);
                }
                let devices_ix = self.devices("renew.devices", devices.iter())?;
                self.push_renew(*mono_ns, &devices_ix, *ttl_ns)
            }
            Record::Raise {
                mono_ns,
                device,
                cap_w,
                data_age_ns,
            } => {
                let device_ix = self.device("raise.device", device)?;
                self.push_raise(*mono_ns, device_ix, *cap_w, *data_age_ns)
            }
            Record::Books {
                mono_ns,
                accounted_w,
                devices_accounted_w,
            } => {
                self.possible_books(accounted_w)?;
                self.push_books(*mono_ns, *devices_accounted_w)
            }
            Record::Trip { mono_ns, element } => {
                self.push_trip(*mono_ns, self.element("trip.element", element)?)
            }
            Record::Event {
                mono_ns,
                kind,
                device,
                devices,
                duration_ns,
            } => self.push_event(*mono_ns, kind, devices.iter().chain(device), *duration_ns),
        }
    }

    /// True power through every element from now on, W, header order; modes when one changed.
    ///
    /// # Errors
    /// As [`Self::push`]; also a wrong number of values.
    pub fn push_flow(
        &mut self,
        mono_ns: u64,
        power_w: &[f64],
        modes: Option<&[Mode]>,
    ) -> Result<(), CheckError> {
        self.in_order(mono_ns)?;
        self.flows
            .push(&self.plant, mono_ns, power_w, modes, &mut self.findings)?;
        self.enter(mono_ns, RecordType::Flow)
    }

    /// Cap register truly in force from now on, W.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn push_cap(
        &mut self,
        mono_ns: u64,
        device_ix: usize,
        cap_w: f64,
    ) -> Result<(), CheckError> {
        possible_w(|| "cap.cap_w".into(), cap_w)?;
        self.known_device(device_ix)?;
        self.enter(mono_ns, RecordType::Cap)?;
        self.caps
            .push_cap(&self.plant, mono_ns, device_ix, cap_w, &mut self.findings);
        Ok(())
    }

    /// The agent accepted a lease up to `cap_w` for `ttl_ns` from now.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn push_lease(
        &mut self,
        mono_ns: u64,
        device_ix: usize,
        cap_w: f64,
        epoch: u64,
        seq: u64,
        ttl_ns: u64,
    ) -> Result<(), CheckError> {
        possible_w(|| "lease.cap_w".into(), cap_w)?;
        self.known_device(device_ix)?;
        self.enter(mono_ns, RecordType::Lease)?;
        let lease = Lease {
            cap_w,
            epoch,
            seq,
            ttl_ns,
        };
        self.caps
            .push_lease(&self.plant, mono_ns, device_ix, lease, &mut self.findings);
        Ok(())
    }

    /// The agent extended the live leases among these devices to `ttl_ns` from now.
    ///
    /// # Errors
    /// As [`Self::push`]; also an empty list.
    pub fn push_renew(
        &mut self,
        mono_ns: u64,
        devices_ix: &[usize],
        ttl_ns: u64,
    ) -> Result<(), CheckError> {
        for device_ix in devices_ix {
            self.known_device(*device_ix)?;
        }
        self.enter(mono_ns, RecordType::Renew)?;
        for device_ix in devices_ix {
            self.caps
                .push_renew(&self.plant, mono_ns, *device_ix, ttl_ns);
        }
        Ok(())
    }

    /// The agent extended all live leases to `ttl_ns` from now.
    ///
    /// # Errors
    /// A time that goes back.
    pub fn push_renew_all(&mut self, mono_ns: u64, ttl_ns: u64) -> Result<(), CheckError> {
        self.enter(mono_ns, RecordType::Renew)?;
        self.caps.push_renew_all(&self.plant, mono_ns, ttl_ns);
        Ok(())
    }

    /// The controller sent a raise to `cap_w`; its oldest measurement was `data_age_ns` old.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn push_raise(
        &mut self,
        mono_ns: u64,
        device_ix: usize,
        cap_w: f64,
        data_age_ns: u64,
    ) -> Result<(), CheckError> {
        possible_w(|| "raise.cap_w".into(), cap_w)?;
        self.known_device(device_ix)?;
        self.enter(mono_ns, RecordType::Raise)?;
        let findings = &mut self.findings;
        self.caps.push_raise(
            &self.plant,
            mono_ns,
            device_ix,
            cap_w,
            data_age_ns,
            findings,
        );
        Ok(())
    }

    /// The controller accounts this sum of caps over all devices, W.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn push_books(&mut self, mono_ns: u64, devices_accounted_w: f64) -> Result<(), CheckError> {
        possible_w(|| "books.devices_accounted_w".into(), devices_accounted_w)?;
        self.enter(mono_ns, RecordType::Books)?;
        self.caps.push_books(
            &self.plant,
            mono_ns,
            devices_accounted_w,
            &mut self.findings,
        );
        Ok(())
    }

    /// The plant's own protection opened.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn push_trip(&mut self, mono_ns: u64, element_ix: usize) -> Result<(), CheckError> {
        if element_ix >= self.plant.elements.len() {
            return Err(out_of_range(
                "trip.element",
                element_ix,
                self.plant.elements.len(),
            ));
        }
        self.enter(mono_ns, RecordType::Trip)
    }

    /// These devices obey nobody for `duration_ns` (absent: to the end): a fault of the plant.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn push_fault(
        &mut self,
        mono_ns: u64,
        devices_ix: &[usize],
        duration_ns: Option<u64>,
    ) -> Result<(), CheckError> {
        for device_ix in devices_ix {
            self.known_device(*device_ix)?;
        }
        self.enter(mono_ns, RecordType::Event)?;
        let until_ns = duration_ns.map_or(u64::MAX, |length_ns| mono_ns.saturating_add(length_ns));
        for device_ix in devices_ix {
            let findings = &mut self.findings;
            self.caps
                .push_fault(&self.plant, mono_ns, *device_ix, until_ns, findings);
        }
        Ok(())
    }

    /// Nobody records the plant after `mono_ns`: flows, caps and books are judged up to then only.
    /// Raises and epochs, which need no plant, are judged to the end.
    pub fn plant_ended(&mut self, mono_ns: u64) {
        self.caps.truth_end_ns = mono_ns;
    }

    /// Judges what is still held up to `end_mono_ns` and gives the verdict.
    ///
    /// # Errors
    /// No flow record at all (nothing was judged), or an end before the newest record.
    pub fn finish(mut self, end_mono_ns: u64) -> Result<Verdict, CheckError> {
        if self.flows.last_ns.is_none() {
            let expected = "at least one: without true flows there is nothing to judge";
            return Err(CheckError::new("flow", "no flow record", expected));
        }
        self.in_order(end_mono_ns)?;
        let truth_end_ns = end_mono_ns.min(self.caps.truth_end_ns);
        self.flows
            .finish(&self.plant, truth_end_ns, &mut self.findings);
        self.caps
            .finish(&self.plant, truth_end_ns, &mut self.findings);
        Ok(verdict::assemble(
            &self.plant,
            &self.flows,
            &self.caps,
            self.findings,
            &self.counts,
        ))
    }

    /// Another process (re)started; its header is counted, and believed in nothing.
    fn push_header(&mut self, header: &Header) -> Result<(), CheckError> {
        sound_schema(header)?;
        if header.origin == Origin::Plant {
            let expected = "one plant header in all traces together";
            return Err(CheckError::new("header.origin", "a second plant", expected));
        }
        self.counts[RecordType::Header as usize] += 1;
        Ok(())
    }

    /// Something was done to the plant: a device fault bears on the verdict, the rest is counted.
    fn push_event<'a>(
        &mut self,
        mono_ns: u64,
        kind: &str,
        devices: impl Iterator<Item = &'a String>,
        duration_ns: Option<u64>,
    ) -> Result<(), CheckError> {
        if !DEVICE_FAULTS.contains(&kind) {
            return self.enter(mono_ns, RecordType::Event);
        }
        let devices_ix = self.devices("event.device", devices)?;
        self.push_fault(mono_ns, &devices_ix, duration_ns)
    }

    /// Refuses sums of elements that the plant lacks, and values that cannot be.
    fn possible_books(&self, accounted_w: &BTreeMap<String, f64>) -> Result<(), CheckError> {
        for (id, value_w) in accounted_w {
            self.element("books.accounted_w", id)?;
            possible_w(|| format!("books.accounted_w.{id}"), *value_w)?;
        }
        Ok(())
    }

    fn in_order(&self, mono_ns: u64) -> Result<(), CheckError> {
        if mono_ns >= self.last_ns {
            return Ok(());
        }
        let expected = format!("{} or later: times never go back", self.last_ns);
        Err(CheckError::new("mono_ns", mono_ns.to_string(), expected))
    }

    fn enter(&mut self, mono_ns: u64, record_type: RecordType) -> Result<(), CheckError> {
        self.in_order(mono_ns)?;
        self.last_ns = mono_ns;
        self.counts[record_type as usize] += 1;
        Ok(())
    }

    fn known_device(&self, device_ix: usize) -> Result<(), CheckError> {
        let count = self.plant.devices.len();
        if device_ix < count {
            Ok(())
        } else {
            Err(out_of_range("device", device_ix, count))
        }
    }

    fn device(&self, key: &str, id: &str) -> Result<usize, CheckError> {
        let found = || CheckError::new(key, format!("\"{id}\""), "a device of the plant's header");
        self.plant.device_ix(id).ok_or_else(found)
    }

    fn element(&self, key: &str, id: &str) -> Result<usize, CheckError> {
        let found =
            || CheckError::new(key, format!("\"{id}\""), "an element of the plant's header");
        self.plant.element_ix(id).ok_or_else(found)
    }

    fn devices<'a>(
        &self,
        key: &str,
        ids: impl Iterator<Item = &'a String>,
    ) -> Result<Vec<usize>, CheckError> {
        let found: Result<Vec<_>, _> = ids.map(|id| self.device(key, id)).collect();
        match found {
            Ok(list) if list.is_empty() => Err(CheckError::new(key, "none", "at least one id")),
            other => other,
        }
    }
}

fn out_of_range(key: &str, ix: usize, count: usize) -> CheckError {
    CheckError::new(
        key,
        format!("index {ix}"),
        format!("an index below {count}"),
    )
}
