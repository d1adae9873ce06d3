//! Commands that wait for somebody to take them: which are ours, and that exactly one takes each.

use std::collections::HashMap;
use std::sync::Arc;

use crate::control::{Ask, COMMANDS, Command, Malformed, Taken, decode, encode};
use crate::error::Result;
use crate::fleet::{Expected, FleetStore, Listing, Version, Write, Written};
use crate::scheduler::SchedulerState;
use crate::scheduler::engine::Engine;
use crate::scheduler::registry::Entry;
use crate::scheduler::steering::acting;
use crate::scheduler::steering::following::Told;
use crate::scheduler::steering::limited;
use crate::task::{RunId, TaskName};

/// So many commands are looked at in one round.
const MOST_AT_ONCE: usize = 100;

/// Commands that nobody has taken yet, and those that we may have taken without knowing.
#[derive(Debug, Default)]
pub(super) struct Desk {
    open: HashMap<String, (Command, Version)>,
    /// The marks of our attempts whose outcome is not known, by the command.
    attempts: HashMap<String, Vec<String>>,
}

/// A command that is ours, and the version of its record.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) key: String,
    pub(super) command: Command,
    pub(super) version: Version,
}

impl Desk {
    /// Takes note of what is new on the shelf.
    pub(super) fn sort(&mut self, engine: &Engine, listing: Listing, told: &mut Told) {
        if listing.is_whole {
            self.open.clear();
        }
        for key in &listing.removed {
            self.open.remove(key);
            self.attempts.remove(key);
        }
        for record in listing.records {
            let read = decode::<Command>(&record.value).and_then(|command| {
                match command.id == record.key && command.ask.is_sound() {
                    true => Ok(command),
                    false => Err(Malformed("it is not what its key says".to_owned())),
                }
            });
            match read {
                Ok(command) => {
                    let is_open =
                        command.answer.is_none() && self.may_be_ours(&record.key, &command);
                    match is_open {
                        true => drop(self.open.insert(record.key, (command, record.version))),
                        false => {
                            self.open.remove(&record.key);
                            self.attempts.remove(&record.key);
                        }
                    }
                }
                Err(malformed) => {
                    self.open.remove(&record.key);
                    told.tell(engine, COMMANDS, (&record.key, record.version), malformed);
                }
            }
        }
    }

    /// Nobody has taken it, or an attempt of ours.
    fn may_be_ours(&self, key: &str, command: &Command) -> bool {
        command
            .taken
            .as_ref()
            .is_none_or(|taken| self.is_ours(key, taken))
    }

    fn is_ours(&self, key: &str, taken: &Taken) -> bool {
        self.attempts
            .get(key)
            .is_some_and(|marks| marks.contains(&taken.mark))
    }

    /// Takes what is for us, and has it done.
    pub(super) async fn work(
        &mut self,
        engine: &Arc<Engine>,
        store: &Arc<dyn FleetStore>,
    ) -> Result<()> {
        if self.open.is_empty() {
            return Ok(());
        }
        let keys: Vec<String> = self.open.keys().take(MOST_AT_ONCE).cloned().collect();
        for key in keys {
            let Some((command, version)) = self.open.get(&key).cloned() else {
                continue;
            };
            if command.taken.is_some() {
                // An attempt whose answer was lost: it is ours after all.
                self.done(&key);
                acting::spawn(
                    engine,
                    store,
                    Task {
                        key,
                        command,
                        version,
                    },
                );
                continue;
            }
            if !is_for_us(engine, &command) {
                continue;
            }
            let mark = format!("{:032x}", engine.random());
            let taken = taken(engine, &command, mark.clone());
            let keep = std::time::Duration::from_secs(command.keep_s.min(7 * 86_400));
            let write = Write::put(COMMANDS, &key, encode(&taken)?)
                .only_if(Expected::At(version))
                .lasting(keep);
            // Kept before it is sent: it may be carried out though no answer comes.
            self.attempts.entry(key.clone()).or_default().push(mark);
            match limited(store.write(&write)).await {
                Ok(Written::Done(version)) => {
                    self.done(&key);
                    let command = taken;
                    acting::spawn(
                        engine,
                        store,
                        Task {
                            key,
                            command,
                            version,
                        },
                    );
                }
                Ok(Written::Refused(None)) => self.done(&key),
                // The next listing says who has it.
                Ok(Written::Refused(Some(_))) => {
                    self.open.remove(&key);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn done(&mut self, key: &str) {
        self.open.remove(key);
        self.attempts.remove(key);
    }
}

fn taken(engine: &Engine, command: &Command, mark: String) -> Command {
    let now = engine.settings.clock.now();
    let runs = match &command.ask {
        Ask::Run { task, .. } => {
            let parts = entries_of(engine, task).len();
            (0..parts)
                .map(|_| RunId::new(now, engine.random()))
                .collect()
        }
        _ => Vec::new(),
    };
    Command {
        taken: Some(Taken {
            by: engine.settings.instance.to_string(),
            at: now,
            mark,
            runs,
        }),
        ..command.clone()
    }
}

/// Whether it is for us to take. What is for any instance is left to those who can do it.
fn is_for_us(engine: &Engine, command: &Command) -> bool {
    let target = command.target.as_deref();
    if target.is_some_and(|target| *target != *engine.settings.instance) {
        return false;
    }
    let is_meant = target.is_some();
    match &command.ask {
        Ask::Cancel { run_id, .. } => engine.steering.live().contains_key(run_id),
        Ask::Run { task, .. } => {
            is_meant
                || takes_firings(engine) && {
                    let entries = entries_of(engine, task);
                    let group = entries.first().and_then(|e| e.policy.group.clone());
                    !entries.is_empty() && engine.limits.has_room(group.as_deref())
                }
        }
        Ask::Skip { task, .. } | Ask::Unlock { task, .. } => {
            is_meant || !entries_of(engine, task).is_empty()
        }
    }
}

/// Whether firings are taken here.
pub(super) fn takes_firings(engine: &Engine) -> bool {
    engine.state() == SchedulerState::Running && !engine.steering.is_drained()
}

/// A task, or its parts, if it can be run here.
pub(super) fn entries_of(engine: &Engine, task: &TaskName) -> Vec<Arc<Entry>> {
    let mut entries = engine.registry.named(task);
    entries.retain(|entry| !entry.lacks_kind);
    entries
}
