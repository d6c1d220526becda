//! GPUs under a cap: the register, the dead time, the fall with overshoot, the rise, the excess.
//!
//! Owns the state of all devices as a structure of arrays. Each device has a *ceiling*, the power
//! that its clocks permit: it follows the cap (second order downwards, first order upwards) and
//! stands a little above it while the cap does not bind; power = min(demand, ceiling). All laws are
//! solved exactly over a step, so any step is stable. Model: parameters in [`GpuParams`].

use crate::params::GpuParams;
use crate::rng::{Rng, Stream};
use karman_grid_core::ids::DeviceIx;
use karman_grid_core::topology::Topology;
use karman_grid_core::units::Power;
use std::collections::BTreeMap;

/// Exact solution of the fall and the rise over one step.
#[derive(Clone, Copy, Debug)]
struct Laws {
    step_ns: u64,
    from_error: [f32; 2],
    from_rate: [f32; 2],
    rise: f32,
}

/// A cap on its way from the register to the clocks.
#[derive(Clone, Copy, Debug)]
struct Pending {
    device: usize,
    cap_w: f32,
}

/// All devices.
#[derive(Clone, Debug)]
pub struct Gpus {
    params: GpuParams,
    rng: Rng,
    damping_ratio: f64,
    natural_rad_s: f64,
    laws: Laws,
    cap_min: Vec<Power>,
    cap_max: Vec<Power>,
    register: Vec<Power>,
    ignores: Vec<bool>,
    cap_w: Vec<f32>,
    ceiling_w: Vec<f32>,
    rate_w_s: Vec<f32>,
    floor_w: Vec<f32>,
    box_limit_w: Vec<f32>,
    power_w: Vec<f32>,
    last_ns: Vec<u64>,
    pending: BTreeMap<(u64, u64), Pending>,
    writes: u64,
}

impl Gpus {
    /// All devices at their highest cap.
    pub fn new(topology: &Topology, params: GpuParams, seed: u64) -> Gpus {
        let count = topology.devices.len();
        let cap_max: Vec<Power> = topology.devices.iter().map(|d| d.cap_max).collect();
        let cap_w: Vec<f32> = cap_max.iter().map(|c| c.w() as f32).collect();
        // A second-order fall passes its target by exp(-π·ζ/√(1-ζ²)); its envelope is 1/(ζ·ω).
        let log = libm::log(params.fall_overshoot_ratio.clamp(1e-6, 0.9));
        let damping_ratio = -log / (std::f64::consts::PI * std::f64::consts::PI + log * log).sqrt();
        let natural_rad_s = 1e3 / (params.fall_tau_ms * damping_ratio);
        let idle_w = params.idle_w as f32;
        let mut gpus = Gpus {
            rng: Rng::stream(seed, Stream::DeadTime, 0),
            damping_ratio,
            natural_rad_s,
            laws: Laws {
                step_ns: 0,
                from_error: [1.0, 0.0],
                from_rate: [0.0, 1.0],
                rise: 1.0,
            },
            cap_min: topology.devices.iter().map(|d| d.cap_min).collect(),
            register: cap_max.clone(),
            cap_max,
            ignores: vec![false; count],
            ceiling_w: cap_w
                .iter()
                .map(|w| w * (1.0 + params.excess_ratio as f32))
                .collect(),
            cap_w,
            rate_w_s: vec![0.0; count],
            floor_w: vec![idle_w; count],
            box_limit_w: vec![f32::INFINITY; count],
            power_w: vec![idle_w; count],
            last_ns: vec![0; count],
            pending: BTreeMap::new(),
            writes: 0,
            params,
        };
        gpus.laws = gpus.laws_of(1_000_000);
        gpus
    }

    /// Power of each device, W.
    pub fn power_w(&self) -> &[f32] {
        &self.power_w
    }

    /// Registers of all devices.
    pub fn caps(&self) -> &[Power] {
        &self.register
    }

    /// Whether `device` takes caps into its register and does not follow them.
    pub fn set_ignores(&mut self, device: DeviceIx, ignores: bool) {
        self.ignores[device.at()] = ignores;
    }

    /// The driver has taken a write at `at_ns`: the register holds it from now on (clamped to what
    /// the hardware takes, and returned), the clocks follow after a dead time where `obeyed`.
    pub fn set_cap(&mut self, device: DeviceIx, cap: Power, at_ns: u64, obeyed: bool) -> Power {
        let at = device.at();
        let taken = cap.clamp(self.cap_min[at], self.cap_max[at]);
        self.register[at] = taken;
        let (low, high) = (self.params.dead_time_min_ms, self.params.dead_time_max_ms);
        let dead_ns = (self.rng.uniform_in(low, high) * 1e6) as u64;
        if obeyed && !self.ignores[at] {
            // Writes reach the clocks in the order in which they were made.
            let effect_ns = (at_ns + dead_ns).max(self.last_ns[at]);
            self.last_ns[at] = effect_ns;
            let pending = Pending {
                device: at,
                cap_w: taken.w() as f32,
            };
            self.pending.insert((effect_ns, self.writes), pending);
            self.writes += 1;
        }
        taken
    }

    /// `device` lost its power or got it back; `limit_w` bounds it besides its cap (booting, or a
    /// box that throttles), infinite for none.
    pub fn set_supply(&mut self, device: usize, on: bool, limit_w: f32) {
        self.floor_w[device] = if on { self.params.idle_w as f32 } else { 0.0 };
        self.box_limit_w[device] = if on { limit_w } else { 0.0 };
    }

    /// `device` starts anew: caps do not survive that.
    pub fn reboot(&mut self, device: usize) {
        self.pending.retain(|_, pending| pending.device != device);
        self.register[device] = self.cap_max[device];
        self.cap_w[device] = self.cap_max[device].w() as f32;
        self.ceiling_w[device] = self.cap_w[device];
        self.rate_w_s[device] = 0.0;
        self.last_ns[device] = 0;
    }

    /// The device has stood at `cap` for long; returns what its register holds.
    pub fn settle_at(&mut self, device: DeviceIx, cap: Power) -> Power {
        let at = device.at();
        let taken = cap.clamp(self.cap_min[at], self.cap_max[at]);
        self.register[at] = taken;
        self.cap_w[at] = taken.w() as f32;
        self.ceiling_w[at] = self.cap_w[at];
        self.rate_w_s[at] = 0.0;
        taken
    }

    /// Lives from `from_ns` to `to_ns` under this demand.
    pub fn advance(&mut self, demand_w: &[f32], from_ns: u64, to_ns: u64) {
        if self.laws.step_ns != to_ns - from_ns {
            self.laws = self.laws_of(to_ns - from_ns);
        }
        let due = self.pending.range(..(to_ns, 0)).next().is_some();
        let before = due.then(|| self.split(demand_w, from_ns, to_ns));
        let excess = 1.0 + self.params.excess_ratio as f32;
        step_all(
            &self.laws,
            excess,
            demand_w,
            &self.cap_w,
            &mut self.ceiling_w,
            &mut self.rate_w_s,
        );
        for (at, ceiling_w, rate_w_s) in before.into_iter().flatten() {
            self.ceiling_w[at] = ceiling_w;
            self.rate_w_s[at] = rate_w_s;
        }
        let limits = self
            .ceiling_w
            .iter()
            .zip(&self.box_limit_w)
            .zip(&self.floor_w);
        for ((power, demand), ((ceiling, limit), floor)) in
            self.power_w.iter_mut().zip(demand_w).zip(limits)
        {
            let bound = if ceiling < limit { ceiling } else { limit };
            let served = if demand < bound { demand } else { bound };
            *power = if served > floor { *served } else { *floor };
        }
    }

    /// Takes the caps that reach their clocks before `to_ns` and lives through the step for their
    /// devices alone; gives their ceilings and rates at `to_ns`.
    fn split(&mut self, demand_w: &[f32], from_ns: u64, to_ns: u64) -> Vec<(usize, f32, f32)> {
        let excess = 1.0 + self.params.excess_ratio as f32;
        let mut states: BTreeMap<usize, (u64, f32, f32)> = BTreeMap::new();
        while let Some(entry) = self.pending.first_entry() {
            if entry.key().0 >= to_ns {
                break;
            }
            let effect_ns = entry.key().0.max(from_ns);
            let Pending { device, cap_w } = entry.remove();
            let start = (from_ns, self.ceiling_w[device], self.rate_w_s[device]);
            let (since_ns, ceiling, rate) = *states.get(&device).unwrap_or(&start);
            let demand = demand_w[device];
            let laws = self.laws_of(effect_ns - since_ns);
            let (mut ceiling, mut rate) =
                step_one(&laws, excess, demand, self.cap_w[device], ceiling, rate);
            if cap_w < demand && ceiling > demand {
                // The fall starts from the power drawn, not from what the clocks would permit.
                (ceiling, rate) = (demand, 0.0);
            }
            self.cap_w[device] = cap_w;
            states.insert(device, (effect_ns, ceiling, rate));
        }
        let end = states
            .into_iter()
            .map(|(device, (since_ns, ceiling, rate))| {
                let laws = self.laws_of(to_ns - since_ns);
                let cap_w = self.cap_w[device];
                let (ceiling, rate) =
                    step_one(&laws, excess, demand_w[device], cap_w, ceiling, rate);
                (device, ceiling, rate)
            });
        end.collect()
    }

    fn laws_of(&self, step_ns: u64) -> Laws {
        let step_s = step_ns as f64 / 1e9;
        let (zeta, natural) = (self.damping_ratio, self.natural_rad_s);
        let damped = natural * (1.0 - zeta * zeta).sqrt();
        let decay = libm::exp(-zeta * natural * step_s);
        let (sin, cos) = libm::sincos(damped * step_s);
        let lean = zeta * natural / damped * sin;
        Laws {
            step_ns,
            from_error: [
                (decay * (cos + lean)) as f32,
                (-decay * natural * natural / damped * sin) as f32,
            ],
            from_rate: [(decay / damped * sin) as f32, (decay * (cos - lean)) as f32],
            rise: libm::exp(-step_s * 1e3 / self.params.rise_tau_ms) as f32,
        }
    }
}

/// One step of one device: ceiling and rate after it.
#[inline(always)]
fn step_one(
    laws: &Laws,
    excess: f32,
    demand_w: f32,
    cap_w: f32,
    ceiling_w: f32,
    rate_w_s: f32,
) -> (f32, f32) {
    let target = if demand_w <= cap_w {
        cap_w * excess
    } else {
        cap_w
    };
    let error = ceiling_w - target;
    let falls = (error > 0.0) | (rate_w_s < 0.0);
    let fallen = laws.from_error[0] * error + laws.from_rate[0] * rate_w_s;
    let rate = laws.from_error[1] * error + laws.from_rate[1] * rate_w_s;
    let risen = laws.rise * error;
    (
        target + if falls { fallen } else { risen },
        if falls { rate } else { 0.0 },
    )
}

fn step_all(
    laws: &Laws,
    excess: f32,
    demand_w: &[f32],
    cap_w: &[f32],
    ceiling_w: &mut [f32],
    rate_w_s: &mut [f32],
) {
    let states = ceiling_w.iter_mut().zip(rate_w_s.iter_mut());
    for ((demand, cap), (ceiling, rate)) in demand_w.iter().zip(cap_w).zip(states) {
        (*ceiling, *rate) = step_one(laws, excess, *demand, *cap, *ceiling, *rate);
    }
}
