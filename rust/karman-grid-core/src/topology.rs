//! The site as one arena: elements in an order in which parents come first, racks on their cords,
//! devices on hosts. Owns the arena and its look-ups; `build` makes it of a site file, and `shares`
//! says who carries what.

mod build;

use crate::curve::Curve;
use crate::ids::{ElementIx, HostIx, RackIx};
use crate::site::{CurveMode, ElementKind, MeterPosition, OnLoss, SiteTable};
use crate::units::Power;
use std::ops::Range;

/// A piece of the electrical path.
#[derive(Clone, Debug)]
pub struct Element {
    /// Id.
    pub id: String,
    /// Kind.
    pub kind: ElementKind,
    /// Upstream, preferred first; all earlier in the arena.
    pub parents: Vec<ElementIx>,
    /// Must not be exceeded (rule 11), W.
    pub limit_w: f64,
    /// Overload curves for line, battery and bypass.
    pub curves: [Option<Curve>; 3],
    /// Whether its loss is a contingency.
    pub credible: bool,
}

impl Element {
    /// The curve for `mode`, or the one for line operation.
    pub fn curve(&self, mode: CurveMode) -> Option<&Curve> {
        self.curves[mode as usize]
            .as_ref()
            .or(self.curves[0].as_ref())
    }
}

/// A rack and its cords.
#[derive(Clone, Debug)]
pub struct Rack {
    /// Id.
    pub id: String,
    /// Element and share of each cord.
    pub cords: Vec<(ElementIx, f64)>,
    /// Sum of the ratings of the power supplies on each cord, W, where declared.
    pub psu_rating_w: Vec<Option<f64>>,
    /// What happens when a cord is lost.
    pub on_loss: OnLoss,
    /// Power that no cap reaches, W.
    pub fixed_w: f64,
}

/// One server with its agent: the devices of one `[[device]]` row.
#[derive(Clone, Debug)]
pub struct Host {
    /// Id of the row.
    pub id: String,
    /// Rack.
    pub rack: RackIx,
    /// Its devices.
    pub devices: Range<usize>,
    /// Whether an actuator that may write (in shadow: would write) serves it.
    pub actuated: bool,
}

/// A device whose power can be capped.
#[derive(Clone, Debug)]
pub struct Device {
    /// Id.
    pub id: String,
    /// Host.
    pub host: HostIx,
    /// Rack.
    pub rack: RackIx,
    /// Lowest cap the hardware takes.
    pub cap_min: Power,
    /// Highest cap.
    pub cap_max: Power,
    /// 0 is served first.
    pub tier: u8,
    /// Share within a tier.
    pub weight: f64,
}

/// An instrument.
#[derive(Clone, Debug)]
pub struct Meter {
    /// Id.
    pub id: String,
    /// Element it measures.
    pub element: ElementIx,
    /// Where it sits.
    pub position: MeterPosition,
    /// Samples a second and channel; absent: polled.
    pub sample_rate_hz: Option<f64>,
    /// Time between values of a polled meter, s.
    pub period_s: Option<f64>,
    /// Volts and amperes at full scale of an i16 sample.
    pub scale: [f64; 2],
}

/// A whole site.
#[derive(Clone, Debug)]
pub struct Topology {
    /// Site-wide values.
    pub site: SiteTable,
    /// Elements, parents first.
    pub elements: Vec<Element>,
    /// Racks.
    pub racks: Vec<Rack>,
    /// Hosts.
    pub hosts: Vec<Host>,
    /// Controllable devices, host by host.
    pub devices: Vec<Device>,
    /// Meters.
    pub meters: Vec<Meter>,
}

impl Topology {
    /// Elements of kind feed, in arena order.
    pub fn feeds(&self) -> impl Iterator<Item = ElementIx> + '_ {
        (0..self.elements.len())
            .map(ElementIx::of)
            .filter(|e| self.elements[e.at()].kind == ElementKind::Feed)
    }

    /// Sum of the feeds' limits, W.
    pub fn feed_rating_w(&self) -> f64 {
        self.feeds().map(|e| self.elements[e.at()].limit_w).sum()
    }

    /// Reserve that redundancy keeps idle with no margin at all: the largest feed (25 % in 4N/3);
    /// a single feed keeps none.
    pub fn reserve_w(&self) -> f64 {
        if self.feeds().count() < 2 {
            return 0.0;
        }
        self.feeds()
            .map(|e| self.elements[e.at()].limit_w)
            .fold(0.0, f64::max)
    }

    /// Element with this id.
    pub fn element_ix(&self, id: &str) -> Option<ElementIx> {
        self.elements
            .iter()
            .position(|e| e.id == id)
            .map(ElementIx::of)
    }

    /// First ancestor of `element` (itself included) of `kind`, along preferred parents.
    pub fn ancestor(&self, element: ElementIx, kind: ElementKind) -> Option<ElementIx> {
        let mut at = Some(element);
        while let Some(e) = at {
            if self.elements[e.at()].kind == kind {
                return Some(e);
            }
            at = self.elements[e.at()].parents.first().copied();
        }
        None
    }
}
