//! Commands of the application's own as tasks: this program itself, with the words that run one test of it.

use std::process::{Command, Stdio};
use std::time::Duration;

use tasklock::testing::RecordingObserver;
use tasklock::{BaseTask, Event, MemoryLock, Outcome, Policy, Scheduler, cli};

use crate::daemon::is_alive;
use crate::support::lines::Lines;

const PATIENCE: Duration = Duration::from_secs(60);

/// A task that runs [`what_a_command_does`], by its name.
fn scheduled(name: &str, timeout: Duration) -> BaseTask {
    let words = ["--exact", "scheduled::what_a_command_does", "--nocapture"];
    cli::scheduled(name, "@startup", timeout, words)
}

/// Nothing, unless it is run by a task: then what that is called.
#[test]
fn what_a_command_does() {
    let Ok(task) = std::env::var("TASKLOCK_TASK") else {
        return;
    };
    let run = std::env::var("TASKLOCK_RUN_ID").unwrap();
    match task.as_str() {
        "good" => println!("did {run}"),
        "bad" => {
            eprintln!("cannot do it");
            std::process::exit(7)
        }
        "loud" => {
            let line = "x".repeat(10_000);
            for n in 0..10_000 {
                println!("{n} {line}");
            }
        }
        "killed" => {
            let us = rustix::process::getpid();
            rustix::process::kill_process(us, rustix::process::Signal::KILL).unwrap();
        }
        // It and its child ignore that they are asked to end; it tells the numbers of both.
        "stubborn" => {
            let script = "trap '' TERM; sleep 600 & trap '' TERM; echo $$ $!; wait";
            let mut child = Command::new("/bin/sh");
            child.args(["-c", script]).stdout(Stdio::inherit());
            let _ = child.status();
        }
        other => panic!("{other}"),
    }
}

/// Runs it once; how that ended, and what it said.
async fn run(name: &str, timeout: Duration) -> (Outcome, String) {
    let seen = RecordingObserver::new();
    let scheduler = Scheduler::builder()
        .lock(MemoryLock::new())
        .observer(seen.clone())
        .build()
        .unwrap();
    let patient = Policy::default().cancel_grace(Duration::from_secs(20));
    scheduler
        .register(scheduled(name, timeout).policy(patient))
        .unwrap();
    scheduler.start().await.unwrap();
    let is_it = |event: &Event| match event {
        Event::RunFinished { outcome, error, .. } => {
            Some((*outcome, error.as_deref().unwrap_or_default().to_owned()))
        }
        _ => None,
    };
    let ended = seen
        .wait_for(PATIENCE, |events| events.iter().find_map(is_it))
        .await;
    scheduler.stop().await;
    ended
}

#[tokio::test]
async fn a_command_succeeds_or_fails_by_its_exit_status_and_its_output_is_in_the_log() {
    let lines = Lines::default();
    let _guard = lines.listen();
    assert_eq!(
        run("good", PATIENCE).await,
        (Outcome::Success, String::new())
    );
    lines.one(&["tasklock::command", "did 0", "stream=\"stdout\""]);
    let (outcome, error) = run("bad", PATIENCE).await;
    assert_eq!(outcome, Outcome::Failure);
    assert_eq!(error, "the command ended with exit status: 7");
    lines.one(&["tasklock::command", "cannot do it", "stream=\"stderr\""]);
    let (outcome, error) = run("killed", PATIENCE).await;
    assert_eq!(outcome, Outcome::Failure);
    assert_eq!(error, "the command ended with signal: 9 (SIGKILL)");
}

#[tokio::test]
async fn a_hundred_megabytes_of_output_are_read_and_little_of_it_is_kept() {
    let lines = Lines::default();
    let _guard = lines.listen();
    assert_eq!(run("loud", PATIENCE).await.0, Outcome::Success);
    let text = lines.text();
    assert!(text.contains("Further output left out"), "{}", text.len());
    assert!(text.len() < 4 << 20, "{}", text.len());
}

#[tokio::test]
async fn at_its_timeout_a_command_is_killed_with_its_children_that_do_not_heed_being_asked() {
    let lines = Lines::default();
    let _guard = lines.listen();
    let (outcome, error) = run("stubborn", Duration::from_secs(2)).await;
    assert_eq!(outcome, Outcome::Timeout, "{error}");
    let text = lines.text();
    let said = text
        .lines()
        .filter(|line| line.contains("tasklock::command"))
        .find_map(|line| {
            let (_, said) = line.split_once("tasklock::command: ")?;
            let mut words = said.split(' ');
            let pids = [words.next()?.parse().ok()?, words.next()?.parse().ok()?];
            Some(pids)
        });
    let pids: [u32; 2] = said.unwrap_or_else(|| panic!("{text}"));
    let give_up = std::time::Instant::now() + PATIENCE;
    for pid in pids {
        while is_alive(pid) {
            assert!(std::time::Instant::now() < give_up, "{pid} lives");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
