//! Damaged, incomplete and untrustworthy traces: named by file and line, never judged safe.

mod common;

use std::io::{BufReader, Read};

use common::traces::*;
use common::*;
use karman_grid_check::ViolationKind::RaiseOnStaleData;
use karman_grid_check::merge;

#[test]
fn a_line_cut_short_is_tolerated_at_the_very_end_only() {
    let cut = |text: &str, bytes: usize| text[..text.len() - bytes].to_owned();
    for bytes in [2, 5, 20, 40] {
        let plant = cut(PLANT, bytes);
        let verdict = judge(&[("p", &plant), ("a", AGENT), ("c", CONTROLLER)]).expect("verdict");
        assert_eq!((verdict.truncated_lines, verdict.records), (1, 18));
    }
    let whole_without_newline = cut(PLANT, 1);
    let verdict = judge(&[("p", &whole_without_newline), ("a", AGENT)]).expect("verdict");
    assert_eq!(verdict.truncated_lines, 0);
    let error = judge(&[("p", &(cut(PLANT, 5) + "\n"))]).expect_err("complete but damaged");
    assert!(error.starts_with("p:11: line: found "), "{error}");
    let error = edited(r#""cap_w":300}"#, r#""cap_w":30"#).expect_err("in the middle");
    assert!(error.starts_with("plant.jsonl:8: line: found "), "{error}");
}

/// Each edit is refused, with a message that starts as given and says what was expected.
fn assert_named(edits: &[(&str, &str, &str)]) {
    for (from, to, named) in edits {
        let error = edited(from, to).expect_err(to);
        assert!(error.starts_with(named), "{error}\n  is not\n{named}");
        assert!(error.contains(", expected "), "{error}");
    }
}

#[test]
fn damage_is_named_with_file_line_found_and_expected() {
    assert_named(&[
        (
            r#""type":"trip""#,
            r#""type":"tripp""#,
            "plant.jsonl:10: type: found \"tripp\"",
        ),
        (
            r#""type":"trip""#,
            r#""typ":"trip""#,
            "plant.jsonl:10: type: found no such key",
        ),
        (
            r#"{"type":"trip","#,
            r#"[{"type":"trip","#,
            "plant.jsonl:10: line: found ",
        ),
        (
            "[1400,1400]",
            "[1400,-1]",
            "plant.jsonl:7: flow.power_w[1]: found -1 W",
        ),
        ("[1400,1400]", "[1400,NaN]", "plant.jsonl:7: line: found "),
        (
            "[1400,1400]",
            "[1400,null]",
            "plant.jsonl:7: flow: found invalid type: null",
        ),
        (
            "[1400,1400]",
            "[1400,1e999]",
            "plant.jsonl:7: line: found number out of range",
        ),
        (
            "[1400,1400]",
            "[1400]",
            "plant.jsonl:7: flow.power_w: found 1 values",
        ),
        (
            r#""mono_ns":1515000000"#,
            r#""mono_ns":-5"#,
            "plant.jsonl:8: cap: found ",
        ),
        (
            r#""mono_ns":1515000000"#,
            r#""mono_ns":15.5"#,
            "plant.jsonl:8: cap: found ",
        ),
        (
            r#""mono_ns":1515000000"#,
            r#""mono_ns":5"#,
            "plant.jsonl:8: cap.mono_ns: found 5",
        ),
        (
            r#""cap_w":300"#,
            r#""cap_W":300"#,
            "plant.jsonl:8: cap: found missing field `cap_w`",
        ),
        (
            r#""element":"feed-a""#,
            r#""element":"x""#,
            "plant.jsonl:10: trip.element: found \"x\"",
        ),
        (
            r#"{"ups-a":1200}"#,
            r#"{"ups-z":1}"#,
            "controller.jsonl:3: books.accounted_w: found",
        ),
        (
            r#""devices":["gpu-0"]"#,
            r#""devices":[]"#,
            "agent.jsonl:4: renew.devices: found none",
        ),
    ]);
}

#[test]
fn damage_to_a_header_is_named_the_same_way() {
    assert_named(&[
        (
            r#""origin":"plant""#,
            r#""origin":"sun""#,
            "plant.jsonl:1: header: found unknown",
        ),
        (
            r#""schema":1"#,
            r#""schema":2"#,
            "plant.jsonl:1: header.schema: found 2",
        ),
        (
            r#""parents":["ups-a"]"#,
            r#""parents":["x"]"#,
            "plant.jsonl:1: header.elements.feed-a",
        ),
        (
            r#""id":"feed-a""#,
            r#""id":"ups-a""#,
            "plant.jsonl:1: header.elements.id: found ",
        ),
        (
            r#""cap_min_w":200"#,
            r#""cap_min_w":900"#,
            "plant.jsonl:1: header.devices.gpu-0.",
        ),
    ]);
}

#[test]
fn a_missing_plant_says_which_file_is_needed() {
    let error = judge(&[("c.jsonl", CONTROLLER), ("a.jsonl", AGENT)]).expect_err("no plant");
    assert!(
        error.contains("no plant trace among c.jsonl, a.jsonl"),
        "{error}"
    );
    assert!(error.contains("\"origin\":\"plant\"") && error.contains("twin run --trace"));
    assert!(judge(&[]).expect_err("nothing").contains("no trace at all"));
    let error = judge(&[("p", PLANT), ("q", PLANT)]).expect_err("two plants");
    assert!(
        error.starts_with("q:1: header.origin: found a second plant"),
        "{error}"
    );
    let error = judge(&[("empty", "")]).expect_err("empty");
    assert!(
        error.starts_with("empty:1: line: found an empty trace"),
        "{error}"
    );
    let headless = &PLANT[PLANT.find('\n').expect("lines") + 1..];
    let error = judge(&[("p", headless)]).expect_err("no header");
    assert!(
        error.starts_with("p:1: type: found a cap record, expected a header"),
        "{error}"
    );
    let header = PLANT.lines().next().expect("header");
    let error = judge(&[("p", header)]).expect_err("no flows");
    assert!(error.contains("no flow record"), "{error}");
}

#[test]
fn a_controller_cannot_testify_about_the_plant() {
    let fault = r#"{"type":"event","mono_ns":1600000000,"kind":"write-ignored","device":"gpu-0"}"#;
    let flow = r#"{"type":"flow","mono_ns":1600000000,"power_w":[1,1]}"#;
    for line in [fault, flow] {
        let controller = format!("{CONTROLLER}{line}\n");
        let error = judge(&[("p", PLANT), ("c", &controller)]).expect_err("refused");
        assert!(error.starts_with("c:5: type: found a"), "{error}");
        assert!(
            error.ends_with("expected it in the trace of the plant"),
            "{error}"
        );
    }
    // Its header says that nothing is ever stale; the plant's header decides.
    let verdict = edited(r#""data_age_ns":2000000"#, r#""data_age_ns":400000000"#);
    assert_eq!(
        found(&verdict.expect("verdict")),
        [(RaiseOnStaleData, "gpu-0", 8.0)]
    );
}

#[test]
fn a_line_without_end_is_refused_before_memory_is_gone() {
    let endless = std::io::repeat(b'x').take(1 << 40);
    let trace = BufReader::with_capacity(1 << 20, endless);
    let error = merge(vec![("big".to_owned(), trace)])
        .expect_err("refused")
        .to_string();
    assert!(
        error.starts_with("big:1: line: found a line of 33554432 bytes or more"),
        "{error}"
    );
    let binary: &[u8] = &[0xff, 0x00, 0xfe, b'\n', 0x80];
    let error = merge(vec![("bin".to_owned(), binary)])
        .expect_err("refused")
        .to_string();
    assert!(error.starts_with("bin:1: line: found "), "{error}");
}
