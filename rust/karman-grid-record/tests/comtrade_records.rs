//! The COMTRADE reader over records made by others: a relay, a power quality meter, a simulator.
//! The figures are facts of those records, found with other tools.

mod common;

use karman_grid_record::comtrade::{Comtrade, DataFormat, Referred, Revision};

fn rms(values: &[f64]) -> f64 {
    (values.iter().map(|value| value * value).sum::<f64>() / values.len() as f64).sqrt()
}

#[track_caller]
fn assert_near(found: f64, expected: f64, tolerance: f64) {
    assert!(
        (found - expected).abs() <= tolerance,
        "found {found}, expected {expected}"
    );
}

#[test]
fn relay_record_float32_shows_the_interruption_in_the_current_only() {
    let Some((cfg, dat)) = common::record("transformer66kv_60hz_float32") else {
        return;
    };
    let record = Comtrade::read(&cfg, &dat).unwrap();
    assert_eq!(record.notes, []);
    assert_eq!(record.config.format, DataFormat::Float32);
    assert_eq!(record.config.revision, Revision::Ieee2013);
    assert_eq!(
        (record.config.analog.len(), record.config.digital.len()),
        (23, 140)
    );
    assert_eq!(record.sample_count(), 7200);
    assert!(record.samples.iter().all(|channel| channel.len() == 7200));
    assert_eq!(record.config.line_hz, Some(60.0));
    assert_near(record.times_s[7199], 7199.0 / 1200.0, 1e-9);
    // Nine digits of fraction: the two header times differ by 999,935,656 ns.
    assert_near(record.config.trigger_s.unwrap(), 0.999_935_656, 1e-12);
    assert_eq!(record.config.time_codes, Some(("+9".into(), "+9".into())));
    assert_eq!(record.config.time_quality, Some(("0".into(), "0".into())));

    let names: Vec<&str> = record
        .config
        .analog
        .iter()
        .map(|c| c.name.as_str())
        .collect();
    assert_eq!(names[9..12], ["LV IR", "LV IS", "LV IT"]);
    assert_eq!(record.config.analog[9].unit, "A");
    for (channel, before_a) in [(9, 601.397), (10, 624.773), (11, 602.818)] {
        let current = &record.samples[channel];
        assert_near(rms(&current[..1160]), before_a, 0.001);
        assert!(rms(&current[1220..2400]) < 0.02 * before_a);
        // Every pole still carries current at sample 1165, none does after 1181.
        assert!(current[1165..1172].iter().any(|value| value.abs() > 300.0));
        assert!(current[1181..1220].iter().all(|value| value.abs() < 15.0));
    }
    for channel in 5..8 {
        let voltage = &record.samples[channel];
        let ratio = rms(&voltage[1220..2400]) / rms(&voltage[..1160]);
        assert!(
            (1.001..1.005).contains(&ratio),
            "bus voltage went to {ratio}"
        );
    }
    // The breaker's own contacts: pole T leaves "closed" first, all are open at sample 1200.
    assert_eq!(record.config.digital[6].name, "QA1 T Closed");
    assert_eq!(record.digital_state(6, 1175), Some(true));
    assert_eq!(record.digital_state(6, 1176), Some(false));
    assert_eq!(record.config.digital[1].name, "QA1 Open");
    assert_eq!(record.digital_state(1, 1199), Some(false));
    assert_eq!(record.digital_state(1, 1200), Some(true));
    // A channel of the second word: bit 18.
    assert_eq!(record.digital_state(18, 1260), Some(false));
    assert_eq!(record.digital_state(18, 1261), Some(true));
    assert_eq!(record.digital_state(140, 0), None);
    assert_eq!(record.digital_state(0, 7200), None);
}

#[test]
fn meter_record_ascii_shows_the_switching_transient() {
    let Some((cfg, dat)) = common::record("keating_1999") else {
        return;
    };
    let record = Comtrade::read(&cfg, &dat).unwrap();
    assert_eq!(record.notes, []);
    assert_eq!(record.config.format, DataFormat::Ascii);
    assert_eq!(record.config.revision, Revision::Ieee1999);
    assert_eq!(
        (record.config.analog.len(), record.config.digital.len()),
        (8, 0)
    );
    assert_eq!(record.sample_count(), 2048);
    assert_near(record.config.rates[0].rate_hz / 60.0, 512.0, 1.0);
    assert_near(record.times_s[2047], 2047.0 / 30_707.244_140_625, 1e-12);
    assert_near(record.config.trigger_s.unwrap(), 0.024_956, 1e-12);
    assert_eq!(record.config.analog[4].unit, "volt");
    assert_eq!(record.config.analog[0].referred, Some(Referred::Primary));

    let expected = [
        126.108, 151.832, 166.696, 1.522, 348.951, 352.224, 345.953, 0.0845,
    ];
    for (channel, expected) in record.samples.iter().zip(expected) {
        assert_near(rms(channel), expected, 0.001);
    }
    // Against the same point of wave one period before.
    let step = |channel: &[f64], at: usize| (channel[at] - channel[at - 512]).abs();
    let phases = &record.samples[4..7];
    let largest_v = |at: usize| phases.iter().map(|v| step(v, at)).fold(0.0, f64::max);
    let at = (512..1024)
        .max_by(|l, r| largest_v(*l).total_cmp(&largest_v(*r)))
        .unwrap();
    assert_near(largest_v(at), 128.974, 0.001);
    assert_eq!(at, 681);
    // 9 samples are 0.29 ms; the difference to the next period would show them a second time.
    let over_50_v = (512..1024).filter(|at| largest_v(*at) > 50.0).count();
    assert_eq!(over_50_v, 9);
    // The recorder triggered within a quarter period after it.
    let trigger_s = record.config.trigger_s.unwrap();
    assert!((0.0..0.25 / 60.0).contains(&(trigger_s - record.times_s[at])));
}

#[test]
fn simulated_record_shows_the_fault_and_the_wrong_line_frequency() {
    let Some((cfg, dat)) = common::record("atp_ieee123_f1") else {
        return;
    };
    let record = Comtrade::read(&cfg, &dat).unwrap();
    assert_eq!(record.notes, []);
    assert_eq!(record.config.format, DataFormat::Float32);
    assert_eq!(
        (record.config.analog.len(), record.config.digital.len()),
        (15, 0)
    );
    assert_eq!(record.sample_count(), 40_001);
    assert_near(record.times_s[40_000], 0.4, 1e-12);
    assert_eq!(record.config.trigger_s, Some(0.0));

    // The header says 50 Hz and is handed on as read; the samples say 60 Hz.
    assert_eq!(record.config.line_hz, Some(50.0));
    let bus_a = &record.samples[0][..15_000];
    let rises: Vec<usize> = (1..bus_a.len())
        .filter(|at| bus_a[at - 1] < 0.0 && bus_a[*at] >= 0.0)
        .collect();
    let periods = (rises.len() - 1) as f64;
    let span_s = record.times_s[rises[rises.len() - 1]] - record.times_s[rises[0]];
    assert_near(periods / span_s, 60.0, 0.1);

    assert_eq!(record.config.analog[7].name, "FAULTB        I-branch");
    let fault = &record.samples[7];
    let start = fault.iter().position(|value| value.abs() > 10.0).unwrap();
    assert_near(record.times_s[start], 0.1524, 0.0001);
    let bus_b = &record.samples[1];
    assert_near(
        rms(&bus_b[17_000..22_000]) / rms(&bus_b[10_000..15_000]),
        0.39,
        0.005,
    );
}
