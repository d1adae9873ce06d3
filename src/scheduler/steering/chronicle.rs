//! What happens to the fleet itself is written down: by whom it happens to, or by one of those who see it.

use std::time::Duration;

use crate::control::{Drift, HAPPENINGS, HAPPENINGS_KEPT, Happening, Instance, TOLD, What, encode};
use crate::error::Result;
use crate::fleet::{Expected, FleetStore, Write, Written};
use crate::scheduler::engine::Engine;
use crate::scheduler::spread;
use crate::scheduler::steering::limited;

/// So much waits for a store that is away; what is more is not written.
const MOST: usize = 100;
/// What several see is written by the first of them; for so long the others know that it was.
const KNOWN: Duration = Duration::from_secs(3_600);
/// So many tasks are named in one entry.
const NAMED: usize = 8;

/// What is to be written.
#[derive(Debug, Default)]
pub(super) struct Chronicle(Vec<(Happening, Option<String>)>);

impl Chronicle {
    /// This instance has come, goes, is drained or is not any more.
    pub(super) fn own(&mut self, engine: &Engine, what: What) {
        let settings = &engine.settings;
        let happening = Happening::new(what, &settings.instance, settings.clock.now());
        let version = match (what, &settings.application) {
            (What::Joined, Some(application)) => Some(format!("version {application}")),
            (What::Joined, None) => Some(format!("tasklock {}", env!("CARGO_PKG_VERSION"))),
            _ => None,
        };
        let happening = match version {
            Some(version) => happening.saying(&version),
            None => happening,
        };
        self.note(happening, None);
    }

    /// Another one was lost, as all who are left see.
    pub(super) fn lost(&mut self, engine: &Engine, lost: &Instance) {
        let settings = &engine.settings;
        let runs = match lost.running.len() {
            0 => "it had no run".to_owned(),
            1 => "it had 1 run".to_owned(),
            n => format!("it had {n} runs"),
        };
        let happening = Happening::new(What::Lost, &settings.instance, settings.clock.now())
            .about(Some(&lost.id))
            .saying(&runs);
        let known = format!("{} {}", lost.id, lost.started.timestamp_millis());
        self.note(happening, Some(known));
    }

    /// Tasks differ that did not before.
    pub(super) fn drift(&mut self, engine: &Engine, drifts: &[Drift]) {
        let mut names: Vec<&str> = drifts.iter().map(|drift| drift.task.as_str()).collect();
        names.dedup();
        if names.is_empty() {
            return;
        }
        let mut text = names
            .iter()
            .take(NAMED)
            .copied()
            .collect::<Vec<_>>()
            .join(", ");
        if names.len() > NAMED {
            text.push_str(&format!(" and {} more", names.len() - NAMED));
        }
        let settings = &engine.settings;
        let happening = Happening::new(What::Drift, &settings.instance, settings.clock.now())
            .about(None)
            .saying(&text);
        self.note(happening, Some(names.join(" ")));
    }

    fn note(&mut self, happening: Happening, known: Option<String>) {
        if self.0.len() < MOST {
            self.0.push((happening, known));
        }
    }

    /// Writes it; what the store does not take is tried again.
    pub(super) async fn write(&mut self, store: &dyn FleetStore) -> Result<()> {
        while let Some((happening, known)) = self.0.first() {
            let is_ours = match known {
                Some(known) => {
                    let key = format!("{}-{:016x}", happening.what.as_str(), spread::hash(known));
                    let write = Write::put(TOLD, key, "{}")
                        .only_if(Expected::Absent)
                        .lasting(KNOWN)
                        .quietly();
                    matches!(limited(store.write(&write)).await?, Written::Done(_))
                }
                None => true,
            };
            if is_ours {
                let text = encode(happening)?;
                limited(store.append(HAPPENINGS, &[text], HAPPENINGS_KEPT)).await?;
            }
            self.0.remove(0);
        }
        Ok(())
    }
}
