//! Control modes as one table: every pair that is not in it changes nothing.

use serde::{Deserialize, Serialize};

/// What the engine may do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Agents are still coming; caps stand at the fallback.
    Starting,
    /// Caps follow demand within the grant.
    Normal,
    /// Something looks wrong: caps may fall, not rise.
    Frozen,
    /// A failure is in force: its plan has been fired.
    Protecting,
    /// A failure is in force and has settled: caps follow demand within what is left.
    Degraded,
    /// The failure is over; caps return by the ramp.
    Restoring,
    /// Too many reversals: caps stay low until an operator acts.
    Latched,
    /// Static caps have been written; nothing follows.
    Released,
}

/// What moves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trigger {
    /// At least one agent is ready.
    AgentsReady,
    /// A suspicion, a sag or a lost source.
    Disturbed,
    /// The hold after a disturbance has passed.
    Calm,
    /// A failure was fired.
    Fired,
    /// A fired failure was taken back.
    Cancelled,
    /// Power is back and the restore hold has passed.
    Restore,
    /// Caps have reached their target.
    Restored,
    /// More reversals than the site allows.
    Flapping,
    /// The service ends.
    Release,
}

/// All modes.
pub const MODES: [Mode; 8] = [
    Mode::Starting,
    Mode::Normal,
    Mode::Frozen,
    Mode::Protecting,
    Mode::Degraded,
    Mode::Restoring,
    Mode::Latched,
    Mode::Released,
];

impl Mode {
    /// The mode after `trigger`; `None`: it changes nothing here.
    pub fn after(self, trigger: Trigger) -> Option<Mode> {
        use Mode::*;
        use Trigger as T;
        match (self, trigger) {
            (Starting, T::AgentsReady) => Some(Normal),
            (Normal | Restoring, T::Disturbed) => Some(Frozen),
            (Frozen, T::Calm) => Some(Normal),
            (Degraded, T::Disturbed) => Some(Protecting),
            (Protecting, T::Calm) => Some(Degraded),
            (Starting | Normal | Frozen | Degraded | Restoring, T::Fired) => Some(Protecting),
            (Protecting, T::Cancelled) => Some(Normal),
            (Protecting | Degraded, T::Restore) => Some(Restoring),
            (Restoring, T::Restored) => Some(Normal),
            (Normal | Frozen | Protecting | Degraded | Restoring, T::Flapping) => Some(Latched),
            (mode, T::Release) if mode != Released => Some(Released),
            _ => None,
        }
    }

    /// Whether caps may rise in this mode.
    pub fn may_raise(self) -> bool {
        matches!(self, Mode::Normal | Mode::Degraded | Mode::Restoring)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIGGERS: [Trigger; 9] = [
        Trigger::AgentsReady,
        Trigger::Disturbed,
        Trigger::Calm,
        Trigger::Fired,
        Trigger::Cancelled,
        Trigger::Restore,
        Trigger::Restored,
        Trigger::Flapping,
        Trigger::Release,
    ];

    #[test]
    fn nothing_leaves_released_and_only_release_leaves_latched() {
        for trigger in TRIGGERS {
            assert_eq!(Mode::Released.after(trigger), None);
            let after = Mode::Latched.after(trigger);
            assert!(after.is_none() || trigger == Trigger::Release);
        }
    }

    #[test]
    fn every_mode_can_be_released_and_a_disturbance_never_allows_a_raise() {
        for mode in MODES.into_iter().filter(|m| *m != Mode::Released) {
            assert_eq!(mode.after(Trigger::Release), Some(Mode::Released));
            for trigger in [Trigger::Disturbed, Trigger::Fired, Trigger::Flapping] {
                if let Some(after) = mode.after(trigger) {
                    assert!(!after.may_raise(), "{mode:?} {trigger:?}");
                }
            }
        }
    }
}
