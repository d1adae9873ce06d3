//! Where the clock is put forward and back.

use super::*;

#[test]
fn a_daily_task_runs_once_on_the_day_of_the_gap_and_once_on_the_day_of_the_overlap() {
    let spec = "CRON_TZ=America/New_York 0 30 2 * * *";
    assert_eq!(
        next(spec, "2027-03-13T12:00:00Z", 3),
        [
            "2027-03-14 03:00:00",
            "2027-03-15 02:30:00",
            "2027-03-16 02:30:00"
        ]
    );
    let spec = "CRON_TZ=America/New_York 0 30 1 * * *";
    assert_eq!(
        next(spec, "2027-11-06T12:00:00Z", 3),
        [
            "2027-11-07 01:30:00",
            "2027-11-08 01:30:00",
            "2027-11-09 01:30:00"
        ]
    );
    let first: Schedule = spec.parse().unwrap();
    assert_eq!(
        first.next_after(at("2027-11-06T12:00:00Z")),
        Some(at("2027-11-07T05:30:00Z"))
    );
}

#[test]
fn several_times_in_one_gap_collapse_into_one_run() {
    let spec = "CRON_TZ=Europe/Berlin 0 0,15,30,45 2,3 * * *";
    assert_eq!(
        next(spec, "2027-03-28T00:00:00Z", 3),
        [
            "2027-03-28 03:00:00",
            "2027-03-28 03:15:00",
            "2027-03-28 03:30:00"
        ]
    );
}

#[test]
fn an_interval_goes_on_through_gap_and_overlap() {
    let spec = "CRON_TZ=America/New_York 0 */30 * * * *";
    assert_eq!(
        next(spec, "2027-03-14T06:30:00Z", 2),
        ["2027-03-14 03:00:00", "2027-03-14 03:30:00"]
    );
    let times = next(spec, "2027-11-07T04:59:00Z", 5);
    let shown: Vec<&str> = times.iter().map(|t| &t[11..16]).collect();
    assert_eq!(shown, ["01:00", "01:30", "01:00", "01:30", "02:00"]);
}

#[test]
fn robfigs_policy_skips_the_gap_and_repeats_the_overlap() {
    assert_eq!(
        robfig(
            "CRON_TZ=America/New_York 0 30 2 * * *",
            "2027-03-13T12:00:00Z",
            1
        ),
        ["2027-03-15 02:30:00 -0400"]
    );
    assert_eq!(
        robfig(
            "CRON_TZ=America/New_York 0 30 1 * * *",
            "2027-11-06T12:00:00Z",
            3
        ),
        [
            "2027-11-07 01:30:00 -0400",
            "2027-11-07 01:30:00 -0500",
            "2027-11-08 01:30:00 -0500"
        ]
    );
}

#[test]
fn the_last_time_of_all_comes_twice_too_when_the_clock_goes_back() {
    // Nothing is left of the wall clock after the first pass, but the second.
    let twice = ["2024-10-27 02:30:00 +0200", "2024-10-27 02:30:00 +0100"];
    assert_eq!(
        robfig(
            "TZ=Europe/Paris 0 30 2 27 10 * 2024",
            "2024-01-01T00:00:00Z",
            3
        ),
        twice
    );
    assert_eq!(
        next(
            "TZ=Europe/Paris 0 */30 2 27 10 * 2024",
            "2024-10-27T00:15:00Z",
            5
        ),
        [
            "2024-10-27 02:30:00",
            "2024-10-27 02:00:00",
            "2024-10-27 02:30:00"
        ]
    );
    // A fixed task runs once, and it was before.
    let once: Schedule = "TZ=Europe/Paris 0 30 2 27 10 * 2024".parse().unwrap();
    assert_eq!(once.next_after(at("2024-10-27T00:30:00Z")), None);
    // Looking back from the second pass, before the first time of all.
    let back = once.prev_before(at("2024-10-27T01:10:00Z"));
    assert_eq!(back, Some(at("2024-10-27T00:30:00Z")));
    let last: Schedule = "TZ=Europe/Paris 0 2 27 10 +SUN".parse().unwrap();
    let last = last.with_dst(DstPolicy::Robfig);
    let end = last.prev_before(DateTime::<Utc>::MAX_UTC).unwrap();
    assert_eq!(last.next_after(end - TimeDelta::seconds(1)), Some(end));
    assert_eq!(last.next_after(end - TimeDelta::hours(1)), Some(end));
}

#[test]
fn looking_back_finds_a_run_after_a_gap_however_far_back_it_is() {
    // The clock of Auckland skips 02:00 on the last Sunday of September.
    let schedule: Schedule = "TZ=Pacific/Auckland 0 2 * * SUN#L".parse().unwrap();
    let after_gap = at("2018-09-29T14:00:00Z");
    for hours in 1..28 * 24 {
        let from = after_gap + TimeDelta::hours(hours);
        assert_eq!(schedule.prev_before(from), Some(after_gap), "{from}");
    }
}

#[test]
fn gaps_of_three_hours_and_more_are_not_made_up() {
    // Apia left out 2011-12-30.
    let spec = "CRON_TZ=Pacific/Apia 0 0 12 * * *";
    assert_eq!(
        next(spec, "2011-12-29T10:00:00Z", 2),
        ["2011-12-29 12:00:00", "2011-12-31 12:00:00"]
    );
}

#[test]
fn daylight_saving_goes_on_in_the_years_beyond_the_tables() {
    for year in [2099, 2100, 2101, 2150, 2196, 2199] {
        let summer: Schedule = format!("CRON_TZ=America/New_York 0 0 12 1 7 * {year}")
            .parse()
            .unwrap();
        let first = summer.next_after(at("2026-01-01T00:00:00Z")).unwrap();
        assert_eq!(first.to_rfc3339(), format!("{year}-07-01T16:00:00+00:00"));
    }
}

#[test]
fn long_zone_jumps_and_half_hours_have_their_worked_dates() {
    for (spec, after, wanted) in [
        // Midnight is skipped: São Paulo, Cairo, Santiago.
        (
            "CRON_TZ=America/Sao_Paulo 0 0 * * *",
            "2018-11-03T12:00:00Z",
            ["2018-11-04 01:00:00", "2018-11-05 00:00:00"],
        ),
        (
            "CRON_TZ=Africa/Cairo 30 0 * * *",
            "2027-04-29T12:00:00Z",
            ["2027-04-30 01:00:00", "2027-05-01 00:30:00"],
        ),
        (
            "CRON_TZ=America/Santiago 15 0 * * *",
            "2027-09-04T12:00:00Z",
            ["2027-09-05 01:00:00", "2027-09-06 00:15:00"],
        ),
        // Half an hour: Lord Howe. 45 minutes past: Chatham. Two hours: Troll.
        (
            "CRON_TZ=Australia/Lord_Howe 15 2 * * *",
            "2027-10-02T12:00:00Z",
            ["2027-10-03 02:30:00", "2027-10-04 02:15:00"],
        ),
        (
            "CRON_TZ=Pacific/Chatham 0 3 * * *",
            "2027-09-25T12:00:00Z",
            ["2027-09-26 03:45:00", "2027-09-27 03:00:00"],
        ),
        (
            "CRON_TZ=Antarctica/Troll 30 1 * * *",
            "2027-03-27T12:00:00Z",
            ["2027-03-28 03:00:00", "2027-03-29 01:30:00"],
        ),
        // Three hours: Casey put its clock from 04:00 back to 01:00 on 11 March 2018.
        (
            "CRON_TZ=Antarctica/Casey 30 2 * * *",
            "2018-03-10T12:00:00Z",
            ["2018-03-11 02:30:00", "2018-03-12 02:30:00"],
        ),
        // The day before the change does not match, the gap is on the day that does.
        (
            "CRON_TZ=America/New_York 30 2 14 3 *",
            "2027-03-01T00:00:00Z",
            ["2027-03-14 03:00:00", "2028-03-14 02:30:00"],
        ),
    ] {
        assert_eq!(next(spec, after, 2), wanted, "{spec}");
    }
}

#[test]
fn robfigs_policy_leaves_out_the_day_of_any_gap() {
    for (spec, after, wanted) in [
        (
            "CRON_TZ=America/Sao_Paulo 0 0 * * *",
            "2018-11-03T12:00:00Z",
            "2018-11-05 00:00:00 -0200",
        ),
        (
            "CRON_TZ=Australia/Lord_Howe 15 2 * * *",
            "2027-10-02T12:00:00Z",
            "2027-10-04 02:15:00 +1100",
        ),
        (
            "CRON_TZ=Pacific/Chatham 0 3 * * *",
            "2027-09-25T13:00:00Z",
            "2027-09-27 03:00:00 +1345",
        ),
        (
            "CRON_TZ=Antarctica/Troll 30 1 * * *",
            "2027-03-27T12:00:00Z",
            "2027-03-29 01:30:00 +0200",
        ),
        (
            "CRON_TZ=Pacific/Apia 0 12 * * *",
            "2011-12-29T23:00:00Z",
            "2011-12-31 12:00:00 +1400",
        ),
    ] {
        assert_eq!(robfig(spec, after, 1), [wanted], "{spec}");
    }
}

#[test]
fn what_is_always_in_the_gap_runs_at_its_end_or_never() {
    // The second Sunday in March, when New York skips 02:30.
    let schedule: Schedule = "CRON_TZ=America/New_York 30 2 8-14 3 +SUN".parse().unwrap();
    let after = at("2026-01-01T00:00:00Z");
    assert_eq!(schedule.next_after(after), Some(at("2026-03-08T07:00:00Z")));
    assert_eq!(schedule.with_dst(DstPolicy::Robfig).next_after(after), None);
}

#[test]
fn what_changes_of_the_clock_do_within_a_year_is_said_before() {
    let lints = |spec: &str, dst| -> Vec<String> {
        let schedule = spec.parse::<Schedule>().unwrap().with_dst(dst);
        let lints = schedule.lint(at("2026-11-21T10:00:00Z"));
        lints
            .iter()
            .map(|l| format!("{}: {l}", l.as_str()))
            .collect()
    };
    let none: [&str; 0] = [];
    let (run_once, robfig) = (DstPolicy::RunOnce, DstPolicy::Robfig);
    let berlin = |fields: &str| format!("TZ=Europe/Berlin {fields}");
    // In the gap of 28 March 2027 and, by run-once, on the first pass only of 31 October.
    let moved = "dst_gap: no 02:30 on 2027-03-28 in Europe/Berlin: fires at 03:00 instead";
    let skipped = "dst_gap: no 02:30 on 2027-03-28 in Europe/Berlin: does not fire";
    let twice = "dst_overlap: 02:30 comes twice on 2027-10-31 in Europe/Berlin: fires both times";
    assert_eq!(lints(&berlin("30 2 * * *"), run_once), [moved]);
    assert_eq!(lints(&berlin("30 2 * * *"), robfig), [skipped, twice]);
    assert_eq!(
        lints(&berlin("15 30 2 * * SUN"), run_once),
        ["dst_gap: no 02:30:15 on 2027-03-28 in Europe/Berlin: fires at 03:00 instead"]
    );
    // An interval that is not for all hours has no run that hour, or two passes.
    assert_eq!(
        lints(&berlin("*/30 2 * * *"), run_once),
        [
            "dst_gap: no 02:00 on 2027-03-28 in Europe/Berlin: does not fire",
            "dst_overlap: 02:00 comes twice on 2027-10-31 in Europe/Berlin: fires both times",
        ]
    );
    // Other days, other hours, all hours, no clock: nothing to say.
    for spec in [
        "30 2 * * MON-SAT",
        "30 4 * * *",
        "*/5 * * * *",
        "@hourly",
        "@every 1h",
        "@after 1h",
    ] {
        for dst in [run_once, robfig] {
            assert_eq!(lints(&berlin(spec), dst), none, "{spec}");
        }
    }
    for zone in ["UTC", "Asia/Shanghai", "Etc/GMT+5"] {
        assert_eq!(
            lints(&format!("TZ={zone} 30 2 * * *"), robfig),
            none,
            "{zone}"
        );
    }
    // South of the equator the gap comes after the overlap.
    assert_eq!(
        lints("TZ=Australia/Lord_Howe 45 1 * * *", robfig),
        ["dst_overlap: 01:45 comes twice on 2027-04-04 in Australia/Lord_Howe: fires both times"]
    );
    assert_eq!(
        lints("TZ=Australia/Lord_Howe 15 2 * * *", run_once),
        ["dst_gap: no 02:15 on 2027-10-03 in Australia/Lord_Howe: fires at 02:30 instead"]
    );
}
