//! What is done to the plant, the agents and the controller, and when: the events of a scenario.
//!
//! Owns the translation of an event into a fault of the plant or of an agent. Faults of the plant
//! begin to the nanosecond; what strikes agents or the controller does so at the start of its step.

use crate::agenda::Due;
use crate::faults::{Fault, FaultId};
use crate::loss::{Loss, lost_of};
use crate::planned::Planned;
use crate::protection::Mode;
use crate::scenario::EventKind;
use crate::setup::Turn;
use crate::sim::{EVENT_WINDOW_NS, Sim};
use karman_grid_core::ids::{ElementIx, MeterIx};

impl Sim {
    /// Does to the plant what is due before `until_ns`.
    pub(crate) fn turn(&mut self, until_ns: u64) {
        while let Some(turn) = self.turns.get(self.next_turn).copied()
            && turn.at_ns < until_ns
        {
            self.next_turn += 1;
            self.take_turn(turn);
        }
    }

    fn take_turn(&mut self, turn: Turn) {
        let planned = self.planned[turn.event].clone();
        self.touched = true;
        self.watch_until_ns = self.watch_until_ns.max(turn.at_ns + EVENT_WINDOW_NS);
        let code = planned.kind as u64;
        self.records
            .digest(&[1, turn.at_ns, code, u64::from(turn.begins)]);
        if !turn.begins {
            if let Some(id) = self.faults[turn.event].take() {
                self.plant.clear(id, turn.at_ns);
            }
            return;
        }
        let tau_ns = self.backfeed_tau_ns[turn.event];
        self.faults[turn.event] = self.begin(&planned, turn.at_ns, tau_ns);
    }

    /// Begins what was planned at `at_ns`.
    pub(crate) fn begin(
        &mut self,
        planned: &Planned,
        at_ns: u64,
        backfeed_tau_ns: u64,
    ) -> Option<FaultId> {
        let lasts_ns = planned.until_ns.map(|until_ns| until_ns - planned.at_ns);
        let until_ns = lasts_ns.map_or(u64::MAX, |ns| at_ns + ns);
        if planned.kind.is_disturbance() {
            self.measure.before_disturbance();
        }
        let devices = planned.devices.clone();
        let done = Due::Done {
            kind: planned.kind,
            devices,
            duration_ns: lasts_ns,
        };
        self.agenda.push(at_ns, done);
        self.strike(planned, until_ns);
        if planned.kind == EventKind::FeedLoss
            && let Some(element) = planned.elements.first()
        {
            self.begin_loss(*element, at_ns);
        }
        let fault = self.fault_of(planned, backfeed_tau_ns);
        fault.map(|fault| self.plant.inject(fault, at_ns))
    }

    /// What an event does to the plant; nothing where it strikes agents or the controller alone.
    fn fault_of(&self, planned: &Planned, backfeed_tau_ns: u64) -> Option<Fault> {
        let first = planned.elements.first().copied();
        let meter = planned.meters.first().copied();
        match planned.kind {
            EventKind::FeedLoss => first.map(|element| Fault::FeedLoss {
                element,
                backfeed_tau_ns,
            }),
            EventKind::SourceLoss => first.map(|ups| Fault::SourceLoss { ups }),
            EventKind::GridSag => Some(Fault::GridSag {
                value: planned.value,
            }),
            EventKind::WriteIgnored => Some(Fault::WriteIgnored {
                devices: planned.devices.clone(),
            }),
            EventKind::MeterFrozen => meter.map(|meter| Fault::MeterFrozen { meter }),
            EventKind::MeterScale => meter.map(|meter| Fault::MeterScale {
                meter,
                value: planned.value,
            }),
            EventKind::MeterOffset => meter.map(|meter| {
                let limit_w = self.topology.elements[self.metered(meter).at()].limit_w;
                Fault::MeterOffset {
                    meter,
                    value_w: planned.value * limit_w,
                }
            }),
            EventKind::DemandStep => Some(Fault::DemandStep {
                level_ratio: planned.value,
            }),
            EventKind::ControllerKill | EventKind::AgentSilent | EventKind::WriteStuck => None,
        }
    }

    /// What an event does to the controller and the agents, until `until_ns`; devices that it
    /// makes disobey count as faulty from here on.
    fn strike(&mut self, planned: &Planned, until_ns: u64) {
        match planned.kind {
            EventKind::ControllerKill => self.engine = None,
            EventKind::AgentSilent => {
                for host in &planned.hosts {
                    self.agents.silence(*host, until_ns);
                    let devices = self.topology.hosts[host.at()].devices.clone();
                    devices.for_each(|d| self.faulty[d] = true);
                }
            }
            EventKind::WriteIgnored | EventKind::WriteStuck => {
                for device in &planned.devices {
                    self.faulty[device.at()] = true;
                    if planned.kind == EventKind::WriteStuck {
                        self.agents.stick(*device, until_ns);
                    }
                }
            }
            EventKind::FeedLoss
            | EventKind::SourceLoss
            | EventKind::GridSag
            | EventKind::MeterFrozen
            | EventKind::MeterScale
            | EventKind::MeterOffset
            | EventKind::DemandStep => {}
        }
    }

    /// Begins an event now, as a live run does; its end is filed at once.
    pub(crate) fn begin_live(&mut self, planned: &Planned, backfeed_tau_ns: u64) {
        let at_ns = self.now_ns;
        self.touched = true;
        self.watch_until_ns = self.watch_until_ns.max(at_ns + EVENT_WINDOW_NS);
        self.records.digest(&[1, at_ns, planned.kind as u64, 1]);
        let fault = self.begin(planned, at_ns, backfeed_tau_ns);
        if let (Some(id), Some(until_ns)) = (fault, planned.until_ns) {
            self.plant.clear(id, at_ns + (until_ns - planned.at_ns));
        }
    }

    fn metered(&self, meter: MeterIx) -> ElementIx {
        self.topology.meters[meter.at()].element
    }

    /// The story of a loss begins with the first frame at or after it.
    fn begin_loss(&mut self, element: ElementIx, at_ns: u64) {
        let mut alive: Vec<bool> = self.plant.modes().iter().map(|m| *m != Mode::Off).collect();
        alive[element.at()] = false;
        let lost = lost_of(&self.topology, &alive);
        let first_ns = self.waves.first_frame_ns(&self.topology, element, at_ns);
        let racks = self.topology.racks.len();
        self.measure
            .begin_loss(Loss::new(lost, at_ns, first_ns, racks));
    }
}
