//! `pause`, `resume`, `skip`, `override` and `reset`: when a task fires.

use std::time::Duration;

use chrono_tz::Tz;

use crate::cli::fleet::{Act, Fleet};
use crate::cli::format::say;
use crate::cli::specs;
use crate::cli::status::{Failure, Status};
use crate::cli::verbs::asker::{Asker, ReasonedAsker};
use crate::cli::when::{self, Moment};
use crate::control::{By, Missed};
use crate::time::{Clock, SystemClock};

/// Holds the firings of a task back, or of all; runs go on
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Pause {
    #[command(flatten)]
    whose: Whose,
    #[command(flatten)]
    time: Time,
    /// What becomes of what it holds back, when it ends
    #[arg(long, value_name = "WHAT", default_value = "drop")]
    missed: MissedWord,
    #[command(flatten)]
    asker: ReasonedAsker,
}

/// Ends a pause; also that of a task which failed too often
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Resume {
    #[command(flatten)]
    whose: Whose,
    #[command(flatten)]
    asker: Asker,
}

/// Skips the next firings of a task, in the whole fleet
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Skip {
    /// The task
    task: String,
    /// How many firings to skip
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=100))]
    count: u8,
    #[command(flatten)]
    asker: Asker,
}

/// Gives a task another schedule for a while; afterwards its own is back by itself
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Override {
    /// The task
    task: String,
    /// The spec that it is to have, in quotes
    spec: String,
    /// The zone of the spec
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = specs::zone)]
    tz: Tz,
    #[command(flatten)]
    time: Time,
    #[command(flatten)]
    asker: ReasonedAsker,
}

/// Gives a task its own schedule back
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Reset {
    /// The task
    task: String,
    #[command(flatten)]
    asker: Asker,
}

/// A task, or all of them.
#[derive(Debug, Clone, clap::Args)]
#[group(required = true, multiple = false)]
struct Whose {
    /// The task
    task: Option<String>,
    /// All tasks of the fleet
    #[arg(long)]
    all: bool,
}

/// How long something lasts.
#[derive(Debug, Clone, clap::Args)]
struct Time {
    /// For how long: 30m, 8h, 2d; 30 days at most [default: 1h]
    #[arg(long = "for", value_name = "LENGTH", value_parser = when::read_length, conflicts_with = "until")]
    length: Option<Duration>,
    /// Until when: 18:00, in UTC, or 2030-01-31T09:00:00+01:00
    #[arg(long, value_name = "TIME", value_parser = when::read_moment)]
    until: Option<Moment>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum MissedWord {
    /// Nothing: it is gone
    Drop,
    /// The last firing of each task runs
    RunOnce,
}

impl Time {
    fn length(&self) -> Result<Duration, Failure> {
        let now = SystemClock.now();
        let Some(until) = self.until else {
            return Ok(self.length.unwrap_or(Duration::from_secs(3600)));
        };
        let until = until.next(now, Tz::UTC).map(|at| at - now);
        let length = until
            .and_then(|left| left.to_std().ok())
            .filter(|left| !left.is_zero());
        length.ok_or_else(|| Failure::usage("--until is in the past"))
    }
}

async fn act(fleet: &dyn Fleet, act: Act, by: By) -> Result<Status, Failure> {
    say(fleet.act(&act, &by).await?.text);
    Ok(Status::Done)
}

impl Pause {
    pub(crate) async fn run(self, fleet: &dyn Fleet) -> Result<Status, Failure> {
        let pause = Act::Pause {
            task: self.whose.task,
            length: self.time.length()?,
            missed: match self.missed {
                MissedWord::Drop => Missed::Drop,
                MissedWord::RunOnce => Missed::RunOnce,
            },
        };
        act(fleet, pause, self.asker.by()?).await
    }
}

impl Resume {
    pub(crate) async fn run(self, fleet: &dyn Fleet) -> Result<Status, Failure> {
        let task = self.whose.task;
        act(fleet, Act::Resume { task }, self.asker.by()?).await
    }
}

impl Skip {
    pub(crate) async fn run(self, fleet: &dyn Fleet) -> Result<Status, Failure> {
        let skip = Act::Skip {
            task: self.task,
            count: usize::from(self.count),
        };
        act(fleet, skip, self.asker.by()?).await
    }
}

impl Override {
    pub(crate) async fn run(self, fleet: &dyn Fleet) -> Result<Status, Failure> {
        let other = Act::Override {
            task: self.task,
            spec: self.spec,
            timezone: self.tz,
            length: self.time.length()?,
        };
        act(fleet, other, self.asker.by()?).await
    }
}

impl Reset {
    pub(crate) async fn run(self, fleet: &dyn Fleet) -> Result<Status, Failure> {
        act(fleet, Act::Reset { task: self.task }, self.asker.by()?).await
    }
}
