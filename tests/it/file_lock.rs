//! The lock in files: what is left after crashes, and what it makes of what it finds.

use std::sync::Arc;
use std::time::Duration;

use tasklock::{Acquired, Claim, Clock, ErrorKind, FileLock, Lock, SystemClock, Token};

use crate::support::replica::{Replica, judge, read_history, wait_for_history};

/// A claim on an instant of its own.
fn claim(task: &str, bits: u64) -> Claim {
    let fire_time = SystemClock.now() + Duration::from_millis(10 * bits);
    Claim::new(
        task.parse().unwrap(),
        fire_time,
        Token::from_bits(bits.into()),
        "me",
    )
}

#[tokio::test]
async fn two_locks_in_one_directory_exclude_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (
        FileLock::open(dir.path()).unwrap(),
        FileLock::open(dir.path()).unwrap(),
    );
    assert!(matches!(
        one.acquire(&claim("a:b", 1)).await.unwrap(),
        Acquired::Granted(_)
    ));
    assert!(matches!(
        two.acquire(&claim("a:b", 2)).await.unwrap(),
        Acquired::Held(_)
    ));
    assert!(matches!(
        two.acquire(&claim("a.b", 3)).await.unwrap(),
        Acquired::Granted(_)
    ));
    assert_eq!(one.describe(), format!("files in {}", dir.path().display()));
}

#[tokio::test]
async fn a_directory_that_cannot_be_is_refused_with_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = FileLock::open(file.join("locks")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(
        error.to_string().contains("file/locks cannot be made"),
        "{error}"
    );
}

#[tokio::test]
async fn a_file_that_is_no_state_is_an_error_with_its_path_and_harms_no_other_task() {
    let dir = tempfile::tempdir().unwrap();
    let lock = FileLock::open(dir.path()).unwrap();
    let table = [
        (&b""[..], "is not a lock's state"),
        (b"hello", "is not a lock's state"),
        (
            b"tasklock 1\ntask other\nend\n",
            "belongs to the task \"other\"",
        ),
        (b"tasklock 1\ntask a\nlock x y\nend\n", "has a bad end"),
        (b"tasklock 1\ntask a\nlock 1 y\n", "is cut short"),
        (b"\xff\xfe", "cannot be read"),
    ];
    for (i, (text, part)) in table.into_iter().enumerate() {
        std::fs::write(dir.path().join("task.a.state"), text).unwrap();
        let error = lock.acquire(&claim("a", 1)).await.unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
        assert!(error.to_string().contains("task.a.state"), "{error}");
        let other = lock
            .acquire(&claim(&format!("other_{i}"), 1))
            .await
            .unwrap();
        assert!(matches!(other, Acquired::Granted(_)), "{other:?}");
    }
}

#[tokio::test]
async fn a_process_stopped_within_its_request_does_not_take_others_along() {
    let dir = tempfile::tempdir().unwrap();
    let lock = FileLock::open(dir.path()).unwrap();
    let guard = dir.path().join("task.a.guard");
    let held = std::fs::File::create(&guard).unwrap();
    held.lock().unwrap();
    let error = lock.acquire(&claim("a", 1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreUnavailable);
    assert!(error.is_transient());
    assert!(
        error.to_string().contains("locked by another process"),
        "{error}"
    );
    drop(held);
    assert!(matches!(
        lock.acquire(&claim("a", 1)).await.unwrap(),
        Acquired::Granted(_)
    ));
}

/// kill -9 at moments of all kinds: within a write, between write and rename, within a run.
#[test]
fn killed_processes_leave_a_state_that_the_next_one_goes_on_from() {
    let dir = tempfile::tempdir().unwrap();
    let history = dir.path().join("history");
    let locks = dir.path().join("locks");
    let mut replica = Replica::new("a", locks.to_str().unwrap());
    replica.lease_ttl_s = 1;
    for i in 0..4 {
        replica = replica.task(&format!("t{i}"), "@every 20ms", 1);
    }
    for round in 0..15 {
        let before = read_history(&history).len();
        let mut process = replica.start(&history);
        // Until it works, and then a little, a different little each time.
        wait_for_history(&history, Duration::from_secs(20), |lines| {
            (lines[before..].iter().filter(|l| l.what == "start").count() > round).then_some(())
        });
        process.kill();
    }
    let verdict = judge(&read_history(&history));
    assert!(verdict.starts > 15, "{verdict:?}");
    assert_eq!(
        (verdict.duplicates, verdict.overlaps),
        (0, 0),
        "{verdict:?}"
    );
    assert_eq!(
        (verdict.token_regressions, verdict.stale_effects),
        (0, 0),
        "{verdict:?}"
    );

    let lock: Arc<dyn Lock> = Arc::new(FileLock::open(&locks).unwrap());
    let names: Vec<_> = (0..4).map(|i| format!("t{i}").parse().unwrap()).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let last = runtime.block_on(lock.last_fired(&names)).unwrap();
    assert!(last.iter().all(Option::is_some), "{last:?}");
}
