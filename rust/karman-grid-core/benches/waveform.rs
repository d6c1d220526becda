//! Throughput of the detector in channel-samples a second and ns a frame.
//!
//! `cargo bench -p karman-grid-core --bench waveform`
//!
//! Eight meters at 32 kS/s, all healthy and then with one path dead; best and median of the
//! repeats, wall time of one thread.

#[path = "../tests/detector_support/mod.rs"]
mod detector_support;

use detector_support::{Bench, Dice, Wave};
use std::hint::black_box;

const RATE_HZ: f64 = 32_000.0;
const METERS: usize = 8;
const REPEATS: usize = 9;

// A bench has to read a clock.
#[allow(clippy::disallowed_methods)]
fn seconds(work: impl FnOnce()) -> f64 {
    let start = std::time::Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

fn measure(name: &str, recordings: &[(usize, &[[i16; 6]])], block: usize) {
    let frames: usize = recordings.iter().map(|r| r.1.len()).sum();
    let mut ns: Vec<f64> = (0..REPEATS)
        .map(|_| {
            let mut bench = Bench::new(RATE_HZ);
            let s = seconds(|| bench.play(black_box(recordings), block));
            black_box(&bench.events);
            s * 1e9 / frames as f64
        })
        .collect();
    ns.sort_by(f64::total_cmp);
    let (best, median) = (ns[0], ns[REPEATS / 2]);
    println!(
        "{name:24} {block:5} frames a block: {best:6.1} ns a frame (median {median:6.1}), \
         {:6.0} MS/s",
        6e3 / best
    );
}

fn main() {
    let frames = (RATE_HZ * 2.0) as usize;
    let mut dice = Dice(7);
    let healthy = Wave::random(RATE_HZ, &mut dice).frames(frames, |_, _| {});
    let lost = Wave::random(RATE_HZ, &mut dice).frames(frames, |t, x| {
        if t > 0.4 {
            *x = [0.0; 6];
        }
    });
    let all: Vec<_> = (0..METERS)
        .map(|meter| (meter, healthy.as_slice()))
        .collect();
    let mut one_lost = all.clone();
    one_lost[1].1 = &lost;
    for block in [1, 8, 32, 256, 4_096] {
        measure("8 meters healthy", &all, block);
    }
    measure("1 of 8 meters dead", &one_lost, 32);
}
