//! What a meter has in front of it: the place, its power, its voltage and the droop of its UPS.

use super::{Mode, Network};
use crate::faults::Level;
use karman_grid_core::ids::{ElementIx, MeterIx};
use karman_grid_core::site::MeterPosition;

/// Where a meter sits: at the output of an element's bus, or at an element's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The element.
    pub bus: ElementIx,
    /// Whether it is the side of the supply.
    pub input: bool,
}

impl Network {
    /// Where `meter` sits. The output of a UPS that feeds one element is that element's bus.
    pub fn probe(&self, meter: MeterIx) -> Probe {
        let meter = &self.topology.meters[meter.at()];
        let input = meter.position == MeterPosition::UpsInput;
        let element = meter.element;
        let mut below = (0..self.topology.elements.len())
            .filter(|e| self.topology.elements[*e].parents.first() == Some(&element));
        let bus = match (meter.position, below.next(), below.next()) {
            (MeterPosition::UpsOutput, Some(only), None) if self.ups[element.at()].is_some() => {
                ElementIx::of(only)
            }
            _ => element,
        };
        Probe { bus, input }
    }

    /// True power at `probe`, W.
    pub fn power_w(&self, probe: Probe) -> f64 {
        if probe.input {
            self.input_w[probe.bus.at()]
        } else {
            self.flow_w[probe.bus.at()]
        }
    }

    /// Levels whose product is the voltage at `probe`, into `levels`.
    pub fn voltage(&self, probe: Probe, levels: &mut Vec<Level>) {
        levels.clear();
        let mut at = probe.bus;
        if probe.input {
            levels.push(self.input_level[at.at()]);
        } else {
            levels.push(self.own_level[at.at()]);
            if self.ups[at.at()].is_some() && self.modes[at.at()] != Mode::Bypass {
                return;
            }
        }
        while let Some(up) = self.upstream(at) {
            at = up;
            levels.push(self.own_level[at.at()]);
            if self.ups[at.at()].is_some() && self.modes[at.at()] != Mode::Bypass {
                return;
            }
            levels.push(self.input_level[at.at()]);
        }
        levels.push(self.grid_level);
    }

    fn upstream(&self, at: ElementIx) -> Option<ElementIx> {
        let preferred = || self.topology.elements[at.at()].parents.first().copied();
        self.parent[at.at()].or_else(preferred)
    }

    /// Fall of the voltage at `probe` by the regulation of the UPS above it, ratio of nominal.
    pub fn droop(&self, probe: Probe) -> f64 {
        let mut at = (!probe.input && self.alive[probe.bus.at()]).then_some(probe.bus);
        while let Some(element) = at {
            if let Some(ups) = &self.ups[element.at()] {
                let step_w = self.flow_w[element.at()] - ups.slow_w();
                return self.droop_ratio * step_w / self.topology.elements[element.at()].limit_w;
            }
            at = self.upstream(element);
        }
        0.0
    }
}
