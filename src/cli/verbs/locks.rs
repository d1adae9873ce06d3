//! `locks` and `unlock`: who holds what.

use crate::cli::fleet::{Act, Fleet};
use crate::cli::format::{Output, print, say};
use crate::cli::status::{Failure, Status};
use crate::cli::table::{Cell, Table};
use crate::cli::terminal::{Colour, Terminal};
use crate::cli::verbs::asker::ReasonedAsker;
use crate::cli::when;
use crate::lock::FencingToken;
use crate::time::{Clock, SystemClock};

/// Lists the locks that are held, by whom
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Locks {
    #[command(flatten)]
    output: Output,
}

/// Ends the lease of a scheduled run whose instance is gone, so that the task can run again
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Unlock {
    /// The task
    task: String,
    /// The fencing token of the lease, as `locks` shows it
    #[arg(long, value_name = "TOKEN")]
    token: Option<u64>,
    /// Although its instance says that it lives: two runs may work at once
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    asker: ReasonedAsker,
}

impl Locks {
    pub(crate) async fn run(self, fleet: &dyn Fleet) -> Result<Status, Failure> {
        let locks = fleet.locks().await?;
        if self.output.wrote(&locks)? {
            return Ok(Status::Done);
        }
        let now = SystemClock.now();
        let mut table = Table::new(["TASK", "HOLDER", "TOKEN", "HELD", "TTL", "RUN"]);
        for lock in &locks {
            let holder = match lock.holder_lives {
                true => Cell::from(&lock.holder),
                false => Cell::from(format!("{} (gone)", lock.holder)).in_colour(Colour::Bad),
            };
            table.row([
                (&lock.task).into(),
                holder,
                lock.fencing_token.to_string().into(),
                when::length((now - lock.since.0).to_std().unwrap_or_default()).into(),
                lock.ttl_s.map(when::took).unwrap_or_default().into(),
                (&lock.run_id).into(),
            ]);
        }
        print(&table.render(&Terminal::stdout()));
        Ok(Status::Done)
    }
}

impl Unlock {
    pub(crate) async fn run(self, fleet: &dyn Fleet) -> Result<Status, Failure> {
        let by = self.asker.by()?;
        let Some(token) = self.token else {
            return Err(without_token(fleet, &self.task).await?);
        };
        let act = Act::Unlock {
            task: self.task,
            fence: FencingToken::new(token),
            force: self.force,
        };
        say(fleet.act(&act, &by).await?.text);
        Ok(Status::Done)
    }
}

/// What to say to somebody who has not looked first.
async fn without_token(fleet: &dyn Fleet, task: &str) -> Result<Failure, Failure> {
    fleet.task(task).await?;
    let locks = fleet.locks().await?;
    let held: Vec<String> = locks
        .iter()
        .filter(|lock| lock.task == task)
        .map(|lock| {
            let lives = if lock.holder_lives {
                "lives"
            } else {
                "is gone"
            };
            format!(
                "--token {}, if that of {}, which {lives}, is meant",
                lock.fencing_token, lock.holder
            )
        })
        .collect();
    Ok(match held.is_empty() {
        true => Failure::not_found(format!("no lock of {task} is known to be held")),
        false => Failure::usage(format!("say which lease by its token: {}", held.join("; "))),
    })
}
