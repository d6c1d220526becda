//! The COMTRADE reader over records written here: every format, revision and oddity it promises.

use karman_grid_record::comtrade::{
    Comtrade, Config, DataFormat, Defect, DefectKind, Place, RecordFile, Revision,
};

/// Two analog channels and a status, header lines as given.
fn cfg(year: &str, rates: &str, format: &str, tail: &str) -> String {
    format!(
        "Hall,meter{year}\n3,2A,1D\n1,VA,A,bus,V,0.5,10,0,-32767,32767,400,230,P\n\
         2,IA,A,bus,A,2,-1,0,-32767,32767,1,1,s\n1,breaker,,,1\n50\n{rates}\n\
         31/12/2025,23:59:59.999000\n01/01/2026,00:00:00.001500\n{format}\n{tail}"
    )
}

/// Samples as (number, stamp, stored values, status).
type Rows = [(u32, u32, [i32; 2], u16)];

fn binary(rows: &Rows, width: usize) -> Vec<u8> {
    let mut dat = Vec::new();
    for (number, stamp, values, status) in rows {
        dat.extend(number.to_le_bytes());
        dat.extend(stamp.to_le_bytes());
        for value in values {
            dat.extend(&value.to_le_bytes()[..width]);
        }
        dat.extend(status.to_le_bytes());
    }
    dat
}

const ROWS: &Rows = &[
    (1, 0, [100, -3], 1),
    (2, 250, [-100, 4], 0),
    (3, 500, [7, 0], 1),
];

#[track_caller]
fn assert_is_rows(record: &Comtrade) {
    assert_eq!(record.notes, []);
    assert_eq!(record.samples, [[60.0, -40.0, 13.5], [-7.0, 7.0, -1.0]]);
    assert_eq!(record.times_s, [0.0, 0.00025, 0.0005]);
    let states: Vec<_> = (0..4).map(|at| record.digital_state(0, at)).collect();
    assert_eq!(states, [Some(true), Some(false), Some(true), None]);
}

#[test]
fn all_four_formats_give_the_same_values() {
    let header = |format| cfg(",2013", "1\n4000,3", format, "1\n");
    let read = |format, dat: &[u8]| Comtrade::read(header(format).as_bytes(), dat).unwrap();
    assert_is_rows(&read(
        "ASCII",
        b"1,0,100,-3,1\r\n2,250,-100,4,0\r\n3,500,7,0,1\r\n\x1a",
    ));
    assert_is_rows(&read(
        "ascii",
        b" 1, 0,+100, -3.0, 1 \n2,250,-1e2,4,0\n\n3,,7,0,1,\n",
    ));
    assert_is_rows(&read("BINARY", &binary(ROWS, 2)));
    assert_is_rows(&read("BINARY32", &binary(ROWS, 4)));
    let floats: Vec<u8> = ROWS
        .iter()
        .flat_map(|(number, stamp, values, status)| {
            let mut sample = [number.to_le_bytes(), stamp.to_le_bytes()].concat();
            values
                .iter()
                .for_each(|value| sample.extend((*value as f32).to_le_bytes()));
            sample.extend(status.to_le_bytes());
            sample
        })
        .collect();
    assert_is_rows(&read("float32", &floats));
}

#[test]
fn header_is_read_whole() {
    let text = cfg(",2013", "1\n4000,3", "BINARY32", "2.5\n+1h30,0\n4,3\n").replace('\n', "\r\n");
    let (config, notes) = Config::parse(text.as_bytes()).unwrap();
    assert_eq!(notes, []);
    assert_eq!(
        (config.station.as_str(), config.device.as_str()),
        ("Hall", "meter")
    );
    assert_eq!(
        (config.revision, config.format),
        (Revision::Ieee2013, DataFormat::Binary32)
    );
    let va = &config.analog[0];
    assert_eq!(
        (va.name.as_str(), va.phase.as_str(), va.unit.as_str()),
        ("VA", "A", "V")
    );
    assert_eq!(
        (va.component.as_str(), va.a, va.b, va.skew_us),
        ("bus", 0.5, 10.0, 0.0)
    );
    assert_eq!(
        (va.stored_min, va.stored_max),
        (Some(-32_767.0), Some(32_767.0))
    );
    assert_eq!((va.primary, va.secondary), (Some(400.0), Some(230.0)));
    assert_eq!(config.digital[0].normal, Some(true));
    assert_eq!(config.start, "31/12/2025,23:59:59.999000");
    // Over midnight into another year.
    assert_eq!(config.trigger_s, Some(0.0025));
    assert_eq!(config.time_multiplier, 2.5);
    assert_eq!(config.time_codes, Some(("+1h30".into(), "0".into())));
    assert_eq!(config.time_quality, Some(("4".into(), "3".into())));
}

#[test]
fn revision_1991_has_no_year_short_channels_and_no_multiplier() {
    let text = "Hall,meter\r\n2,1A,1D\r\n1,VA,A,bus,V,0.5,10,0,-2048,2047\r\n1,breaker,0\r\n\
                50\r\n1\r\n4000,2\r\n12/31/95,10:00:00.5\r\n12/31/95,10:00:01\r\nASCII\r\n";
    let record = Comtrade::read(text.as_bytes(), b"1,0,99999,0\n2,250,-2,1\n").unwrap();
    assert_eq!(record.notes, []);
    assert_eq!(record.config.revision, Revision::Ieee1991);
    assert_eq!(record.config.analog[0].referred, None);
    assert_eq!(record.config.digital[0].normal, Some(false));
    assert_eq!(record.config.trigger_s, Some(0.5));
    assert_eq!(record.config.time_multiplier, 1.0);
    assert!(record.samples[0][0].is_nan());
    assert_eq!(record.samples[0][1], 9.0);
}

#[test]
fn several_rates_share_one_time_axis() {
    let header = cfg(",1999", "3\n1000,2\n4000,6\n500,7", "ASCII", "1\n");
    let dat: String = (1..=7)
        .map(|number| format!("{number},0,0,0,0\n"))
        .collect();
    let record = Comtrade::read(header.as_bytes(), dat.as_bytes()).unwrap();
    assert_eq!(record.config.rates.len(), 3);
    let expected_ms = [0.0, 1.0, 1.25, 1.5, 1.75, 2.0, 4.0];
    for (found, expected) in record.times_s.iter().zip(expected_ms) {
        assert!(
            (found * 1e3 - expected).abs() < 1e-12,
            "{:?}",
            record.times_s
        );
    }
    // A cut inside a section keeps the times before it.
    let cut = Comtrade::read(header.as_bytes(), &dat.as_bytes()[..dat.len() / 7 * 4]).unwrap();
    assert_eq!(cut.times_s, record.times_s[..4]);
}

#[test]
fn without_rates_the_stamps_are_the_time() {
    let rows: &Rows = &[(1, 0, [0; 2], 0), (2, 300, [0; 2], 0), (3, 700, [0; 2], 0)];
    for rates in ["0\n0,3", "0", "1\n0,3"] {
        let header = cfg(",1999", rates, "BINARY", "10\n");
        let record = Comtrade::read(header.as_bytes(), &binary(rows, 2)).unwrap();
        assert_eq!(record.times_s, [0.0, 0.003, 0.007], "rates {rates:?}");
    }
    // Nanoseconds since 2013 where the start time is that precise; 32 bits of them turn over.
    let header = cfg(",2013", "0\n0,3", "BINARY", "1\n").replace("999000", "999000000");
    let turning: &Rows = &[
        (1, 4_000_000_000, [0; 2], 0),
        (2, 4_200_000_000, [0; 2], 0),
        (3, 105_032_704, [0; 2], 0),
    ];
    let record = Comtrade::read(header.as_bytes(), &binary(turning, 2)).unwrap();
    for (found, expected) in record.times_s.iter().zip([4.0, 4.2, 4.4]) {
        assert!((found - expected).abs() < 1e-9, "{:?}", record.times_s);
    }
    let stampless: &Rows = &[(1, 0, [0; 2], 0), (2, u32::MAX, [0; 2], 0)];
    let error = Comtrade::read(header.as_bytes(), &binary(stampless, 2)).unwrap_err();
    assert_eq!(
        (error.kind, error.place),
        (DefectKind::Missing, Place::Byte(14 + 4))
    );
}

#[test]
fn missing_values_are_nan_unless_the_channel_declares_them_in_range() {
    let rows: &Rows = &[(1, 0, [i16::MIN.into(), -5], 0)];
    let header = cfg(",1999", "1\n4000,1", "BINARY", "1\n");
    let record = Comtrade::read(header.as_bytes(), &binary(rows, 2)).unwrap();
    assert!(record.samples[0][0].is_nan());
    assert_eq!(record.samples[1][0], -11.0);
    let full = header.replace("-32767", "-32768");
    let record = Comtrade::read(full.as_bytes(), &binary(rows, 2)).unwrap();
    assert_eq!(record.samples[0][0], -16_374.0);

    let header = cfg(",2013", "1\n4000,2", "BINARY32", "1\n");
    let rows: &Rows = &[(1, 0, [i32::MIN, -5], 0), (2, 0, [i16::MIN.into(), 0], 0)];
    let record = Comtrade::read(header.as_bytes(), &binary(rows, 4)).unwrap();
    assert!(record.samples[0][0].is_nan());
    assert_eq!(record.samples[0][1], -16_374.0);

    // Since 2013 five nines are a number.
    let dat = b"1,0,99999,,0\n";
    for (year, stands) in [(",1999", false), (",2013", true)] {
        let header = cfg(year, "1\n4000,1", "ASCII", "1\n");
        let record = Comtrade::read(header.as_bytes(), dat).unwrap();
        assert_eq!(record.samples[0][0].is_finite(), stands, "{year}");
        assert!(record.samples[1][0].is_nan());
    }
    let header = cfg(",1999", "1\n4000,1", "ASCII", "1\n").replace(",32767,", ",99999,");
    let record = Comtrade::read(header.as_bytes(), dat).unwrap();
    assert_eq!(record.samples[0][0], 50_009.5);
}

#[test]
fn text_in_another_encoding_is_read_with_a_note() {
    let mut header = b"\xb1\xe4\xb5\xe7\xd5\xbe,meter,1999\n1,1A,0D\n\
        1,\xb5\xe7\xd1\xb9,A,,V,1,0,0,-32767,32767,1,1,P\n50\n1\n4000,1\n"
        .to_vec();
    header.extend(b"01/01/2026,00:00:00.000000\n01/01/2026,00:00:00.000000\nASCII\n1\n");
    let record = Comtrade::read(&header, b"1,0,42\n").unwrap();
    assert_eq!(record.samples[0], [42.0]);
    assert!(record.config.station.contains('\u{fffd}'));
    assert_eq!(record.config.device, "meter");
    assert_eq!(record.notes.len(), 1);
    assert_eq!(
        (record.notes[0].kind, record.notes[0].place),
        (DefectKind::Text, Place::Line(1))
    );
    let good = cfg(",1999", "1\n4000,3", "BINARY", "1\n");
    let marked = [b"\xef\xbb\xbf".as_slice(), good.as_bytes()].concat();
    let record = Comtrade::read(&marked, &binary(ROWS, 2)).unwrap();
    assert_eq!(
        (record.config.station.as_str(), record.notes.len()),
        ("Hall", 0)
    );
}

#[test]
fn line_frequency_is_kept_and_never_used() {
    let read = |hz: &str| {
        let header = cfg(",1999", "1\n4000,3", "BINARY", "1\n").replace("\n50\n", hz);
        Comtrade::read(header.as_bytes(), &binary(ROWS, 2)).unwrap()
    };
    let (right, wrong, blank) = (read("\n50\n"), read("\n-7e9\n"), read("\n\n"));
    assert_eq!(wrong.config.line_hz, Some(-7e9));
    assert_eq!(blank.config.line_hz, None);
    for other in [wrong, blank] {
        assert_eq!(
            (&other.samples, &other.times_s),
            (&right.samples, &right.times_s)
        );
    }
}

#[test]
fn digital_channels_fill_words_from_the_lowest_bit() {
    let mut header = String::from("Hall,meter,1999\n17,0A,17D\n");
    (1..=17).for_each(|at| header.push_str(&format!("{at},d{at},,,0\n")));
    header.push_str("50\n1\n100,1\n01/01/2026,0:0:0\n01/01/2026,0:0:0\nBINARY\n1\n");
    let mut dat = vec![1, 0, 0, 0, 0, 0, 0, 0];
    dat.extend([0b0000_0010, 0b1000_0000, 1, 0]);
    let record = Comtrade::read(header.as_bytes(), &dat).unwrap();
    let high: Vec<usize> = (0..17)
        .filter(|channel| record.digital_state(*channel, 0) == Some(true))
        .collect();
    assert_eq!(high, [1, 15, 16]);
    assert_eq!(
        (record.sample_count(), record.digital_state(17, 0)),
        (1, None)
    );

    let ascii = header.replace("BINARY", "ASCII");
    let row = format!("1,0{}\n", ",0".repeat(15) + ",1,1");
    let record = Comtrade::read(ascii.as_bytes(), row.as_bytes()).unwrap();
    assert_eq!(record.digital_state(14, 0), Some(false));
    assert_eq!(record.digital_state(15, 0), Some(true));
    assert_eq!(record.digital_state(16, 0), Some(true));
}

#[track_caller]
fn assert_refused(
    cfg: &str,
    dat: &[u8],
    kind: DefectKind,
    file: RecordFile,
    place: Place,
) -> Defect {
    let error = Comtrade::read(cfg.as_bytes(), dat).expect_err("damage was accepted");
    assert_eq!(
        (error.kind, error.file, error.place),
        (kind, file, place),
        "{error}"
    );
    error
}

#[test]
fn refusals_name_file_line_found_and_expected() {
    let good = cfg(",1999", "1\n4000,3", "ASCII", "1\n");
    let dat = b"1,0,100,-3,1\n2,250,-100,x,0\n3,500,7,0,1\n";
    let (cfg_file, dat_file) = (RecordFile::Cfg, RecordFile::Dat);
    let bad = DefectKind::Malformed;
    let error = assert_refused(&good, dat, bad, dat_file, Place::Line(2));
    let sentence = "dat line 2: found \"x\", expected the value of analog channel 2";
    assert_eq!(error.to_string(), sentence);

    let changed = |from: &str, to: &str| {
        assert!(good.contains(from));
        good.replacen(from, to, 1)
    };
    let line = Place::Line;
    for (from, to, kind, at) in [
        (",1999", ",nineteen", bad, 1),
        ("3,2A,1D", "3,2,1", bad, 2),
        ("3,2A,1D", "0,0A,0D", bad, 2),
        ("3,2A,1D", "99999999999999999999999,2A,1D", bad, 2),
        ("0.5,10", "half,10", bad, 3),
        ("0.5,10", "inf,10", bad, 3),
        ("0.5,10", ",", bad, 3),
        (",230,P", ",230,Q", bad, 3),
        (",230,P", ",230,P,extra", bad, 3),
        ("breaker,,,1", "breaker,,,2", bad, 5),
        ("\n50\n", "\nfifty\n", bad, 6),
        ("\n1\n4000,3", "\n-1\n4000,3", bad, 7),
        ("4000,3", "4000", bad, 8),
        ("4000,3", "-4000,3", bad, 8),
        ("4000,3", "nan,3", bad, 8),
        ("4000,3", "4000,0", bad, 8),
        ("\n1\n4000,3", "\n2\n4000,3\n2000,3", bad, 9),
        ("ASCII", "FLOAT64", DefectKind::Unsupported, 11),
        ("ASCII\n1\n", "ASCII\n0\n", bad, 12),
    ] {
        assert_refused(&changed(from, to), dat, kind, cfg_file, line(at));
    }
    // Channel counts that promise what the file does not hold: the next lines do not fit.
    assert_refused(&changed("3,2A,1D", "9,8A,1D"), dat, bad, cfg_file, line(5));
    let utf16 = [b"\xff\xfe".as_slice(), good.as_bytes()].concat();
    let error = Comtrade::read(&utf16, dat).expect_err("damage was accepted");
    assert_eq!(
        (error.kind, error.place),
        (DefectKind::Unsupported, Place::Byte(0))
    );
}

#[test]
fn contradictions_are_noted_and_the_values_kept() {
    let good = cfg(",1999", "1\n4000,3", "ASCII", "1\n");
    let dat = b"1,0,100,-3,1\n2,250,-100,4,0\n3,500,7,0,1\n";
    let notes = |cfg: &str, dat: &[u8]| {
        let record = Comtrade::read(cfg.as_bytes(), dat).unwrap();
        assert_eq!(record.samples[0][0], 60.0);
        record
            .notes
            .into_iter()
            .map(|note| (note.kind, note.file, note.place))
            .collect::<Vec<_>>()
    };
    let (cfg_file, dat_file) = (RecordFile::Cfg, RecordFile::Dat);
    let total = good.replace("3,2A,1D", "7,2A,1D");
    assert_eq!(
        notes(&total, dat),
        [(DefectKind::Mismatch, cfg_file, Place::Line(2))]
    );
    let year = good.replace(",1999", ",2077");
    assert_eq!(
        notes(&year, dat),
        [(DefectKind::Unsupported, cfg_file, Place::Line(1))]
    );
    let fewer = good.replace("4000,3", "4000,2");
    assert_eq!(
        notes(&fewer, dat),
        [(DefectKind::Surplus, dat_file, Place::Line(3))]
    );
    let more = good.replace("4000,3", "4000,4");
    assert_eq!(
        notes(&more, dat),
        [(DefectKind::Truncated, dat_file, Place::Line(4))]
    );
    let skipping = b"1,0,100,-3,1\n5,250,-100,4,0\n3,500,7,0,1\n";
    let note = Comtrade::read(good.as_bytes(), skipping)
        .unwrap()
        .notes
        .remove(0);
    assert_eq!(
        (note.kind, note.place),
        (DefectKind::Mismatch, Place::Line(2))
    );
    assert_eq!(note.found, "sample number 5 (2 such breaks in all)");
    assert_eq!(note.expected, "sample number 2");
}
