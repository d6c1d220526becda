//! Slow power values: what a power meter shows one cycle late and what a GPU's driver reports as
//! the mean of a second; and the faults of meters, which waveforms obey too.
//!
//! Owns the lag of every meter and the last second of every device.

use crate::params::MeterParams;
use crate::protection::{Network, Probe};
use crate::rng::{self, GOLDEN, Stream};
use karman_grid_core::ids::{DeviceIx, MeterIx};
use karman_grid_core::topology::Topology;

/// Bins of a device's mean, the last one still filling: 0.9 to 1 s at 100 ms each. Drivers report
/// the mean of a second from Ampere on (secondary source, unverified).
const BINS: usize = 10;
const BIN_NS: u64 = 100_000_000;

/// What is wrong with a meter now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeterFault {
    /// Factor on currents and power.
    pub scale: f64,
    /// Added to the power, W.
    pub offset_w: f64,
    /// Since when it repeats itself.
    pub frozen_ns: Option<u64>,
}

impl MeterFault {
    const NONE: MeterFault = MeterFault {
        scale: 1.0,
        offset_w: 0.0,
        frozen_ns: None,
    };
}

#[derive(Clone, Debug)]
struct SlowMeter {
    probe: Probe,
    key: u64,
    lagged_w: f64,
    fault: MeterFault,
    frozen_w: f64,
}

/// All meters and the drivers' readings.
#[derive(Clone, Debug)]
pub struct Meters {
    params: MeterParams,
    cycle_ms: f64,
    meters: Vec<SlowMeter>,
    keep: f64,
    keep_step_ns: u64,
    bins_j: Vec<Vec<f32>>,
    bin_s: [f32; BINS],
    bin: usize,
    bin_end_ns: u64,
}

impl Meters {
    /// For this site.
    pub fn new(topology: &Topology, network: &Network, params: MeterParams, seed: u64) -> Meters {
        let meters = (0..topology.meters.len()).map(|at| SlowMeter {
            probe: network.probe(MeterIx::of(at)),
            key: rng::key(seed, Stream::MeterNoise, at as u64),
            lagged_w: 0.0,
            fault: MeterFault::NONE,
            frozen_w: 0.0,
        });
        Meters {
            params,
            cycle_ms: 1e3 / topology.site.nominal_hz,
            meters: meters.collect(),
            keep: 0.0,
            keep_step_ns: 0,
            bins_j: vec![vec![0.0; topology.devices.len()]; BINS],
            bin_s: [0.0; BINS],
            bin: 0,
            bin_end_ns: BIN_NS,
        }
    }

    /// Takes the present power as the one every meter has settled at.
    pub fn settle(&mut self, network: &Network) {
        for meter in &mut self.meters {
            meter.lagged_w = network.power_w(meter.probe);
        }
    }

    /// Lives through a step that ends at `now_ns`.
    pub fn advance(&mut self, network: &Network, power_w: &[f32], now_ns: u64, step_ns: u64) {
        if self.keep_step_ns != step_ns {
            self.keep_step_ns = step_ns;
            let lag_ms = (self.params.lag_cycles * self.cycle_ms).max(1e-6);
            self.keep = libm::exp(-(step_ns as f64) / 1e6 / lag_ms);
        }
        for meter in &mut self.meters {
            let power_w = network.power_w(meter.probe);
            meter.lagged_w = power_w + (meter.lagged_w - power_w) * self.keep;
        }
        if now_ns > self.bin_end_ns {
            self.bin = (self.bin + 1) % BINS;
            self.bin_end_ns = now_ns.div_ceil(BIN_NS) * BIN_NS;
            self.bin_s[self.bin] = 0.0;
            self.bins_j[self.bin].fill(0.0);
        }
        let step_s = step_ns as f32 / 1e9;
        self.bin_s[self.bin] += step_s;
        for (joules, power) in self.bins_j[self.bin].iter_mut().zip(power_w) {
            *joules += power * step_s;
        }
    }

    /// What `meter` shows at `now_ns`, W.
    pub fn power_w(&self, meter: MeterIx, now_ns: u64) -> f64 {
        let meter = &self.meters[meter.at()];
        if meter.fault.frozen_ns.is_some() {
            return meter.frozen_w;
        }
        let first = rng::mix(meter.key.wrapping_add(now_ns.wrapping_mul(GOLDEN)));
        let radius = (-2.0 * libm::log(1.0 - rng::unit(first))).sqrt();
        let angle = std::f64::consts::TAU * rng::unit(rng::mix(first ^ GOLDEN));
        let noise = self.params.noise_ratio * radius * libm::cos(angle);
        meter.lagged_w * (1.0 + noise) * meter.fault.scale + meter.fault.offset_w
    }

    /// What the driver of `device` reports: its mean power over the last second, W.
    pub fn device_w(&self, device: DeviceIx) -> f64 {
        let seconds: f32 = self.bin_s.iter().sum();
        let joules: f32 = self.bins_j.iter().map(|bin| bin[device.at()]).sum();
        if seconds > 0.0 {
            f64::from(joules / seconds)
        } else {
            0.0
        }
    }

    /// What is wrong with `meter`.
    pub fn fault(&self, meter: MeterIx) -> MeterFault {
        self.meters[meter.at()].fault
    }

    /// `meter` repeats from `now_ns` on what it showed then, or no longer.
    pub fn set_frozen(&mut self, meter: MeterIx, frozen: bool, now_ns: u64) {
        self.meters[meter.at()].frozen_w = self.power_w(meter, now_ns);
        self.meters[meter.at()].fault.frozen_ns = frozen.then_some(now_ns);
    }

    /// Sets factor and offset of `meter`.
    pub fn set_fault(&mut self, meter: MeterIx, scale: f64, offset_w: f64) {
        let fault = &mut self.meters[meter.at()].fault;
        (fault.scale, fault.offset_w) = (scale, offset_w);
    }
}
