//! Seeded randomness: one independent stream for each purpose, so that a draw added in one place
//! shifts nothing elsewhere. Elementary functions come from `libm`, hence the same numbers on every
//! machine. Owns no state beyond a stream's 32 bytes.

/// What a stream is for; each purpose has its own sequence under the same seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u64)]
pub enum Stream {
    /// Fluctuation of demand, one stream for each host.
    Demand = 1,
    /// Dead times of cap writes.
    DeadTime = 2,
    /// Sharing of load between the cords of a rack, one stream for each rack.
    Sharing = 3,
    /// Noise of waveform meters, one key for each meter.
    WaveNoise = 4,
    /// Nuisances in waveforms, one key for each place.
    Nuisance = 5,
    /// Wander of the grid's frequency.
    Wander = 6,
    /// Noise of slow power meters, one key for each meter.
    MeterNoise = 7,
    /// Latency and fate of writes, one stream for each host.
    Write = 8,
    /// Draws of a scenario: event times, back-feed and the like.
    Scenario = 9,
    /// Delays of messages.
    Transport = 10,
}

/// SplitMix64 finaliser (Steele, Lea, Flood, OOPSLA 2014): a bijection that mixes all bits.
#[inline]
pub fn mix(value: u64) -> u64 {
    let z = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Distance between successive inputs of [`mix`].
pub const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// A key for counter-based draws: `mix(key + n · GOLDEN)` is the n-th one.
pub fn key(seed: u64, stream: Stream, index: u64) -> u64 {
    let purpose = mix(seed.wrapping_add((stream as u64).wrapping_mul(GOLDEN)));
    mix(purpose
        ^ index
            .wrapping_mul(0xd605_1c4c_35b1_5f2d)
            .wrapping_add(GOLDEN))
}

/// 53 bits of `bits` as a number in 0..1.
#[inline]
pub fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

/// One stream: xoshiro256++ (Blackman, Vigna, 2019), state filled by SplitMix64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rng {
    state: [u64; 4],
}

impl Rng {
    /// Stream for one purpose and index (host, rack, …) under `seed`.
    pub fn stream(seed: u64, stream: Stream, index: u64) -> Rng {
        let start = key(seed, stream, index);
        let state = [1u64, 2, 3, 4].map(|n| mix(start.wrapping_add(n.wrapping_mul(GOLDEN))));
        Rng { state }
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        let s = &mut self.state;
        let out = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let shifted = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= shifted;
        s[3] = s[3].rotate_left(45);
        out
    }

    /// Uniform in 0..1.
    pub fn uniform(&mut self) -> f64 {
        unit(self.next_u64())
    }

    /// Uniform in `low..high`.
    pub fn uniform_in(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    /// Standard normal (Box–Muller, one of the pair; every call takes two draws).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * libm::log(1.0 - self.uniform())).sqrt();
        radius * libm::cos(std::f64::consts::TAU * self.uniform())
    }

    /// Lognormal with this median and standard deviation of the logarithm.
    pub fn lognormal(&mut self, median: f64, sigma: f64) -> f64 {
        median * libm::exp(sigma * self.normal())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_independent_of_each_other() {
        let mut alone = Rng::stream(7, Stream::Demand, 0);
        let first: Vec<u64> = (0..8).map(|_| alone.next_u64()).collect();
        let mut other = Rng::stream(7, Stream::DeadTime, 0);
        other.next_u64();
        let mut again = Rng::stream(7, Stream::Demand, 0);
        assert_eq!(first, (0..8).map(|_| again.next_u64()).collect::<Vec<_>>());
        for (seed, stream, index) in [
            (8, Stream::Demand, 0),
            (7, Stream::Sharing, 0),
            (7, Stream::Demand, 1),
        ] {
            assert_ne!(Rng::stream(seed, stream, index).next_u64(), first[0]);
        }
    }

    #[test]
    fn moments_fit() {
        let mut rng = Rng::stream(1, Stream::Write, 3);
        let n = 200_000;
        let (mut sum, mut square, mut uniform) = (0.0, 0.0, 0.0);
        for _ in 0..n {
            let x = rng.normal();
            sum += x;
            square += x * x;
            uniform += rng.uniform();
        }
        let n = f64::from(n);
        assert!((sum / n).abs() < 0.01, "{}", sum / n);
        assert!((square / n - 1.0).abs() < 0.02, "{}", square / n);
        assert!((uniform / n - 0.5).abs() < 0.005, "{}", uniform / n);
    }
}
