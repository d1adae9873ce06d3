//! The loop that follows the fleet's store.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::control::{COMMANDS, INSTANCES, Malformed, RULES, Rule, Rules};
use crate::error::Result;
use crate::event::{Event, StoreOperation};
use crate::fleet::{FleetStore, Listing, Version};
use crate::scheduler::engine::Engine;
use crate::scheduler::steering::catch_up::CatchUps;
use crate::scheduler::steering::limited;
use crate::scheduler::steering::record::Record;
use crate::scheduler::steering::roster::Roster;
use crate::scheduler::steering::taking::Desk;

/// How often the store is read though it has not said that something changed.
const REREAD: Duration = Duration::from_secs(1);
/// Of so many records it is remembered that they could not be read.
const MOST_TOLD: usize = 1_000;

/// One request to the store that failed.
const FAILED: Event = Event::StoreFailed {
    operation: StoreOperation::Fleet,
};

/// What was read of a shelf so far.
#[derive(Debug)]
pub(super) struct Reader {
    shelf: &'static str,
    version: Version,
}

impl Reader {
    fn new(shelf: &'static str) -> Self {
        let version = Version::default();
        Self { shelf, version }
    }

    async fn read(&mut self, store: &dyn FleetStore) -> Result<Listing> {
        let listing = limited(store.list(self.shelf, self.version)).await?;
        self.version = listing.version;
        Ok(listing)
    }
}

/// The rules as they are in the store.
#[derive(Debug)]
struct RuleBook {
    reader: Reader,
    rules: HashMap<String, (Rule, Version)>,
}

impl RuleBook {
    fn new() -> Self {
        Self {
            reader: Reader::new(RULES),
            rules: HashMap::new(),
        }
    }

    /// Reads what is new, and has the engine follow it. Whether anything was.
    async fn read(
        &mut self,
        engine: &Engine,
        store: &dyn FleetStore,
        told: &mut Told,
    ) -> Result<bool> {
        let listing = self.reader.read(store).await?;
        let is_news = !listing.records.is_empty() || !listing.removed.is_empty();
        let had = !self.rules.is_empty();
        if listing.is_whole {
            self.rules.clear();
        }
        for key in &listing.removed {
            self.rules.remove(key);
        }
        for record in &listing.records {
            match Rule::read(record) {
                Ok(rule) => {
                    self.rules
                        .insert(record.key.clone(), (rule, record.version));
                }
                Err(malformed) => {
                    // What it said before is not what is wanted now.
                    self.rules.remove(&record.key);
                    told.tell(engine, RULES, (&record.key, record.version), malformed);
                }
            }
        }
        let is_emptied = listing.is_whole && had;
        if !is_news && !is_emptied {
            return Ok(false);
        }
        let rules = Rules::of(self.rules.values().map(|(rule, _)| rule));
        let drained = engine.steering.follow(rules, &engine.settings.instance);
        if let Some(is_drained) = drained {
            engine.announce(&Event::InstanceDrained { is_drained });
        }
        engine.changed.notify_one();
        Ok(true)
    }
}

/// Records that could not be read, each told of once.
#[derive(Debug, Default)]
pub(super) struct Told(HashMap<(&'static str, String), Version>);

impl Told {
    pub(super) fn tell(
        &mut self,
        engine: &Engine,
        shelf: &'static str,
        (key, version): (&str, Version),
        Malformed(why): Malformed,
    ) {
        if self.0.len() >= MOST_TOLD {
            self.0.clear();
        }
        if self.0.insert((shelf, key.to_owned()), version) == Some(version) {
            return;
        }
        engine.steering.malformed.fetch_add(1, Ordering::Relaxed);
        engine.announce(&Event::RecordMalformed {
            shelf,
            key: key.into(),
            error: why.into(),
        });
    }
}

/// Reads the rules before anything fires. A store that is away stops nobody.
pub(crate) async fn read_rules(engine: &Engine) {
    let Some(store) = engine.steering.store.clone() else {
        return;
    };
    let read = RuleBook::new()
        .read(engine, store.as_ref(), &mut Told::default())
        .await;
    if let Err(error) = read {
        engine.announce(&FAILED);
        engine.announce(&Event::FleetStoreDown {
            error: Arc::new(error),
        });
    }
}

/// Follows the fleet's store until the scheduler has stopped.
pub(crate) fn run(engine: &Arc<Engine>) {
    let Some(store) = engine.steering.store.clone() else {
        return;
    };
    let engine = engine.clone();
    let loops = engine.steering.loops.clone();
    loops.spawn(async move { Follower::new(engine, store).run().await });
}

struct Follower {
    engine: Arc<Engine>,
    store: Arc<dyn FleetStore>,
    rules: RuleBook,
    desk: Desk,
    commands: Reader,
    roster: Roster,
    instances: Reader,
    record: Record,
    catch_ups: CatchUps,
    told: Told,
    /// Since when the store has not answered; monotonic.
    down_since: Option<Duration>,
}

impl Follower {
    fn new(engine: Arc<Engine>, store: Arc<dyn FleetStore>) -> Self {
        Self {
            record: Record::new(&engine),
            engine,
            store,
            rules: RuleBook::new(),
            desk: Desk::default(),
            commands: Reader::new(COMMANDS),
            roster: Roster::default(),
            instances: Reader::new(INSTANCES),
            catch_ups: CatchUps::default(),
            told: Told::default(),
            down_since: None,
        }
    }

    async fn run(mut self) {
        let (engine, store) = (self.engine.clone(), self.store.clone());
        let mut seen = 0;
        let ended = engine.steering.ended.clone();
        while !ended.is_cancelled() {
            let looked = self.look().await;
            self.note(looked);
            tokio::select! {
                biased;
                () = ended.cancelled() => {}
                now_seen = store.changed(seen) => {
                    if seen == now_seen {
                        // A store that has nothing to wait for is asked at our own pace.
                        tokio::time::sleep(REREAD).await;
                    }
                    seen = now_seen;
                }
                () = engine.steering.news.notified() => self.record.hurry(),
                () = tokio::time::sleep(REREAD) => {}
            }
        }
        self.record.remove(&engine, store.as_ref()).await;
    }

    /// One look at everything. What was read before the store failed is acted on.
    async fn look(&mut self) -> Result<()> {
        let (engine, store) = (&self.engine, self.store.as_ref());
        let clock = &engine.settings.clock;
        let asked = clock.monotonic();
        let has_changed = self.rules.read(engine, store, &mut self.told).await?;
        self.record
            .note_round_trip(clock.monotonic().saturating_sub(asked));
        if has_changed {
            self.record.hurry();
        }
        self.catch_ups.look(engine);
        let commands = self.commands.read(store).await?;
        self.desk.sort(engine, commands, &mut self.told);
        self.desk.work(engine, &self.store).await?;
        self.record
            .write(engine, store, self.rules.reader.version)
            .await?;
        let instances = self.instances.read(store).await?;
        self.roster.read(engine, instances, &mut self.told);
        Ok(())
    }

    fn note(&mut self, looked: Result<()>) {
        let now = self.engine.settings.clock.monotonic();
        if looked.is_err() {
            self.engine.announce(&FAILED);
        }
        match looked {
            Ok(()) => {
                if let Some(since) = self.down_since.take() {
                    let down_for = now.saturating_sub(since);
                    self.engine.announce(&Event::FleetStoreUp { down_for });
                }
            }
            Err(error) if self.down_since.is_none() => {
                self.down_since = Some(now);
                let error = Arc::new(error);
                self.engine.announce(&Event::FleetStoreDown { error });
            }
            Err(_) => {
                // What ends by itself ends nevertheless.
                self.catch_ups.look(&self.engine);
            }
        }
    }
}
