//! Where stored tasks are saved and read.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use chrono_tz::Tz;
use tracing::warn;

use crate::error::{Error, ErrorKind, Result};
use crate::fleet::{Expected, FleetStore, Record, Version, Write, Written};
use crate::store::record::{self, SHELF};
use crate::store::{StoredTask, checked};
use crate::task::TaskName;
use crate::time::{Clock, SystemClock};

/// Of so many malformed records it is remembered that they were told.
const MOST_TOLD: usize = 10_000;
/// How often a deletion is tried that somebody else's change came before.
const DELETIONS: usize = 8;

/// The tasks defined at run time: saved here, run by every instance that follows the same store.
///
/// ```
/// use tasklock::{MemoryFleet, Saved, StoredTask, TaskStore};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> tasklock::Result<()> {
/// let store = TaskStore::new(MemoryFleet::new());
/// let task = StoredTask::new("ping_home", "http_ping", "0 */5 * * * *");
/// assert!(matches!(store.save(&task).await?, Saved::Done(_)));
/// assert_eq!(store.list().await?.tasks.len(), 1);
/// # Ok(()) }
/// ```
///
/// It needs no scheduler. One of a scheduler
/// ([`SchedulerHandle::task_store`](crate::SchedulerHandle::task_store)) knows more: which names belong
/// to code, and what the kinds there want for parameters. Clones share what they hold.
#[derive(Clone)]
pub struct TaskStore {
    fleet: Arc<dyn FleetStore>,
    clock: Arc<dyn Clock>,
    zone: Tz,
    owner: Option<Arc<dyn Owner>>,
    told: Arc<Told>,
}

/// Who knows what code is here.
pub(crate) trait Owner: Send + Sync {
    /// Whether a task of code has this name.
    fn owns(&self, name: &str) -> bool;

    /// Says what is wrong with a task's parameters, if its kind is known.
    fn check_parameters(&self, task: &StoredTask) -> Result<()>;
}

/// The malformed records that the log has told of, by the version that was malformed.
#[derive(Default)]
struct Told {
    // Held for a look or an insertion.
    records: Mutex<HashMap<String, Version>>,
    count: AtomicU64,
}

/// What became of a task that was to be saved.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Saved {
    /// It is saved, and has this version now.
    Done(Version),
    /// Somebody else was faster: it was not as its version says. This is what there is now, if
    /// anything.
    Refused(Option<Box<StoredTask>>),
}

/// What became of a task that was to be deleted.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Deleted {
    /// It is gone.
    Done,
    /// There was none.
    NotThere,
    /// It was not as expected: this is what there is now.
    Refused(Box<StoredTask>),
}

/// All stored tasks.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct StoredTasks {
    /// Those that can be read, by their names.
    pub tasks: Vec<StoredTask>,
    /// Those that cannot, and that nobody runs.
    pub malformed: Vec<Malformed>,
}

/// A record that is no task.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Malformed {
    /// Its name in the store.
    pub name: String,
    /// What is wrong with it.
    pub error: String,
}

impl TaskStore {
    /// The tasks of the fleet that meets in `fleet`.
    pub fn new(fleet: impl FleetStore) -> Self {
        Self::of(Arc::new(fleet), Arc::new(SystemClock), Tz::UTC)
    }

    /// One whose tasks are about this clock, and this zone if they name none.
    pub(crate) fn of(fleet: Arc<dyn FleetStore>, clock: Arc<dyn Clock>, zone: Tz) -> Self {
        Self {
            fleet,
            clock,
            zone,
            owner: None,
            told: Arc::default(),
        }
    }

    /// Saves a new task, or a changed one that was read before: with the
    /// [`version`](StoredTask::version) it was read at, so that no change of somebody else is lost.
    ///
    /// Instances that run hear of it, as a rule within 50 ms.
    ///
    /// ```
    /// # async fn f(store: tasklock::TaskStore) -> tasklock::Result<()> {
    /// # use tasklock::*;
    /// let mut task = StoredTask::new("ping_home", "http_ping", "@hourly");
    /// if let Saved::Done(version) = store.save(&task).await? {
    ///     (task.spec, task.version) = ("@daily".to_owned(), version);
    ///     store.save(&task).await?;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// What is wrong with it, as at a [registration](crate::Scheduler::register):
    /// [`InvalidName`](ErrorKind::InvalidName), [`InvalidSpec`](ErrorKind::InvalidSpec),
    /// [`InvalidTask`](ErrorKind::InvalidTask), also for a spec without a fire time to come and for
    /// parameters that do not fit the kind, where that is known;
    /// [`DuplicateTask`](ErrorKind::DuplicateTask) for a name that belongs to code here;
    /// [`StoreProtocol`](ErrorKind::StoreProtocol) if there is a record of that name that cannot be
    /// read: delete it first; or the store could not be asked. After
    /// [`StoreAmbiguous`](ErrorKind::StoreAmbiguous) it may be saved: read it.
    pub async fn save(&self, task: &StoredTask) -> Result<Saved> {
        self.check(task)?;
        let expected = match task.version.get() {
            0 => Expected::Absent,
            _ => Expected::At(task.version),
        };
        let write = Write::put(SHELF, &task.name, record::write(task)?).only_if(expected);
        match self.fleet.write(&write).await? {
            Written::Done(version) => Ok(Saved::Done(version)),
            Written::Refused(None) => Ok(Saved::Refused(None)),
            Written::Refused(Some(now)) => Ok(Saved::Refused(Some(Box::new(record::read(&now)?)))),
        }
    }

    /// What is wrong with it, before it is saved.
    pub(crate) fn check(&self, task: &StoredTask) -> Result<()> {
        task.check(self.zone, self.clock.now())?;
        if let Some(owner) = &self.owner {
            if owner.owns(&task.name) {
                let text = format!(
                    "task {} belongs to code that runs here: give the stored one another name",
                    task.name
                );
                return Err(Error::new(ErrorKind::DuplicateTask, text));
            }
            owner
                .check_parameters(task)
                .map_err(|e| e.context(format_args!("task {}", task.name)))?;
        }
        Ok(())
    }

    /// Deletes a task: its firings stop, and a run under way goes on to its end. With
    /// [`Expected::At`] only as it was read. A malformed record is deleted too, with
    /// [`Expected::Anything`].
    ///
    /// ```
    /// # async fn f(store: tasklock::TaskStore) -> tasklock::Result<()> {
    /// # use tasklock::*;
    /// match store.delete("ping_home", Expected::Anything).await? {
    ///     Deleted::NotThere => println!("there was none"),
    ///     other => println!("{other:?}"),
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidName`](ErrorKind::InvalidName), or the store could not be asked.
    pub async fn delete(&self, name: &str, expected: Expected) -> Result<Deleted> {
        for _ in 0..DELETIONS {
            let Some(found) = self.record(name).await? else {
                return Ok(Deleted::NotThere);
            };
            let is_meant = match expected {
                Expected::Anything => true,
                Expected::At(version) => version == found.version,
                Expected::Absent => false,
            };
            if !is_meant {
                return Ok(Deleted::Refused(Box::new(record::read(&found)?)));
            }
            let remove = Write::remove(SHELF, name).only_if(Expected::At(found.version));
            if let Written::Done(_) = self.fleet.write(&remove).await? {
                return Ok(Deleted::Done);
            }
        }
        let text = format!("the stored task {name} changes faster than it can be deleted");
        Err(Error::new(ErrorKind::StoreRefused, text))
    }

    /// One task.
    ///
    /// ```
    /// # async fn f(store: tasklock::TaskStore) -> tasklock::Result<()> {
    /// let spec = store.get("ping_home").await?.map(|task| task.spec);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`StoreProtocol`](ErrorKind::StoreProtocol) if its record cannot be read, or the store could
    /// not be asked.
    pub async fn get(&self, name: &str) -> Result<Option<StoredTask>> {
        let found = self.record(name).await?;
        found.as_ref().map(record::read).transpose()
    }

    /// All of them. Malformed records are apart, and stop nothing.
    ///
    /// ```
    /// # async fn f(store: tasklock::TaskStore) -> tasklock::Result<()> {
    /// let all = store.list().await?;
    /// println!("{} tasks, {} that cannot be read", all.tasks.len(), all.malformed.len());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be asked.
    pub async fn list(&self) -> Result<StoredTasks> {
        let listing = self.fleet.list(SHELF, Version::default()).await?;
        let mut all = StoredTasks::default();
        for found in &listing.records {
            match self.read(found) {
                Ok(task) => all.tasks.push(task),
                Err(malformed) => all.malformed.push(malformed),
            }
        }
        all.tasks.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// How many malformed records were met so far, each version of one counted once.
    pub fn malformed(&self) -> u64 {
        self.told.count.load(Ordering::Relaxed)
    }

    /// What a record says. One that says nothing is told in the log once.
    pub(crate) fn read(&self, found: &Record) -> Result<StoredTask, Malformed> {
        let read = record::read(found).and_then(|task| {
            // Somebody may have written it who checks less.
            task.name.parse::<TaskName>()?;
            checked::check_kind(&task.kind)?;
            Ok(task)
        });
        read.map_err(|e| {
            let name: String = found.key.escape_debug().take(128).collect();
            let error = e.to_string();
            if self.told.is_news(found) {
                warn!(target: "tasklock", event = "store.malformed", task = %name, error = %error,
                    "Stored task cannot be read, and is left out");
            }
            Malformed { name, error }
        })
    }

    /// The same with what `owner` knows.
    pub(crate) fn owned_by(&self, owner: Arc<dyn Owner>) -> Self {
        Self {
            owner: Some(owner),
            ..self.clone()
        }
    }

    pub(crate) fn fleet(&self) -> &Arc<dyn FleetStore> {
        &self.fleet
    }

    async fn record(&self, name: &str) -> Result<Option<Record>> {
        name.parse::<TaskName>()?;
        self.fleet.get(SHELF, name).await
    }
}

impl Told {
    fn is_news(&self, found: &Record) -> bool {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        if records.get(&found.key) == Some(&found.version) {
            return false;
        }
        if records.len() >= MOST_TOLD {
            records.clear();
        }
        records.insert(found.key.clone(), found.version);
        self.count.fetch_add(1, Ordering::Relaxed);
        true
    }
}

impl fmt::Debug for TaskStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskStore")
            .field("fleet", &self.fleet)
            .field("malformed", &self.malformed())
            .finish_non_exhaustive()
    }
}
