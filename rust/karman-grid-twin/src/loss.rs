//! The story of one lost feed, from the first abnormal sample to every survivor under its limit.
//!
//! Owns the latencies of the plan that was fired for it and what the survivors went through. It
//! watches the truth; nothing here reaches the controller. Definitions: `docs/reference/result.md`.

use crate::agents::Acked;
use crate::optimum;
use crate::result::Latencies;
use karman_grid_core::command::Outcome;
use karman_grid_core::ids::{DeviceIx, ElementIx, RackIx};
use karman_grid_core::shares::{Lost, Shares};
use karman_grid_core::time::{NS_PER_MS, NS_PER_S};
use karman_grid_core::topology::Topology;

/// Flows this little above a limit are rounding, ratio.
pub(crate) const ROUNDING_RATIO: f64 = 1.0 + 1e-9;

/// A plan that was fired.
#[derive(Clone, Debug)]
struct Fired {
    seq: u64,
    event_ns: u64,
    mailbox_ns: u64,
    /// Messages still on their way to agents.
    on_the_way: usize,
    /// Devices that it lowers, faulty ones not counted.
    expected: u64,
    /// Power of each device when it was fired, W.
    power_w: Vec<f32>,
    /// Acknowledgements of healthy devices, in order.
    acks: Vec<(u64, DeviceIx, f64)>,
    settled_ns: Option<u64>,
    /// Devices whose write did not return in time.
    stuck: Vec<DeviceIx>,
    /// Acknowledgements that no claim is made about: faulty devices and escalated commands.
    others_ns: Vec<u64>,
    escalated: Vec<u64>,
}

/// One lost element and what followed.
#[derive(Clone, Debug)]
pub(crate) struct Loss {
    lost: Lost,
    at_ns: u64,
    first_abnormal_ns: u64,
    fired: Option<Fired>,
    closed: bool,
    peak_ratio: f64,
    over_until_ns: u64,
    served_j: f64,
    rack_demand_w: Vec<f64>,
    samples: u32,
}

impl Loss {
    /// `element` died at `at_ns`, besides what `lost` says already.
    pub(crate) fn new(lost: Lost, at_ns: u64, first_abnormal_ns: u64, racks: usize) -> Loss {
        Loss {
            lost,
            at_ns,
            first_abnormal_ns,
            fired: None,
            closed: false,
            peak_ratio: 0.0,
            over_until_ns: first_abnormal_ns,
            served_j: 0.0,
            rack_demand_w: vec![0.0; racks],
            samples: 0,
        }
    }

    /// Something else happens from here on: what comes is no longer this loss's doing.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    pub(crate) fn is_open(&self) -> bool {
        !self.closed
    }

    /// Whether a plan was fired.
    pub(crate) fn is_fired(&self) -> bool {
        self.fired.is_some()
    }

    /// The controller fired a plan: its sequence, and its messages to this many agents.
    pub(crate) fn fire(
        &mut self,
        seq: u64,
        event_ns: u64,
        mailbox_ns: u64,
        messages: usize,
        power_w: &[f32],
    ) {
        self.fired = Some(Fired {
            seq,
            event_ns,
            mailbox_ns,
            on_the_way: messages,
            expected: 0,
            power_w: power_w.to_vec(),
            acks: Vec::with_capacity(power_w.len()),
            settled_ns: None,
            stuck: Vec::new(),
            others_ns: Vec::new(),
            escalated: Vec::new(),
        });
    }

    /// One of the messages reached its agent, whose plan lowers this many healthy devices.
    pub(crate) fn fire_arrived(&mut self, seq: u64, lowers: u64) {
        if let Some(fired) = self.fired.as_mut().filter(|f| f.seq == seq) {
            fired.on_the_way -= 1;
            fired.expected += lowers;
        }
    }

    /// A command that followed because others did not do what they should.
    pub(crate) fn escalated(&mut self, command_id: u64) {
        if let Some(fired) = self.fired.as_mut() {
            fired.escalated.push(command_id);
        }
    }

    /// An acknowledgement of this plan's `Fire`.
    pub(crate) fn fire_acked(&mut self, seq: u64, acked: &Acked, healthy: bool) {
        let Some(fired) = self.fired.as_mut().filter(|f| f.seq == seq) else {
            return;
        };
        let (at_ns, device) = (acked.ack.acked_mono_ns.0, acked.ack.device);
        let stuck = fired.stuck.contains(&device);
        match acked.ack.outcome {
            Outcome::Applied | Outcome::Clamped if healthy && !stuck => {
                fired.acks.push((at_ns, device, acked.cap.w()));
            }
            Outcome::Applied | Outcome::Clamped => fired.others_ns.push(at_ns),
            Outcome::TimedOut if healthy && !stuck => {
                // Its driver has shown itself faulty: nothing is expected of it any more.
                fired.expected -= 1;
                fired.stuck.push(device);
            }
            Outcome::TimedOut | Outcome::Rejected(_) | Outcome::Superseded => {}
        }
    }

    /// An acknowledgement of a single command.
    pub(crate) fn command_acked(&mut self, command_id: u64, acked: &Acked) {
        let Some(fired) = self.fired.as_mut() else {
            return;
        };
        let done = matches!(acked.ack.outcome, Outcome::Applied | Outcome::Clamped);
        if done && fired.escalated.contains(&command_id) {
            fired.others_ns.push(acked.ack.acked_mono_ns.0);
        }
    }

    /// The survivors after one step: largest flow ÷ limit now, as a 10 ms mean since the loss, and
    /// as a 100 ms mean.
    pub(crate) fn step(
        &mut self,
        now_ns: u64,
        ratio: f64,
        ratio_10ms: Option<f64>,
        ratio_100ms: f64,
    ) {
        if self.closed || now_ns < self.at_ns {
            return;
        }
        self.peak_ratio = self.peak_ratio.max(ratio_10ms.unwrap_or(0.0));
        if ratio_100ms > ROUNDING_RATIO {
            self.over_until_ns = now_ns;
        }
        if let Some(fired) = &mut self.fired {
            let done = fired.on_the_way == 0 && fired.acks.len() as u64 >= fired.expected;
            if done && fired.settled_ns.is_none() && ratio <= ROUNDING_RATIO {
                fired.settled_ns = Some(now_ns);
            }
        }
    }

    /// A sample every 10 ms: load of the hall, and what each rack would draw.
    pub(crate) fn sample(&mut self, now_ns: u64, load_w: f64, add_demand: impl FnOnce(&mut [f64])) {
        let since_ns = now_ns.saturating_sub(self.first_abnormal_ns);
        if self.closed || !(NS_PER_S..3 * NS_PER_S).contains(&since_ns) {
            return;
        }
        self.served_j += load_w;
        self.samples += 1;
        add_demand(&mut self.rack_demand_w);
    }

    /// Power served from 1 to 3 s after the loss ÷ what could have been; absent where that time was
    /// not lived through.
    pub(crate) fn served_of_optimum(&self, topology: &Topology) -> Option<f64> {
        // 200 samples lie in the two seconds; the last may fall on the other side of the bound.
        if self.samples < 199 {
            return None;
        }
        let samples = f64::from(self.samples);
        let high_w: Vec<f64> = self.rack_demand_w.iter().map(|w| w / samples).collect();
        let mut low_w: Vec<f64> = topology.racks.iter().map(|r| r.fixed_w).collect();
        for device in &topology.devices {
            low_w[device.rack.at()] += device.cap_min.w();
        }
        let optimum_w = optimum::served_w(topology, &self.lost, &low_w, &high_w)?;
        (optimum_w > 0.0).then(|| self.served_j / samples / optimum_w)
    }

    /// Largest 10 ms mean of a survivor's flow ÷ its limit.
    pub(crate) fn peak_ratio(&self) -> f64 {
        self.peak_ratio
    }

    /// First abnormal sample → every survivor at or under its limit for good, ms.
    pub(crate) fn time_to_limit_ms(&self) -> f64 {
        let until_ns = match self.over_until_ns {
            over if over > self.first_abnormal_ns => over + NS_PER_MS,
            never => never,
        };
        (until_ns - self.first_abnormal_ns) as f64 / NS_PER_MS as f64
    }

    /// Devices that the fired plan lowers, faulty ones not counted.
    pub(crate) fn commands_expected(&self) -> u64 {
        self.fired.as_ref().map_or(0, |f| f.expected)
    }

    /// Adds the latencies of the fired plan.
    pub(crate) fn latencies(&self, topology: &Topology, into: &mut Latencies) {
        let Some(fired) = &self.fired else { return };
        let since = |ns: u64| ns.saturating_sub(self.first_abnormal_ns);
        into.detect.push(since(fired.event_ns));
        into.decide.push(fired.mailbox_ns - fired.event_ns);
        for (at_ns, _, _) in &fired.acks {
            into.deliver.push(at_ns - fired.mailbox_ns);
            into.react.push(since(*at_ns));
            into.react_all.push(since(*at_ns));
        }
        into.react_all
            .extend(fired.others_ns.iter().map(|ns| since(*ns)));
        into.react_event
            .extend(self.last_needed_ns(topology, fired).map(since));
        if let (Some(settled_ns), Some((last_ns, _, _))) = (fired.settled_ns, fired.acks.last()) {
            into.settle.push(settled_ns.saturating_sub(*last_ns));
        }
    }

    /// The acknowledgement after which every survivor is bound to come under its limit: each
    /// device at what it drew when the plan was fired, or at its cap once that is acknowledged.
    fn last_needed_ns(&self, topology: &Topology, fired: &Fired) -> Option<u64> {
        let shares = Shares::new(topology, &self.lost);
        let mut rack_w: Vec<f64> = topology.racks.iter().map(|r| r.fixed_w).collect();
        for (device, power_w) in topology.devices.iter().zip(&fired.power_w) {
            rack_w[device.rack.at()] += f64::from(*power_w);
        }
        let mut load_w = vec![0.0; topology.elements.len()];
        for (at, power_w) in rack_w.iter().enumerate() {
            for share in shares.of(RackIx::of(at)) {
                load_w[share.element.at()] += share.declared * power_w;
            }
        }
        let fits = |load_w: &[f64]| {
            let limits = topology.elements.iter().zip(load_w);
            limits.fold(true, |fits, (e, load_w)| {
                fits & (*load_w <= e.limit_w * ROUNDING_RATIO)
            })
        };
        if fits(&load_w) {
            return None;
        }
        for (at_ns, device, cap_w) in &fired.acks {
            let fall_w = (f64::from(fired.power_w[device.at()]) - cap_w).max(0.0);
            for share in shares.of(topology.devices[device.at()].rack) {
                load_w[share.element.at()] -= share.declared * fall_w;
            }
            if fits(&load_w) {
                return Some(*at_ns);
            }
        }
        fired.acks.last().map(|(at_ns, _, _)| *at_ns)
    }
}

/// The state `alive` as a set of losses.
pub(crate) fn lost_of(topology: &Topology, alive: &[bool]) -> Lost {
    let dead = alive.iter().enumerate().filter(|(_, alive)| !**alive);
    dead.fold(Lost::none(topology), |lost, (at, _)| {
        lost.with(ElementIx::of(at))
    })
}
