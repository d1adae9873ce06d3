//! The verbs as a part of a command line.

use std::path::Path;
use std::process::ExitCode;

use clap::{ArgMatches, FromArgMatches, Subcommand};

use crate::cli::fleet::{Fleet, Stores};
use crate::cli::status::{Failure, Status};
use crate::cli::verbs::{self, Circumstances};
use crate::scheduler::Scheduler;

/// What can be asked of a fleet, and done with it: `list`, `run`, `pause` and the others, without those
/// that start and stop something. A subcommand for programs that are no part of the fleet, as the binary
/// `tasklock`.
#[derive(Debug, Clone)]
pub struct Verb(Box<verbs::Verb>);

impl Verb {
    /// Carries it out, in the fleet at `place`, which is only asked if it is needed. `program` is the whole
    /// command line that this is a part of, for completions and manual pages:
    /// `clap::CommandFactory::command()`.
    ///
    /// Exit statuses as of [`Command::run`](super::Command::run).
    pub async fn run(self, place: super::Place, program: clap::Command) -> ExitCode {
        super::exit(self.carry_out(Outside { place, program }).await)
    }

    pub(crate) async fn carry_out(self, with: impl Circumstances) -> Result<Status, Failure> {
        self.0.run(with).await
    }

    /// Whether it runs a task in this process (`run --here`), which is to log what that does then.
    pub fn runs_here(&self) -> bool {
        self.0.runs_here()
    }
}

/// In a program that is no part of the fleet.
pub(crate) struct Outside {
    pub(crate) place: super::Place,
    pub(crate) program: clap::Command,
}

impl Circumstances for Outside {
    async fn reach(self) -> Result<Box<dyn Fleet>, Failure> {
        self.place.reach().await
    }

    async fn own(self, _: Option<&Path>) -> Result<Scheduler, Failure> {
        let text = "this program has no tasks of its own: --here and --no-lock are for the program that has them";
        Err(Failure::usage(text))
    }

    fn program(&self) -> clap::Command {
        self.program.clone()
    }
}

/// In the program whose tasks they are.
pub(crate) struct Inside<B>(pub(crate) B);

impl<B: AsyncFnOnce() -> Result<Scheduler, Failure>> Circumstances for Inside<B> {
    async fn reach(self) -> Result<Box<dyn Fleet>, Failure> {
        Ok(Box::new(Stores::of((self.0)().await?)))
    }

    async fn own(self, file: Option<&Path>) -> Result<Scheduler, Failure> {
        match file {
            None => (self.0)().await,
            Some(_) => {
                let text = "this program has tasks of its own: leave --config out";
                Err(Failure::usage(text))
            }
        }
    }

    fn program(&self) -> clap::Command {
        embedded()
    }
}

impl FromArgMatches for Verb {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        verbs::Verb::from_arg_matches(matches).map(|verb| Self(Box::new(verb)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

impl Subcommand for Verb {
    fn augment_subcommands(command: clap::Command) -> clap::Command {
        verbs::Verb::augment_subcommands(command)
    }

    fn augment_subcommands_for_update(command: clap::Command) -> clap::Command {
        verbs::Verb::augment_subcommands_for_update(command)
    }

    fn has_subcommand(name: &str) -> bool {
        verbs::Verb::has_subcommand(name)
    }
}

/// The part of an application's command line that we know: its name, the words before ours, and ours.
fn embedded() -> clap::Command {
    let mut words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let program = words.next().unwrap_or_default();
    let name = std::path::Path::new(&program).file_name();
    let name = name
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let is_ours = |word: &String| super::Command::has_subcommand(word);
    let before: Vec<String> = words
        .take_while(|word| !is_ours(word))
        .filter(|word| !word.starts_with('-'))
        .collect();
    let mut whole: Option<clap::Command> = None;
    for word in before.into_iter().rev() {
        whole = Some(match whole {
            None => super::Command::augment_subcommands(clap::Command::new(word)),
            Some(inner) => clap::Command::new(word).subcommand(inner),
        });
    }
    match whole {
        None => super::Command::augment_subcommands(clap::Command::new(name)),
        Some(inner) => clap::Command::new(name).subcommand(inner),
    }
}
