//! `completions` and `man`: the command line as shells and manuals know it.

use std::path::PathBuf;

use clap::Command;
use clap_complete::Shell;

use crate::cli::format::{note, print};
use crate::cli::status::{Failure, Status};

/// Prints a script that completes this command line: `source <(… completions bash)`
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

/// Prints a manual page: `… man run | man -l -`
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Man {
    /// The command whose page it is
    command: Option<String>,
    /// Writes the pages of all commands into this directory
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "command")]
    dir: Option<PathBuf>,
}

impl Completions {
    pub(crate) fn run(self, mut program: Command) -> Result<Status, Failure> {
        let name = program.get_name().to_owned();
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut program, name, &mut script);
        print(&String::from_utf8_lossy(&script));
        Ok(Status::Done)
    }
}

impl Man {
    pub(crate) fn run(self, mut program: Command) -> Result<Status, Failure> {
        program.build();
        if let Some(dir) = &self.dir {
            let mut written = 0;
            for (name, page) in pages(&program) {
                let path = dir.join(format!("{name}.1"));
                let done = std::fs::write(&path, page);
                done.map_err(|e| Failure::failed(format!("cannot write {}: {e}", path.display())))?;
                written += 1;
            }
            note(format_args!("{written} pages in {}", dir.display()));
            return Ok(Status::Done);
        }
        let all = pages(&program);
        let wanted = self.command.as_deref().map(|verb| format!("-{verb}"));
        let found = all.iter().find(|(name, _)| match &wanted {
            None => true,
            Some(verb) => name.ends_with(verb.as_str()),
        });
        match found {
            Some((_, page)) => {
                print(page);
                Ok(Status::Done)
            }
            None => {
                let verb = self.command.unwrap_or_default();
                Err(Failure::not_found(format!("there is no command {verb:?}")))
            }
        }
    }
}

/// A page for each command that can be given, that of the program first.
fn pages(program: &Command) -> Vec<(String, String)> {
    let mut pages = Vec::new();
    let mut left = vec![program];
    while let Some(command) = left.pop() {
        if command.is_hide_set() || command.get_name() == "help" {
            continue;
        }
        let name = command
            .get_display_name()
            .unwrap_or(command.get_name())
            .replace(' ', "-");
        let named = command
            .clone()
            .name(name.clone())
            .bin_name(name.replace('-', " "));
        let mut page = Vec::new();
        // Writing to memory does not fail.
        let _ = clap_mangen::Man::new(named)
            .title(name.to_uppercase())
            .render(&mut page);
        pages.push((name, String::from_utf8_lossy(&page).into_owned()));
        let mut below: Vec<&Command> = command.get_subcommands().collect();
        below.reverse();
        left.extend(below);
    }
    pages
}
