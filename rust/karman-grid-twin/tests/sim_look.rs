#[path = "sim_support/mod.rs"]
mod support;
use karman_grid_twin::sim::Control;
use karman_grid_twin::result::pool;

#[test]
#[ignore]
fn look() {
    let name = std::env::var("NAME").unwrap_or("feed-loss".into());
    let seed: u64 = std::env::var("SEED").map_or(1, |s| s.parse().unwrap());
    let control = match std::env::var("CONTROL").as_deref() { Ok("off") => Control::Off, Ok("static-75") => Control::Static75, _ => Control::On };
    let t = std::time::Instant::now();
    let r = support::run_one(&name, seed, control);
    eprintln!("wall {:.3} s", t.elapsed().as_secs_f64());
    let s = &r.series;
    let step = (s.at_ms.len() / 60).max(1);
    for at in (0..s.at_ms.len()).step_by(step) {
        eprintln!("{:9.1} load {:9.0} demand {:9.0} {:?} {:?}", s.at_ms[at], s.load_w[at], s.demand_w[at], s.feed_power_w[at].iter().map(|w| *w as i64).collect::<Vec<_>>(), s.feed_accumulator_ratio[at].iter().map(|w| (w * 1000.0) as i64).collect::<Vec<_>>());
    }
    let d = pool(&[r]);
    println!("{}", serde_json::to_string_pretty(&d).unwrap());
}
