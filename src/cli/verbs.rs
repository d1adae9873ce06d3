//! What can be asked of a fleet, and done with it: the same from the application's own program and
//! from `tasklock`.

mod act;
pub(crate) mod asker;
mod cancel;
mod check;
mod completions;
mod delete;
mod describe;
mod doctor;
mod export;
mod follow;
mod health;
mod here;
mod instances;
mod list;
mod locks;
mod logs;
mod next;
mod run;
mod runs;
mod why;

use std::path::Path;

use crate::cli::fleet::Fleet;
use crate::cli::status::{Failure, Status};
use crate::scheduler::Scheduler;

/// What can be asked of a fleet, and done with it.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum Verb {
    /// Lists the tasks: how they are, when they ran, when they are due
    List(list::List),
    /// Says all that is known of a task
    Describe(describe::Describe),
    /// Says when tasks are due next, or when a spec fires
    Next(next::Next),
    /// Lists runs, newest first
    Runs(runs::Runs),
    /// Shows what a run has logged, or the last run of a task
    Logs(logs::Logs),
    /// Has a task run now, somewhere in the fleet, and follows its run
    Run(run::RunNow),
    /// Holds the firings of a task back, or of all
    Pause(act::Pause),
    /// Ends a pause
    Resume(act::Resume),
    /// Skips the next firings of a task
    Skip(act::Skip),
    /// Gives a task another schedule for a while
    Override(act::Override),
    /// Gives a task its own schedule back
    Reset(act::Reset),
    /// Deletes a task that is defined at run time
    Delete(delete::Delete),
    /// Asks a run to end
    Cancel(cancel::Cancel),
    /// Lists the instances of the fleet
    Instances(instances::Instances),
    /// Has an instance take no new firings
    Drain(instances::Drain),
    /// Has an instance take firings again
    Undrain(instances::Undrain),
    /// Lists the locks that are held
    Locks(locks::Locks),
    /// Ends the lease of a run whose instance is gone
    Unlock(locks::Unlock),
    /// Says why a task ran at an instant, or did not
    Why(why::Why),
    /// Explains specs, and finds those that are wrong, never fire, or meet a change of the clock
    Check(crate::cli::specs::Check),
    /// Says what is wrong with the fleet's store and its instances
    Doctor(doctor::Doctor),
    /// Says whether an instance takes firings: a probe for containers
    Health(health::Health),
    /// Prints a dashboard, alert rules, a unit and manifests
    Export(export::Export),
    /// Prints a script that completes this command line
    Completions(completions::Completions),
    /// Prints manual pages
    Man(completions::Man),
}

/// What a verb is carried out with.
pub(crate) trait Circumstances {
    /// Finds the fleet, for verbs that need one.
    async fn reach(self) -> Result<Box<dyn Fleet>, Failure>;

    /// The scheduler of this program's own tasks, not started, for runs in this process; `file` says which
    /// they are, if they are those of a file.
    async fn own(self, file: Option<&Path>) -> Result<Scheduler, Failure>;

    /// The whole command line, for those that tell of it.
    fn program(&self) -> clap::Command;
}

impl Verb {
    /// Carries it out.
    pub(crate) async fn run(self, with: impl Circumstances) -> Result<Status, Failure> {
        match self {
            Verb::List(verb) => verb.run(&*with.reach().await?).await,
            Verb::Describe(verb) => verb.run(&*with.reach().await?).await,
            Verb::Next(verb) => verb.run(async || with.reach().await).await,
            Verb::Runs(verb) => verb.run(&*with.reach().await?).await,
            Verb::Logs(verb) => verb.run(&*with.reach().await?).await,
            Verb::Run(verb) if verb.is_here() => verb.run_here(with).await,
            Verb::Run(verb) => verb.run(&*with.reach().await?).await,
            Verb::Pause(verb) => verb.run(&*with.reach().await?).await,
            Verb::Resume(verb) => verb.run(&*with.reach().await?).await,
            Verb::Skip(verb) => verb.run(&*with.reach().await?).await,
            Verb::Override(verb) => verb.run(&*with.reach().await?).await,
            Verb::Reset(verb) => verb.run(&*with.reach().await?).await,
            Verb::Delete(verb) => verb.run(&*with.reach().await?).await,
            Verb::Cancel(verb) => verb.run(&*with.reach().await?).await,
            Verb::Instances(verb) => verb.run(&*with.reach().await?).await,
            Verb::Drain(verb) => verb.run(&*with.reach().await?).await,
            Verb::Undrain(verb) => verb.run(&*with.reach().await?).await,
            Verb::Locks(verb) => verb.run(&*with.reach().await?).await,
            Verb::Unlock(verb) => verb.run(&*with.reach().await?).await,
            Verb::Why(verb) => verb.run(&*with.reach().await?).await,
            Verb::Check(verb) => check::run(verb, async || with.reach().await).await,
            Verb::Doctor(verb) => verb.run(&*with.reach().await?).await,
            Verb::Health(verb) => verb.run(&*with.reach().await?).await,
            Verb::Export(verb) => verb.run(),
            Verb::Completions(verb) => verb.run(with.program()),
            Verb::Man(verb) => verb.run(with.program()),
        }
    }

    /// Whether it runs a task in this process.
    pub(crate) fn runs_here(&self) -> bool {
        matches!(self, Verb::Run(verb) if verb.is_here())
    }
}
