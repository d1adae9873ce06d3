//! The loop that follows the fleet's store.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::control::{COMMANDS, INSTANCES, Malformed, RULES, Rule, Rules, What};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, StoreOperation};
use crate::fleet::{FleetStore, Listing, Version};
use crate::scheduler::engine::Engine;
use crate::scheduler::steering::catch_up::CatchUps;
use crate::scheduler::steering::chronicle::Chronicle;
use crate::scheduler::steering::limited;
use crate::scheduler::steering::outage::Reading;
use crate::scheduler::steering::record::Record;
use crate::scheduler::steering::roster::Roster;
use crate::scheduler::steering::taking::Desk;

/// How often the store is read though it has not said that something changed.
const REREAD: Duration = Duration::from_secs(1);
/// How often all rules are read again: a store that took over with less than was read may have written
/// others since, at the same versions.
const REREAD_WHOLE: Duration = Duration::from_secs(60);
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

    fn next(&self) -> (&str, Version) {
        (self.shelf, self.version)
    }

    fn note(&mut self, listing: &Listing) {
        self.version = listing.version;
    }

    /// All of it is read next.
    fn forget(&mut self) {
        self.version = Version::default();
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

    /// Has the engine follow what is new. Whether anything was.
    fn take(&mut self, engine: &Engine, listing: Listing, told: &mut Told) -> bool {
        self.reader.note(&listing);
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
            return false;
        }
        let rules = Rules::of(self.rules.values().map(|(rule, _)| rule));
        let drained = engine.steering.follow(rules, &engine.settings.instance);
        if let Some(is_drained) = drained {
            engine.announce(&Event::InstanceDrained { is_drained });
        }
        engine.changed.notify_one();
        true
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
    let mut rules = RuleBook::new();
    match limited(store.list(RULES, Version::default())).await {
        Ok(listing) => drop(rules.take(engine, listing, &mut Told::default())),
        Err(error) => {
            engine.announce(&FAILED);
            engine.note_fleet_down(Reading::Control, error);
        }
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
    chronicle: Chronicle,
    /// The fleet has been told that this instance is there.
    has_joined: bool,
    told: Told,
    /// When all rules were read last; monotonic.
    read_whole: Duration,
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
            chronicle: Chronicle::default(),
            has_joined: false,
            told: Told::default(),
            read_whole: Duration::ZERO,
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
        if self.has_joined {
            self.chronicle.own(&engine, What::Left);
            // A store that is away does not keep anybody here.
            let _ = self.chronicle.write(store.as_ref()).await;
        }
    }

    /// One look at everything. What was read before the store failed is acted on.
    async fn look(&mut self) -> Result<()> {
        let (engine, store) = (&self.engine, self.store.as_ref());
        let clock = &engine.settings.clock;
        let asked = clock.monotonic();
        if asked.saturating_sub(self.read_whole) >= REREAD_WHOLE {
            self.read_whole = asked;
            self.rules.reader.forget();
        }
        let shelves = [
            self.rules.reader.next(),
            self.commands.next(),
            self.instances.next(),
        ];
        let listings = limited(store.list_all(&shelves)).await?;
        let Ok([rules, commands, instances]) = <[Listing; 3]>::try_from(listings) else {
            let text = "the fleet's store did not list what it was asked for";
            return Err(Error::new(ErrorKind::StoreProtocol, text));
        };
        self.record
            .note_round_trip(clock.monotonic().saturating_sub(asked));
        let was_drained = engine.steering.is_drained();
        if self.rules.take(engine, rules, &mut self.told) {
            self.record.hurry();
        }
        match (was_drained, engine.steering.is_drained()) {
            (false, true) => self.chronicle.own(engine, What::Drained),
            (true, false) => self.chronicle.own(engine, What::Undrained),
            _ => {}
        }
        self.catch_ups.look(engine);
        self.commands.note(&commands);
        self.desk.sort(engine, commands, &mut self.told);
        self.instances.note(&instances);
        let books = (&mut self.told, &mut self.chronicle);
        self.roster.read(engine, instances, books);
        self.desk.work(engine, &self.store).await?;
        let follows = self.rules.reader.version;
        self.record.write(engine, store, follows).await?;
        if !self.has_joined {
            self.has_joined = true;
            self.chronicle.own(engine, What::Joined);
        }
        self.chronicle.write(store).await
    }

    fn note(&mut self, looked: Result<()>) {
        if looked.is_err() {
            self.engine.announce(&FAILED);
        }
        match looked {
            Ok(()) => self.engine.note_fleet_up(Reading::Control),
            Err(error) => {
                // The store that answers next may have been given other data at the same versions.
                self.rules.reader.forget();
                self.commands.forget();
                self.engine.note_fleet_down(Reading::Control, error);
                // What ends by itself ends nevertheless.
                self.catch_ups.look(&self.engine);
            }
        }
    }
}
