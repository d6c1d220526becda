//! The course of one dip at one meter: the signs a judge decides by, and when they change.
//!
//! Looks at every frame for the first 30 ms after a fall, then every 0.25 ms: decisions that
//! matter fall early, and a bus that stays dead for seconds should cost little.

use crate::time::{MonoNs, NS_PER_MS};
use crate::waveform::kernel::Kernel;
use crate::waveform::{Mark, SUSPECT_RATIO, Shown};

/// Every phase at least this much of its healthy (or nominal) voltage: well.
pub const WELL_RATIO: f64 = 0.90;
/// Below this share of rated, the current before a dip is too small to be missed.
pub const CURRENT_KNOWN_RATIO: f64 = 0.02;
/// Residual of a dead path.
const DEAD_RATIO: f32 = 0.10;
/// Residual of a path on its way down.
const LOW_RATIO: f32 = 0.50;
/// Falling: the mean is below this share of the mean a sixth of a cycle ago (a decay of 17 ms).
const FALLING_RATIO: f32 = 0.85;
/// Share of the current before the dip at which it counts as gone.
const GONE_RATIO: f32 = 0.20;
/// Shares of the current before between which it flows on as if nothing had happened. A fault
/// fed by a current-limited inverter lies above.
const FLOWS_RATIO: [f32; 2] = [0.80, 1.15];
/// Time in which every frame is looked at, and after which a new fall counts as a new suspicion.
const FINE_MS: u64 = 30;
/// A new fall: below this share of the lowest residual of the last cycle …
const FALL_RATIO: f32 = 0.5;
/// … but for this many sixteenths at its end.
const FALL_EDGES: usize = 5;
/// Between looks later, ms.
const COARSE_MS: f64 = 0.25;
const RECENT: usize = 16;

/// What holds at a meter during a dip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signs {
    /// Residual under 10 %, and the current does not say that only the sensor is dead.
    pub dead: bool,
    /// Residual under 50 % and falling, own current under 20 % of before.
    pub dying: bool,
    /// Own current under 20 % of before, or too small before to tell.
    pub current_gone: bool,
    /// The amplitude is falling.
    pub falling: bool,
    /// Residual at least 10 % and not falling.
    pub held: bool,
    /// Tier 2, or a half cycle under 85 %.
    pub confirmed: bool,
    /// All phases at least 90 % and steady.
    pub well: bool,
}

/// A dip in progress, or none.
#[derive(Clone, Debug)]
pub struct Dip {
    open: bool,
    since: MonoNs,
    confirmed: bool,
    signs: Signs,
    well_edges: u32,
    to_look: u32,
    fine_frames: u32,
    coarse_frames: u32,
    recent: [f32; RECENT],
    recent_at: usize,
}

impl Default for Dip {
    fn default() -> Dip {
        Dip {
            open: false,
            since: MonoNs(0),
            confirmed: false,
            signs: Signs::default(),
            well_edges: 0,
            to_look: u32::MAX,
            fine_frames: 0,
            coarse_frames: 1,
            recent: [1.0; RECENT],
            recent_at: 0,
        }
    }
}

impl Dip {
    /// Whether a dip is in progress.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Edges in a row at which the voltage was well.
    pub fn well_edges(&self) -> u32 {
        self.well_edges
    }

    /// Frames until the signs are to be looked at; `u32::MAX` outside a dip.
    pub fn frames_to_look(&self) -> u32 {
        self.to_look
    }

    /// Frames have passed.
    pub fn pass(&mut self, frames: u32) {
        if self.open {
            self.to_look -= frames;
            self.fine_frames = self.fine_frames.saturating_sub(frames);
        }
    }

    /// A dip begins.
    pub fn open(&mut self, now: MonoNs, rate_hz: f64) {
        self.open = true;
        self.since = now;
        self.confirmed = false;
        self.signs = Signs::default();
        self.well_edges = 0;
        self.to_look = 0;
        self.fine_frames = (rate_hz * FINE_MS as f64 * 1e-3) as u32;
        self.coarse_frames = ((rate_hz * COARSE_MS * 1e-3) as u32).max(1);
    }

    /// The dip is over, or forgotten.
    pub fn close(&mut self) {
        self.open = false;
        self.to_look = u32::MAX;
    }

    /// A half cycle's RMS has confirmed the dip.
    pub fn confirm(&mut self) {
        self.confirmed = true;
    }

    /// Signs are unknown after a gap.
    pub fn forget(&mut self, now: MonoNs, marks: &mut Vec<Mark>) {
        self.well_edges = 0;
        let unknown = Signs {
            confirmed: self.open && self.confirmed,
            ..Signs::default()
        };
        self.show(unknown, self.recent[self.recent_at], now, marks);
    }

    /// Learned anew: the next edge shows that all is well.
    pub fn well_again(&mut self) {
        self.well_edges = 0;
    }

    /// Sixteen times a cycle: the residual.
    pub fn note_residual(&mut self, residual: f32) {
        self.recent_at = (self.recent_at + 1) % RECENT;
        self.recent[self.recent_at] = residual;
    }

    /// Lowest residual noted in the last cycle.
    pub fn lowest(&self) -> f64 {
        f64::from(self.recent.iter().copied().fold(f32::MAX, f32::min))
    }

    /// Sixteen times a cycle: whether the voltage is well.
    pub fn note_edge(&mut self, well: bool, residual: f32, now: MonoNs, marks: &mut Vec<Mark>) {
        self.well_edges = if well {
            self.well_edges.saturating_add(1)
        } else {
            0
        };
        if well != self.signs.well {
            self.show(Signs { well, ..self.signs }, residual, now, marks);
        }
    }

    /// Looks at the amplitudes; called when `frames_to_look` has run out.
    pub fn look(
        &mut self,
        kernel: &mut Kernel,
        rate_hz: f64,
        healthy: [f64; 2],
        now: MonoNs,
        marks: &mut Vec<Mark>,
    ) {
        let residual = kernel.voltage() / healthy[0] as f32;
        // Both at once: a ringing capacitor raises the scores and then leaves the amplitude alone.
        self.confirmed |= kernel.confirmed() && residual < SUSPECT_RATIO as f32;
        self.restamp(residual, rate_hz, now, marks);
        let known = healthy[1] >= CURRENT_KNOWN_RATIO;
        let current = kernel.current() / healthy[1].max(CURRENT_KNOWN_RATIO) as f32;
        let gone = !known || current < GONE_RATIO;
        let flows = known && (FLOWS_RATIO[0]..=FLOWS_RATIO[1]).contains(&current);
        let before = kernel.voltage_before();
        let falling = before > 0.5 * DEAD_RATIO && kernel.voltage() < FALLING_RATIO * before;
        let signs = Signs {
            dead: residual < DEAD_RATIO && !flows,
            dying: residual < LOW_RATIO && falling && known && gone,
            current_gone: gone,
            falling,
            held: residual >= DEAD_RATIO && !falling,
            confirmed: self.confirmed,
            well: self.signs.well,
        };
        if signs != self.signs {
            self.show(signs, residual, now, marks);
        }
        self.to_look = if self.fine_frames > 0 {
            1
        } else {
            self.coarse_frames
        };
    }

    /// A fall from a plateau within a dip is a new suspicion: what other paths did at the start
    /// of this dip says nothing about it.
    fn restamp(&mut self, residual: f32, rate_hz: f64, now: MonoNs, marks: &mut Vec<Mark>) {
        let old = now.since(self.since) > FINE_MS * NS_PER_MS;
        // The lowest of the cycle but for its end: with a phase missing the amplitude swings.
        let plateau = (FALL_EDGES..RECENT)
            .map(|back| self.recent[(self.recent_at + RECENT - back) % RECENT])
            .fold(f32::MAX, f32::min);
        if old && plateau >= 2.0 * DEAD_RATIO && residual < FALL_RATIO * plateau {
            self.since = now;
            self.fine_frames = (rate_hz * FINE_MS as f64 * 1e-3) as u32;
            let what = Shown::Suspect {
                first_abnormal: now,
                residual,
                fresh: false,
            };
            marks.push(Mark { at: now, what });
        }
    }

    fn show(&mut self, signs: Signs, residual: f32, now: MonoNs, marks: &mut Vec<Mark>) {
        self.signs = signs;
        marks.push(Mark {
            at: now,
            what: Shown::Signs { signs, residual },
        });
    }
}
