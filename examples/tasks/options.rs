//! The command line.

use std::path::PathBuf;

use tasklock::chrono_tz::Tz;

pub(crate) const HELP: &str = "\
Runs five scheduled tasks, and serves a page for people on call, metrics and health.

usage: cargo run --example tasks -- [options]

  --listen ADDR        where to serve /admin, /metrics, /livez and /readyz
                       (127.0.0.1:8080); if the port is taken, the next free one
  --data DIR           the directory of the tasks' files (data/); the cleanup deletes old
                       files in its logs/ and tmp/, so give it one of its own
  --spec NAME='SPEC'   another schedule for a task; may be given for several tasks
  --timezone ZONE      the zone of the schedules, such as Europe/Berlin (UTC)
  --demo yes|no        tasks of every health besides, made up, for the page to show
                       (yes, unless --data or REDIS_URL is given)
  --help               this text

tasks, and when they run:

  example_task         0 * * * * *       notes an API call
  cleanup_task         0 0 2 * * *       deletes temporary keys and files, and old logs
  stats_task           0 0 * * * *       counts users and API calls, writes a report
  simple_task          0 */10 * * * *    leaves a temporary entry behind
  heartbeat            */5 * * * * *     notes the last run

environment:

  REDIS_URL            lock and data in this Redis, such as redis://127.0.0.1:6379; the data
                       has the prefix example:, and the cleanup deletes the keys without a TTL
                       whose names begin with tmp:
  RUST_LOG             what to log (info), such as info,tasklock=debug
";

/// The tasks, and when they run unless told otherwise.
const SPECS: [(&str, &str); 5] = [
    ("example_task", "0 * * * * *"),
    ("cleanup_task", "0 0 2 * * *"),
    ("stats_task", "0 0 * * * *"),
    ("simple_task", "0 */10 * * * *"),
    ("heartbeat", "*/5 * * * * *"),
];

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Wanted {
    Run(Options),
    Help,
}

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) listen: String,
    pub(crate) data: PathBuf,
    pub(crate) timezone: Tz,
    /// Whether there are made-up tasks besides, if that was said.
    pub(crate) demo: Option<bool>,
    specs: Vec<(String, String)>,
}

impl Options {
    /// Reads the arguments after the program's name. The error is a sentence.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Wanted, String> {
        let mut options = Self {
            listen: "127.0.0.1:8080".to_owned(),
            data: PathBuf::from("data"),
            timezone: Tz::UTC,
            demo: None,
            specs: Vec::new(),
        };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let (name, value) = match argument.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
                _ => (argument.as_str(), None),
            };
            if matches!(name, "--help" | "-h") {
                return Ok(Wanted::Help);
            }
            if !matches!(
                name,
                "--listen" | "--data" | "--spec" | "--timezone" | "--demo"
            ) {
                return Err(format!("unknown argument {argument:?}: see --help"));
            }
            let value = value
                .or_else(|| arguments.next())
                .filter(|value| !value.is_empty())
                .ok_or_else(|| format!("{name} needs a value: see --help"))?;
            match name {
                "--listen" => options.listen = value,
                "--data" => {
                    options.data = value.into();
                    // A directory of one's own is for work.
                    options.demo.get_or_insert(false);
                }
                "--demo" => {
                    options.demo = Some(match value.as_str() {
                        "yes" => true,
                        "no" => false,
                        _ => return Err(format!("--demo is yes or no, not {value:?}")),
                    });
                }
                "--spec" => options.set_spec(&value)?,
                _ => {
                    options.timezone = value.parse().map_err(|_| {
                        format!("unknown time zone {value:?}: names are such as Europe/Berlin")
                    })?;
                }
            }
        }
        Ok(Wanted::Run(options))
    }

    fn set_spec(&mut self, value: &str) -> Result<(), String> {
        let Some((name, spec)) = value.split_once('=') else {
            return Err(format!("--spec takes NAME='SPEC', not {value:?}"));
        };
        if !SPECS.iter().any(|(known, _)| *known == name) {
            let known = SPECS.map(|(known, _)| known).join(", ");
            return Err(format!("there is no task {name:?}: the tasks are {known}"));
        }
        self.specs.push((name.to_owned(), spec.to_owned()));
        Ok(())
    }

    /// When a task runs: what was given last, or its own.
    pub(crate) fn spec(&self, task: &str) -> String {
        let given = self.specs.iter().rev().find(|(name, _)| name == task);
        let default = || SPECS.iter().find(|(name, _)| *name == task);
        match given {
            Some((_, spec)) => spec.clone(),
            None => default().map_or("", |(_, spec)| spec).to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, String> {
        let arguments = arguments.iter().map(|a| (*a).to_owned());
        match Options::parse(arguments)? {
            Wanted::Run(options) => Ok(options),
            Wanted::Help => Err("help".to_owned()),
        }
    }

    #[test]
    fn nothing_is_needed() {
        let options = parse(&[]).unwrap();
        assert_eq!(options.listen, "127.0.0.1:8080");
        assert_eq!(options.spec("cleanup_task"), "0 0 2 * * *");
    }

    #[test]
    fn there_is_a_demo_unless_the_service_is_for_work() {
        assert_eq!(parse(&[]).unwrap().demo, None);
        assert_eq!(parse(&["--data", "x"]).unwrap().demo, Some(false));
        for order in [["--demo=yes", "--data=x"], ["--data=x", "--demo=yes"]] {
            assert_eq!(parse(&order).unwrap().demo, Some(true));
        }
    }

    #[test]
    fn values_follow_after_a_blank_or_an_equals_sign() {
        let options = parse(&[
            "--listen",
            "0.0.0.0:0",
            "--data=/tmp/x=y",
            "--spec",
            "heartbeat=CRON_TZ=Asia/Tokyo * * * * *",
            "--spec=heartbeat=@hourly",
            "--timezone",
            "Asia/Shanghai",
        ])
        .unwrap();
        assert_eq!(options.listen, "0.0.0.0:0");
        assert_eq!(options.data, PathBuf::from("/tmp/x=y"));
        assert_eq!(options.spec("heartbeat"), "@hourly");
        assert_eq!(options.timezone, Tz::Asia__Shanghai);
    }

    #[test]
    fn what_cannot_be_is_said_in_a_sentence() {
        for (arguments, part) in [
            (&["--listen"][..], "--listen needs a value"),
            (&["--data", ""], "--data needs a value"),
            (&["--spec", "nightly=@daily"], "tasks are example_task, cle"),
            (&["--spec", "@daily"], "takes NAME='SPEC'"),
            (&["--demo", "perhaps"], "--demo is yes or no"),
            (&["--timezone", "Mars"], "unknown time zone \"Mars\""),
            (&["--port", "1"], "unknown argument \"--port\""),
            (&["run"], "unknown argument \"run\""),
        ] {
            let error = parse(arguments).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        assert_eq!(parse(&["-h"]).unwrap_err(), "help");
    }

    #[test]
    fn the_help_has_all_tasks_with_their_schedules() {
        for (name, spec) in SPECS {
            let line = HELP.lines().find(|l| l.trim_start().starts_with(name));
            assert!(line.unwrap().contains(&format!(" {spec} ")));
        }
    }
}
