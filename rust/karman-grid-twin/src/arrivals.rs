//! Request arrivals: the generator fitted to an hour of measured arrivals.
//!
//! Owns `Arrival`, the parameters of the generator and the generator. The process is a Poisson
//! process whose rate is a smooth level (periodic, piecewise linear, the sum of the classes' rates)
//! times two independent gamma factors, each constant on blocks of its own length. An arrival
//! belongs to a class by the classes' shares at its time and takes its tokens from the quantile
//! tables of that class. Deterministic from the seed on every machine.
//! Parameters and their residuals: `docs/reference/workload-model.md`.

use serde::{Deserialize, Serialize};

/// One arrival: a point in time and the tokens of each request that it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Arrival {
    /// Time since the start of the run, s.
    pub at_s: f64,
    /// Tokens of the prompt.
    pub context_tokens: u32,
    /// Tokens of the answer.
    pub generated_tokens: u32,
}

/// A factor of the rate with mean 1, drawn anew from a gamma distribution for every block.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Burst {
    /// Length of a block, s; 0.01 to 1e6.
    pub block_s: f64,
    /// Variance of the factor, 0 (no modulation) to 1.
    pub variance: f64,
}

/// Quantile function in tokens: linear between knots, a draw is rounded to whole tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuantileTable {
    /// Probability levels, rising from 0 to 1.
    pub level_ratio: Vec<f64>,
    /// Values at these levels, tokens, not falling.
    pub value_tokens: Vec<f64>,
}

/// Arrivals of one range of contexts: how often they come over the period, and their tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArrivalClass {
    /// Rate at evenly spaced instants of the period, from its start, 1/s; linear between.
    pub rate_knots_per_s: Vec<f64>,
    /// Context tokens.
    pub context: QuantileTable,
    /// Generated tokens.
    pub generated: QuantileTable,
}

/// Parameters of the generator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArrivalParams {
    /// Period after which the level repeats, s.
    pub rate_period_s: f64,
    /// Burstiness on the scale of a second.
    pub burst_fast: Burst,
    /// Burstiness on the scale of a minute.
    pub burst_slow: Burst,
    /// Classes of arrivals; the rates add up.
    pub classes: Vec<ArrivalClass>,
}

impl ArrivalParams {
    /// Checks what the generator relies on.
    ///
    /// # Errors
    /// Names the first parameter that is out of range, what was found and what was expected.
    pub fn validate(&self) -> Result<(), String> {
        if !(1.0..=1e9).contains(&self.rate_period_s) {
            return Err(format!(
                "rate_period_s: found {}, expected 1 to 1e9",
                self.rate_period_s
            ));
        }
        for (name, burst) in [
            ("burst_fast", self.burst_fast),
            ("burst_slow", self.burst_slow),
        ] {
            if !(0.01..=1e6).contains(&burst.block_s) {
                return Err(format!(
                    "{name}.block_s: found {}, expected 0.01 to 1e6",
                    burst.block_s
                ));
            }
            if !(0.0..=1.0).contains(&burst.variance) {
                return Err(format!(
                    "{name}.variance: found {}, expected 0 to 1",
                    burst.variance
                ));
            }
        }
        if self.classes.is_empty() {
            return Err("classes: found none, expected at least one".into());
        }
        for class in &self.classes {
            if class.rate_knots_per_s.is_empty() {
                return Err("rate_knots_per_s: found no knot, expected at least one".into());
            }
            for &rate in &class.rate_knots_per_s {
                if !(0.0..=RATE_MAX_PER_S).contains(&rate) {
                    return Err(format!(
                        "rate_knots_per_s: found {rate}, expected 0 to {RATE_MAX_PER_S}"
                    ));
                }
            }
            class.context.validate("context")?;
            class.generated.validate("generated")?;
        }
        Ok(())
    }

    /// Rate of all classes at a time, 1/s, before the burst factors.
    fn rate_per_s(&self, at_s: f64) -> f64 {
        self.classes
            .iter()
            .map(|class| class.rate_per_s(at_s, self.rate_period_s))
            .sum()
    }

    /// The class of an arrival at a time, by the classes' shares of the rate there.
    fn draw_class(&self, random: &mut Random, at_s: f64) -> &ArrivalClass {
        let mut left = random.uniform() * self.rate_per_s(at_s);
        for class in &self.classes {
            left -= class.rate_per_s(at_s, self.rate_period_s);
            if left < 0.0 {
                return class;
            }
        }
        // Rounding can leave a trace of the rate.
        &self.classes[self.classes.len() - 1]
    }
}

impl ArrivalClass {
    fn rate_per_s(&self, at_s: f64, period_s: f64) -> f64 {
        let knots = &self.rate_knots_per_s;
        let count = knots.len();
        let phase = (at_s / period_s).fract() * count as f64;
        let index = (phase as usize).min(count - 1);
        let next = knots[(index + 1) % count];
        knots[index] + (phase - index as f64) * (next - knots[index])
    }
}

/// Highest rate that a knot may hold, 1/s: keeps a mistyped rate from filling the memory.
const RATE_MAX_PER_S: f64 = 10_000.0;

impl QuantileTable {
    fn validate(&self, name: &str) -> Result<(), String> {
        let (levels, values) = (&self.level_ratio, &self.value_tokens);
        if levels.len() < 2 || levels.len() != values.len() {
            return Err(format!(
                "{name}: found {} levels and {} values, expected as many of both, at least 2",
                levels.len(),
                values.len()
            ));
        }
        let rising = levels.windows(2).all(|pair| pair[0] < pair[1]);
        if !rising || levels[0] != 0.0 || levels[levels.len() - 1] != 1.0 {
            return Err(format!(
                "{name}.level_ratio: found {levels:?}, expected levels rising from 0 to 1"
            ));
        }
        let ordered = values.windows(2).all(|pair| pair[0] <= pair[1]);
        let in_range = values.iter().all(|value| (0.0..=1e9).contains(value));
        if !ordered || !in_range {
            return Err(format!(
                "{name}.value_tokens: found {values:?}, expected values from 0 to 1e9 that do not \
                 fall"
            ));
        }
        Ok(())
    }

    fn draw(&self, random: &mut Random) -> u32 {
        let value = interpolate(random.uniform(), &self.level_ratio, &self.value_tokens);
        (value + 0.5).floor() as u32
    }
}

/// Piecewise linear function through (`xs`, `ys`): held below the first knot, and beyond the last
/// one continued with the last slope. `xs` rises; both have the same length, at least 1.
pub(crate) fn interpolate(x: f64, xs: &[f64], ys: &[f64]) -> f64 {
    let last = xs.len() - 1;
    if x <= xs[0] || last == 0 {
        return ys[0];
    }
    let high = xs.partition_point(|&knot| knot < x).clamp(1, last);
    let slope = (ys[high] - ys[high - 1]) / (xs[high] - xs[high - 1]);
    ys[high - 1] + slope * (x - xs[high - 1])
}

/// Arrivals of `duration_s` from time 0, in order of time.
///
/// The same parameters, seed and duration give the same list to the last bit; a longer duration
/// continues a shorter one. `params` must pass [`ArrivalParams::validate`].
#[must_use]
pub fn generate(params: &ArrivalParams, seed: u64, duration_s: f64) -> Vec<Arrival> {
    // Separate streams: the tokens of the n-th arrival do not depend on how its time was found.
    let mut times = Random::new(seed, 1);
    let mut tokens = Random::new(seed, 2);
    let mut fast = Modulation::new(params.burst_fast, Random::new(seed, 3));
    let mut slow = Modulation::new(params.burst_slow, Random::new(seed, 4));
    let mut arrivals = Vec::new();
    let mut from_s = 0.0;
    while from_s < duration_s {
        let until_s = fast.until_s.min(slow.until_s);
        let level = params.rate_per_s(0.5 * (from_s + until_s));
        let rate = level * fast.factor * slow.factor;
        let end_s = until_s.min(duration_s);
        // A rate of 0 gives an infinite gap.
        let mut at_s = from_s + times.exponential() / rate;
        while at_s < end_s {
            arrivals.push(draw_tokens(params, &mut tokens, at_s));
            at_s += times.exponential() / rate;
        }
        from_s = until_s;
        fast.advance(until_s);
        slow.advance(until_s);
    }
    arrivals
}

fn draw_tokens(params: &ArrivalParams, random: &mut Random, at_s: f64) -> Arrival {
    let class = params.draw_class(random, at_s);
    Arrival {
        at_s,
        context_tokens: class.context.draw(random),
        generated_tokens: class.generated.draw(random),
    }
}

/// The factor in force and the end of its block.
struct Modulation {
    burst: Burst,
    random: Random,
    block: u64,
    factor: f64,
    until_s: f64,
}

impl Modulation {
    fn new(burst: Burst, mut random: Random) -> Self {
        Self {
            factor: random.gamma(burst.variance),
            until_s: burst.block_s,
            block: 1,
            burst,
            random,
        }
    }

    fn advance(&mut self, now_s: f64) {
        if self.until_s <= now_s {
            self.block += 1;
            // A product, not a sum: block ends must not drift over a long run.
            self.until_s = self.block as f64 * self.burst.block_s;
            self.factor = self.random.gamma(self.burst.variance);
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and more than random enough for arrivals.
struct Random {
    state: u64,
}

impl Random {
    fn new(seed: u64, stream: u64) -> Self {
        let mut random = Self { state: seed };
        // Neighbouring seeds and streams must start far apart.
        random.state = random
            .next()
            .wrapping_add(stream.wrapping_mul(0xD1B5_4A32_D192_ED03));
        random.state = random.next();
        random
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// In [0, 1), 53 bits.
    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Exponential with mean 1; never 0.
    fn exponential(&mut self) -> f64 {
        -libm::log(self.uniform() + 0.5 / (1u64 << 53) as f64)
    }

    /// Standard normal (Box and Muller 1958; the second value is dropped).
    fn normal(&mut self) -> f64 {
        let radius = (2.0 * self.exponential()).sqrt();
        radius * libm::cos(std::f64::consts::TAU * self.uniform())
    }

    /// Gamma with mean 1 and a variance of 0 to 1 (Marsaglia and Tsang 2000).
    fn gamma(&mut self, variance: f64) -> f64 {
        if variance <= 0.0 {
            return 1.0;
        }
        let d = 1.0 / variance - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let root = 1.0 + c * x;
            if root <= 0.0 {
                continue;
            }
            let v = root * root * root;
            let bound = 0.5 * x * x + d - d * v + d * libm::log(v);
            if libm::log(1.0 - self.uniform()) < bound {
                return d * v * variance;
            }
        }
    }
}
