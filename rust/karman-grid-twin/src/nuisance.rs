//! Nuisances that waveforms carry without anything being wrong: a capacitor bank switched on in the
//! grid, commutation notches, inrush of a server. Seen by the meters only; true power knows nothing
//! of them. Owns when they come: a function of the seed and of absolute time.

use crate::params::WaveParams;
use crate::rng::{self, GOLDEN};
use std::f64::consts::TAU;

/// Decay of a ringing, ms: 5 % is left after 2 ms (model, unverified).
const RINGING_TAU_MS: f64 = 0.67;
/// Longest nuisance, ns.
const LENGTH_NS: u64 = 60_000_000;
/// Width of a notch, turns (0.1 ms at 60 Hz) and the distance between notches.
const NOTCH_TURNS: (f32, f32) = (0.006, 1.0 / 6.0);
/// Decay of an inrush, ms, and its highest peak ÷ peak of the element's rated current (model).
const INRUSH: (f64, f64) = (8.0, 0.4);

/// Which side of a UPS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The grid's: ringing, the same at all inputs, and notches.
    Input,
    /// The hall's: notches and inrush.
    Output,
}

/// Nuisances of one place.
#[derive(Clone, Debug)]
pub struct Nuisances {
    key: u64,
    place: Place,
    slot_ns: u64,
    ringing_max_ratio: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Ringing { hz: f64 },
    Notches,
    Inrush { phase: usize },
}

/// One nuisance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nuisance {
    kind: Kind,
    at_ns: u64,
    length_ns: u64,
    strength: f32,
}

impl Nuisances {
    /// One in each slot of time, at a random instant of it; none if the rate is 0.
    pub fn new(key: u64, place: Place, params: &WaveParams) -> Nuisances {
        let rate = params.nuisances_per_min;
        // A slot of 0 stands for none; slots are never shorter than two nuisances.
        let slot_ns = if rate > 0.0 {
            ((60e9 / rate) as u64).max(2 * LENGTH_NS)
        } else {
            0
        };
        Nuisances {
            key,
            place,
            slot_ns,
            ringing_max_ratio: params.ringing_max_ratio,
        }
    }

    /// The nuisances that touch `from_ns..to_ns`.
    #[inline]
    pub fn in_span(&self, (from_ns, to_ns): (u64, u64)) -> [Option<Nuisance>; 2] {
        if self.slot_ns == 0 {
            return [None; 2];
        }
        let slot = from_ns / self.slot_ns;
        let earlier = slot
            .checked_sub(1)
            .filter(|_| from_ns % self.slot_ns < LENGTH_NS);
        let touches = |n: &Nuisance| n.at_ns < to_ns && from_ns < n.at_ns + n.length_ns;
        [earlier, Some(slot)].map(|slot| slot.map(|slot| self.of(slot)).filter(touches))
    }

    fn of(&self, slot: u64) -> Nuisance {
        let draw = |n: u64| {
            let input = slot.wrapping_mul(4).wrapping_add(n).wrapping_mul(GOLDEN);
            rng::unit(rng::mix(self.key.wrapping_add(input)))
        };
        let at_ns = slot * self.slot_ns + (draw(0) * self.slot_ns as f64) as u64;
        let (choice, size, detail) = (draw(1), draw(2), draw(3));
        let (kind, length_ns, strength) = match self.place {
            Place::Input if choice < 0.75 => {
                let hz = 300.0 + 600.0 * detail;
                (
                    Kind::Ringing { hz },
                    5_000_000,
                    self.ringing_max_ratio * (0.3 + 0.7 * size),
                )
            }
            Place::Output if choice < 0.5 => {
                let phase = (detail * 3.0) as usize;
                (
                    Kind::Inrush { phase },
                    40_000_000,
                    INRUSH.1 * (0.25 + 0.75 * size),
                )
            }
            Place::Input | Place::Output => (Kind::Notches, 50_000_000, 0.1 + 0.3 * size),
        };
        Nuisance {
            kind,
            at_ns,
            length_ns,
            strength: strength as f32,
        }
    }
}

impl Nuisance {
    /// Adds itself to a frame in counts. `(s, c)`: sine and cosine of the phase; `peaks`: counts of
    /// nominal voltage and of rated current; `phase` gives the phase at an instant, in turns.
    pub fn disturb(
        &self,
        ns: u64,
        (s, c): (f32, f32),
        voltage: f32,
        peaks: &[f32; 2],
        phase: &mut impl FnMut(u64) -> f64,
        lanes: &mut [f32; 8],
    ) {
        if ns < self.at_ns || ns >= self.at_ns + self.length_ns {
            return;
        }
        let since_ms = (ns - self.at_ns) as f64 / 1e6;
        match self.kind {
            Kind::Ringing { hz } => {
                // The bank is empty when it is switched on: each phase first falls by its own
                // voltage of that instant, then rings around it.
                let start = phase(self.at_ns);
                let decay = libm::exp(-since_ms / RINGING_TAU_MS);
                let ring = decay * libm::cos(TAU * hz * since_ms / 1e3);
                for (at, lane) in lanes[..3].iter_mut().enumerate() {
                    let closing = libm::sin(TAU * (start - at as f64 / 3.0)) as f32;
                    *lane -= self.strength * voltage * peaks[0] * closing * ring as f32;
                }
            }
            Kind::Notches => {
                let turns = (libm::atan2f(s, c) / std::f32::consts::TAU).rem_euclid(NOTCH_TURNS.1);
                if turns < NOTCH_TURNS.0 {
                    lanes[..3]
                        .iter_mut()
                        .for_each(|lane| *lane *= 1.0 - self.strength);
                }
            }
            Kind::Inrush { phase } => {
                let (sin, cos) = libm::sincosf(std::f32::consts::TAU * phase as f32 / 3.0);
                let wave = (s * cos - c * sin).max(0.0);
                let decay = libm::exp(-since_ms / INRUSH.0) as f32;
                let lane = &mut lanes[3 + phase.min(2)];
                *lane += self.strength * voltage * peaks[1] * decay * wave;
            }
        }
    }
}
