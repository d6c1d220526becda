//! Who carries what: for a set of lost elements, the part of each rack's power that flows through
//! each element, as declared and at the worst sharing that the site file allows (rule 12).

use crate::ids::{ElementIx, RackIx};
use crate::site::OnLoss;
use crate::topology::{Rack, Topology};

/// Part of a rack's power that an element carries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// The element.
    pub element: ElementIx,
    /// As declared.
    pub declared: f64,
    /// At the worst declared sharing error.
    pub worst: f64,
}

/// Elements lost, as a flag for each element of the arena.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lost(Vec<bool>);

impl Lost {
    /// Nothing lost.
    pub fn none(topology: &Topology) -> Lost {
        Lost(vec![false; topology.elements.len()])
    }

    /// The same and `element`.
    pub fn with(&self, element: ElementIx) -> Lost {
        let mut lost = self.clone();
        lost.0[element.at()] = true;
        lost
    }

    /// The same without `element`.
    pub fn without(&self, element: ElementIx) -> Lost {
        let mut lost = self.clone();
        lost.0[element.at()] = false;
        lost
    }

    /// Whether `element` itself is lost.
    pub fn has(&self, element: ElementIx) -> bool {
        self.0[element.at()]
    }

    /// Whether anything is lost.
    pub fn any(&self) -> bool {
        self.0.iter().any(|lost| *lost)
    }

    /// For each element whether it still has a way to a source.
    pub fn alive(&self, topology: &Topology) -> Vec<bool> {
        let mut alive = vec![false; self.0.len()];
        for (at, element) in topology.elements.iter().enumerate() {
            let fed = element.parents.is_empty() || element.parents.iter().any(|p| alive[p.at()]);
            alive[at] = fed && !self.0[at];
        }
        alive
    }
}

/// Shares of every rack under one set of losses.
#[derive(Clone, Debug)]
pub struct Shares {
    racks: Vec<Vec<Share>>,
}

impl Shares {
    /// Works them out.
    pub fn new(topology: &Topology, lost: &Lost) -> Shares {
        let alive = lost.alive(topology);
        let error = topology.site.psu_sharing_error;
        let racks = topology
            .racks
            .iter()
            .map(|r| rack_shares(topology, r, &alive, error));
        Shares {
            racks: racks.collect(),
        }
    }

    /// Shares of one rack; empty: it is dark.
    pub fn of(&self, rack: RackIx) -> &[Share] {
        &self.racks[rack.at()]
    }

    /// Racks.
    pub fn len(&self) -> usize {
        self.racks.len()
    }

    /// Whether there are no racks.
    pub fn is_empty(&self) -> bool {
        self.racks.is_empty()
    }
}

/// Part of the rack's power that each cord carries with these elements alive; all zero: dark.
pub fn cord_shares(rack: &Rack, alive: &[bool]) -> Vec<f64> {
    let up: Vec<bool> = rack
        .cords
        .iter()
        .map(|(element, _)| alive[element.at()])
        .collect();
    let total: f64 = rack
        .cords
        .iter()
        .zip(&up)
        .filter(|(_, up)| **up)
        .map(|(c, _)| c.1)
        .sum();
    let live = up.iter().filter(|up| **up).count();
    let dark = live == 0 || (rack.on_loss == OnLoss::Dark && up.contains(&false));
    let first_up = up.iter().position(|up| *up);
    let moved = rack.on_loss == OnLoss::Transfer && up.contains(&false);
    (0..rack.cords.len())
        .map(|at| match () {
            () if dark || !up[at] => 0.0,
            () if moved => f64::from(u8::from(first_up == Some(at))),
            // Cords that stood by take over in equal parts.
            () if total <= 0.0 => 1.0 / live as f64,
            () => rack.cords[at].1 / total,
        })
        .collect()
}

fn rack_shares(topology: &Topology, rack: &Rack, alive: &[bool], error: f64) -> Vec<Share> {
    let cords = cord_shares(rack, alive);
    let sharing = cords.iter().filter(|share| **share > 0.0).count();
    let mut carried = vec![0.0; topology.elements.len()];
    for (share, (element, _)) in cords.iter().zip(&rack.cords) {
        let mut at = (*share > 0.0).then_some(*element);
        while let Some(e) = at {
            carried[e.at()] += share;
            at = topology.elements[e.at()]
                .parents
                .iter()
                .copied()
                .find(|p| alive[p.at()]);
        }
    }
    let reached = (0..carried.len()).filter(|at| carried[*at] > 0.0);
    reached
        .map(|at| {
            let declared = carried[at];
            // Where all of the rack passes through, no sharing error can add to it.
            let shared = sharing > 1 && declared < 1.0 - 1e-9;
            let worst = if shared {
                (declared + error).min(1.0)
            } else {
                declared
            };
            Share {
                element: ElementIx::of(at),
                declared,
                worst,
            }
        })
        .collect()
}
