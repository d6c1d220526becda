//! Racks and their cords: who carries a rack's power now, what power supplies tolerate, and racks
//! that go dark and boot again.
//!
//! Owns the shares in effect. A lost cord's share moves to the others within a control cycle of the
//! power supplies (first order); meanwhile the servers live on their capacitors. Declared shares
//! deviate by an error drawn for each rack within the site's bound (rule 12 of the safety rules).

use crate::gpu::Gpus;
use crate::params::RackParams;
use crate::protection::{Mode, Trip, TripCause, TripPlace};
use crate::rng::{Rng, Stream};
use karman_grid_core::curve::{Accumulator, Curve};
use karman_grid_core::error::SiteError;
use karman_grid_core::ids::{ElementIx, RackIx};
use karman_grid_core::shares::cord_shares;
use karman_grid_core::site::{CurveMode, CurveQuantity, CurveSpec, OnLoss};
use karman_grid_core::topology::Topology;
use std::ops::Range;
use std::sync::Arc;

/// Grid on which the sharing error drifts.
const DRIFT_NS: u64 = 100_000_000;

#[derive(Clone, Debug)]
struct Cord {
    element: ElementIx,
    psu_rating_w: Option<f64>,
    psu_off: bool,
    used: bool,
    /// When it went down, until it is used again.
    down_ns: Option<u64>,
    /// When a cord that is back may be used again.
    usable_ns: Option<u64>,
    share: f64,
    target: f64,
    power_w: f64,
    used_up: Accumulator,
}

#[derive(Clone, Debug)]
struct RackState {
    cords: Range<usize>,
    hosts: Vec<Range<usize>>,
    fixed_w: f64,
    switches: bool,
    error: f64,
    drift: f64,
    drift_period_s: f64,
    drift_phase: f64,
    on: bool,
    dead_since_ns: Option<u64>,
    boot_until_ns: Option<u64>,
    hold_until_ns: u64,
    alert_since_ns: Option<u64>,
    throttled: bool,
}

/// All racks.
#[derive(Clone, Debug)]
pub struct Racks {
    topology: Arc<Topology>,
    params: RackParams,
    psu_curve: Curve,
    cords: Vec<Cord>,
    racks: Vec<RackState>,
    load_w: Vec<f64>,
    scratch: Vec<bool>,
    next_ns: u64,
    drift_ns: u64,
    moves: f64,
    moves_step_ns: u64,
}

impl Racks {
    /// All racks on all their cords.
    ///
    /// # Errors
    /// [`SiteError`] if the curve of the power supplies is not one.
    pub fn new(topology: Arc<Topology>, params: RackParams, seed: u64) -> Result<Racks, SiteError> {
        let psu_curve = Curve::from_spec(&CurveSpec {
            id: "psu".into(),
            quantity: CurveQuantity::Power,
            mode: CurveMode::Line,
            points: params.psu_curve.clone(),
            source: String::new(),
            verified: false,
        })?;
        let (mut cords, mut racks) = (Vec::new(), Vec::new());
        let bound = topology.site.psu_sharing_error;
        for (at, rack) in topology.racks.iter().enumerate() {
            let first = cords.len();
            for ((element, share), psu_rating_w) in rack.cords.iter().zip(&rack.psu_rating_w) {
                cords.push(Cord {
                    element: *element,
                    psu_rating_w: *psu_rating_w,
                    psu_off: false,
                    used: true,
                    usable_ns: None,
                    down_ns: None,
                    share: *share,
                    target: *share,
                    power_w: 0.0,
                    used_up: Accumulator::default(),
                });
            }
            let mut rng = Rng::stream(seed, Stream::Sharing, at as u64);
            let drift = bound * params.sharing_drift_ratio.clamp(0.0, 1.0);
            let hosts = topology.hosts.iter().filter(|h| h.rack == RackIx::of(at));
            racks.push(RackState {
                cords: first..cords.len(),
                hosts: hosts.map(|h| h.devices.clone()).collect(),
                fixed_w: rack.fixed_w,
                switches: rack.on_loss == OnLoss::Transfer,
                error: rng.uniform_in(-1.0, 1.0) * (bound - drift),
                drift,
                drift_period_s: rng.uniform_in(60.0, 300.0),
                drift_phase: rng.uniform(),
                on: true,
                dead_since_ns: None,
                boot_until_ns: None,
                hold_until_ns: 0,
                alert_since_ns: None,
                throttled: false,
            });
        }
        let mut all = Racks {
            scratch: vec![true; topology.elements.len()],
            load_w: vec![0.0; racks.len()],
            topology,
            params,
            psu_curve,
            cords,
            racks,
            next_ns: 0,
            drift_ns: 0,
            moves: 0.0,
            moves_step_ns: 0,
        };
        let alive = all.scratch.clone();
        all.update(&alive, 0, true);
        for cord in &mut all.cords {
            cord.share = cord.target;
        }
        Ok(all)
    }

    /// What the servers of each rack consume, W.
    pub fn load_w(&self) -> &[f64] {
        &self.load_w
    }

    /// Whether `rack` has power (it may still boot).
    pub fn on(&self, rack: RackIx) -> bool {
        self.racks[rack.at()].on
    }

    /// Element and true power of every cord.
    pub fn cords_w(&self) -> impl Iterator<Item = (ElementIx, f64)> + '_ {
        self.cords.iter().map(|cord| (cord.element, cord.power_w))
    }

    /// Works out who carries what from `now_ns` on, where `changed` or a timer is due.
    pub fn update(&mut self, alive: &[bool], now_ns: u64, changed: bool) {
        if !changed && now_ns < self.next_ns.min(self.drift_ns) {
            return;
        }
        if now_ns >= self.drift_ns {
            self.drift_ns = (now_ns / DRIFT_NS + 1) * DRIFT_NS;
        }
        self.next_ns = u64::MAX;
        for at in 0..self.racks.len() {
            self.update_rack(at, alive, now_ns);
        }
    }

    fn update_rack(&mut self, at: usize, alive: &[bool], now_ns: u64) {
        let rack = &mut self.racks[at];
        let range = rack.cords.clone();
        let up = |cord: &Cord| alive[cord.element.at()] && !cord.psu_off;
        let carried = self.cords[range.clone()]
            .iter()
            .any(|cord| cord.used && up(cord));
        let resume_s = if rack.switches {
            self.params.switch_return_s
        } else {
            self.params.psu_resume_s
        };
        let mut moved = false;
        for cord in &mut self.cords[range.clone()] {
            let before = cord.used;
            if !up(cord) {
                cord.down_ns = cord.down_ns.or(before.then_some(now_ns));
                (cord.used, cord.usable_ns, cord.share) = (false, None, 0.0);
            } else if !cord.used {
                // Where nothing else carries the rack, there is nothing to wait for; a gap that
                // the supplies bridge from their own capacitors does not make them start anew.
                // A switch has gone over by then, and goes back no sooner than it ever does.
                let hold_up_ns = (self.params.hold_up_ms * 1e6) as u64;
                let bridged = !rack.switches
                    && cord
                        .down_ns
                        .is_some_and(|since| now_ns <= since + hold_up_ns);
                let wait_ns = if bridged { 0 } else { (resume_s * 1e9) as u64 };
                let usable_ns = *cord.usable_ns.get_or_insert(now_ns + wait_ns);
                let usable_ns = if carried { usable_ns } else { now_ns };
                cord.used = now_ns >= usable_ns;
                if !cord.used {
                    self.next_ns = self.next_ns.min(usable_ns);
                }
            }
            if cord.used {
                cord.down_ns = None;
            }
            moved |= before && !cord.used;
        }
        if moved && rack.switches {
            rack.hold_until_ns = now_ns + (self.params.switch_gap_ms * 1e6) as u64;
        }
        let (scratch, cords) = (&mut self.scratch, &mut self.cords[range]);
        scratch.copy_from_slice(alive);
        for cord in cords.iter().filter(|cord| !cord.used) {
            scratch[cord.element.at()] = false;
        }
        let targets = cord_shares(&self.topology.racks[at], scratch);
        let sharing = targets.iter().filter(|target| **target > 0.0).count();
        let turns = now_ns as f64 / 1e9 / rack.drift_period_s + rack.drift_phase;
        let drift = rack.drift * libm::sin(std::f64::consts::TAU * turns);
        // The first takes the error, the others share it out with the opposite sign.
        let first_error = rack.error + drift;
        let mut error = first_error;
        for (cord, target) in cords.iter_mut().zip(&targets) {
            cord.target = *target;
            if sharing > 1 && *target > 0.0 {
                cord.target = (target + error).clamp(0.0, 1.0);
                error = -first_error / (sharing - 1) as f64;
            }
        }
        let dead = sharing == 0;
        rack.dead_since_ns = dead.then(|| rack.dead_since_ns.unwrap_or(now_ns));
    }

    /// Lives through a step that ends at `now_ns`; trips of power supplies go to `trips`. Whether
    /// the cords must be looked at again.
    pub fn advance(
        &mut self,
        gpus: &mut Gpus,
        now_ns: u64,
        step_ns: u64,
        trips: &mut Vec<Trip>,
    ) -> bool {
        if self.moves_step_ns != step_ns {
            self.moves_step_ns = step_ns;
            let step_ms = step_ns as f64 / 1e6;
            self.moves = 1.0 - libm::exp(-step_ms / self.params.psu_transfer_tau_ms);
        }
        let mut tripped = false;
        for at in 0..self.racks.len() {
            self.supply(at, gpus, now_ns);
            let rack = &mut self.racks[at];
            let mut load_w = 0.0;
            if rack.on {
                let power_w = gpus.power_w();
                let devices_w = rack
                    .hosts
                    .iter()
                    .map(|h| power_w[h.clone()].iter().sum::<f32>());
                load_w = rack.fixed_w + devices_w.map(f64::from).sum::<f64>();
            }
            self.load_w[at] = load_w;
            let held = now_ns < rack.hold_until_ns;
            let mut alert = false;
            for (number, cord) in self.cords[rack.cords.clone()].iter_mut().enumerate() {
                if cord.used && !held {
                    let moves = if rack.switches { 1.0 } else { self.moves };
                    cord.share += (cord.target - cord.share) * moves;
                }
                cord.power_w = cord.share * load_w;
                let Some(rating_w) = cord.psu_rating_w else {
                    continue;
                };
                let ratio = cord.power_w / rating_w;
                alert |= ratio > 1.0;
                cord.used_up
                    .advance(&self.psu_curve, ratio, step_ns as f64 / 1e9);
                if cord.used_up.ratio >= 1.0 && !cord.psu_off {
                    (cord.psu_off, tripped) = (true, true);
                    let place = TripPlace::Psu {
                        rack: RackIx::of(at),
                        cord: number,
                    };
                    let cause = TripCause::Overload;
                    trips.push(Trip {
                        at_ns: now_ns,
                        place,
                        cause,
                        mode: Mode::Off,
                    });
                }
            }
            rack.alert_since_ns = alert.then(|| rack.alert_since_ns.unwrap_or(now_ns));
        }
        tripped
    }

    /// Power of cords at once, after the shares changed without time passing.
    pub fn redraw(&mut self) {
        for (rack, load_w) in self.racks.iter().zip(&self.load_w) {
            for cord in &mut self.cords[rack.cords.clone()] {
                cord.power_w = cord.share * load_w;
            }
        }
    }

    /// Switches the devices of a rack off, on or down where that is due.
    fn supply(&mut self, at: usize, gpus: &mut Gpus, now_ns: u64) {
        let rack = &mut self.racks[at];
        let hold_up_ns = (self.params.hold_up_ms * 1e6) as u64;
        let dead = rack
            .dead_since_ns
            .is_some_and(|since| now_ns >= since + hold_up_ns);
        let delay_ns = (self.params.box_throttle_delay_ms * 1e6) as u64;
        let alert = rack
            .alert_since_ns
            .is_some_and(|since| now_ns >= since + delay_ns);
        let whole = self.cords[rack.cords.clone()].iter().all(|cord| cord.used);
        let throttled = self.params.box_throttles && (alert || (rack.throttled && !whole));
        let booted = rack.boot_until_ns.is_some_and(|until| now_ns >= until);
        if rack.on != dead && rack.throttled == throttled && !booted {
            return;
        }
        let starts = !rack.on && !dead;
        (rack.on, rack.throttled) = (!dead, throttled);
        if starts {
            rack.boot_until_ns = Some(now_ns + (self.params.boot_s * 1e9) as u64);
        } else if dead || booted {
            rack.boot_until_ns = None;
        }
        let ratio = self.params.box_throttle_ratio as f32;
        for device in rack.hosts.iter().flat_map(Clone::clone) {
            if starts {
                gpus.reboot(device);
            }
            let limit_w = match () {
                () if rack.boot_until_ns.is_some() => 0.0,
                () if throttled => ratio * self.topology.devices[device].cap_max.w() as f32,
                () => f32::INFINITY,
            };
            gpus.set_supply(device, rack.on, limit_w);
        }
    }
}
