//! What people do with a fleet, from wherever they are.

mod ask;
mod read;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use chrono_tz::Tz;

use crate::control::audit::{AUDIT_KEPT, AuditEntry, AuditResult};
use crate::control::by::By;
use crate::control::rules::{Drain, Missed, Override, Pause, Rule, RuleKey};
use crate::control::shelf::{AUDIT, RULES, encode};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Observers};
use crate::fleet::{EntryId, FleetStore, Version, Write, Written};
use crate::schedule::Schedule;
#[cfg(all(any(feature = "admin", feature = "cli"), feature = "dynamic"))]
use crate::store::StoredTask;
use crate::task::TaskName;
#[cfg(all(any(feature = "admin", feature = "cli"), feature = "dynamic"))]
use crate::text::contained_line;
use crate::time::{Clock, SystemClock};

/// The longest pause and the longest override: 30 days.
const LONGEST_RULE: Duration = Duration::from_secs(30 * 86_400);
/// How long a rule is kept after its end, so that those who were away can act on its end.
const KEPT_AFTER: Duration = Duration::from_secs(3600);

/// What people do with a fleet: who there is, run now, pause, skip, override, cancel, drain. Cheap to
/// clone; needs the fleet's store and no scheduler.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tasklock::Result<()> {
/// use tasklock::{By, ControlPlane, MemoryFleet, PauseFor};
///
/// let control = ControlPlane::new(MemoryFleet::new()); // RedisFleet for a fleet of several hosts
/// let by = By::new("ana", "bank holiday")?;
/// control.pause(PauseFor::task("dunning", &by)).await?;
/// assert_eq!(control.rules().await?.pauses(chrono::Utc::now()).len(), 1);
/// control.resume(Some("dunning"), &by).await?;
/// # use tasklock::chrono;
/// # Ok(())
/// # }
/// ```
///
/// Everything that is done is written into the audit trail first, and not done if it cannot be.
#[derive(Clone)]
pub struct ControlPlane {
    store: Arc<dyn FleetStore>,
    clock: Arc<dyn Clock>,
    /// Who hears of what is asked for, if this is the control of a scheduler.
    observers: Option<Observers>,
}

/// A pause to be: which task, for how long, and what becomes of what it misses.
#[derive(Debug, Clone)]
#[must_use = "it does nothing until it is asked for"]
pub struct PauseFor {
    task: Option<String>,
    by: By,
    length: Duration,
    missed: Missed,
}

impl PauseFor {
    /// A pause of one task, for an hour unless [`lasting`](Self::lasting) says otherwise.
    pub fn task(task: impl Into<String>, by: &By) -> Self {
        Self {
            task: Some(task.into()),
            by: by.clone(),
            length: Duration::from_secs(3600),
            missed: Missed::default(),
        }
    }

    /// A pause of all tasks of the fleet.
    pub fn all(by: &By) -> Self {
        Self {
            task: None,
            ..Self::task("", by)
        }
    }

    /// How long it lasts: at most 30 days.
    pub fn lasting(mut self, length: Duration) -> Self {
        self.length = length;
        self
    }

    /// What becomes of the firings that it holds back. Default: they are dropped.
    pub fn missed(mut self, missed: Missed) -> Self {
        self.missed = missed;
        self
    }
}

impl fmt::Debug for ControlPlane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlPlane")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

impl ControlPlane {
    /// The control of the fleet that meets in `store`, on the system's clock.
    pub fn new(store: impl FleetStore) -> Self {
        Self::with_clock(Arc::new(store), Arc::new(SystemClock))
    }

    /// The same on a clock of its own.
    pub fn with_clock(store: Arc<dyn FleetStore>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            clock,
            observers: None,
        }
    }

    /// The same, of which others hear.
    pub(crate) fn heard_by(self, observers: &Observers) -> Self {
        Self {
            observers: Some(observers.clone()),
            ..self
        }
    }

    /// Holds the firings of a task back, or of all, from now on: they are decided
    /// [`Paused`](crate::Decision::Paused). Runs go on. A pause that is there is replaced.
    ///
    /// ```
    /// # async fn f(control: tasklock::ControlPlane) -> tasklock::Result<()> {
    /// # use tasklock::*;
    /// # let by = By::new("ana", "why")?;
    /// # use std::time::Duration;
    /// let hours = Duration::from_secs(4 * 3600);
    /// let pause = PauseFor::task("dunning", &by).lasting(hours).missed(Missed::RunOnce);
    /// let version = control.pause(pause).await?;
    /// println!("seen by {:?}", control.followers(version).await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidName`] and [`ErrorKind::InvalidConfig`] for what cannot be; what the store
    /// says otherwise.
    pub async fn pause(&self, pause: PauseFor) -> Result<Version> {
        let task = pause
            .task
            .as_deref()
            .map(str::parse::<TaskName>)
            .transpose()?;
        let now = self.clock.now();
        let until = end_of("a pause", now, pause.length)?;
        let detail = format!("until {}", until.to_rfc3339_opts(SecondsFormat::Secs, true));
        self.note("pause", task.as_ref(), Some(detail), &pause.by)
            .await?;
        let rule = Rule::Pause(Pause {
            task,
            by: pause.by,
            from: now,
            until,
            missed: pause.missed,
        });
        self.put(&rule, pause.length + KEPT_AFTER).await
    }

    /// Ends the pause of a task, or for `None` that of all tasks. What the pause was to do at its end
    /// is done now. Returns whether there was one. A task that failed too often
    /// ([`Policy::pause_after`](crate::Policy::pause_after)) is resumed by
    /// [`SchedulerHandle::resume`](crate::SchedulerHandle::resume).
    ///
    /// ```
    /// # async fn f(control: tasklock::ControlPlane) -> tasklock::Result<()> {
    /// # use tasklock::*;
    /// # let by = By::new("ana", "why")?;
    /// control.resume(Some("dunning"), &by).await?;
    /// control.resume(None, &by).await?; // the pause of all tasks
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`pause`](Self::pause).
    pub async fn resume(&self, task: Option<&str>, by: &By) -> Result<bool> {
        let task = task.map(str::parse::<TaskName>).transpose()?;
        let key = RuleKey::Pause(task.as_ref()).to_string();
        self.note("resume", task.as_ref(), None, by).await?;
        let now = self.clock.now();
        self.change(&key, |rule| match rule {
            Rule::Pause(pause) if now < pause.until => {
                // Kept for a while, so that everybody sees when it ended.
                pause.until = now.max(pause.from);
                Some(KEPT_AFTER)
            }
            _ => None,
        })
        .await
    }

    /// Gives a task another schedule for a while, at most 30 days, read in `timezone` if the spec names
    /// no zone. Afterwards its code's schedule is back by itself. Tasks that are due after their last
    /// run or at the start of an instance have no other schedule, nor can one be theirs.
    ///
    /// ```
    /// # async fn f(control: tasklock::ControlPlane) -> tasklock::Result<()> {
    /// # use tasklock::*;
    /// # let by = By::new("ana", "why")?;
    /// # use std::time::Duration;
    /// let day = Duration::from_secs(86_400);
    /// let spec = "0 */15 * * * *";
    /// control.override_spec("invoices", spec, chrono_tz::UTC, day, &by).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidSpec`] for a spec that cannot be, and as [`pause`](Self::pause).
    pub async fn override_spec(
        &self,
        task: &str,
        spec: &str,
        timezone: Tz,
        length: Duration,
        by: &By,
    ) -> Result<Version> {
        let task: TaskName = task.parse()?;
        let schedule = Schedule::parse_in(spec, timezone)?;
        if schedule.delay().is_some() || schedule.is_startup() {
            let text = format!(
                "task {task} cannot be given {spec:?} for a while: only what a clock alone tells"
            );
            return Err(Error::new(ErrorKind::InvalidSpec, text));
        }
        let now = self.clock.now();
        let until = end_of("an override", now, length)?;
        let detail = format!(
            "{spec} until {}",
            until.to_rfc3339_opts(SecondsFormat::Secs, true)
        );
        self.note("override", Some(&task), Some(detail), by).await?;
        let rule = Rule::Override(Override {
            task,
            by: by.clone(),
            spec: spec.into(),
            timezone,
            from: now,
            until,
        });
        self.put(&rule, length + KEPT_AFTER).await
    }

    /// Gives a task its code's schedule back. Returns whether it had another.
    ///
    /// ```
    /// # async fn f(control: tasklock::ControlPlane) -> tasklock::Result<()> {
    /// # use tasklock::*;
    /// # let by = By::new("ana", "why")?;
    /// let had_another = control.reset("invoices", &by).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`pause`](Self::pause).
    pub async fn reset(&self, task: &str, by: &By) -> Result<bool> {
        let task: TaskName = task.parse()?;
        let key = RuleKey::Override(&task).to_string();
        self.note("reset", Some(&task), None, by).await?;
        let now = self.clock.now();
        self.change(&key, |rule| match rule {
            Rule::Override(other) if now < other.until => {
                other.until = now.max(other.from);
                Some(KEPT_AFTER)
            }
            _ => None,
        })
        .await
    }

    /// Has an instance take no new firings, until [`undrain`](Self::undrain), for 30 days at most. Its
    /// runs go on, and the others have its share.
    ///
    /// ```
    /// # async fn f(control: tasklock::ControlPlane) -> tasklock::Result<()> {
    /// # use tasklock::*;
    /// # let by = By::new("ana", "why")?;
    /// for instance in control.instances().await? {
    ///     if instance.host == "api-7f9c-1" {
    ///         control.drain(&instance.id, &by).await?;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`pause`](Self::pause).
    pub async fn drain(&self, instance: &str, by: &By) -> Result<Version> {
        check_instance(instance)?;
        self.note("drain", None, Some(instance.to_owned()), by)
            .await?;
        let rule = Rule::Drain(Drain {
            instance: instance.to_owned(),
            by: by.clone(),
            from: self.clock.now(),
        });
        self.put(&rule, LONGEST_RULE).await
    }

    /// Has an instance take firings again. Returns whether it was drained.
    ///
    /// ```
    /// # async fn f(control: tasklock::ControlPlane) -> tasklock::Result<()> {
    /// # use tasklock::*;
    /// # let by = By::new("ana", "why")?;
    /// control.undrain("api-7f9c-1:71:9f", &by).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`pause`](Self::pause).
    pub async fn undrain(&self, instance: &str, by: &By) -> Result<bool> {
        check_instance(instance)?;
        self.note("undrain", None, Some(instance.to_owned()), by)
            .await?;
        let key = RuleKey::Drain(instance).to_string();
        let was = self.store.get(RULES, &key).await?.is_some();
        self.store.write(&Write::remove(RULES, key)).await?;
        Ok(was)
    }

    /// Says that a task that is defined at run time is about to be saved, in the place of `before`.
    #[cfg(all(any(feature = "admin", feature = "standalone"), feature = "dynamic"))]
    pub(crate) async fn note_save(
        &self,
        task: &StoredTask,
        before: Option<&StoredTask>,
        by: &By,
    ) -> Result<()> {
        let mut detail = in_short(task);
        if let Some(before) = before {
            detail.push_str(&format!("; before it {}", in_short(before)));
        }
        self.note("save", Some(&task.name.parse()?), Some(detail), by)
            .await
    }

    /// Says that one is about to be deleted.
    #[cfg(all(any(feature = "admin", feature = "cli"), feature = "dynamic"))]
    pub(crate) async fn note_delete(&self, task: &StoredTask, by: &By) -> Result<()> {
        let detail = Some(format!("before it {}", in_short(task)));
        self.note("delete", Some(&task.name.parse()?), detail, by)
            .await
    }

    /// Says that a task is about to be run in a process that is no part of the fleet.
    #[cfg(feature = "cli")]
    pub(crate) async fn note_run_here(&self, task: &str, how: &str, by: &By) -> Result<()> {
        let detail = Some(how.to_owned());
        self.note("run", Some(&task.parse()?), detail, by).await
    }

    async fn put(&self, rule: &Rule, ttl: Duration) -> Result<Version> {
        let write = Write::put(RULES, rule.key(), encode(rule)?).lasting(ttl);
        match self.store.write(&write).await? {
            Written::Done(version) => Ok(version),
            Written::Refused(_) => Err(not_written(&write.key)),
        }
    }

    /// Says in the audit trail what is about to be done.
    async fn note(
        &self,
        action: &str,
        task: Option<&TaskName>,
        detail: Option<String>,
        by: &By,
    ) -> Result<()> {
        self.append(action, task, detail, by, None, AuditResult::Asked)
            .await
    }

    async fn append(
        &self,
        action: &str,
        task: Option<&TaskName>,
        detail: Option<String>,
        by: &By,
        command: Option<&str>,
        result: AuditResult,
    ) -> Result<()> {
        let entry = AuditEntry {
            id: EntryId::default(),
            at: self.clock.now(),
            by: by.clone(),
            action: action.to_owned(),
            task: task.cloned(),
            detail,
            command: command.map(str::to_owned),
            result,
        };
        entry.log();
        let text = encode(&entry)?;
        if let Some(observers) = &self.observers {
            let entry = Arc::new(entry);
            observers.announce(&Event::ActAsked { entry });
        }
        let written = self.store.append(AUDIT, &[text], AUDIT_KEPT).await;
        written.map_err(|e| {
            e.context(format_args!(
                "{action} was not done, as nobody would know of it"
            ))
        })
    }
}

/// `http_ping 0 */5 * * * *`, as a line.
#[cfg(all(any(feature = "admin", feature = "cli"), feature = "dynamic"))]
fn in_short(task: &StoredTask) -> String {
    let off = if task.enabled { "" } else { " (disabled)" };
    contained_line(&format!("{} {}{off}", task.kind, task.spec), 300)
}

fn not_written(key: &str) -> Error {
    let text = format!("the rule {key:?} was changed by others again and again: try once more");
    Error::new(ErrorKind::StoreRefused, text)
}

fn end_of(what: &str, now: DateTime<Utc>, length: Duration) -> Result<DateTime<Utc>> {
    let length_is_fit = !length.is_zero() && length <= LONGEST_RULE;
    let end = TimeDelta::from_std(length).ok().filter(|_| length_is_fit);
    end.and_then(|length| now.checked_add_signed(length))
        .ok_or_else(|| {
            let text = format!("{what} lasts {length:?}: give it up to 30 days");
            Error::new(ErrorKind::InvalidConfig, text)
        })
}

fn check_instance(id: &str) -> Result<()> {
    if !id.is_empty() && id.len() <= 64 && id.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(());
    }
    let shown: String = id.chars().take(80).collect();
    let text = format!("{shown:?} is no id of an instance: 1 to 64 visible ASCII characters");
    Err(Error::new(ErrorKind::InvalidName, text))
}
