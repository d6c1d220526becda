//! One UPS: line, battery, bypass or off, its battery, and the droop of its output.
//!
//! Owns battery and timers. Whether its input is good and whether it is whole is told by
//! `protection`, which also judges its overload curve.

use crate::params::ProtectionParams;
use crate::protection::{Mode, TripCause};

/// State of a UPS.
#[derive(Clone, Debug)]
pub struct Ups {
    mode: Mode,
    battery_j: f64,
    input_good: bool,
    good_ns: u64,
    calm_ns: u64,
    discharge_ns: u64,
    discharge_j: f64,
    recharge_ns: u64,
    recharge_w: f64,
    slow_w: f64,
}

impl Ups {
    /// On line, battery full.
    pub fn new(limit_w: f64, params: &ProtectionParams) -> Ups {
        Ups {
            mode: Mode::Line,
            battery_j: params.battery_full_load_s * limit_w,
            input_good: true,
            good_ns: 0,
            calm_ns: 0,
            discharge_ns: 0,
            discharge_j: 0.0,
            recharge_ns: 0,
            recharge_w: 0.0,
            slow_w: 0.0,
        }
    }

    /// What it draws beside its load to recharge its battery, W.
    pub fn recharge_w(&self) -> f64 {
        self.recharge_w
    }

    /// Load that its output voltage has settled at, W.
    pub fn slow_w(&self) -> f64 {
        self.slow_w
    }

    /// Takes this load as the one it has settled at.
    pub fn settle(&mut self, flow_w: f64) {
        self.slow_w = flow_w;
    }

    /// Mode with this input, now.
    ///
    /// # Errors
    /// Why it must open instead.
    pub fn judge(&mut self, input_good: bool) -> Result<Mode, TripCause> {
        self.input_good = input_good;
        if !input_good && self.mode == Mode::Line {
            self.mode = Mode::Battery;
            (self.good_ns, self.discharge_ns, self.discharge_j) = (0, 0, 0.0);
            (self.recharge_ns, self.recharge_w) = (0, 0.0);
        }
        match self.mode {
            Mode::Battery if self.battery_j <= 0.0 => Err(TripCause::BatteryEmpty),
            Mode::Bypass if !input_good => Err(TripCause::BypassInputLost),
            mode => Ok(mode),
        }
    }

    /// Goes to bypass, if it is on line and its input is good; whether it did.
    pub fn bypass(&mut self) -> bool {
        let able = self.mode == Mode::Line && self.input_good;
        if able {
            (self.mode, self.calm_ns) = (Mode::Bypass, 0);
        }
        able
    }

    /// Lives through a step at this load; `energised` is false where it is open or lost. Whether
    /// its mode or its draw is due to change.
    pub fn advance(
        &mut self,
        energised: bool,
        flow_w: f64,
        limit_w: f64,
        step_ns: u64,
        droop_keep: f64,
        params: &ProtectionParams,
    ) -> bool {
        let step_s = step_ns as f64 / 1e9;
        self.slow_w = flow_w + (self.slow_w - flow_w) * droop_keep;
        let mut changed = false;
        if self.recharge_ns > 0 {
            let full_j = params.battery_full_load_s * limit_w;
            self.battery_j = (self.battery_j + self.recharge_w * step_s).min(full_j);
            self.recharge_ns = self.recharge_ns.saturating_sub(step_ns);
            if self.recharge_ns == 0 {
                (self.recharge_w, changed) = (0.0, true);
            }
        }
        match self.mode {
            Mode::Battery if energised => {
                self.battery_j -= flow_w * step_s;
                self.discharge_j += flow_w * step_s;
                self.discharge_ns += step_ns;
                self.good_ns = if self.input_good {
                    self.good_ns + step_ns
                } else {
                    0
                };
                if self.good_ns as f64 >= params.battery_return_s * 1e9 {
                    self.mode = Mode::Line;
                    let discharge_ns = self.discharge_ns as f64;
                    self.recharge_ns = (params.recharge_duration_ratio * discharge_ns) as u64;
                    self.recharge_w =
                        params.recharge_ratio * self.discharge_j / (discharge_ns / 1e9);
                    changed = true;
                }
                changed || self.battery_j <= 0.0
            }
            Mode::Bypass if energised => {
                self.calm_ns = if flow_w <= limit_w {
                    self.calm_ns + step_ns
                } else {
                    0
                };
                if self.calm_ns as f64 >= params.bypass_return_s * 1e9 {
                    (self.mode, changed) = (Mode::Line, true);
                }
                changed
            }
            Mode::Line | Mode::Off | Mode::Battery | Mode::Bypass => changed,
        }
    }
}
