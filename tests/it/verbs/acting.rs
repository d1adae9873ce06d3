//! `pause`, `resume`, `skip`, `override`, `reset`, `drain`, `undrain` and `unlock`.

use super::rig::{Fleet, row};

#[test]
fn a_task_is_paused_and_resumed_by_whoever_says_why() {
    let fleet = Fleet::start();
    let words = ["pause", "hello", "--for", "2h", "--reason", "bank holiday"];
    let said = fleet.ask(&words).done();
    assert!(said.starts_with("hello: paused until 20"), "{said}");
    assert!(said.contains("seen by 3 of 3 instances"), "{said}");
    let paused = fleet.task("hello", |task| task["health"] == "paused");
    assert_eq!(paused["pause"]["reason"], "bank holiday");
    assert!(
        paused["pause"]["actor"]
            .as_str()
            .unwrap()
            .starts_with("ana@")
    );
    let list = fleet.ask_own(&["list"]);
    let cells = row(&list.out, "hello");
    assert_eq!((cells[0], cells[4]), ("paused", "1h59m"), "{list:?}");
    assert!(list.err.contains("1 paused"), "{list:?}");
    let next = fleet.ask(&["next", "hello", "-n", "1"]);
    assert!(
        next.out.contains("paused by ana@") && next.err.contains("bank holiday"),
        "{next:?}"
    );
    // What began before it is written up to a second later.
    std::thread::sleep(std::time::Duration::from_secs(2));
    let last = fleet.task("hello", |task| task["running"] == false)["last_run"]["id"].clone();
    // Nobody runs it meanwhile, but whoever insists.
    fleet
        .ask(&["run", "hello"])
        .refuses(4, &["--even-if-paused"]);
    fleet.ask(&["run", "hello", "--even-if-paused"]).done();
    let runs = fleet.ask(&["runs", "hello", "-o", "json"]).json();
    let later = runs
        .as_array()
        .unwrap()
        .iter()
        .take_while(|run| run["id"] != last);
    assert!(later.clone().count() >= 1);
    for run in later {
        assert_eq!(run["trigger"]["kind"], "manual");
    }
    assert_eq!(
        fleet.ask_own(&["resume", "hello"]).done(),
        "hello: resumed\n"
    );
    fleet.task("hello", |task| task["pause"].is_null());
    assert_eq!(
        fleet.ask(&["resume", "hello"]).done(),
        "hello: was not paused\n"
    );

    let said = fleet.ask(&[
        "pause",
        "--all",
        "--reason",
        "maintenance",
        "--missed",
        "run-once",
    ]);
    assert!(said.done().starts_with("all tasks: paused until"));
    let all = fleet.wait_for(&["list", "-o", "json"], |all| {
        all.as_array()
            .unwrap()
            .iter()
            .all(|task| task["health"] == "paused")
    });
    assert_eq!(all.as_array().unwrap().len(), 4);
    assert_eq!(
        fleet.ask(&["resume", "--all"]).done(),
        "all tasks: resumed\n"
    );
}

#[test]
fn fire_times_are_skipped_and_a_schedule_is_another_for_a_while() {
    let fleet = Fleet::start();
    let said = fleet
        .ask(&[
            "skip",
            "reindex",
            "-n",
            "2",
            "--reason",
            "index is being moved",
        ])
        .done();
    assert!(
        said.starts_with("reindex skips: 20") && said.contains(", 20"),
        "{said}"
    );
    let next = fleet
        .ask_own(&["next", "reindex", "-n", "3", "-o", "json"])
        .json();
    let held: Vec<bool> = next
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["held_back"].is_string())
        .collect();
    assert_eq!(held, [true, true, false]);

    let words = [
        "override",
        "reindex",
        "0 */10 * * * *",
        "--tz",
        "Asia/Tokyo",
        "--for",
        "1h",
        "--reason",
        "behind",
    ];
    let said = fleet.ask_own(&words).done();
    assert!(
        said.contains("reindex: has 0 */10 * * * * until") && said.contains("3 of 3"),
        "{said}"
    );
    let task = fleet.task("reindex", |task| task["schedule"]["override"].is_object());
    assert_eq!(task["schedule"]["override"]["cron"], "0 */10 * * * *");
    let list = fleet.ask(&["list"]);
    assert!(
        row(&list.out, "reindex*").contains(&"0 */10 * * * *"),
        "{list:?}"
    );
    assert!(list.err.contains("* schedule override"), "{list:?}");
    assert_eq!(
        fleet.ask(&["reset", "reindex"]).done(),
        "reindex: has its code's schedule again\n"
    );
    assert_eq!(
        fleet.ask(&["reset", "reindex"]).done(),
        "reindex: had its code's schedule\n"
    );
    fleet
        .ask(&["override", "reindex", "0 0 24 * * *", "--reason", "typo"])
        .refuses(2, &["above maximum", "column 5"]);
}

#[test]
fn an_instance_is_drained_by_the_beginning_of_its_id() {
    let fleet = Fleet::start();
    let ids: Vec<String> = fleet
        .ask(&["instances", "-o", "json"])
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|i| i["id"].as_str().unwrap().to_owned())
        .collect();
    let host = ids[0].split(':').next().unwrap();
    fleet
        .ask(&["drain", host, "--reason", "deploy"])
        .refuses(2, &["the beginning of several ids"]);
    let short = ids[0].rsplit_once(':').unwrap().0;
    let said = fleet.ask(&["drain", short, "--reason", "deploy"]).done();
    assert!(
        said.starts_with(&format!("{}: takes no new firings", ids[0])),
        "{said}"
    );
    fleet.wait_for(&["instances", "-o", "json"], |all| {
        all[0]["drain"]["reason"] == "deploy"
    });
    let table = fleet.ask_own(&["instances"]);
    assert_eq!(row(&table.out, &ids[0])[0], "draining");
    assert!(
        table.err.contains("2 of 3 instances are ready"),
        "{table:?}"
    );
    let said = fleet.ask_own(&["undrain", &ids[0]]).done();
    assert_eq!(said, format!("{}: takes firings again\n", ids[0]));
    fleet
        .ask(&["drain", "nobody", "--reason", "x"])
        .refuses(3, &["no instance \"nobody\" is there"]);
}

#[test]
fn a_lease_is_ended_by_its_token_and_not_while_its_holder_lives() {
    let fleet = Fleet::with(&[("SLOW_SECONDS", "600")]);
    let held = fleet.held("slow");
    let token = held["fencing_token"].to_string();
    // The others know of its run when its instance has said so, up to five seconds later.
    fleet.wait_for(&["instances", "-o", "json"], |all| {
        all.as_array()
            .unwrap()
            .iter()
            .any(|i| i["id"] == held["holder"] && i["running"] != 0)
    });
    fleet
        .ask(&["unlock", "slow", "--reason", "stuck"])
        .refuses(2, &["--token", &token, "which lives"]);
    fleet
        .ask(&["unlock", "slow", "--token", &token, "--reason", "stuck"])
        .refuses(4, &["refused by", "--force"]);
    fleet
        .ask(&["unlock", "slow", "--token", "1", "--reason", "stuck"])
        .refuses(4, &["refused by"]);
    let said = fleet.ask_own(&[
        "unlock", "slow", "--token", &token, "--reason", "stuck", "--force",
    ]);
    assert!(said.done().contains("accepted by"));
    fleet
        .ask(&["unlock", "hallo", "--reason", "x"])
        .refuses(3, &["did you mean hello?"]);
}
