//! The binary: what it prints, and its exit status.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const NOON: &str = "2026-11-21T12:00:00Z";

fn tasklock(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tasklock"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may not read its input at all.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = tasklock(arguments, "");
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let status = output.status.code().unwrap();
    (status, text(output.stdout), text(output.stderr))
}

fn next(arguments: &[&str], spec: &str) -> (i32, String, String) {
    run(&[&["next", "--after", NOON], arguments, &["--", spec]].concat())
}

#[test]
fn next_prints_one_instant_on_a_line_by_the_zones_clock() {
    let (status, out, err) = next(&["--count", "3", "--tz", "Europe/Berlin"], "0 30 4 * * *");
    assert_eq!(
        out,
        "2026-11-22T04:30:00+01:00\n2026-11-23T04:30:00+01:00\n2026-11-24T04:30:00+01:00\n"
    );
    assert_eq!((status, err.as_str()), (0, ""));
    let (_, out, _) = next(&["--tz", "Europe/Berlin"], "TZ=Asia/Tokyo @daily");
    assert_eq!(
        out, "2026-11-22T00:00:00+09:00\n",
        "the spec's zone goes first"
    );
    let (_, out, _) = next(&[], "@every 100ms");
    assert_eq!(out, "2026-11-21T12:00:00.100+00:00\n");
}

#[test]
fn an_offset_with_seconds_is_written_in_utc() {
    let arguments = [
        "next",
        "--after",
        "1970-01-01T00:00:00Z",
        "--tz",
        "Africa/Monrovia",
    ];
    let (_, out, _) = run(&[&arguments[..], &["--", "0 0 * * *"]].concat());
    assert_eq!(out, "1970-01-01T00:44:30+00:00\n");
}

#[test]
fn next_ends_with_never_and_status_3_when_there_are_no_more() {
    assert_eq!(
        next(&[], "0 0 31 2 *"),
        (3, "never\n".into(), String::new())
    );
    let (status, out, _) = next(&["-n", "2"], "@at 2026-12-24T18:00:00Z");
    assert_eq!(
        (status, out.as_str()),
        (3, "2026-12-24T18:00:00+00:00\nnever\n")
    );
    let (status, out, err) = next(&[], "@startup");
    assert_eq!((status, out.as_str()), (3, "never\n"));
    assert!(err.contains("at each start of an instance"), "{err}");
}

#[test]
fn next_refuses_a_spec_with_status_2_and_the_column() {
    let (status, out, err) = next(&[], "0 0 24 * * *");
    assert_eq!((status, out.as_str()), (2, ""));
    assert!(
        err.contains("above maximum") && err.contains("column 5"),
        "{err}"
    );
    for spec in ["", "   ", "TZ=", "@nope", "a b", "\u{1b}[2J * * * *"] {
        let (status, out, err) = next(&[], spec);
        assert_eq!((status, out.as_str()), (2, ""), "{spec:?}");
        assert!(
            err.contains("column") && !err.contains('\u{1b}'),
            "{spec:?}: {err}"
        );
    }
}

#[test]
fn next_takes_either_policy_for_clock_changes() {
    let at = |dst: &[&str]| {
        let berlin = [
            "next",
            "--after",
            "2027-03-27T12:00:00Z",
            "--tz",
            "Europe/Berlin",
        ];
        run(&[&berlin[..], dst, &["--", "30 2 * * *"]].concat()).1
    };
    assert_eq!(at(&[]), "2027-03-28T03:00:00+02:00\n");
    assert_eq!(at(&["--dst", "run-once"]), at(&[]));
    assert_eq!(at(&["--dst", "robfig"]), "2027-03-29T02:30:00+02:00\n");
}

#[test]
fn arguments_that_cannot_be_used_are_refused_with_the_reason() {
    for (arguments, part) in [
        (
            &["next", "--tz", "Europe/Berln", "--", "@daily"][..],
            "did you mean Europe/Berlin",
        ),
        (
            &["next", "--tz", "UTC @hourly", "--", "@daily"],
            "no blanks",
        ),
        (
            &["next", "--after", "tomorrow", "--", "@daily"],
            "expected RFC 3339",
        ),
        (&["next", "--count", "0", "--", "@daily"], "--count"),
        (&["next", "--dst", "quartz", "--", "@daily"], "run-once"),
        (&["next"], "SPEC"),
        (&["next", "--stdin", "--", "@daily"], "--stdin"),
        (&["check"], "SPECS"),
        (&[], "Usage"),
        (&["what"], "what"),
    ] {
        let (status, out, err) = run(arguments);
        assert_eq!((status, out.as_str()), (2, ""), "{arguments:?}");
        assert!(err.contains(part), "{arguments:?}: {err}");
    }
}

/// What `next --stdin` answers to `input`, line by line.
fn answers(arguments: &[&str], input: &str) -> Vec<Value> {
    let arguments = [&["next", "--stdin", "--after", NOON], arguments].concat();
    let output = tasklock(&arguments, input);
    assert_eq!(output.status.code(), Some(0));
    let out = String::from_utf8(output.stdout).unwrap();
    out.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn questions_on_standard_input_are_answered_line_by_line_in_json() {
    let input = [
        "*/5 * * * *",
        "",
        r#"{"spec": "30 2 * * *", "tz": "Europe/Berlin", "dst": "robfig", "count": 2,
            "after": "2027-03-27T12:00:00Z", "more": [1]}"#
            .replace('\n', "")
            .as_str(),
        r#"{"spec": "0 0 31 2 *"}"#,
        r#"{"spec": "0 0 * * x"}"#,
        "{\"spec\": \"0 0 * * *\\u0000\"}\r",
    ]
    .join("\n");
    let found = answers(&[], &input);
    assert_eq!(found.len(), 5);
    assert_eq!(found[0]["next"][0], "2026-11-21T12:05:00+00:00");
    assert_eq!(found[0]["never"], false);
    assert_eq!(found[1]["next"][0], "2027-03-29T02:30:00+02:00");
    assert_eq!(found[1]["next"][1], "2027-03-30T02:30:00+02:00");
    assert_eq!(found[1]["tz"], "Europe/Berlin");
    assert_eq!(found[2]["never"], true);
    assert_eq!(found[3]["error"]["column"], 9);
    assert_eq!(found[3]["error"]["field"], "day of week");
    assert_eq!(found[3]["error"]["kind"], "NotANumber");
    assert_eq!(found[4]["error"]["column"], 9, "{}", found[4]);
}

#[test]
fn a_line_that_is_no_question_has_its_answer_and_the_next_one_too() {
    let lines = [
        "{".to_owned(),
        r#"{"spec": 1}"#.to_owned(),
        r#"{"tz": "UTC"}"#.to_owned(),
        r#"{"spec": "@daily", "tz": "Nowhere"}"#.to_owned(),
        r#"{"spec": "@daily", "after": "now"}"#.to_owned(),
        r#"{"spec": "@daily", "count": 0}"#.to_owned(),
        r#"{"spec": "@daily", "dst": "x"}"#.to_owned(),
        "*".repeat(1_000_000),
        "[".repeat(100_000),
        "@daily".to_owned(),
    ];
    let found = answers(&[], &lines.join("\n"));
    assert_eq!(found.len(), lines.len());
    for (line, answer) in lines.iter().zip(&found).take(9) {
        let line: String = line.chars().take(40).collect();
        assert!(answer["error"]["message"].is_string(), "{line}: {answer}");
    }
    assert_eq!(found[9]["next"][0], "2026-11-22T00:00:00+00:00");
}

#[test]
fn bytes_that_are_no_text_are_refused_and_the_next_line_is_answered() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tasklock"))
        .args(["next", "--stdin", "--after", NOON])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"\xff\xfe\n@daily").unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert_eq!(out.lines().count(), 2, "{out}");
    assert!(
        out.contains("not UTF-8") && out.contains("2026-11-22"),
        "{out}"
    );
}

#[test]
fn check_explains_and_fails_on_errors() {
    let berlin = ["check", "--after", NOON, "--tz", "Europe/Berlin", "-n", "1"];
    let check = |specs: &[&str]| run(&[&berlin[..], specs].concat());
    let (status, out, _) = check(&["30 4 * * MON-FRI", "30 2 * * *"]);
    assert_eq!(
        out,
        "ok       30 4 * * MON-FRI\n         \
                  at 04:30, Monday to Friday, in Europe/Berlin\n         \
                  next 2026-11-23T04:30:00+01:00\n\
         warning  30 2 * * *\n         \
                  at 02:30, every day, in Europe/Berlin\n         \
                  next 2026-11-22T02:30:00+01:00\n         \
                  warning: no 02:30 on 2027-03-28 in Europe/Berlin: fires at 03:00 instead\n\
         specs: 2, errors: 0, warnings: 1\n"
    );
    assert_eq!(status, 0, "a warning is no error");
    assert_eq!(check(&["--deny-warnings", "30 2 * * *"]).0, 1);
    assert_eq!(check(&["--deny-warnings", "30 4 * * *"]).0, 0);

    let (status, out, _) = check(&["30 4 * * *", "0 0 31 2 *"]);
    assert_eq!(status, 1);
    assert!(
        out.contains("error: never fires: there is no such date\n"),
        "{out}"
    );
    let (status, out, _) = check(&["0 0 24 * * *"]);
    assert_eq!(status, 1);
    assert!(
        out.contains("column 5") && out.contains("             ^^\n"),
        "{out}"
    );
    let (status, out, _) = check(&["@after 5m", "@startup"]);
    assert_eq!(status, 0);
    assert!(!out.contains("next "), "nobody knows when: {out}");
}

#[test]
fn check_reads_specs_from_standard_input_and_answers_in_json() {
    let specs = "# ours\n30 4 * * *\n\n0 0 24 * * *\n0 0 31 2 *\n\u{202e}\n";
    let output = tasklock(&["check", "--after", NOON, "-o", "json", "-"], specs);
    assert_eq!(output.status.code(), Some(1));
    let out = String::from_utf8(output.stdout).unwrap();
    let found: Vec<Value> = out
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(found.len(), 4);
    assert_eq!(found[0]["verdict"], "ok");
    assert_eq!(found[0]["explain"], "at 04:30, every day, in UTC");
    assert_eq!(found[0]["next"].as_array().unwrap().len(), 3);
    assert_eq!(found[1]["error"]["column"], 5);
    assert_eq!(found[2]["lints"][0]["lint"], "never_fires");
    // For people, what could mislead a terminal is written out.
    let output = tasklock(&["check", "-"], specs);
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(
        out.contains("\\u{202e}") && !out.contains('\u{202e}'),
        "{out}"
    );
}

#[test]
fn a_reader_that_has_read_enough_is_no_failure() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tasklock"))
        .args([
            "next",
            "--count",
            "1000000",
            "--after",
            NOON,
            "--",
            "* * * * * *",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty(), "{output:?}");
}
