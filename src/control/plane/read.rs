//! What a fleet says of itself.

use crate::control::audit::AuditEntry;
use crate::control::drift::{Drift, drifts};
use crate::control::happening::Happening;
use crate::control::instance::Instance;
use crate::control::plane::ControlPlane;
use crate::control::rules::{Rule, Rules};
use crate::control::shelf::{AUDIT, HAPPENINGS, INSTANCES, Malformed, RULES, decode, instance_key};
use crate::error::Result;
use crate::fleet::{EntryId, Record, Version};

/// So many entries of the audit trail are read at once.
const MOST_ENTRIES: usize = 1_000;

impl ControlPlane {
    /// The instances that there are, in the order of their ids. One that died is there for up to 9 s.
    ///
    /// ```
    /// # async fn f(control: tasklock::ControlPlane) -> tasklock::Result<()> {
    /// # use tasklock::*;
    /// # let by = By::new("ana", "why")?;
    /// for instance in control.instances().await? {
    ///     println!("{}: {} runs, {} tasks", instance.id, instance.running.len(), instance.task_count);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// What the store says. A record that cannot be read is left out, and told in the log.
    pub async fn instances(&self) -> Result<Vec<Instance>> {
        let records = self
            .store
            .list(INSTANCES, Version::default())
            .await?
            .records;
        let mut instances: Vec<Instance> = records.iter().filter_map(instance).collect();
        instances.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(instances)
    }

    /// The tasks that are not the same on all instances.
    ///
    /// ```
    /// # async fn f(control: tasklock::ControlPlane) -> tasklock::Result<()> {
    /// # use tasklock::*;
    /// # let by = By::new("ana", "why")?;
    /// for drift in control.drift().await? {
    ///     println!("{}: {:?}", drift.task, drift.variants);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`instances`](Self::instances).
    pub async fn drift(&self) -> Result<Vec<Drift>> {
        Ok(drifts(&self.instances().await?))
    }

    /// What is paused, skipped, overridden and drained.
    ///
    /// ```
    /// # async fn f(control: tasklock::ControlPlane) -> tasklock::Result<()> {
    /// # use tasklock::*;
    /// # let by = By::new("ana", "why")?;
    /// let now = chrono::Utc::now();
    /// for pause in control.rules().await?.pauses(now) {
    ///     println!("{:?} until {}, by {}", pause.task, pause.until, pause.by);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`instances`](Self::instances).
    pub async fn rules(&self) -> Result<Rules> {
        let records = self.store.list(RULES, Version::default()).await?.records;
        let rules: Vec<Rule> = records
            .iter()
            .filter_map(|record| told(RULES, &record.key, Rule::read(record)))
            .collect();
        Ok(Rules::of(&rules))
    }

    /// The ids of the instances that have seen a write to the rules, as [`pause`](Self::pause) and
    /// others answer it. They say so within a second as a rule.
    ///
    /// ```
    /// # async fn f(control: tasklock::ControlPlane) -> tasklock::Result<()> {
    /// # use tasklock::*;
    /// # let by = By::new("ana", "why")?;
    /// let version = control.pause(PauseFor::all(&by)).await?;
    /// let behind = control.instances().await?.len() - control.followers(version).await?.len();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`instances`](Self::instances).
    pub async fn followers(&self, version: Version) -> Result<Vec<String>> {
        let mut instances = self.instances().await?;
        instances.retain(|instance| instance.follows >= version.get());
        Ok(instances.into_iter().map(|instance| instance.id).collect())
    }

    /// The last `limit` entries of the audit trail before one, newest first: 1 000 at most at once.
    ///
    /// ```
    /// # async fn f(control: tasklock::ControlPlane) -> tasklock::Result<()> {
    /// # use tasklock::*;
    /// # let by = By::new("ana", "why")?;
    /// for entry in control.audit(None, 20).await? {
    ///     println!("{} {} {:?}", entry.at, entry.action, entry.result);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`instances`](Self::instances).
    pub async fn audit(&self, before: Option<EntryId>, limit: usize) -> Result<Vec<AuditEntry>> {
        self.read_journal(AUDIT, (before, limit), |id, text| {
            let read = decode::<AuditEntry>(text)?.sound()?;
            Ok(AuditEntry { id, ..read })
        })
        .await
    }

    /// The last `limit` things that happened to the fleet itself before one, newest first: 1 000 at
    /// most at once.
    #[cfg_attr(not(any(feature = "admin", feature = "cli")), allow(dead_code))]
    pub(crate) async fn happenings(
        &self,
        before: Option<EntryId>,
        limit: usize,
    ) -> Result<Vec<Happening>> {
        self.read_journal(HAPPENINGS, (before, limit), |id, text| {
            let read = decode::<Happening>(text)?.sound()?;
            Ok(Happening { id, ..read })
        })
        .await
    }

    async fn read_journal<T>(
        &self,
        journal: &str,
        (before, limit): (Option<EntryId>, usize),
        read: impl Fn(EntryId, &str) -> Result<T, Malformed>,
    ) -> Result<Vec<T>> {
        let limit = limit.min(MOST_ENTRIES);
        let entries = self.store.read_back(journal, before, limit).await?;
        let read = |entry: crate::fleet::Entry| {
            let key = entry.id.to_string();
            told(journal, &key, read(entry.id, &entry.value))
        };
        Ok(entries.into_iter().filter_map(read).collect())
    }
}

fn instance(record: &Record) -> Option<Instance> {
    let read: Result<Instance, _> = decode(&record.value);
    let is_own = |i: &Instance| i.is_sound() && instance_key(&i.id) == record.key;
    let read = read.and_then(|i| match is_own(&i) {
        true => Ok(i),
        false => Err(Malformed("it is not what its key says".to_owned())),
    });
    told(INSTANCES, &record.key, read)
}

/// Leaves out what cannot be read, and says so.
fn told<T: Sized>(shelf: &str, key: &str, read: Result<T, Malformed>) -> Option<T> {
    read.map_err(|Malformed(why)| {
        tracing::warn!(target: "tasklock", event = "fleet.malformed", shelf, key, why,
            "A record of the fleet cannot be read");
    })
    .ok()
}
