//! Messages between the controller and the agents next to the devices.

use crate::ids::{ContingencyIx, DeviceIx, HostIx};
use crate::time::MonoNs;
use crate::units::Power;
use serde::{Deserialize, Serialize};

/// One cap for one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapCommand {
    /// Unique among the commands of an epoch.
    pub command_id: u64,
    /// Decision that it belongs to.
    pub decision_seq: u64,
    /// Device.
    pub device: DeviceIx,
    /// Cap to write.
    pub cap: Power,
    /// What the agent writes when the lease ends.
    pub fallback_cap: Power,
    /// Epoch of the controller.
    pub epoch: u64,
    /// Order within the epoch.
    pub seq: u64,
    /// Time to live of the lease, ns.
    pub lease_ns: u64,
}

/// Controller → agent of one host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToAgent {
    /// Hold this plan ready.
    Plan {
        /// Failure it is for.
        contingency: ContingencyIx,
        /// Epoch of the controller.
        epoch: u64,
        /// Order within the epoch.
        seq: u64,
        /// Caps of this host's devices.
        caps: Vec<(DeviceIx, Power)>,
    },
    /// Write min(cap in force, plan) for every device of the plan.
    Fire {
        /// Failure that happened.
        contingency: ContingencyIx,
        /// Epoch of the controller.
        epoch: u64,
        /// Order within the epoch.
        seq: u64,
    },
    /// Write these caps.
    Cap(Vec<CapCommand>),
    /// Extend every live lease.
    Renew {
        /// Epoch of the controller.
        epoch: u64,
        /// Time to live from receipt, ns.
        lease_ns: u64,
    },
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The driver took it and reads it back.
    Applied,
    /// Written, but the device holds another value.
    Clamped,
    /// Not obeyed, and why.
    Rejected(Refusal),
    /// The driver did not answer in time.
    TimedOut,
    /// A newer command for the device came first.
    Superseded,
}

/// Why an agent refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// The epoch is older than one already obeyed.
    OldEpoch,
    /// The sequence is not newer than one already obeyed.
    OldSeq,
    /// No such plan is held.
    NoPlan,
    /// The device is not this agent's.
    UnknownDevice,
    /// Writing is locked.
    Locked,
}

/// What made an agent write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// A cap command.
    Command {
        /// Its id.
        command_id: u64,
    },
    /// A fired plan.
    Fire {
        /// Failure that happened.
        contingency: ContingencyIx,
        /// Sequence of the `Fire`.
        seq: u64,
    },
    /// The lease ended.
    Expiry,
    /// Start-up.
    Start,
}

/// Answer to one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// Device.
    pub device: DeviceIx,
    /// What made the agent write.
    pub cause: Cause,
    /// How it ended.
    pub outcome: Outcome,
    /// Cap that the device holds now, read back; absent where it could not be read.
    pub enforced_cap: Option<Power>,
    /// When the driver had answered, on the controller's clock.
    pub acked_mono_ns: MonoNs,
    /// From the agent's receipt to the driver's answer, ns.
    pub apply_latency_ns: u64,
}

/// Agent → controller.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FromAgent {
    /// First message of an agent on a connection.
    Hello {
        /// Host.
        host: HostIx,
        /// Changes with every boot.
        boot_id: u64,
        /// Highest epoch it ever obeyed.
        highest_epoch: u64,
        /// Caps in force, one for each device of the host.
        caps: Vec<(DeviceIx, Power)>,
    },
    /// A plan is held.
    PlanHeld {
        /// Host.
        host: HostIx,
        /// Failure it is for.
        contingency: ContingencyIx,
        /// Sequence of the `Plan`.
        seq: u64,
    },
    /// A `Renew` arrived.
    Renewed {
        /// Host.
        host: HostIx,
    },
    /// Writes ended.
    Ack(Vec<Ack>),
}
