//! What is wrong with a task that somebody wants to store.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::error::{Error, ErrorKind, Result};
use crate::schedule::Schedule;
use crate::store::StoredTask;
use crate::task::{self, TaskName};

/// The longest parameters, as JSON, in bytes.
const LONGEST_PARAMETERS: usize = 64 * 1024;
/// The longest owner and kind, in characters.
const LONGEST_LABEL: usize = 128;
/// The longest description, in bytes.
const LONGEST_DESCRIPTION: usize = 4 * 1024;

impl StoredTask {
    /// Checks all of it, as at a registration; the zone is `zone` if it has none.
    pub(crate) fn check(&self, zone: Tz, now: DateTime<Utc>) -> Result<()> {
        let name: TaskName = self.name.parse()?;
        self.check_parts(zone, now)
            .map_err(|e| e.context(format_args!("task {name}")))
    }

    fn check_parts(&self, zone: Tz, now: DateTime<Utc>) -> Result<()> {
        check_kind(&self.kind)?;
        task::check_timeout(self.timeout)?;
        if self.policy.timezone.is_some() {
            return refuse("its policy has a timezone: give the zone as that of the task");
        }
        let zone = self.timezone.unwrap_or(zone);
        let schedule = Schedule::parse_in(&self.spec, zone)?;
        let schedule = schedule.with_dst(self.policy.dst.unwrap_or_default());
        let depends_on_runs = schedule.delay().is_some() || schedule.is_startup();
        self.policy.validate(depends_on_runs)?;
        let fires = schedule.is_startup() || schedule.next_after(now).is_some();
        if self.enabled && !fires {
            return refuse(format!(
                "its spec {:?} has no fire time from now on: change it, or disable the task",
                self.spec
            ));
        }
        let owner = self.owner.as_deref().unwrap_or_default();
        let is_plain = owner.chars().all(|c| !c.is_control());
        if owner.chars().count() > LONGEST_LABEL || !is_plain {
            return refuse(format!(
                "its owner is not up to {LONGEST_LABEL} characters without control characters"
            ));
        }
        let is_plain = |c: char| !c.is_control() || c == '\n' || c == '\t';
        let description = &self.description;
        if description.len() > LONGEST_DESCRIPTION || !description.chars().all(is_plain) {
            return refuse(format!(
                "its description is not up to {LONGEST_DESCRIPTION} bytes without control characters"
            ));
        }
        let size = self.parameters.to_string().len();
        if size > LONGEST_PARAMETERS {
            return refuse(format!(
                "its parameters are {size} bytes of JSON: at most {LONGEST_PARAMETERS} are kept"
            ));
        }
        Ok(())
    }
}

/// Names of kinds are such as those of tasks.
pub(crate) fn check_kind(kind: &str) -> Result<()> {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || "_.:-".contains(c);
    if !kind.is_empty() && kind.len() <= LONGEST_LABEL && kind.chars().all(is_fit) {
        return Ok(());
    }
    let shown: String = kind.chars().take(80).collect();
    let text =
        format!("the kind {shown:?} is not 1 to {LONGEST_LABEL} characters of [A-Za-z0-9_.:-]");
    Err(Error::new(ErrorKind::InvalidName, text))
}

fn refuse(text: impl Into<String>) -> Result<()> {
    Err(Error::new(ErrorKind::InvalidTask, text))
}
