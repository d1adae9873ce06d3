//! What is not a task, or not here.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_task_of_code_owns_its_name() {
    let fleet = Fleet::new();
    let (owner, other) = (fleet.instance(), fleet.running().await);
    owner
        .bench
        .task("t", "*/10 * * * * *", |_| async { Ok(()) });
    owner.bench.start().await;
    let error = owner.tasks().save(&note("t", "@hourly", "x")).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DuplicateTask);
    assert!(error.to_string().contains("belongs to code"), "{error}");
    // Where nobody knows it is saved, and run by those who have no such code.
    save(&other.tasks(), &note("t", "*/5 * * * * *", "stored")).await;
    pass(1.0).await;
    assert_eq!(owner.ignored(), [("t".to_owned(), Ignored::OwnedByCode)]);
    pass(10.0).await;
    assert_eq!(owner.notes(), [""; 0]);
    assert_eq!(other.names(), ["t"]);
    // It becomes free.
    assert!(owner.bench.scheduler.unregister("t"));
    assert!(!owner.bench.scheduler.unregister("t"));
    pass(0.5).await;
    let task = owner.bench.scheduler.handle().task("t").unwrap();
    assert_eq!(task.kind.as_deref(), Some("note"));
    assert!(!owner.bench.scheduler.unregister("t"));
    // And is taken again.
    owner.bench.task("t", "@daily", |_| async { Ok(()) });
    pass(0.5).await;
    assert_eq!(owner.bench.scheduler.handle().task("t").unwrap().kind, None);
    assert_eq!(owner.ignored().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_instance_without_the_kind_leaves_the_firings_to_others_and_says_so() {
    let lines = Lines::default();
    let _guard = lines.listen();
    let warnings = || {
        let text = lines.text();
        assert!(
            !text.contains("WARN tasklock: Task firing skipped"),
            "{text}"
        );
        text.matches("task.ignored").count()
    };
    let fleet = Fleet::new();
    let (without, with) = (fleet.bare(), fleet.running().await);
    without.bench.start().await;
    save(&without.tasks(), &note("t", "*/10 * * * * *", "x")).await;
    pass(25.0).await;
    assert_eq!(with.bench.fired("t"), ["10:00:10", "10:00:20"]);
    let decisions = without.bench.seen.decisions("t");
    assert_eq!(decisions, [Decision::Limited; 2]);
    assert_eq!(without.ignored(), [("t".to_owned(), Ignored::UnknownKind)]);
    // Once, and not with each firing.
    lines.one(&["WARN", "task.ignored", "unknown_kind"]);
    assert_eq!(warnings(), 1, "{}", lines.text());
    let mut task = fleet.tasks().get("t").await.unwrap().unwrap();
    task.spec = "5/10 * * * * *".to_owned();
    save(&without.tasks(), &task).await;
    pass(20.0).await;
    assert_eq!(warnings(), 2, "{}", lines.text());
    task = fleet.tasks().get("t").await.unwrap().unwrap();
    task.spec = "*/10 * * * * *".to_owned();
    save(&without.tasks(), &task).await;
    pass(1.0).await;
    let handle = without.bench.scheduler.handle();
    assert!(handle.task("t").unwrap().lacks_kind);
    // The code comes.
    with.bench.scheduler.stop().await;
    without.add_note();
    pass(10.0).await;
    assert_eq!(without.bench.fired("t"), ["10:00:50"]);
    assert!(!handle.task("t").unwrap().lacks_kind);
    assert_eq!(without.ignored().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn malformed_records_stop_nothing_are_told_once_and_counted() {
    let fleet = Fleet::new();
    let replica = fleet.running().await;
    let other_name = r#"{"format":1,"task":{"name":"u","kind":"note","spec":"@hourly"}}"#;
    let bad_name = r#"{"format":1,"task":{"name":"a/b","kind":"note","spec":"@hourly"}}"#;
    for (key, value) in [
        ("a", ""),
        ("b", "null"),
        ("c", "{\"format\":99}"),
        ("d", other_name),
        ("e", &"[".repeat(1 << 20)),
        ("f", "\u{1b}[31m\u{0}\u{202e}"),
        ("a/b", bad_name),
    ] {
        fleet.write(key, value).await;
    }
    save(&fleet.tasks(), &note("t", "*/10 * * * * *", "x")).await;
    pass(15.0).await;
    assert_eq!(replica.names(), ["t"]);
    assert_eq!(replica.bench.fired("t"), ["10:00:10"]);
    let store = replica.tasks();
    let all = store.list().await.unwrap();
    assert_eq!((all.tasks.len(), all.malformed.len()), (1, 7));
    for malformed in &all.malformed {
        let text = format!("{} {}", malformed.name, malformed.error);
        assert!(text.len() < 700 && !text.chars().any(char::is_control));
    }
    pass(1_300.0).await;
    assert_eq!(store.malformed(), 7);
    assert_eq!(replica.ignored().len(), 7);
    // What cannot be read cannot be changed, and can be deleted.
    let error = store.save(&note("a", "@hourly", "x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreProtocol);
    let deleted = store.delete("a", Expected::Anything).await.unwrap();
    assert_eq!(deleted, Deleted::Done);
    save(&store, &note("a", "@hourly", "x")).await;
}

#[tokio::test(start_paused = true)]
async fn a_task_whose_record_becomes_malformed_stops() {
    let fleet = Fleet::new();
    let replica = fleet.running().await;
    save(&fleet.tasks(), &note("t", "*/10 * * * * *", "x")).await;
    pass(11.0).await;
    fleet.write("t", "gone wrong").await;
    pass(20.0).await;
    assert_eq!(replica.bench.fired("t"), ["10:00:10"]);
    assert_eq!(replica.ignored(), [("t".to_owned(), Ignored::Malformed)]);
}

#[tokio::test(start_paused = true)]
async fn what_others_wrote_who_check_less_is_not_run_and_said() {
    let fleet = Fleet::new();
    let replica = fleet.running().await;
    let record = |spec: &str, more: &str| {
        let task = format!(r#""kind":"note","spec":"{spec}","parameters":{{"text":"x"}}{more}"#);
        move |name: &str| format!(r#"{{"format":1,"task":{{"name":"{name}",{task}}}}}"#)
    };
    for (name, make) in [
        ("spec", record("every now and then", "")),
        (
            "policy",
            record("@hourly", r#","policy":{"lease_ttl_s":0}"#),
        ),
        (
            "group",
            record("@hourly", r#","policy":{"group":"nobody"}"#),
        ),
        ("timeout", record("@hourly", r#","timeout_s":0"#)),
        ("fine", record("@hourly", r#","policy":{"group":"g"}"#)),
    ] {
        fleet.write(name, &make(name)).await;
    }
    let parameters = r#"{"format":1,"task":{"name":"parameters","kind":"note","spec":"@hourly"}}"#;
    fleet.write("parameters", parameters).await;
    pass(1.0).await;
    assert_eq!(replica.names(), ["fine"]);
    let mut names: Vec<_> = replica.ignored().into_iter().map(|i| i.0).collect();
    names.sort();
    assert_eq!(names, ["group", "parameters", "policy", "spec", "timeout"]);
    assert!(replica.ignored().iter().all(|i| i.1 == Ignored::Invalid));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_is_refused_when_it_is_saved() {
    let fleet = Fleet::new();
    let replica = fleet.instance();
    let store = replica.tasks();
    let long = "x".repeat(1_000_000);
    let fine = || note("t", "@hourly", "x");
    let with = |change: &dyn Fn(&mut StoredTask)| {
        let mut task = fine();
        change(&mut task);
        task
    };
    use ErrorKind::{InvalidName, InvalidSpec, InvalidTask};
    for (task, kind, part) in [
        (with(&|t| t.name = "a b".into()), InvalidName, "' '"),
        (
            with(&|t| t.name = "a\u{1b}[0m".into()),
            InvalidName,
            "\\u{1b}",
        ),
        (
            with(&|t| t.name = long.clone()),
            InvalidName,
            "1000000 characters",
        ),
        (with(&|t| t.kind = "a\nb".into()), InvalidName, "a\\nb"),
        (with(&|t| t.kind = long.clone()), InvalidName, "kind"),
        (
            with(&|t| t.spec = "61 * * * * *".into()),
            InvalidSpec,
            "task t: second",
        ),
        (with(&|t| t.spec = long.clone()), InvalidSpec, "1024"),
        (
            with(&|t| t.spec = "0 0 31 2 *".into()),
            InvalidTask,
            "no fire time",
        ),
        (
            with(&|t| t.spec = "@at 2020-01-01T00:00:00Z".into()),
            InvalidTask,
            "no fire time",
        ),
        (
            with(&|t| t.timeout = Duration::ZERO),
            InvalidTask,
            "timeout is zero",
        ),
        (
            with(&|t| t.policy = Policy::default().lease_ttl(Duration::ZERO)),
            InvalidTask,
            "lease_ttl",
        ),
        (
            with(&|t| t.policy = Policy::default().timezone(Tz::Asia__Tokyo)),
            InvalidTask,
            "timezone",
        ),
        (
            with(&|t| t.owner = Some("a\u{0}".into())),
            InvalidTask,
            "owner",
        ),
        (
            with(&|t| t.owner = Some(long.clone())),
            InvalidTask,
            "owner",
        ),
        (
            with(&|t| t.description = long.clone()),
            InvalidTask,
            "description",
        ),
        (
            with(&|t| t.description = "\u{1b}[31m".into()),
            InvalidTask,
            "description",
        ),
        (
            with(&|t| t.parameters = json!({ "text": long })),
            InvalidTask,
            "at most 65536",
        ),
        (
            with(&|t| t.parameters = json!({})),
            InvalidTask,
            "missing field `text`",
        ),
        (
            with(&|t| t.parameters = json!({ "text": "x", "a\u{1b}": 1 })),
            InvalidTask,
            "unknown field",
        ),
        (
            with(&|t| t.parameters = Value::Null),
            InvalidTask,
            "do not fit",
        ),
    ] {
        let error = store.save(&task).await.unwrap_err();
        let text = error.to_string();
        assert_eq!(error.kind(), kind, "{text}");
        assert!(text.contains(part), "{part}: {text}");
        let is_plain = |c: char| !c.is_control() || c == '\n';
        assert!(text.len() < 600 && text.chars().all(is_plain), "{text}");
    }
    assert!(store.list().await.unwrap().tasks.is_empty());
    for fine in [
        with(&|t| t.spec = "@startup".into()),
        with(&|t| t.description = "two\nlines, \"quoted\", \u{202e}".into()),
        with(&|t| t.kind = "unknown".into()),
        with(&|t| (t.spec, t.enabled) = ("@at 2020-01-01T00:00:00Z".into(), false)),
    ] {
        let saved = save(&store, &fine).await;
        store
            .delete("t", Expected::At(saved.version))
            .await
            .unwrap();
    }
}
