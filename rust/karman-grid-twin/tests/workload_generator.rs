//! The workload's parameters from outside: what the generator draws from them, and which of them
//! are refused.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod workload_support;

use karman_grid_twin::arrivals::{Arrival, ArrivalParams, QuantileTable, generate};
use karman_grid_twin::serving::ServingParams;
use workload_support::shipped;

#[test]
fn generator_repeats_to_the_bit_and_continues() {
    let params = shipped().arrivals;
    let hour = generate(&params, 7, 3600.0);
    assert_eq!(hour, generate(&params, 7, 3600.0));
    assert_ne!(hour, generate(&params, 8, 3600.0));
    let part = generate(&params, 7, 900.0);
    assert!(part.len() > 3000);
    assert_eq!(part, hour[..part.len()]);
    assert!(hour[part.len()].at_s >= 900.0);
    assert!(hour.windows(2).all(|pair| pair[0].at_s <= pair[1].at_s));
    assert!(hour[0].at_s >= 0.0 && hour[hour.len() - 1].at_s < 3600.0);
    assert!(generate(&params, 7, 0.0).is_empty());
}

#[test]
fn generator_meets_the_fitted_level_and_burstiness() {
    let params = shipped().arrivals;
    let count = params.classes[0].rate_knots_per_s.len();
    let knot = |index: usize| -> f64 {
        let all = params.classes.iter();
        all.map(|class| class.rate_knots_per_s[index % count]).sum()
    };
    let level = |at_s: f64| {
        let phase = at_s / params.rate_period_s * count as f64;
        let index = phase as usize;
        knot(index) + phase.fract() * (knot(index + 1) - knot(index))
    };
    let seeds = 40;
    let mut counts = vec![vec![0.0; 360]; seeds];
    for (seed, row) in counts.iter_mut().enumerate() {
        for arrival in generate(&params, seed as u64, 3600.0) {
            row[(arrival.at_s / 10.0) as usize] += 1.0;
        }
    }
    let expected: Vec<f64> = (0..360)
        .map(|bin| 10.0 * level(10.0 * bin as f64 + 5.0))
        .collect();
    let total: f64 = counts.iter().flatten().sum();
    let model: f64 = expected.iter().sum::<f64>() * seeds as f64;
    assert!(
        (total / model - 1.0).abs() < 0.01,
        "{total} against {model}"
    );
    for knot in 0..count {
        let bins = knot * 30..(knot + 1) * 30;
        let got: f64 = counts
            .iter()
            .map(|row| row[bins.clone()].iter().sum::<f64>())
            .sum();
        let want = expected[bins].iter().sum::<f64>() * seeds as f64;
        assert!(
            (got / want - 1.0).abs() < 0.03,
            "knot {knot}: {got} against {want}"
        );
    }
    let squares: f64 = counts
        .iter()
        .flat_map(|row| {
            row.iter()
                .zip(&expected)
                .map(|(got, want)| (got - want) * (got - want))
        })
        .sum();
    // Residual table of the fit: the model's index at 10 s is 1.51, a Poisson process has 1.
    let dispersion = squares / model;
    assert!((1.40..1.65).contains(&dispersion), "{dispersion}");
}

#[test]
fn generator_draws_tokens_from_the_tables() {
    let params = shipped().arrivals;
    // Only the last class holds contexts beyond 2,734.5 tokens, so its draws can be told apart.
    let class = &params.classes[5];
    let low = class.context.value_tokens[0];
    let inside: Vec<Arrival> = (0..10)
        .flat_map(|seed| generate(&params, seed, 3600.0))
        .filter(|arrival| f64::from(arrival.context_tokens) > low)
        .collect();
    assert!(inside.len() > 15_000, "{}", inside.len());
    let share = |below: usize| below as f64 / inside.len() as f64;
    for (level, value) in class
        .context
        .level_ratio
        .iter()
        .zip(&class.context.value_tokens)
    {
        let got = share(
            inside
                .iter()
                .filter(|a| f64::from(a.context_tokens) < *value)
                .count(),
        );
        assert!(
            (got - level).abs() < 0.015,
            "context {value}: {got} against {level}"
        );
    }
    for (level, value) in class
        .generated
        .level_ratio
        .iter()
        .zip(&class.generated.value_tokens)
    {
        let got = share(
            inside
                .iter()
                .filter(|a| f64::from(a.generated_tokens) < *value)
                .count(),
        );
        assert!(
            (got - level).abs() < 0.015,
            "generated {value}: {got} against {level}"
        );
    }
    // Its rate over the hour: many between 1,500 and 2,000 s, few from 2,300 to 2,500 s.
    let count = |from_s: f64, to_s: f64| {
        let within = from_s..to_s;
        inside.iter().filter(|a| within.contains(&a.at_s)).count() as f64 / (to_s - from_s)
    };
    assert!(count(1500.0, 2000.0) > 5.0 * count(2300.0, 2500.0));
}

#[test]
fn parameters_out_of_range_are_named() {
    let good = shipped();
    let serving = |change: fn(&mut ServingParams)| {
        let mut params = good.serving.clone();
        change(&mut params);
        params.validate().unwrap_err()
    };
    assert!(serving(|p| p.idle_power_ratio = -0.1).starts_with("idle_power_ratio: found -0.1"));
    assert!(serving(|p| p.decode_time_base_s = 0.0).contains("decode_time_base_s"));
    assert!(serving(|p| p.spread_s = f64::NAN).contains("spread_s"));
    assert!(serving(|p| p.prefill_power_ratio[0] = 1.2).contains("prefill_power_ratio"));
    assert!(serving(|p| p.prefill_time_s.truncate(2)).contains("prefill_time_s"));
    assert!(serving(|p| p.prefill_tokens.reverse()).contains("prefill_tokens"));
    let arrivals = |change: fn(&mut ArrivalParams)| {
        let mut params = good.arrivals.clone();
        change(&mut params);
        params.validate().unwrap_err()
    };
    assert!(arrivals(|p| p.rate_period_s = 0.0).contains("rate_period_s"));
    assert!(arrivals(|p| p.classes[0].rate_knots_per_s.clear()).contains("rate_knots_per_s"));
    assert!(arrivals(|p| p.classes[1].rate_knots_per_s[2] = f64::NAN).contains("found NaN"));
    assert!(arrivals(|p| p.burst_fast.block_s = 0.0).contains("burst_fast.block_s"));
    assert!(arrivals(|p| p.burst_slow.variance = 2.0).contains("burst_slow.variance"));
    let table = |change: fn(&mut QuantileTable)| {
        let mut params = good.arrivals.clone();
        change(&mut params.classes[2].context);
        params.validate().unwrap_err()
    };
    assert!(table(|t| t.level_ratio[0] = 0.1).contains("context.level_ratio"));
    assert!(table(|t| t.value_tokens[1] = -5.0).contains("context.value_tokens"));
    assert!(table(|t| t.value_tokens.clear()).contains("context: found 7 levels and 0 values"));
    assert!(arrivals(|p| p.classes.clear()).contains("classes: found none"));
}
