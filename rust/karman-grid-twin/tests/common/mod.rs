//! Sites that the tests of the plant run on: utility → four times (UPS → feed → PDU) → dual-corded
//! racks over the six pairs of feeds.

#![allow(dead_code)]

use karman_grid_core::site::{
    CordSpec, CurveMode, CurveQuantity, CurveSpec, DeviceKind, DeviceSpec, ElementKind,
    ElementSpec, MeterPosition, MeterSpec, ModeSpec, OnLoss, PortSpec, RackSpec, SiteSpec,
    SiteTable,
};
use karman_grid_core::topology::Topology;
use karman_grid_twin::faults::{Fault, FaultId};
use karman_grid_twin::hall::Plant;
use karman_grid_twin::params::{DemandKind, PlantParams};

pub const MS: u64 = 1_000_000;
pub const S: u64 = 1_000_000_000;
pub const FEED_W: f64 = 250e3;
pub const PAIRS: [(usize, usize); 6] = [(0, 1), (2, 3), (0, 2), (1, 3), (0, 3), (1, 2)];
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// The default UPS curve.
pub const UPS_CURVE: [[f64; 2]; 5] = [
    [1.05, 3600.0],
    [1.10, 60.0],
    [1.25, 15.0],
    [1.33, 10.0],
    [1.5, 1.5],
];

/// What differs between sites.
#[derive(Clone)]
pub struct Hall {
    /// Racks on each pair of feeds: AB, CD, AC, BD, AD, BC.
    pub racks: [usize; 6],
    pub servers: usize,
    pub sharing_error: f64,
    pub psu_rating_w: Option<f64>,
    pub on_loss: OnLoss,
    pub bypass: bool,
    pub nominal_v: f64,
    pub sample_rate_hz: f64,
}

impl Default for Hall {
    fn default() -> Hall {
        Hall {
            racks: [11, 11, 11, 11, 10, 10],
            servers: 2,
            sharing_error: 0.02,
            psu_rating_w: None,
            on_loss: OnLoss::Rescale,
            bypass: false,
            nominal_v: 277.0,
            sample_rate_hz: 32_000.0,
        }
    }
}

fn element(id: String, kind: ElementKind, parent: Option<String>, rating_w: f64) -> ElementSpec {
    ElementSpec {
        id,
        kind,
        parents: parent.into_iter().collect(),
        rating_w: Some(rating_w),
        rating_va: None,
        rating_a: None,
        continuous_ratio: 0.8,
        pf_min: 0.95,
        phases: 3,
        curve: Vec::new(),
        credible: None,
    }
}

fn curve(id: &str, mode: CurveMode, points: &[[f64; 2]]) -> CurveSpec {
    CurveSpec {
        id: id.into(),
        quantity: CurveQuantity::Power,
        mode,
        points: points.to_vec(),
        source: "assumed".into(),
        verified: false,
    }
}

impl Hall {
    /// The electrical path of each feed down from the utility, with two meters on each.
    fn feeds(&self) -> (Vec<ElementSpec>, Vec<MeterSpec>) {
        let mut elements = vec![element(
            "utility".into(),
            ElementKind::Utility,
            None,
            4.0 * FEED_W,
        )];
        let mut meters = Vec::new();
        for name in NAMES {
            let [ups, feed, pdu] = ["ups", "feed", "pdu"].map(|kind| format!("{kind}-{name}"));
            let mut row = element(
                ups.clone(),
                ElementKind::Ups,
                Some("utility".into()),
                FEED_W,
            );
            row.curve = vec!["line".into()];
            if self.bypass {
                row.curve.push("bypass".into());
            }
            elements.push(row);
            elements.push(element(
                feed.clone(),
                ElementKind::Feed,
                Some(ups.clone()),
                FEED_W,
            ));
            elements.push(element(
                pdu.clone(),
                ElementKind::Pdu,
                Some(feed.clone()),
                FEED_W,
            ));
            for (kind, element, position) in [
                ("in", &ups, MeterPosition::UpsInput),
                ("out", &feed, MeterPosition::UpsOutput),
            ] {
                meters.push(MeterSpec {
                    id: format!("{kind}-{name}"),
                    element: element.clone(),
                    position,
                    sample_rate_hz: Some(self.sample_rate_hz),
                    period_s: None,
                    channels: 6,
                    scale: None,
                });
            }
        }
        (elements, meters)
    }

    /// Racks, each on the cords of its pair of feeds, and the servers in them.
    fn load(&self) -> (Vec<RackSpec>, Vec<DeviceSpec>) {
        let (mut racks, mut devices) = (Vec::new(), Vec::new());
        for ((first, second), count) in PAIRS.iter().zip(self.racks) {
            for _ in 0..count {
                let id = format!("rack-{}", racks.len());
                let cord = |at: &usize| CordSpec {
                    element: format!("pdu-{}", NAMES[*at]),
                    share: 0.5,
                    psu_rating_w: self.psu_rating_w,
                };
                for server in 0..self.servers {
                    devices.push(DeviceSpec {
                        id: format!("{id}-{server}"),
                        rack: id.clone(),
                        count: 8,
                        kind: DeviceKind::Gpu,
                        cap_min_w: Some(200.0),
                        cap_max_w: Some(700.0),
                        fixed_w: 350.0,
                        tier: 0,
                        weight: 1.0,
                        tenant: None,
                    });
                }
                let cords = vec![cord(first), cord(second)];
                racks.push(RackSpec {
                    id,
                    cords,
                    on_loss: self.on_loss,
                    phases: 3,
                });
            }
        }
        (racks, devices)
    }

    pub fn spec(&self) -> SiteSpec {
        let (elements, meters) = self.feeds();
        let (racks, devices) = self.load();
        SiteSpec {
            schema: 1,
            site: site_table(self),
            element: elements,
            rack: racks,
            device: devices,
            meter: meters,
            curve: vec![
                curve("line", CurveMode::Line, &UPS_CURVE),
                curve("bypass", CurveMode::Bypass, &[[1.25, 120.0], [1.5, 10.0]]),
            ],
            source: Vec::new(),
            actuator: vec![PortSpec {
                id: "twin".into(),
                adapter: "twin".into(),
                elements: Vec::new(),
                devices: Vec::new(),
                write: true,
            }],
        }
    }

    pub fn topology(&self) -> Topology {
        Topology::build(&self.spec()).expect("a good site")
    }

    pub fn plant(&self, params: PlantParams, seed: u64) -> Plant {
        Plant::new(&self.topology(), params, seed).expect("good parameters")
    }

    /// At a constant level.
    pub fn at(&self, level_ratio: f64, seed: u64) -> Plant {
        let demand = DemandKind::Constant { level_ratio };
        self.plant(
            PlantParams {
                demand,
                ..PlantParams::default()
            },
            seed,
        )
    }
}

fn site_table(hall: &Hall) -> SiteTable {
    SiteTable {
        name: "test".into(),
        nominal_v: hall.nominal_v,
        nominal_hz: 60.0,
        contract_w: None,
        pcc_step_max_w: None,
        ramp_up_w_per_s: None,
        ramp_down_w_per_s: None,
        restore_hold_s: 10.0,
        mode: ModeSpec::Active,
        jobs_wait_for_lease: true,
        psu_sharing_error: hall.sharing_error,
        flap_max: 3,
        lease_ttl_max_s: 1.0,
        write_bound_ms: 50.0,
        settle_bound_ms: 1000.0,
        cap_excess_ratio: 0.1,
        cap_excess_ms: 50.0,
        bare_hosts: 1,
    }
}

pub fn element_of(plant: &Plant, id: &str) -> karman_grid_core::ids::ElementIx {
    plant
        .topology()
        .element_ix(id)
        .expect("an element of the test site")
}

pub fn meter_of(plant: &Plant, id: &str) -> karman_grid_core::ids::MeterIx {
    let at = plant.topology().meters.iter().position(|m| m.id == id);
    karman_grid_core::ids::MeterIx::of(at.expect("a meter of the test site"))
}

/// Load ratio of a feed.
pub fn ratio(plant: &Plant, feed: &str) -> f64 {
    plant.flows_w()[element_of(plant, feed).at()] / FEED_W
}

/// Children sum to their parent, everywhere.
pub fn assert_kirchhoff(plant: &Plant) {
    let topology = plant.topology();
    let mut children = vec![0.0; topology.elements.len()];
    for (at, parent) in plant.parents().iter().enumerate() {
        if let Some(parent) = parent {
            children[parent.at()] += plant.inputs_w()[at];
        }
    }
    for (at, element) in topology.elements.iter().enumerate() {
        let leaf = !topology
            .elements
            .iter()
            .any(|e| e.parents.iter().any(|p| p.at() == at));
        if !leaf {
            let flow = plant.flows_w()[at];
            assert!(
                (flow - children[at]).abs() < 1e-6,
                "{}: {flow} {}",
                element.id,
                children[at]
            );
        }
    }
}

/// Loses an element after a while; its machines feed it for 4 ms more.
pub fn lose(plant: &mut Plant, id: &str, after_ns: u64) -> FaultId {
    let element = element_of(plant, id);
    let at_ns = plant.now_ns() + after_ns;
    plant.inject(
        Fault::FeedLoss {
            element,
            backfeed_tau_ns: 4 * MS,
        },
        at_ns,
    )
}

/// Steps of 1 ms, the balance checked after each.
pub fn run(plant: &mut Plant, ms: u64) {
    for _ in 0..ms {
        plant.step(MS);
        assert_kirchhoff(plant);
    }
}
