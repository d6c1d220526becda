//! Damaged COMTRADE files: cut, flipped and random bytes never panic, and never pass in silence.

mod common;

use karman_grid_record::comtrade::{Comtrade, DefectKind};
use proptest::prelude::*;

const RECORDS: [&str; 3] = [
    "keating_1999",
    "atp_ieee123_f1",
    "transformer66kv_60hz_float32",
];

const CFG: &str = "Hall,meter,2013\n4,3A,1D\n1,a,,,V,1,0,0,-9,9,1,1,P\n2,b,,,V,1,0,0,-9,9,1,1,P\n\
    3,c,,,V,1,0,0,-9,9,1,1,P\n1,d,,,0\n50\n2\n4000,3\n2000,5\n1/1/26,0:0:0\n1/1/26,0:0:0\n\
    FORMAT\n1\n";

fn synthetic(format: &str) -> (Vec<u8>, Vec<u8>) {
    let width = match format {
        "BINARY" => 2,
        _ => 4,
    };
    let mut dat = Vec::new();
    for number in 1_u32..=5 {
        if format == "ASCII" {
            dat.extend(format!("{number},{number},1,-2,3,1\r\n").bytes());
        } else {
            dat.extend(number.to_le_bytes());
            dat.extend(number.to_le_bytes());
            dat.extend([0; 12].iter().take(3 * width));
            dat.extend([1, 0]);
        }
    }
    (CFG.replace("FORMAT", format).into_bytes(), dat)
}

const FORMATS: [&str; 4] = ["ASCII", "BINARY", "BINARY32", "FLOAT32"];

/// What must hold of anything the reader returns.
#[track_caller]
fn assert_consistent(record: &Comtrade) {
    let count = record.sample_count();
    assert!(record.samples.iter().all(|channel| channel.len() == count));
    assert_eq!(record.samples.len(), record.config.analog.len());
    for channel in 0..record.config.digital.len() {
        assert_eq!(record.digital_state(channel, count), None);
        assert!((0..count).all(|sample| record.digital_state(channel, sample).is_some()));
    }
}

#[test]
fn every_cut_of_the_data_keeps_the_whole_samples_and_says_so() {
    for format in FORMATS {
        let (cfg, dat) = synthetic(format);
        let whole = Comtrade::read(&cfg, &dat).unwrap();
        assert_eq!(
            (whole.sample_count(), whole.notes.len()),
            (5, 0),
            "{format}"
        );
        for end in 0..dat.len() {
            let cut = Comtrade::read(&cfg, &dat[..end]).unwrap();
            assert_consistent(&cut);
            let count = cut.sample_count();
            assert_eq!(cut.times_s, whole.times_s[..count]);
            // Only the end of the last line is gone: its values are all there.
            let said = cut
                .notes
                .iter()
                .any(|note| note.kind == DefectKind::Truncated);
            assert!(
                said || (format == "ASCII" && end == dat.len() - 1),
                "{format} cut at {end}"
            );
            for (cut, whole) in cut.samples.iter().zip(&whole.samples) {
                let sure = if format == "ASCII" {
                    count.saturating_sub(1)
                } else {
                    count
                };
                assert_eq!(cut[..sure], whole[..sure], "{format} cut at {end}");
            }
        }
    }
}

#[test]
fn every_cut_of_the_header_is_an_error_or_reads_consistently() {
    for format in FORMATS {
        let (cfg, dat) = synthetic(format);
        let required = cfg.len() - "\n1\n".len();
        for end in 0..cfg.len() {
            match Comtrade::read(&cfg[..end], &dat) {
                Ok(record) => {
                    assert_consistent(&record);
                    // "BINARY32" cut to "BINARY" is a whole word, which the data then contradict.
                    assert!(
                        end >= required || !record.notes.is_empty(),
                        "{format} cut at {end}"
                    );
                }
                Err(error) => assert!(end < required, "{format} cut at {end}: {error}"),
            }
        }
    }
}

#[test]
fn cuts_of_the_given_records_keep_the_whole_samples() {
    for name in RECORDS {
        let Some((cfg, dat)) = common::record(name) else {
            return;
        };
        let whole = Comtrade::read(&cfg, &dat).unwrap();
        for part in 0..40 {
            let end = dat.len() * part / 40 + part;
            let cut = Comtrade::read(&cfg, &dat[..end]).unwrap();
            assert_consistent(&cut);
            assert!(
                cut.notes
                    .iter()
                    .any(|note| note.kind == DefectKind::Truncated)
            );
            let sure = cut.sample_count().saturating_sub(1);
            assert!(
                sure + 2 >= whole.sample_count() * part / 40,
                "{name} cut at {end}"
            );
            for (cut, whole) in cut.samples.iter().zip(&whole.samples) {
                assert_eq!(cut[..sure], whole[..sure], "{name} cut at {end}");
            }
        }
        for end in 0..cfg.len() {
            if let Ok(record) = Comtrade::read(&cfg[..end], &dat[..dat.len().min(20_000)]) {
                assert_consistent(&record);
            }
        }
    }
}

/// A few bytes changed, somewhere in a file of this length.
fn damage() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)
}

fn damaged(bytes: &[u8], changes: &[(prop::sample::Index, u8)]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (at, value) in changes {
        let at = at.index(bytes.len());
        bytes[at] = *value;
    }
    bytes
}

fn read_and_check(cfg: &[u8], dat: &[u8]) {
    match Comtrade::read(cfg, dat) {
        Ok(record) => assert_consistent(&record),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn changed_bytes_never_panic(format in 0..4_usize, in_cfg in damage(), in_dat in damage()) {
        let (cfg, dat) = synthetic(FORMATS[format]);
        read_and_check(&damaged(&cfg, &in_cfg), &dat);
        read_and_check(&cfg, &damaged(&dat, &in_dat));
        read_and_check(&damaged(&cfg, &in_cfg), &damaged(&dat, &in_dat));
    }

    #[test]
    fn random_bytes_never_panic(
        cfg in prop::collection::vec(any::<u8>(), 0..200),
        dat in prop::collection::vec(any::<u8>(), 0..200),
        format in 0..4_usize,
    ) {
        read_and_check(&cfg, &dat);
        read_and_check(&synthetic(FORMATS[format]).0, &dat);
    }

    /// Counts, rates and lengths of any size: neither memory nor time may follow them.
    #[test]
    fn huge_numbers_in_the_header_are_harmless(
        analog in any::<u64>(),
        digital in any::<u64>(),
        rates in any::<u64>(),
        last in any::<u64>(),
        rate_hz in any::<f64>(),
        format in 0..4_usize,
    ) {
        let (cfg, dat) = synthetic(FORMATS[format]);
        let cfg = String::from_utf8(cfg)?;
        read_and_check(cfg.replace("4,3A,1D", &format!("4,{analog}A,{digital}D")).as_bytes(), &dat);
        read_and_check(cfg.replace("\n2\n4000", &format!("\n{rates}\n4000")).as_bytes(), &dat);
        read_and_check(cfg.replace("2000,5", &format!("{rate_hz},{last}")).as_bytes(), &dat);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn changed_bytes_in_the_given_records_never_panic(
        which in 0..3_usize,
        in_cfg in damage(),
        in_dat in damage(),
    ) {
        let Some((cfg, dat)) = common::record(RECORDS[which]) else { return Ok(()) };
        read_and_check(&damaged(&cfg, &in_cfg), &dat);
        read_and_check(&cfg, &damaged(&dat, &in_dat));
    }
}
