//! The verbs as a part of a command line.

use std::process::ExitCode;

use clap::{ArgMatches, FromArgMatches, Subcommand};

use crate::cli::fleet::Fleet;
use crate::cli::status::{Failure, Status};
use crate::cli::verbs::{self, Circumstances};

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
        let with = Circumstances {
            reach: async || place.reach().await,
            program,
        };
        super::exit(self.carry_out(with).await)
    }

    pub(crate) async fn carry_out(
        self,
        with: Circumstances<impl AsyncFnOnce() -> Result<Box<dyn Fleet>, Failure>>,
    ) -> Result<Status, Failure> {
        self.0.run(with).await
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
pub(crate) fn embedded() -> clap::Command {
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
