#![allow(clippy::unwrap_used)]
#[path = "sim_support/mod.rs"]
mod support;
use karman_grid_twin::runner::run;
use karman_grid_twin::sim::Control;
use karman_grid_twin::sink::NoSink;
#[test]
fn digests() {
    for name in ["feed-loss"] {
        for seed in [1, 2] {
            let r = run(&support::inputs(name, seed, Control::On), &mut NoSink).unwrap();
            println!(
                "4n3 {name} {seed} {:02x?} react {} expected {}",
                &r.digest[..8],
                r.latencies.react.len(),
                r.commands_expected
            );
        }
    }
    let mut names = vec![];
    for (name, text) in [
        ("2n", include_str!("../../../tests/cases/sites/2n.json")),
        ("3n2", include_str!("../../../tests/cases/sites/3n2.json")),
    ] {
        for seed in 1..=4 {
            let mut i = support::inputs("feed-loss", seed, Control::On);
            i.site = serde_json::from_str(text).unwrap();
            i.scenario.duration_s = 8.0;
            let r = run(&i, &mut NoSink).unwrap();
            println!(
                "{name} {seed} {:02x?} react {} all {} expected {} sent {} esc {} max {:?}",
                &r.digest[..8],
                r.latencies.react.len(),
                r.latencies.react_all.len(),
                r.commands_expected,
                r.commands_sent,
                r.escalations,
                r.latencies.react.iter().max()
            );
            names.push(r.commands_expected);
        }
    }
}
