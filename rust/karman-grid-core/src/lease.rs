//! The agent's side of a cap: leases, epochs, sequences and armed plans of one host, as one state
//! machine that both the agent and the twin run. It decides what to write; it writes nothing.
//!
//! Above its fallback a device is only while a lease lives (rule 5). Falls take effect at once;
//! what a fired plan or a command put below the fallback rises one TTL after the lease ended, when
//! every other lease has ended too. A fired plan only lowers (rule 7).

use crate::command::{CapCommand, Cause, Refusal};
use crate::ids::{ContingencyIx, DeviceIx};
use crate::limits::LEASE_TTL_MIN_NS;
use crate::time::MonoNs;
use crate::units::Power;
use std::collections::BTreeMap;

/// One write that the agent must do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Write {
    /// Device.
    pub device: DeviceIx,
    /// Cap to write.
    pub cap: Power,
    /// Why.
    pub cause: Cause,
}

/// A lease on a cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Highest cap that may stand.
    pub cap: Power,
    /// When it ends unless renewed.
    pub expires_mono_ns: MonoNs,
    /// Time to live it was last given.
    pub ttl_ns: u64,
}

/// What the agent holds for one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Device.
    pub device: DeviceIx,
    /// Cap of the last write.
    pub cap: Power,
    /// Written when the lease ends.
    pub fallback: Power,
    /// Live or last lease.
    pub lease: Option<Lease>,
    /// Highest sequence obeyed in the present epoch.
    seq: u64,
    /// When a cap below the fallback may rise to it.
    rise_mono_ns: Option<MonoNs>,
}

/// Leases and plans of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseTable {
    epoch: u64,
    /// Time to live that the controller last gave, ns.
    ttl_ns: u64,
    held: Vec<Held>,
    plans: BTreeMap<ContingencyIx, Plan>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Plan {
    seq: u64,
    caps: Vec<(DeviceIx, Power)>,
}

impl LeaseTable {
    /// At the fallback, without leases; `start_writes` must be written first.
    pub fn new(fallbacks: impl IntoIterator<Item = (DeviceIx, Power)>) -> LeaseTable {
        let held = fallbacks.into_iter().map(|(device, fallback)| Held {
            device,
            cap: fallback,
            fallback,
            lease: None,
            seq: 0,
            rise_mono_ns: None,
        });
        LeaseTable {
            epoch: 0,
            ttl_ns: LEASE_TTL_MIN_NS,
            held: held.collect(),
            plans: BTreeMap::new(),
        }
    }

    /// What start-up writes before anything is obeyed: every fallback.
    pub fn start_writes(&self) -> Vec<Write> {
        let write = |h: &Held| Write {
            device: h.device,
            cap: h.fallback,
            cause: Cause::Start,
        };
        self.held.iter().map(write).collect()
    }

    /// Highest epoch obeyed.
    pub fn highest_epoch(&self) -> u64 {
        self.epoch
    }

    /// Devices and their caps.
    pub fn held(&self) -> &[Held] {
        &self.held
    }

    /// Takes a cap command.
    ///
    /// # Errors
    /// [`Refusal`] for an older epoch, a sequence not newer than one obeyed, or a foreign device.
    pub fn cap(&mut self, command: &CapCommand, now: MonoNs) -> Result<Write, Refusal> {
        self.enter(command.epoch)?;
        let held = self.find(command.device).ok_or(Refusal::UnknownDevice)?;
        if command.seq <= held.seq {
            return Err(Refusal::OldSeq);
        }
        held.seq = command.seq;
        held.fallback = command.fallback_cap;
        held.cap = command.cap;
        held.rise_mono_ns = None;
        held.lease = Some(Lease {
            cap: command.cap,
            expires_mono_ns: now.plus_ns(command.lease_ns),
            ttl_ns: command.lease_ns,
        });
        let cause = Cause::Command {
            command_id: command.command_id,
        };
        Ok(Write {
            device: command.device,
            cap: command.cap,
            cause,
        })
    }

    /// Extends every lease that still lives; one that ended stays ended.
    ///
    /// # Errors
    /// [`Refusal::OldEpoch`].
    pub fn renew(&mut self, epoch: u64, lease_ns: u64, now: MonoNs) -> Result<(), Refusal> {
        self.enter(epoch)?;
        self.ttl_ns = lease_ns;
        for lease in self.held.iter_mut().filter_map(|h| h.lease.as_mut()) {
            if lease.expires_mono_ns > now {
                lease.expires_mono_ns = now.plus_ns(lease_ns);
                lease.ttl_ns = lease_ns;
            }
        }
        Ok(())
    }

    /// Holds a plan ready in place of an older one for the same contingency.
    ///
    /// # Errors
    /// [`Refusal`] for an older epoch or sequence, or a device of another host.
    pub fn plan(
        &mut self,
        contingency: ContingencyIx,
        epoch: u64,
        seq: u64,
        caps: Vec<(DeviceIx, Power)>,
    ) -> Result<(), Refusal> {
        self.enter(epoch)?;
        if self.plans.get(&contingency).is_some_and(|p| p.seq >= seq) {
            return Err(Refusal::OldSeq);
        }
        if caps
            .iter()
            .any(|(device, _)| !self.held.iter().any(|h| h.device == *device))
        {
            return Err(Refusal::UnknownDevice);
        }
        self.plans.insert(contingency, Plan { seq, caps });
        Ok(())
    }

    /// Fires a plan: min(cap in force, plan) for each of its devices. A device that stands low
    /// enough already gets no write; a `Fire` obeyed twice lowers nothing further.
    ///
    /// # Errors
    /// [`Refusal`] for an older epoch, or where no plan is held.
    pub fn fire(
        &mut self,
        contingency: ContingencyIx,
        epoch: u64,
        seq: u64,
        now: MonoNs,
    ) -> Result<Vec<Write>, Refusal> {
        self.enter(epoch)?;
        let ttl_ns = self.ttl_ns;
        let plan = self.plans.get(&contingency).ok_or(Refusal::NoPlan)?;
        let mut writes = Vec::with_capacity(plan.caps.len());
        for (device, cap) in &plan.caps {
            let Some(held) = self.held.iter_mut().find(|h| h.device == *device) else {
                continue;
            };
            // A cap decided before the fire must not undo it when it arrives late.
            held.seq = held.seq.max(seq);
            if *cap < held.cap {
                held.cap = *cap;
                // Also without a lease so far: its end is what lets the cap return (rule 5).
                let lease = held.lease.get_or_insert(Lease {
                    cap: *cap,
                    expires_mono_ns: now.plus_ns(ttl_ns),
                    ttl_ns,
                });
                lease.cap = lease.cap.min(*cap);
                let cause = Cause::Fire { contingency, seq };
                writes.push(Write {
                    device: *device,
                    cap: *cap,
                    cause,
                });
            }
        }
        Ok(writes)
    }

    /// Lets time pass: leases that ended fall to the fallback, late rises to it follow.
    pub fn expire(&mut self, now: MonoNs) -> Vec<Write> {
        let mut writes = Vec::new();
        for held in &mut self.held {
            if let Some(lease) = held.lease.filter(|l| l.expires_mono_ns <= now) {
                held.lease = None;
                held.rise_mono_ns = Some(lease.expires_mono_ns.plus_ns(lease.ttl_ns));
            }
            let falls = held.lease.is_none() && held.cap > held.fallback;
            let rises = held.cap < held.fallback && held.rise_mono_ns.is_some_and(|t| t <= now);
            if falls || rises {
                held.cap = held.fallback;
                let cause = Cause::Expiry;
                writes.push(Write {
                    device: held.device,
                    cap: held.fallback,
                    cause,
                });
            }
            if held.cap == held.fallback {
                held.rise_mono_ns = None;
            }
        }
        writes
    }

    /// When `expire` next has something to do.
    pub fn next_expiry(&self) -> Option<MonoNs> {
        let times = self.held.iter().flat_map(|h| {
            [h.lease.map(|l| l.expires_mono_ns), h.rise_mono_ns]
                .into_iter()
                .flatten()
        });
        times.min()
    }

    fn enter(&mut self, epoch: u64) -> Result<(), Refusal> {
        if epoch < self.epoch {
            return Err(Refusal::OldEpoch);
        }
        if epoch > self.epoch {
            // Sequences start afresh; plans of the old epoch could be fired by nobody.
            self.epoch = epoch;
            self.plans.clear();
            self.held.iter_mut().for_each(|h| h.seq = 0);
        }
        Ok(())
    }

    fn find(&mut self, device: DeviceIx) -> Option<&mut Held> {
        self.held.iter_mut().find(|h| h.device == device)
    }
}
