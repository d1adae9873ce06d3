//! Commands of the application's own as tasks: this program itself, with the words that run one test of it.

use std::process::{Command, Stdio};
use std::time::Duration;

use tasklock::{BaseTask, Outcome, cli};

use crate::support::history::recorded;
use crate::support::lines::Lines;

/// A task that runs [`what_a_command_does`], by its name.
fn scheduled(name: &str, timeout: Duration) -> BaseTask {
    let words = ["--exact", "scheduled::what_a_command_does", "--nocapture"];
    cli::scheduled(name, "* * * * * *", timeout, words)
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
