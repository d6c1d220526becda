//! Caps believed in force: a rise counts from when it is sent, a fall only once it is confirmed.
//! Three values for each device, never one (rule 28).

use crate::ids::DeviceIx;
use crate::units::Power;

/// The three values of one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// What was last asked for.
    pub requested: Power,
    /// What the books count: the highest that may be in force.
    pub accounted: Power,
    /// What the device last reported to hold; absent: never heard.
    pub enforced: Option<Power>,
}

/// Accounts of all devices.
#[derive(Clone, Debug)]
pub struct Ledger {
    accounts: Vec<Account>,
    pending: Vec<bool>,
}

impl Ledger {
    /// Nothing is known: every device counts with its highest cap.
    pub fn new(cap_max: impl IntoIterator<Item = Power>) -> Ledger {
        let account = |cap: Power| Account {
            requested: cap,
            accounted: cap,
            enforced: None,
        };
        let accounts: Vec<Account> = cap_max.into_iter().map(account).collect();
        Ledger {
            pending: vec![false; accounts.len()],
            accounts,
        }
    }

    /// All accounts, by device.
    pub fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    /// One account.
    pub fn of(&self, device: DeviceIx) -> Account {
        self.accounts[device.at()]
    }

    /// Whether a command for the device has not been answered yet.
    pub fn is_pending(&self, device: DeviceIx) -> bool {
        self.pending[device.at()]
    }

    /// Whether any command has not been answered yet.
    pub fn any_pending(&self) -> bool {
        self.pending.contains(&true)
    }

    /// A command left.
    pub fn sent(&mut self, device: DeviceIx, cap: Power) {
        let account = &mut self.accounts[device.at()];
        account.requested = cap;
        account.accounted = account.accounted.max(cap);
        self.pending[device.at()] = true;
    }

    /// The device reads back `enforced`; `answered`: to the newest command.
    pub fn confirmed(&mut self, device: DeviceIx, enforced: Power, answered: bool) {
        let account = &mut self.accounts[device.at()];
        account.enforced = Some(enforced);
        if answered {
            account.accounted = enforced;
            self.pending[device.at()] = false;
        } else if self.pending[device.at()] {
            account.accounted = enforced.max(account.requested);
        } else {
            account.accounted = enforced;
        }
    }

    /// The newest command was carried out, but its effect could not be read: the books stay.
    pub fn answered_unread(&mut self, device: DeviceIx) {
        self.pending[device.at()] = false;
    }

    /// The newest command was refused or will not be answered: what may be in force stays in the
    /// books, and nobody takes the command for done.
    pub fn unanswered(&mut self, device: DeviceIx) {
        let account = &mut self.accounts[device.at()];
        account.requested = account.accounted;
        self.pending[device.at()] = false;
    }

    /// Nobody speaks for the device: what its agent may write by itself counts already.
    pub fn may_hold(&mut self, device: DeviceIx, cap: Power) {
        let account = &mut self.accounts[device.at()];
        account.accounted = account.accounted.max(cap);
    }

    /// The device cannot be trusted to obey: it counts with its highest cap from now on.
    pub fn distrusted(&mut self, device: DeviceIx, cap_max: Power) {
        self.accounts[device.at()].accounted = cap_max;
        self.pending[device.at()] = false;
    }

    /// Sum of the accounted caps.
    pub fn accounted_total(&self) -> Power {
        self.accounts.iter().map(|a| a.accounted).sum()
    }
}
