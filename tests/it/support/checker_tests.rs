//! That the checker finds each breach, and none where there is none. Histories by hand: one task,
//! due each second, a lease of 3 s with a margin of 1 s, instants and clocks of the same origin.

use super::checker::{Kind, Rules, check};
use super::history::Line;
use super::holds::Leases;

fn rules() -> Rules {
    Rules {
        leases: Leases {
            ttl: 3_000_000,
            margin: 1_000_000,
            delay: 1_000_000,
        },
        misfire_threshold: 4_000_000,
        skew: 0,
        able: 2_500_000,
        longest_run: 500_000,
        offset: 0,
        is_fenced: true,
    }
}

/// What replica `who` does when it runs the instant at `second`, from `ms` after it.
fn run(who: &str, second: u64, ms: u64, fence: u64) -> String {
    let (at, instant) = ((second * 1000 + ms) * 1000, second * 1000);
    let line = |us: u64, rest: String| format!("{} {who} {rest}\n", at + us);
    [
        line(0, format!("due t {} 0 -", instant + 1000)),
        line(1, format!("ask t {instant} {fence} acquire")),
        line(2, format!("answer t {instant} {fence} acquire:granted")),
        line(3, format!("decision t {instant} 1 started")),
        line(4, format!("start t {instant} {fence} 1")),
        line(5, format!("act t {instant} {fence} {}", at + 5)),
        line(6, format!("effect t {instant} {fence} accepted")),
        line(100_000, format!("gone t {instant} {fence} -")),
        line(100_001, format!("ask t {instant} {fence} release")),
        line(100_002, format!("answer t {instant} {fence} release:freed")),
        line(100_003, format!("end t {instant} {fence} success")),
    ]
    .concat()
}

/// What it does when somebody else has run it.
fn decide(who: &str, second: u64, word: &str) -> String {
    let (at, instant) = ((second * 1000 + 5) * 1000, second * 1000);
    format!(
        "{at} {who} due t {} 0 -\n{} {who} decision t {instant} 1 {word}\n",
        instant + 1000,
        at + 10
    )
}

/// Two replicas for twenty seconds: `a` runs all instants, `b` none.
fn quiet() -> Vec<String> {
    let mut all = vec![
        "0 * task t 0 1000 -\n".to_owned(),
        "500000 a.1 due t 1000 0 -\n500001 a.1 up - 0 0 -\n".to_owned(),
        "500000 b.1 due t 1000 0 -\n500001 b.1 up - 0 0 -\n".to_owned(),
    ];
    for second in 1..=20 {
        all.push(run("a.1", second, 1, second * 10));
        all.push(decide("b.1", second, "fired_elsewhere"));
    }
    all.push("15000000 * calm - 0 0 -\n20500000 * finish - 0 0 -\n".to_owned());
    all.push("20600000 a.1 exit - 0 0 -\n20600000 b.1 exit - 0 0 -\n".to_owned());
    for second in 1..=20 {
        all.push(format!("30000000 * kept t 0 {} -\n", second * 10));
    }
    all
}

fn found(parts: &[String]) -> Vec<(&'static str, usize)> {
    let text = parts.concat();
    let mut lines: Vec<Line> = text.lines().map(|l| Line::parse(l).expect(l)).collect();
    lines.sort_by_key(|l| l.at);
    let verdict = check(&lines, &rules());
    let kinds = Kind::ALL.iter().map(|k| (k.as_str(), verdict.count(*k)));
    kinds.filter(|(_, n)| *n > 0).collect()
}

/// The quiet history without the lines that have all of these words.
fn without(words: &[&str]) -> Vec<String> {
    let has_all = |line: &&str| !words.iter().all(|w| line.split(' ').any(|x| x == *w));
    let text = quiet().concat();
    let left = text.lines().filter(has_all);
    left.map(|line| format!("{line}\n")).collect()
}

/// The quiet history in which `b.1` runs the instant at `second` in place of `a.1`, or nobody does.
fn with_instant(second: u64, ours: &[String]) -> Vec<String> {
    let instant = (second * 1000).to_string();
    let mut all: Vec<String> = quiet();
    all.retain(|part| !part.contains(&format!("decision t {instant} ")));
    for who in ["a.1", "b.1"] {
        let due = second * 1_000_000;
        all.push(format!("{due} {who} due t {} 0 -\n", second * 1000 + 1000));
    }
    all.extend_from_slice(ours);
    all
}

#[test]
fn a_clean_history_has_no_breach() {
    assert_eq!(found(&quiet()), []);
}

#[test]
fn an_instant_that_starts_twice_is_a_duplicate() {
    let all = with_instant(8, &[run("a.1", 8, 1, 80), run("b.1", 8, 400, 85)]);
    assert_eq!(found(&all), [("duplicate", 1)]);
}

#[test]
fn after_a_loss_of_data_it_is_counted_apart() {
    let mut all = with_instant(8, &[run("a.1", 8, 1, 80), run("b.1", 8, 400, 85)]);
    all.push("8300000 * loss - 0 0 flush\n".to_owned());
    assert_eq!(found(&all), [("duplicate_after_data_loss", 1)]);
}

#[test]
fn a_failover_forgets_what_was_written_shortly_before_it_and_nothing_else() {
    let twice = |loss: &str| {
        let mut all = with_instant(8, &[run("a.1", 8, 1, 80), run("b.1", 8, 400, 85)]);
        all.push(format!("8300000 * loss - 0 {loss}\n"));
        found(&all)
    };
    assert_eq!(twice("7900000 kill"), [("duplicate_after_data_loss", 1)]);
    assert_eq!(twice("8100000 kill"), [("duplicate", 1)]);
    assert_eq!(twice("7900000 but_grants"), [("duplicate", 1)]);
}

#[test]
fn a_release_that_a_failover_forgets_keeps_the_lock_up_to_its_end() {
    let with = |loss: &str| {
        let held = [
            decide("a.1", 9, "overlap"),
            decide("b.1", 9, "overlap"),
            "9500000 * lock t 0 80 1200\n".to_owned(),
            loss.to_owned(),
        ];
        found(&with_instant(9, &held))
    };
    assert_eq!(with("8300000 * loss - 0 7900000 but_grants\n"), []);
    assert_eq!(with(""), [("lost", 1), ("leaked", 1)]);
}

#[test]
fn a_run_granted_before_a_loss_of_data_may_start_after_one_with_a_larger_token() {
    // a.1 starts at 8.001, with token 80.
    let is_regress_if_asked_at = |asked: u64| {
        let armed = run("b.1", 8, 102, 75)
            .replace("8102001 b.1 ask", &format!("{asked} b.1 ask"))
            .replace("8102002 b.1 answer", &format!("{} b.1 answer", asked + 1));
        let mut all = with_instant(8, &[armed]);
        all.push("7995000 * loss - 0 0 flush\n".to_owned());
        let is_regress = |(kind, _): &(&str, usize)| *kind == "fence_regress";
        found(&all).iter().any(is_regress)
    };
    assert!(!is_regress_if_asked_at(7_990_001));
}

#[test]
fn of_servers_that_grant_at_the_same_time_only_the_later_asked_has_to_give_the_larger_token() {
    let tokens = |after: u64| {
        let late = run("b.1", 8, 101 + after, 70);
        let mut all = with_instant(8, &[run("a.1", 8, 101, 80), late]);
        all.push("8300000 * loss - 0 7900000 part\n".to_owned());
        let is_regress = |(kind, _): &(&str, usize)| *kind == "fence_regress";
        found(&all).iter().any(is_regress)
    };
    assert!(tokens(150));
    assert!(!tokens(0));
}

#[test]
fn runs_that_go_on_at_once_overlap() {
    let mut all = with_instant(8, &[]);
    all.push(run("a.1", 8, 950, 80));
    all.push(decide("b.1", 8, "fired_elsewhere"));
    assert_eq!(found(&all), [("overlap", 1)]);
    // With a holder that was stopped for longer than its margin, that is another matter.
    all.push("6900000 a.1 stop - 0 0 -\n7950000 a.1 cont - 0 0 -\n".to_owned());
    assert_eq!(found(&all), [("overlap", 1)]);
    all.push("8955000 a.1 stop - 0 0 -\n9980000 a.1 cont - 0 0 -\n".to_owned());
    assert_eq!(found(&all), [("overlap_while_stopped", 1)]);
}

#[test]
fn a_run_that_was_killed_ends_there() {
    let mut all = with_instant(8, &[]);
    let started = run("c.1", 8, 950, 80);
    let killed: Vec<&str> = started.lines().take(7).collect();
    all.push(format!("{}\n", killed.join("\n")));
    all.push("500000 c.1 due t 8000 0 -\n500001 c.1 up - 0 0 -\n".to_owned());
    all.push(decide("a.1", 8, "overlap"));
    all.push(decide("b.1", 8, "overlap"));
    let mut overlapping = all.clone();
    all.push("8960000 c.1 kill - 0 0 -\n".to_owned());
    assert_eq!(found(&all), []);
    overlapping.push("9050000 c.1 kill - 0 0 -\n".to_owned());
    assert_eq!(found(&overlapping), [("overlap", 1)]);
}

#[test]
fn a_fencing_token_that_does_not_grow_is_a_regress() {
    let all = with_instant(
        8,
        &[
            run("a.1", 8, 1, 70_000 / 1000),
            decide("b.1", 8, "fired_elsewhere"),
        ],
    );
    // The claim is told by the same number, so that the trust in its lease is that of both.
    let kinds: Vec<&str> = found(&all).iter().map(|f| f.0).collect();
    assert!(kinds.contains(&"fence_regress"), "{kinds:?}");
}

#[test]
fn an_effect_accepted_after_a_newer_one_is_stale() {
    let mut all = quiet();
    all.push("30000001 * kept t 0 150 -\n".to_owned());
    assert_eq!(found(&all), [("stale_effect", 1)]);
}

#[test]
fn a_run_that_is_polled_past_its_lease_is_stale() {
    let mut all = without(&["a.1", "gone", "20000"]);
    all.push("22100000 a.1 act t 20000 200 21900000\n".to_owned());
    assert_eq!(found(&all), []);
    all.push("22200000 a.1 act t 20000 200 22100000\n".to_owned());
    assert_eq!(found(&all), [("stale_effect", 1)]);
}

#[test]
fn an_instant_that_nobody_starts_is_lost_unless_the_reason_is_true() {
    let nobody = |word: &str| {
        let parts = [decide("a.1", 8, word), decide("b.1", 8, word)];
        with_instant(8, &parts)
    };
    assert_eq!(found(&nobody("fired_elsewhere")), [("lost", 1)]);
    assert_eq!(found(&nobody("overlap")), [("lost", 1)]);
    assert_eq!(found(&nobody("draining")), []);
    // A third replica holds the task, or died with it.
    let mut held = nobody("overlap");
    held.push("500001 c.1 up - 0 0 -\n7500000 c.1 ask t 7000 999 acquire\n".to_owned());
    held.push("7500001 c.1 answer t 7000 999 acquire:granted\n".to_owned());
    held.push("7600000 c.1 kill - 0 0 -\n".to_owned());
    assert_eq!(found(&held), []);
    let mut taken = nobody("fired_elsewhere");
    taken.push("500001 c.1 up - 0 0 -\n8000001 c.1 ask t 8000 999 acquire\n".to_owned());
    assert_eq!(
        found(&taken),
        [("lost", 1)],
        "it lives, and may repeat its claim"
    );
    taken.push("8000002 c.1 kill - 0 0 -\n".to_owned());
    assert_eq!(found(&taken), []);
}

#[test]
fn an_instant_that_overlapped_is_not_lost_because_a_late_claim_finds_a_newer_one() {
    // b finds the run of 7 going on; a comes when 9 has been taken.
    let late = [
        "9500000 a.1 ask t 8000 888 acquire\n".to_owned(),
        "9500001 a.1 answer t 8000 888 acquire:superseded\n".to_owned(),
        "9500002 a.1 decision t 8000 1 fired_elsewhere\n".to_owned(),
        decide("b.1", 8, "overlap"),
    ];
    let mut all = with_instant(8, &late);
    let held_by = |instant: u64| {
        let at = "7950000 c.1";
        [
            "500001 c.1 up - 0 0 -\n".to_owned(),
            format!("{at} ask t {instant} 999 acquire\n"),
            format!("{at} answer t {instant} 999 acquire:granted\n"),
            "8100000 c.1 ask t 0 999 release\n".replace("t 0", &format!("t {instant}")),
            "8100001 c.1 answer t 0 999 release:freed\n".replace("t 0", &format!("t {instant}")),
        ]
    };
    let newer: Vec<String> = all.iter().cloned().chain(held_by(9000)).collect();
    all.extend(held_by(7000));
    let lost = |all: &[String]| found(all).iter().any(|(kind, _)| *kind == "lost");
    assert!(!lost(&all), "{:?}", found(&all));
    assert!(
        lost(&newer),
        "a newer run is no reason: {:?}",
        found(&newer)
    );
}

#[test]
fn an_instant_that_others_let_go_of_for_the_store_is_not_lost_because_a_late_claim_finds_a_newer_one()
 {
    // b cannot reach the store for two seconds, and then takes the two newest; a comes after that.
    let late = |ms: u64| {
        let parts = [
            "10001000 b.1 decision t 8000 1 store_down\n".to_owned(),
            format!("{ms}000 a.1 ask t 8000 888 acquire\n"),
            format!("{ms}001 a.1 answer t 8000 888 acquire:superseded\n"),
            format!("{ms}002 a.1 decision t 8000 1 fired_elsewhere\n"),
        ];
        let mut all = with_instant(8, &parts);
        all.push("8000000 * apart - 0 0 -\n9900000 * joined - 0 0 -\n".to_owned());
        found(&all).iter().any(|(kind, _)| *kind == "lost")
    };
    assert!(!late(10_200));
    // A store that a could have asked for long enough is no reason for it.
    assert!(late(12_600));
}

#[test]
fn a_claim_that_was_refused_and_then_not_answered_may_have_held_the_task() {
    let mut all = with_instant(
        8,
        &[decide("a.1", 8, "overlap"), decide("b.1", 8, "overlap")],
    );
    all.push("500001 c.1 up - 0 0 -\n7100000 c.1 ask t 7000 999 acquire\n".to_owned());
    all.push("7100001 c.1 answer t 7000 999 acquire:held\n".to_owned());
    let refused = all.clone();
    all.push("7200000 c.1 ask t 7000 999 acquire\n".to_owned());
    all.push("7700000 c.1 answer t 7000 999 acquire:error\n".to_owned());
    let lost = |all: &[String]| found(all).iter().any(|(kind, _)| *kind == "lost");
    assert!(!lost(&all), "{:?}", found(&all));
    assert!(lost(&refused));
}

#[test]
fn a_claim_that_was_refused_late_may_have_been_granted_before_to_one_that_was_stopped() {
    // c is stopped while its claim on 8 is under way; when it goes on, a newer one has been taken.
    let history = |answered: u64, is_stopped: bool| {
        let nobody = [
            decide("a.1", 8, "fired_elsewhere"),
            decide("b.1", 8, "fired_elsewhere"),
        ];
        let mut all = with_instant(8, &nobody);
        all.push("500001 c.1 up - 0 0 -\n8000001 c.1 ask t 8000 999 acquire\n".to_owned());
        all.push(format!(
            "{answered} c.1 answer t 8000 999 acquire:superseded\n"
        ));
        all.push(format!(
            "{answered} c.1 decision t 8000 1 fired_elsewhere\n"
        ));
        if is_stopped {
            all.push("8000002 c.1 stop - 0 0 -\n12500000 c.1 cont - 0 0 -\n".to_owned());
        }
        found(&all).iter().any(|(kind, _)| *kind == "lost")
    };
    assert!(!history(12_500_001, true));
    assert!(history(8_000_900, false));
}

#[test]
fn a_store_that_could_be_reached_is_no_reason() {
    let late = |who: &str| format!("12000000 {who} decision t 8000 1 store_down\n");
    let mut all = with_instant(8, &[late("a.1"), late("b.1")]);
    let mut apart = all.clone();
    assert_eq!(found(&all), [("lost", 1)]);
    apart.push("8000000 * apart - 0 0 -\n11000000 * joined - 0 0 -\n".to_owned());
    assert_eq!(found(&apart), []);
    all.push("8000000 b apart - 0 0 -\n11000000 b joined - 0 0 -\n".to_owned());
    assert_eq!(found(&all), [("lost", 1)], "the other one could reach it");
}

#[test]
fn an_instant_that_a_new_process_passes_over_is_lost() {
    // Both are killed after 7, and one comes back between 9 and 10.
    let mut all: Vec<String> = Vec::new();
    for part in quiet() {
        let is_at = |s: u64| part.contains(&format!(" t {} ", s * 1000 + 1000));
        let is_later = (8..=20).any(is_at) || part.contains("exit") || part.contains("kept");
        if !is_later || part.contains("task") {
            all.push(part);
        }
    }
    all.push("7500000 a.1 kill - 0 0 -\n7500000 b.1 kill - 0 0 -\n".to_owned());
    let mut caught_up = all.clone();
    all.push("9600000 a.2 due t 10000 0 -\n9600001 a.2 up - 0 0 -\n".to_owned());
    caught_up.push("9600000 a.2 due t 8000 0 -\n9600001 a.2 up - 0 0 -\n".to_owned());
    caught_up.push(run("a.2", 8, 1700, 80));
    caught_up.push(run("a.2", 9, 900, 90));
    for second in 10..=20 {
        all.push(run("a.2", second, 1, second * 10));
        caught_up.push(run("a.2", second, 1, second * 10));
    }
    assert_eq!(found(&caught_up), []);
    assert_eq!(found(&all), [("lost", 2)]);
    // It knows of both, and takes the newer one first.
    caught_up.retain(|part| !part.contains("start t 8000 "));
    caught_up.push("9700000 a.2 due t 9000 0 -\n".to_owned());
    caught_up.push("9990000 a.2 decision t 8000 1 fired_elsewhere\n".to_owned());
    assert_eq!(found(&caught_up), [("lost", 1)]);
}

#[test]
fn each_instant_has_one_decision_and_each_run_one_end() {
    let mut all = quiet();
    all.push("9000000 b.1 decision t 8000 1 overlap\n".to_owned());
    assert_eq!(found(&all), [("unaccounted", 1)]);
    assert_eq!(
        found(&without(&["b.1", "decision", "8000"])),
        [("unaccounted", 1)]
    );
    assert_eq!(found(&without(&["end", "8000"])), [("unaccounted", 1)]);
}

#[test]
fn several_instants_may_be_decided_at_once() {
    let mut all = without(&["b.1", "decision", "8000"]);
    all.retain(|l| !l.contains("b.1 decision t 9000 "));
    all.push("9100000 b.1 decision t 9000 2 misfired\n".to_owned());
    assert_eq!(found(&all), []);
}

#[test]
fn a_lock_that_was_given_back_or_has_no_end_is_leaked() {
    let mut all = quiet();
    all.push("8050000 * lock t 0 80 2900\n".to_owned());
    assert_eq!(found(&all), []);
    all.push("8500000 * lock t 0 80 2900\n".to_owned());
    assert_eq!(found(&all), [("leaked", 1)]);
    all.push("8050000 * lock t 0 80 -1\n".to_owned());
    assert_eq!(found(&all), [("leaked", 2)]);
    all.push("24500000 * lock t 0 999 500\n".to_owned());
    assert_eq!(found(&all), [("leaked", 2)]);
    all.push("24700000 * lock t 0 999 500\n".to_owned());
    assert_eq!(found(&all), [("leaked", 3)], "the fleet ended at 20.6");
}

#[test]
fn a_run_before_its_fire_time_is_early() {
    let mut all = with_instant(8, &[decide("b.1", 8, "fired_elsewhere")]);
    let early = run("a.1", 8, 0, 80).replace("800000", "795000");
    all.push(early.lines().map(|l| format!("{l}\n")).collect());
    assert!(found(&all).contains(&("early", 1)), "{:?}", found(&all));
}

#[test]
fn a_task_that_does_not_run_again_is_stuck() {
    let all = without(&["start"]);
    let kinds: Vec<&str> = found(&all).iter().map(|f| f.0).collect();
    assert!(kinds.contains(&"stuck"), "{kinds:?}");
}
