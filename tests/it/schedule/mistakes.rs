//! Specs that are none, and what is said of them.

use super::*;

#[test]
fn an_error_names_field_and_column_and_points_at_the_place() {
    let error = "0 0 24 * * *".parse::<Schedule>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "hour: end of range (24) above maximum (23): 24  (field 3 of 6, column 5)\n  \
         0 0 24 * * *\n      ^^"
    );
    assert_eq!(
        (error.field(), error.column(), error.span()),
        (Some("hour"), 5, 4..6)
    );
}

#[test]
fn each_mistake_has_its_phrase() {
    for (spec, phrase, column) in [
        ("", "empty spec string", 1),
        ("   ", "empty spec string", 1),
        ("* * * *", "expected 5 to 7 fields, found 4", 1),
        ("* * * * * * * *", "expected 5 to 7 fields, found 8", 15),
        ("x * * * *", "failed to parse int from", 1),
        ("1-x * * * *", "failed to parse int from", 3),
        ("*/-1 * * * *", "negative number", 3),
        ("1/2/3 * * * *", "too many slashes", 1),
        ("1-2-3 * * * *", "too many hyphens", 1),
        ("* * 0 * *", "below minimum", 5),
        ("60 * * * *", "above maximum", 1),
        ("5-4 * * * *", "beyond end of range", 1),
        ("*/0 * * * *", "should be a positive number", 1),
        ("@nope", "unrecognized descriptor", 1),
        ("@after", "failed to parse duration", 7),
        ("@after 9ms", "below minimum", 8),
        ("@after -1m", "should be a positive number", 8),
        ("@startup 5m", "unrecognized descriptor", 1),
        ("@every x", "failed to parse duration", 8),
        ("@every 0s", "should be a positive number", 8),
        ("@at tomorrow", "failed to parse time", 5),
        ("TZ=Nowhere/Land * * * * *", "provided bad location", 4),
        ("TZ= * * * * *", "provided bad location", 4),
        ("TZ=UTC", "empty spec string", 7),
        (", * * * *", "empty field", 1),
        ("*-5 * * * *", "a star takes no range", 1),
        ("+5 * * * *", "failed to parse int from", 1),
        ("* * 32W * *", "not one of 1 to 31", 5),
        ("* * L-31 * *", "above maximum", 5),
        ("* * * * 1#6", "not one of 1 to 5", 9),
        ("* * * * * * 1969", "below minimum", 13),
        ("* * * * * * 2200", "above maximum", 13),
    ] {
        let error = spec.parse::<Schedule>().expect_err(spec);
        assert!(error.reason().contains(phrase), "{spec:?}: {error}");
        assert_eq!(error.column(), column, "{spec:?}: {error}");
    }
}

#[test]
fn hints_help_those_who_come_from_elsewhere() {
    for (spec, hint) in [
        ("TZ=Europe/Berlinn * * * * *", "did you mean Europe/Berlin?"),
        ("H * * * *", "hashed values"),
        ("0~30 * * * *", "random values"),
        ("0 10 * * MON-FRI 2027", "a year is the seventh"),
    ] {
        let error = spec.parse::<Schedule>().expect_err(spec).to_string();
        assert!(error.contains("hint: ") && error.contains(hint), "{error}");
    }
}

#[test]
fn hostile_specs_are_refused_in_few_harmless_words() {
    for spec in [
        "\u{1b}[31m * * * *".to_owned(),
        "\u{202e}1 * * * *".to_owned(),
        "1\0 * * * *".to_owned(),
        "a".repeat(1024),
        ",".repeat(2_000_000),
        "9".repeat(1000) + " * * * *",
        "@every ".to_owned() + &"9999999h".repeat(100),
        "TZ=".to_owned() + &"x/".repeat(400) + " * * * * *",
        "*/1,".repeat(250) + " ! * * *",
    ] {
        let error = spec.parse::<Schedule>().unwrap_err().to_string();
        assert!(error.len() < 600, "{error}");
        let is_harmless =
            |c: char| c == '\n' || !(c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c));
        assert!(error.chars().all(is_harmless), "{error:?}");
    }
}

#[test]
fn the_worst_specs_take_little_time() {
    let worst = [
        "1W,2W,3W,28W,29W,30W,31W,LW,L-1W,L-9W * * 2 +SAT,SUN".to_owned(),
        "* * * * * * ".to_owned() + &"1970/2,".repeat(140),
        "*/1,".repeat(200) + "1 * * 31 2 *",
        "CRON_TZ=America/New_York 30 2 8-14 3 +SUN".to_owned(),
        "CRON_TZ=Europe/Dublin 30 1 25-31 3 +SUN".to_owned(),
        "TZ=Eurooe/Belrin * * * * *".to_owned(),
        "CRON_TZ=".to_owned() + &"E".repeat(40) + " * * * * *",
    ];
    let start = std::time::Instant::now();
    for spec in &worst {
        if let Ok(schedule) = spec.parse::<Schedule>() {
            let schedule = schedule.with_dst(DstPolicy::Robfig);
            let _ = schedule.next_after(at("2026-01-01T00:00:00Z"));
            let _ = schedule.prev_before(at("2026-01-01T00:00:00Z"));
        }
    }
    // What is looked for is a search without an end; how fast each is, the benchmarks say.
    let took = start.elapsed();
    assert!(took < std::time::Duration::from_secs(60), "{took:?}");
}
