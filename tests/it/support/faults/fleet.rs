//! The replicas' processes.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::super::history::{History, What};
use super::plan::Plan;
use super::recorded::Point;
use super::replica::{self, Place};

/// One replica: which process it is now.
pub struct Replica {
    pub name: String,
    /// Where it finds the store.
    store: String,
    number: usize,
    skew_ms: i64,
    /// `None` while it is down.
    child: Option<Child>,
    pub is_stopped: bool,
}

pub struct Fleet {
    pub plan: Plan,
    pub history: History,
    pub replicas: Vec<Replica>,
    /// Processes that ended without being asked to.
    pub crashes: Vec<String>,
    path: PathBuf,
    resource: String,
}

impl Fleet {
    /// One replica for each of the addresses of the store; none of them is up.
    pub fn new(plan: Plan, path: PathBuf, stores: Vec<String>, resource: String) -> Self {
        let replica = |(i, store)| Replica {
            name: Self::name(i),
            store,
            number: 0,
            skew_ms: plan.skew_ms(i),
            child: None,
            is_stopped: false,
        };
        let replicas = stores.into_iter().enumerate().map(replica).collect();
        let history = History::open(&path, "*").unwrap();
        Self {
            plan,
            history,
            replicas,
            crashes: Vec::new(),
            path,
            resource,
        }
    }

    /// What a replica is called.
    pub fn name(i: usize) -> String {
        format!("{}", (b'a' + i as u8) as char)
    }

    pub fn who(&self, i: usize) -> String {
        format!("{}.{}", self.replicas[i].name, self.replicas[i].number)
    }

    pub fn is_running(&self, i: usize) -> bool {
        self.replicas[i].child.is_some() && !self.replicas[i].is_stopped
    }

    /// Starts a replica that is down.
    pub fn start(&mut self, i: usize, dies_at: Option<(Point, i64)>) {
        if self.replicas[i].child.is_some() {
            return;
        }
        self.replicas[i].number += 1;
        let who = self.who(i);
        let place = Place {
            who: &who,
            store: &self.replicas[i].store,
            resource: &self.resource,
            history: &self.path,
            skew_ms: self.replicas[i].skew_ms,
            dies_at,
        };
        let [program, args @ ..] = self.plan.program.as_slice() else {
            panic!("a fleet needs a program");
        };
        let mut command = Command::new(program);
        command
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command.env(replica::CONFIG, replica::config(&self.plan, &place));
        if let Some(mutant) = &self.plan.mutant {
            command.env("TASKLOCK_MUTANT", mutant);
        }
        self.replicas[i].child = Some(command.spawn().unwrap());
    }

    /// kill -9.
    pub fn kill(&mut self, i: usize) {
        let who = self.who(i);
        if let Some(mut child) = self.replicas[i].child.take() {
            let _ = child.kill();
            let _ = child.wait();
            self.history.note_of(&who, What::Kill, "-");
        }
        self.replicas[i].is_stopped = false;
    }

    pub fn stop(&mut self, i: usize) {
        if self.signal(i, Signal::STOP) {
            self.history.note_of(&self.who(i), What::Stop, "-");
            self.replicas[i].is_stopped = true;
        }
    }

    pub fn resume(&mut self, i: usize) {
        if self.replicas[i].is_stopped {
            self.history.note_of(&self.who(i), What::Cont, "-");
            self.signal(i, Signal::CONT);
            self.replicas[i].is_stopped = false;
        }
    }

    /// Starts those again that have killed themselves, or have ended in another way.
    pub fn revive(&mut self) {
        for i in 0..self.replicas.len() {
            let who = self.who(i);
            let Some(child) = self.replicas[i].child.as_mut() else {
                continue;
            };
            let Ok(Some(status)) = child.try_wait() else {
                continue;
            };
            self.replicas[i].child = None;
            self.replicas[i].is_stopped = false;
            // It has written that down itself, a moment before.
            self.history.note_of(&who, What::Kill, "found");
            if !has_killed_itself(status) {
                self.crashes.push(format!("{who}: {status}"));
            }
            self.start(i, None);
        }
    }

    /// Asks all to end, and waits.
    pub async fn finish(&mut self) {
        self.history.note_of("*", What::Finish, "-");
        for i in 0..self.replicas.len() {
            self.signal(i, Signal::TERM);
        }
        for _ in 0..300 {
            let running = self.replicas.iter_mut().filter_map(|r| r.child.as_mut());
            if running
                .into_iter()
                .all(|c| matches!(c.try_wait(), Ok(Some(_))))
            {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        for i in 0..self.replicas.len() {
            let who = self.who(i);
            let Some(mut child) = self.replicas[i].child.take() else {
                continue;
            };
            match child.try_wait() {
                Ok(Some(status)) if status.success() => {}
                Ok(Some(status)) if has_killed_itself(status) => {
                    self.history.note_of(&who, What::Kill, "found");
                }
                Ok(Some(status)) => self.crashes.push(format!("{who}: {status}")),
                _ => {
                    self.crashes.push(format!("{who} did not end"));
                    let _ = child.kill();
                    let _ = child.wait();
                }
            }
        }
    }

    fn signal(&self, i: usize, signal: Signal) -> bool {
        let child = self.replicas[i].child.as_ref();
        let pid = child.map(Pid::from_child);
        pid.is_some_and(|pid| kill_process(pid, signal).is_ok())
    }
}

/// As it does at a named point.
fn has_killed_itself(status: ExitStatus) -> bool {
    status.signal() == Some(Signal::ABORT.as_raw())
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for replica in &mut self.replicas {
            if let Some(child) = &mut replica.child {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}
