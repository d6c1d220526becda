//! What a run looked like in truth: totals, extremes and the course of it.
//!
//! Owns every figure of the result document but the latencies, which are with each [`Loss`]. Fed
//! once a step with the plant's truth; figures that need all devices are taken every 10 ms. Nothing
//! of it reaches the controller. Definitions: `docs/reference/result.md`.

use crate::hall::Plant;
use crate::loss::{Loss, ROUNDING_RATIO, lost_of};
use crate::result::Series;
use crate::sink::Records;
use crate::window::{Mean, Span};
use karman_grid_core::ids::RackIx;
use karman_grid_core::shares::Shares;
use karman_grid_core::site::ElementKind;
use karman_grid_core::time::{NS_PER_MS, NS_PER_S};
use karman_grid_core::topology::Topology;
use karman_grid_core::units::Power;
use std::sync::Arc;

/// Figures that need all devices are taken this far apart, ns.
const SAMPLE_NS: u64 = 10 * NS_PER_MS;
/// Whether the network could serve all demand is judged this far apart, ns.
const JUDGE_NS: u64 = 100 * NS_PER_MS;
/// The course of a run is kept at 10 ms from so long before the first event to so long after it.
const CLOSE_NS: [u64; 2] = [NS_PER_S, 5 * NS_PER_S];
/// Elsewhere it is kept so far apart, ns.
const COURSE_NS: u64 = 200 * NS_PER_MS;
/// Less than this withheld is nothing, W.
const WITHHELD_MIN_W: f64 = 1.0;

/// Sums over all devices at one instant, W.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    demand: f64,
    withheld: f64,
    withheld_first_tier: f64,
    below_fallback: f64,
}

/// Figures of one run.
#[derive(Clone, Debug)]
pub(crate) struct Measure {
    topology: Arc<Topology>,
    start_ns: u64,
    focus_ns: Option<u64>,
    feeds: Vec<(usize, usize)>,
    tier: Vec<u8>,
    fallback_w: Vec<f32>,
    fixed_w: f64,
    alive: Vec<bool>,
    shares: Shares,
    flows: Mean,
    flows_10ms: Mean,
    /// Withheld from the first tier, and withheld by caps below the fallback.
    sums: Mean,
    load_span: Span,
    rack_w: Vec<f64>,
    sampled_ns: u64,
    judged_ns: u64,
    course_ns: u64,
    restoring: bool,
    /// Losses, in order of time.
    pub losses: Vec<Loss>,
    /// The newest grant that the controller gave, of the zero-margin reserve.
    pub grant_ratio: Option<f64>,
    /// As they were just before the first event.
    pub grant_before: Option<f64>,
    pub utilisation_before: Option<f64>,
    pub energy_j: f64,
    pub demand_j: f64,
    pub withheld_j: f64,
    pub needless_j: f64,
    pub over_limit_ns: u64,
    pub accumulator_max: f64,
    pub pcc_step_w: f64,
    pub critical_shed_w: f64,
    pub below_fallback_w: f64,
    pub load_change: f64,
    pub trips: u64,
    pub escalations: u64,
    pub commands: u64,
}

impl Measure {
    /// For a run whose run-in ends at `start_ns` and whose first event is at `focus_ns`.
    pub(crate) fn new(
        topology: &Arc<Topology>,
        fallbacks: &[Power],
        start_ns: u64,
        focus_ns: Option<u64>,
    ) -> Measure {
        let alive = vec![true; topology.elements.len()];
        let feeds: Vec<(usize, usize)> = topology
            .feeds()
            .map(|f| {
                (
                    f.at(),
                    topology.ancestor(f, ElementKind::Ups).unwrap_or(f).at(),
                )
            })
            .collect();
        Measure {
            start_ns,
            focus_ns,
            feeds,
            tier: topology.devices.iter().map(|d| d.tier).collect(),
            fallback_w: fallbacks.iter().map(|c| c.w() as f32).collect(),
            fixed_w: topology.racks.iter().map(|r| r.fixed_w).sum(),
            shares: Shares::new(topology, &lost_of(topology, &alive)),
            flows: Mean::new(100 * NS_PER_MS, alive.len() + 1),
            flows_10ms: Mean::new(10 * NS_PER_MS, alive.len()),
            sums: Mean::new(100 * NS_PER_MS, 2),
            load_span: Span::new(100 * NS_PER_MS),
            rack_w: vec![0.0; topology.racks.len()],
            alive,
            sampled_ns: 0,
            judged_ns: 0,
            course_ns: 0,
            restoring: false,
            losses: Vec::new(),
            grant_ratio: None,
            grant_before: None,
            utilisation_before: None,
            energy_j: 0.0,
            demand_j: 0.0,
            withheld_j: 0.0,
            needless_j: 0.0,
            over_limit_ns: 0,
            accumulator_max: 0.0,
            pcc_step_w: 0.0,
            critical_shed_w: 0.0,
            below_fallback_w: 0.0,
            load_change: 0.0,
            trips: 0,
            escalations: 0,
            commands: 0,
            topology: Arc::clone(topology),
        }
    }

    /// The loss that is going on.
    pub(crate) fn open_loss(&mut self) -> Option<&mut Loss> {
        self.losses.last_mut().filter(|loss| loss.is_open())
    }

    /// The course is kept closely from here on.
    pub(crate) fn focus(&mut self, now_ns: u64) {
        self.focus_ns = Some(now_ns);
    }

    /// Each feed and the UPS above it.
    pub(crate) fn feeds(&self) -> &[(usize, usize)] {
        &self.feeds
    }

    /// A course of the run without any point.
    pub(crate) fn series(&self) -> Series {
        let feeds = || {
            self.feeds
                .iter()
                .map(|(feed, _)| &self.topology.elements[*feed])
        };
        Series {
            feeds: feeds().map(|e| e.id.clone()).collect(),
            limit_w: feeds().map(|e| e.limit_w).collect(),
            ..Series::default()
        }
    }

    /// Something electrical is about to be done to the plant.
    pub(crate) fn before_disturbance(&mut self) {
        if self.utilisation_before.is_none() {
            let load_w = self.flows.of(self.alive.len());
            self.utilisation_before = Some(load_w / self.topology.feed_rating_w());
            self.grant_before = self.grant_ratio;
        }
    }

    /// An element is lost: a new story begins.
    pub(crate) fn begin_loss(&mut self, loss: Loss) {
        if let Some(before) = self.losses.last_mut() {
            before.close();
        }
        self.flows_10ms.clear();
        self.losses.push(loss);
    }

    /// The caps are back where they were before a loss.
    pub(crate) fn restored(&mut self) {
        self.restoring = false;
    }

    /// One step of the plant, which ended at `at_ns`.
    pub(crate) fn step(&mut self, plant: &Plant, at_ns: u64, step_ns: u64, records: &mut Records) {
        let flow_w = plant.flows_w();
        let load_w: f64 = plant.rack_power_w().iter().sum();
        self.flows.push_with(step_ns, flow_w, load_w);
        self.flows_10ms.push(step_ns, flow_w);
        self.follow_network(plant);
        if at_ns <= self.start_ns {
            return;
        }
        let mut ratio: f64 = 0.0;
        let mut ratio_10ms: f64 = 0.0;
        let mut ratio_100ms: f64 = 0.0;
        for (at, element) in self.topology.elements.iter().enumerate() {
            ratio = ratio.max(flow_w[at] / element.limit_w);
            ratio_10ms = ratio_10ms.max(self.flows_10ms.of(at) / element.limit_w);
            if self.alive[at] {
                ratio_100ms = ratio_100ms.max(self.flows.of(at) / element.limit_w);
            }
        }
        if ratio > ROUNDING_RATIO {
            self.over_limit_ns += step_ns;
        }
        let used = plant.accumulator_ratio();
        self.accumulator_max = used.iter().copied().fold(self.accumulator_max, f64::max);
        self.energy_j += load_w * step_ns as f64 / NS_PER_S as f64;
        self.pcc_step_w = self.pcc_step_w.max(self.load_span.push(at_ns, load_w));
        let full = self.flows_10ms.is_full();
        if let Some(loss) = self.losses.last_mut() {
            loss.step(at_ns, ratio, full.then_some(ratio_10ms), ratio_100ms);
        }
        if at_ns >= self.sampled_ns {
            let span_ns = step_ns.max(SAMPLE_NS);
            self.sampled_ns = at_ns + span_ns;
            self.sample(plant, at_ns, span_ns, load_w, records);
        }
    }

    /// Notices what is energised.
    fn follow_network(&mut self, plant: &Plant) {
        let off = crate::protection::Mode::Off;
        let modes = plant.modes();
        if self
            .alive
            .iter()
            .zip(modes)
            .all(|(alive, mode)| *alive == (*mode != off))
        {
            return;
        }
        let before = self.alive.iter().filter(|alive| **alive).count();
        for (alive, mode) in self.alive.iter_mut().zip(modes) {
            *alive = *mode != off;
        }
        let now = self.alive.iter().filter(|alive| **alive).count();
        if now > before {
            self.restoring = true;
            if let Some(loss) = self.losses.last_mut() {
                loss.close();
            }
        }
        self.shares = Shares::new(&self.topology, &lost_of(&self.topology, &self.alive));
    }

    fn sum_devices(&self, plant: &Plant) -> Sums {
        let mut sums = Sums::default();
        let devices = plant.demand_w().iter().zip(plant.power_w()).zip(&self.tier);
        let caps = self.fallback_w.iter().zip(plant.caps());
        for (((demand, power), tier), (fallback, cap)) in devices.zip(caps) {
            sums.demand += f64::from(*demand);
            // A device without power is dark, which is not a cap's doing.
            if *power > 0.0 {
                let withheld = f64::from((demand - power).max(0.0));
                sums.withheld += withheld;
                sums.withheld_first_tier += if *tier == 0 { withheld } else { 0.0 };
                sums.below_fallback += (f64::from(demand.min(*fallback)) - cap.w()).max(0.0);
            }
        }
        sums
    }

    fn sample(
        &mut self,
        plant: &Plant,
        at_ns: u64,
        span_ns: u64,
        load_w: f64,
        records: &mut Records,
    ) {
        let sums = self.sum_devices(plant);
        let span_s = span_ns as f64 / NS_PER_S as f64;
        self.demand_j += sums.demand * span_s;
        self.withheld_j += sums.withheld * span_s;
        self.sums
            .push(span_ns, &[sums.withheld_first_tier, sums.below_fallback]);
        if self.sums.is_full() {
            self.critical_shed_w = self.critical_shed_w.max(self.sums.of(0));
            self.below_fallback_w = self.below_fallback_w.max(self.sums.of(1));
        }
        let demand_w = sums.demand + self.fixed_w;
        self.load_change = self.load_change.max((demand_w - load_w) / demand_w);
        let topology = &self.topology;
        if let Some(loss) = self.losses.last_mut() {
            loss.sample(at_ns, load_w, |rack_w| {
                for (rack, sum) in topology.racks.iter().zip(rack_w.iter_mut()) {
                    *sum += rack.fixed_w;
                }
                for (device, demand) in topology.devices.iter().zip(plant.demand_w()) {
                    rack_w[device.rack.at()] += f64::from(*demand);
                }
            });
        }
        if sums.withheld < WITHHELD_MIN_W {
            self.restoring = false;
        }
        if at_ns >= self.judged_ns {
            let span_ns = span_ns.max(JUDGE_NS);
            self.judged_ns = at_ns + span_ns;
            if sums.withheld >= WITHHELD_MIN_W && !self.restoring && self.could_serve(plant) {
                self.needless_j += sums.withheld * span_ns as f64 / NS_PER_S as f64;
            }
        }
        self.note_course(plant, at_ns, load_w, demand_w, records);
    }

    /// Whether the network as it truly is could carry all demand.
    fn could_serve(&mut self, plant: &Plant) -> bool {
        for (rack_w, rack) in self.rack_w.iter_mut().zip(&self.topology.racks) {
            *rack_w = rack.fixed_w;
        }
        for (device, demand) in self.topology.devices.iter().zip(plant.demand_w()) {
            self.rack_w[device.rack.at()] += f64::from(*demand);
        }
        let mut left_w: Vec<f64> = self.topology.elements.iter().map(|e| e.limit_w).collect();
        for (at, rack_w) in self.rack_w.iter().enumerate() {
            for share in self.shares.of(RackIx::of(at)) {
                left_w[share.element.at()] -= share.declared * rack_w;
            }
        }
        left_w.iter().all(|left_w| *left_w >= 0.0)
    }

    fn note_course(
        &mut self,
        plant: &Plant,
        at_ns: u64,
        load_w: f64,
        demand_w: f64,
        records: &mut Records,
    ) {
        let close = self.focus_ns.is_some_and(|focus_ns| {
            (focus_ns.saturating_sub(CLOSE_NS[0])..focus_ns + CLOSE_NS[1]).contains(&at_ns)
        });
        if at_ns < self.course_ns && !close {
            return;
        }
        self.course_ns = at_ns + COURSE_NS;
        let (flow_w, used) = (plant.flows_w(), plant.accumulator_ratio());
        let powers = self.feeds.iter().map(|(feed, _)| flow_w[*feed]);
        let fuller = self
            .feeds
            .iter()
            .map(|(feed, ups)| used[*feed].max(used[*ups]));
        records.course(
            at_ns,
            [load_w, demand_w].into_iter().chain(powers).chain(fuller),
        );
    }
}
