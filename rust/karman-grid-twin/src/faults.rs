//! Faults that a scenario injects, exact to the nanosecond inside a grain, and the voltage levels
//! that they leave behind. Owns the queue of what begins and ends when; what a fault does to the
//! plant is in `hall`.

use karman_grid_core::ids::{DeviceIx, ElementIx, MeterIx};
use std::collections::BTreeMap;

/// Something that goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// The bus of this element and all below it are dead. A feed is the bus at its UPS's output.
    FeedLoss {
        /// Feed, UPS, PDU or whatever is lost.
        element: ElementIx,
        /// Time constant of the voltage that motors and filters feed back, ns; 0: none.
        backfeed_tau_ns: u64,
    },
    /// The supply of one UPS is dead.
    SourceLoss {
        /// The UPS.
        ups: ElementIx,
    },
    /// The utility's voltage falls to this ratio of nominal at the inputs of all UPSs.
    GridSag {
        /// Ratio of nominal that remains.
        value: f64,
    },
    /// These devices take caps into their registers and do not follow them.
    WriteIgnored {
        /// The devices.
        devices: Vec<DeviceIx>,
    },
    /// The meter goes on delivering, but always the cycle (or the value) before the fault.
    MeterFrozen {
        /// The meter.
        meter: MeterIx,
    },
    /// The meter's currents, and so its power, come multiplied (a wrong transformer ratio).
    MeterScale {
        /// The meter.
        meter: MeterIx,
        /// Factor.
        value: f64,
    },
    /// The meter's power comes with this many watts added, as a current in phase with the load's.
    MeterOffset {
        /// The meter.
        meter: MeterIx,
        /// Watts.
        value_w: f64,
    },
    /// Demand of the hall steps to this level; when cleared it steps back.
    DemandStep {
        /// Total ÷ sum of feed ratings.
        level_ratio: f64,
    },
}

/// A fault that was injected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FaultId(pub u32);

/// What happens to a fault at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It begins.
    Begin(FaultId),
    /// It ends.
    End(FaultId),
}

/// All faults of a run.
#[derive(Clone, Debug, Default)]
pub struct FaultBook {
    faults: Vec<Fault>,
    active: Vec<FaultId>,
    queue: BTreeMap<(u64, u64), Change>,
    order: u64,
}

impl FaultBook {
    /// Files a fault that begins at `at_ns`.
    pub fn inject(&mut self, fault: Fault, at_ns: u64) -> FaultId {
        let id = FaultId(self.faults.len() as u32);
        self.faults.push(fault);
        self.file(at_ns, Change::Begin(id));
        id
    }

    /// Ends a fault at `at_ns`.
    pub fn clear(&mut self, id: FaultId, at_ns: u64) {
        self.file(at_ns, Change::End(id));
    }

    /// When the next change is due.
    pub fn next_ns(&self) -> Option<u64> {
        self.queue.first_key_value().map(|((at_ns, _), _)| *at_ns)
    }

    /// Takes the next change that is due at or before `now_ns`.
    pub fn pop(&mut self, now_ns: u64) -> Option<Change> {
        let change = self
            .queue
            .first_entry()
            .filter(|e| e.key().0 <= now_ns)?
            .remove();
        match change {
            Change::Begin(id) => self.active.push(id),
            Change::End(id) => self.active.retain(|active| *active != id),
        }
        Some(change)
    }

    /// Faults in force.
    pub fn active(&self) -> impl Iterator<Item = &Fault> {
        self.active.iter().filter_map(|id| self.fault(*id))
    }

    /// What was injected under `id`.
    pub fn fault(&self, id: FaultId) -> Option<&Fault> {
        self.faults.get(id.0 as usize)
    }

    fn file(&mut self, at_ns: u64, change: Change) {
        self.queue.insert((at_ns, self.order), change);
        self.order += 1;
    }
}

/// How a level goes from one value to the other.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Shape {
    Decay { tau_ns: f64 },
    Ramp { length_ns: f64 },
}

/// A voltage level, ratio of nominal, as a function of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    start_ns: u64,
    from: f64,
    to: f64,
    shape: Shape,
}

impl Level {
    /// Always 1.
    pub const NOMINAL: Level = Level {
        start_ns: 0,
        from: 1.0,
        to: 1.0,
        shape: Shape::Ramp { length_ns: 0.0 },
    };

    /// From its value at `at_ns` towards `to`, exponentially with this time constant (0: at once).
    pub fn decays(self, to: f64, at_ns: u64, tau_ns: u64) -> Level {
        let shape = Shape::Decay {
            tau_ns: tau_ns as f64,
        };
        Level {
            start_ns: at_ns,
            from: self.at(at_ns),
            to,
            shape,
        }
    }

    /// From its value at `at_ns` to `to` on a straight line of this length.
    pub fn ramps(self, to: f64, at_ns: u64, length_ns: u64) -> Level {
        let shape = Shape::Ramp {
            length_ns: length_ns as f64,
        };
        Level {
            start_ns: at_ns,
            from: self.at(at_ns),
            to,
            shape,
        }
    }

    /// Value at `at_ns`; before the last change it is what it was at that change.
    pub fn at(&self, at_ns: u64) -> f64 {
        if at_ns < self.start_ns {
            return self.from;
        }
        let since_ns = (at_ns - self.start_ns) as f64;
        let left = match self.shape {
            Shape::Decay { tau_ns } if tau_ns > 0.0 && since_ns < 20.0 * tau_ns => {
                libm::exp(-since_ns / tau_ns)
            }
            Shape::Ramp { length_ns } if since_ns < length_ns => 1.0 - since_ns / length_ns,
            Shape::Decay { .. } | Shape::Ramp { .. } => 0.0,
        };
        self.to + (self.from - self.to) * left
    }

    /// Its value if that does not change from `from_ns` on.
    pub fn settled(&self, from_ns: u64) -> Option<f64> {
        let length_ns = match self.shape {
            Shape::Decay { tau_ns } => 20.0 * tau_ns,
            Shape::Ramp { length_ns } => length_ns,
        };
        let over = from_ns >= self.start_ns && (from_ns - self.start_ns) as f64 >= length_ns;
        (over || self.from == self.to).then_some(self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_decay_and_ramp() {
        let dead = Level::NOMINAL.decays(0.0, 1_000, 500);
        assert_eq!(dead.at(999), 1.0);
        assert_eq!(dead.at(1_000), 1.0);
        assert!((dead.at(1_500) - libm::exp(-1.0)).abs() < 1e-12);
        assert_eq!(
            (dead.settled(1_000), dead.settled(11_000)),
            (None, Some(0.0))
        );
        assert_eq!(Level::NOMINAL.decays(0.0, 1_000, 0).at(1_000), 0.0);
        let back = dead.ramps(1.0, 20_000, 1_000);
        assert_eq!(
            (back.at(20_000), back.at(20_500), back.at(30_000)),
            (0.0, 0.5, 1.0)
        );
    }

    #[test]
    fn changes_come_in_order() {
        let mut book = FaultBook::default();
        let sag = book.inject(Fault::GridSag { value: 0.7 }, 20);
        let step = book.inject(Fault::DemandStep { level_ratio: 0.5 }, 10);
        book.clear(sag, 20);
        assert_eq!(book.next_ns(), Some(10));
        assert_eq!(book.pop(9), None);
        assert_eq!(book.pop(10), Some(Change::Begin(step)));
        assert_eq!(book.pop(25), Some(Change::Begin(sag)));
        assert_eq!(book.pop(25), Some(Change::End(sag)));
        assert_eq!(book.pop(25), None);
    }
}
