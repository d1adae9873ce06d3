//! Tasks of a file in the store that the fleet shares.

use super::host::{Host, wait};
use crate::support::redis_server::RedisServer;

/// The audit trail, newest first.
fn audit(redis: &RedisServer) -> Vec<tasklock::AuditEntry> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let lock = tasklock::RedisLock::builder(&redis.url()).build().unwrap();
        let control = tasklock::ControlPlane::new(tasklock::RedisFleet::beside(&lock));
        control.audit(None, 100).await.unwrap()
    })
}

#[test]
fn tasks_are_applied_run_by_those_who_list_them_changed_and_pruned() {
    let redis = RedisServer::start();
    let lock = format!("[lock]\nredis_url = \"{}\"\n", redis.url());
    let worker = Host::new();
    worker.write(
        "tasks.toml",
        format!(
            "{lock}[commands.report]\ncommand = [\"/bin/sh\", \"-c\", \"echo $1 $REGION >> said\", \"sh\"]\n\
             arguments = 1\nenvironment = [\"REGION\"]\n"
        ),
    );
    let running = worker.start();
    worker.wait_for("log", "Task scheduler started");

    let author = Host::new();
    let file =
        |tasks: &str| author.write("stored.toml", format!("owner = \"team\"\n{lock}{tasks}"));
    let report = |region: &str| {
        format!(
            "[[task]]\nname = \"report\"\nspec = \"* * * * * *\"\nrun = \"report\"\n\
             arguments = [\"weekly\"]\nenv = {{ REGION = \"{region}\" }}\n"
        )
    };
    let hook =
        "[[task]]\nname = \"hook\"\nspec = \"@hourly\"\nurl = \"https://hooks.example.com/7\"\n";
    let mail = "[[task]]\nname = \"mail\"\nspec = \"@daily\"\nkind = \"mail\"\nparameters = { to = [\"a\"] }\n";
    let apply = |more: &[&str]| author.run(&[&["apply", "stored.toml"], more].concat());

    file(&format!("{}{hook}{mail}", report("eu")));
    let (status, out, err) = apply(&["--dry-run"]);
    assert_eq!((status, err.as_str()), (0, ""));
    assert_eq!(
        out,
        "added     report\nadded     hook\nadded     mail\ndry run: 3 saved, 0 deleted, 0 as they were\n"
    );
    assert!(!redis.says("KEYS *").contains("report"));
    let (status, out, _) = apply(&[]);
    assert_eq!(status, 0);
    assert!(
        out.ends_with("\n3 saved, 0 deleted, 0 as they were\n"),
        "{out}"
    );
    worker.wait_for("said", "weekly eu\n");

    file(&format!("{}{hook}", report("us")));
    let (_, out, _) = apply(&["--prune"]);
    assert_eq!(
        out,
        "changed   report\nunchanged hook\ndeleted   mail\n1 saved, 1 deleted, 1 as they were\n"
    );
    worker.wait_for("said", "weekly us\n");

    // Of another owner: not ours to delete.
    author.write("others.toml", format!("owner = \"others\"\n{lock}{mail}"));
    assert_eq!(author.run(&["apply", "others.toml", "--prune"]).0, 0);
    file("");
    let (_, out, _) = apply(&["--prune"]);
    assert!(
        out.contains("deleted   report") && !out.contains("mail"),
        "{out}"
    );
    // Who did it, why, and what was there before.
    let audit = audit(&redis);
    let told = |n: usize| {
        let entry: &tasklock::AuditEntry = &audit[n];
        let task = entry.task.as_ref().unwrap().as_str();
        (
            entry.action.clone(),
            task.to_owned(),
            entry.detail.clone().unwrap(),
        )
    };
    let words = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
    assert_eq!(
        told(1),
        words("delete", "hook", "before it http @hourly"),
        "{audit:#?}"
    );
    let second = "* * * * * *";
    assert_eq!(
        told(0),
        words("delete", "report", &format!("before it shell {second}"))
    );
    let changed = format!("shell {second}; before it shell {second}");
    assert!(
        audit.iter().any(|e| e.detail.as_ref() == Some(&changed)),
        "{audit:#?}"
    );
    assert_eq!(audit.len(), 8, "{audit:#?}");
    assert_eq!(audit[0].by.reason(), "by the command line");
    wait(
        || {
            let before = worker.read("said").len();
            std::thread::sleep(std::time::Duration::from_millis(1_500));
            worker.read("said").len() == before
        },
        || worker.read("log"),
    );
    assert_eq!(running.stop(), 0);
}

#[test]
fn what_a_store_must_not_have_is_refused_before_anything_is_saved() {
    let redis = RedisServer::start();
    let lock = format!("[lock]\nredis_url = \"{}\"\n", redis.url());
    let fine = "[[task]]\nname = \"fine\"\nspec = \"@daily\"\nkind = \"k\"\n";
    let host = Host::with(&format!(
        "{lock}{fine}[[task]]\nname = \"program\"\nspec = \"@daily\"\ncommand = [\"/bin/true\"]\n\
         [[task]]\nname = \"secret\"\nspec = \"@daily\"\nurl = \"https://a.b\"\nheaders_from_files = {{ a = \"x\" }}\n\
         [[task]]\nname = \"past\"\nspec = \"@at 2020-01-01T00:00:00Z\"\nkind = \"k\"\n"
    ));
    let (status, out, err) = host.run(&["apply", "tasks.toml"]);
    assert_eq!((status, out.as_str()), (1, ""));
    let lines: Vec<&str> = err.lines().collect();
    assert_eq!(lines.len(), 3, "{err}");
    for (line, said) in lines.iter().zip([
        "tasks.toml: task program: command: what comes out of a store may only name a command",
        "tasks.toml: task secret: headers_from_files: a store keeps no secrets",
        "tasks.toml: task past: its spec \"@at 2020-01-01T00:00:00Z\" has no fire time from now on",
    ]) {
        assert!(line.starts_with(said), "{line}");
    }
    assert!(!redis.says("KEYS *").contains("fine"));
    host.write("tasks.toml", format!("{lock}{fine}"));
    let (status, _, err) = host.run(&["apply", "tasks.toml", "--prune"]);
    assert_eq!(status, 1);
    assert!(
        err.contains("--prune deletes tasks of the file's owner, and it names none"),
        "{err}"
    );
    host.write("tasks.toml", format!("lock.memory = true\n{fine}"));
    let (status, _, err) = host.run(&["apply", "tasks.toml"]);
    assert_eq!(status, 1);
    assert!(
        err.contains("the store that a fleet shares is in a Redis"),
        "{err}"
    );
}
