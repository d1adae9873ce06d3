//! A history in the form in which it is looked through.

use std::collections::BTreeMap;

use crate::clock::ClockModel;
use crate::fleet::LEASE;
use crate::history::{Firing, Life, Millis, What};
use crate::world::Record;

/// Steps of the store's clock keep a lock for as much longer at most.
const LONGER: Millis = 1_200;

/// The start of a run.
#[derive(Debug, Clone)]
pub struct Start {
    pub at: Millis,
    pub life: Life,
    pub firing: Firing,
    pub fence: u64,
}

/// A stretch of time in which a task's code could do something.
#[derive(Debug, Clone)]
pub struct Body {
    pub firing: Firing,
    pub life: Life,
    pub from: Millis,
    pub to: Millis,
}

/// What the store granted, and until when at the latest the task was locked for it.
#[derive(Debug, Clone)]
pub struct Grant {
    pub at: Millis,
    pub firing: Firing,
    pub instance: usize,
    pub token: String,
    pub fence: u64,
    pub held_until: Millis,
}

/// From when to when an instance fired.
#[derive(Debug, Clone)]
pub struct Lifetime {
    pub life: Life,
    pub from: Millis,
    /// When it stopped taking firings.
    pub to: Millis,
    /// It came to an orderly end.
    pub has_stopped: bool,
}

#[derive(Debug)]
pub struct Facts<'a> {
    pub record: &'a Record,
    pub starts: Vec<Start>,
    pub bodies: Vec<Body>,
    pub grants: Vec<Grant>,
    pub lives: Vec<Lifetime>,
    pub losses: Vec<Millis>,
}

impl<'a> Facts<'a> {
    pub fn of(record: &'a Record) -> Self {
        let mut facts = Self {
            record,
            starts: Vec::new(),
            bodies: Vec::new(),
            grants: Vec::new(),
            lives: Vec::new(),
            losses: Vec::new(),
        };
        for entry in &record.entries {
            facts.add(entry.at, &entry.what);
        }
        facts.end_life(|_| true, Millis::MAX);
        facts
    }

    fn add(&mut self, at: Millis, what: &What) {
        match what {
            What::Up(life) => self.lives.push(Lifetime {
                life: *life,
                from: at,
                to: Millis::MAX,
                has_stopped: false,
            }),
            What::Stopping(life) => self.close(*life, at),
            What::Stopped(life) => {
                self.close(*life, at);
                let lives = self.lives.iter_mut().filter(|l| l.life == *life);
                lives.for_each(|l| l.has_stopped = true);
            }
            What::Crashed(life) => {
                self.close(*life, at);
                self.end_life(|l| l == *life, at);
            }
            What::Started(life, firing, fence) => self.starts.push(Start {
                at,
                life: *life,
                firing: *firing,
                fence: *fence,
            }),
            What::BodyBegan(life, firing) => self.bodies.push(Body {
                firing: *firing,
                life: *life,
                from: at,
                to: Millis::MAX,
            }),
            What::BodyEnded(life, firing) => {
                self.end_bodies(|b| b.life == *life && b.firing == *firing, at);
            }
            What::Granted {
                firing,
                instance,
                token,
                fence,
                ..
            } => {
                self.extend(token, at);
                if self.grants.iter().all(|g| g.token != *token) {
                    self.grants.push(Grant {
                        at,
                        firing: *firing,
                        instance: *instance,
                        token: token.clone(),
                        fence: *fence,
                        held_until: at + LEASE + LONGER,
                    });
                }
            }
            What::Renewed { token, .. } => self.extend(token, at),
            What::Released { token, .. } => {
                let grants = self.grants.iter_mut().filter(|g| g.token == *token);
                grants.for_each(|g| g.held_until = g.held_until.min(at));
            }
            What::DataLost => self.losses.push(at),
            _ => {}
        }
    }

    fn close(&mut self, life: Life, at: Millis) {
        let lives = self.lives.iter_mut().filter(|l| l.life == life);
        lives.for_each(|l| l.to = l.to.min(at));
    }

    fn end_life(&mut self, of: impl Fn(Life) -> bool, at: Millis) {
        self.end_bodies(|b| of(b.life), at);
    }

    fn end_bodies(&mut self, which: impl Fn(&Body) -> bool, at: Millis) {
        let open = self.bodies.iter_mut().filter(|b| b.to == Millis::MAX);
        open.filter(|b| which(b)).for_each(|b| b.to = at);
    }

    fn extend(&mut self, token: &str, at: Millis) {
        let grants = self.grants.iter_mut().filter(|g| g.token == token);
        grants.for_each(|g| g.held_until = at + LEASE + LONGER);
    }

    pub fn has_lost_data(&self, from: Millis, to: Millis) -> bool {
        self.losses.iter().any(|at| (from..=to).contains(at))
    }

    /// By how much the store's clock was set forward in all.
    pub fn stepped_forward(&self, from: Millis, to: Millis) -> Millis {
        let steps = self.record.store_clock.steps.iter();
        steps
            .filter(|(at, by)| (from..=to).contains(at) && *by > 0)
            .map(|(_, by)| by)
            .sum()
    }

    pub fn has_stepped_back(&self, from: Millis, to: Millis) -> bool {
        let mut steps = self.record.store_clock.steps.iter();
        steps.any(|(at, by)| (from..=to).contains(at) && *by < 0)
    }

    pub fn clock(&self, instance: usize) -> &ClockModel {
        &self.record.clocks[instance]
    }

    /// Starts of each task, in the order of time.
    pub fn starts_by_task(&self) -> BTreeMap<usize, Vec<&Start>> {
        let mut found: BTreeMap<usize, Vec<&Start>> = BTreeMap::new();
        for start in &self.starts {
            found.entry(start.firing.task).or_default().push(start);
        }
        found
    }

    /// Code of each task, in the order of time.
    pub fn bodies_by_task(&self) -> BTreeMap<usize, Vec<&Body>> {
        let mut found: BTreeMap<usize, Vec<&Body>> = BTreeMap::new();
        for body in &self.bodies {
            found.entry(body.firing.task).or_default().push(body);
        }
        found
    }
}

/// Hand-made histories.
#[cfg(test)]
pub mod made {
    use super::*;
    use crate::checker::{Verdict, check};
    use crate::history::Entry;

    pub const A: Life = Life {
        instance: 0,
        boot: 1,
    };
    pub const B: Life = Life {
        instance: 1,
        boot: 1,
    };

    pub fn firing(task: usize, second: i64) -> Firing {
        Firing {
            task,
            instant: crate::clock::EPOCH + second * 1000,
        }
    }

    pub fn record(facts: Vec<(Millis, What)>) -> Record {
        let entries = facts.into_iter().map(|(at, what)| Entry { at, what });
        Record {
            entries: entries.collect(),
            clocks: vec![ClockModel::default(); 2],
            store_clock: ClockModel::default(),
            answers: BTreeMap::new(),
        }
    }

    pub fn verdict(facts: Vec<(Millis, What)>) -> Verdict {
        check(&record(facts))
    }

    /// A run as the instance reports it.
    pub fn run(
        life: Life,
        firing: Firing,
        fence: u64,
        from: Millis,
        to: Millis,
    ) -> Vec<(Millis, What)> {
        use tasklock::{Decision, Outcome};
        vec![
            (from, What::Decided(life, firing, Decision::Started, 1)),
            (from, What::Started(life, firing, fence)),
            (from, What::BodyBegan(life, firing)),
            (to, What::BodyEnded(life, firing)),
            (to, What::Finished(life, firing, Outcome::Success)),
        ]
    }

    pub fn granted(firing: Firing, instance: usize, fence: u64) -> What {
        What::Granted {
            firing,
            instance,
            token: fence.to_string(),
            fence,
            again: false,
        }
    }

    /// Facts in the order of time.
    pub fn sorted(parts: Vec<Vec<(Millis, What)>>) -> Vec<(Millis, What)> {
        let mut all: Vec<_> = parts.into_iter().flatten().collect();
        all.sort_by_key(|(at, _)| *at);
        all
    }
}
