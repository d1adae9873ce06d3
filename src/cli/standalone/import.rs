//! `import`: a crontab, as a file of tasks.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use chrono_tz::Tz;

use crate::cli::status::{Failure, Status};
use crate::config::{Crontab, Form};

/// The largest crontab, in bytes.
const LARGEST: u64 = 4 << 20;

/// Writes a crontab as a file of tasks, to standard output; what could not be read, line by line, to
/// standard error. Exit status 1 if there is any.
#[derive(Debug, Clone, clap::Args)]
pub struct Import {
    /// The crontab, such as /etc/crontab; `-` is standard input
    #[arg(value_name = "CRONTAB")]
    crontab: PathBuf,
    /// Its format: with a user in each line, or without
    #[arg(long, value_name = "FORMAT", default_value = "auto")]
    format: Format,
    /// The zone whose clock it is about. Default: that of this host
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    timezone: Option<Tz>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// `system` for /etc/crontab and the files in /etc/cron.d, `user` for others
    Auto,
    /// With a user
    System,
    /// Without
    User,
}

fn zone(text: &str) -> Result<Tz, String> {
    let zone = text.parse();
    zone.map_err(|_| "expected the name of a time zone, such as Europe/Berlin".to_owned())
}

impl Import {
    pub(super) fn run(self) -> Result<Status, Failure> {
        let shown = self.crontab.display();
        let text = self.text();
        let text = text.map_err(|e| Failure::failed(format!("{shown} cannot be read: {e}")))?;
        let form = match self.format {
            Format::System => Form::System,
            Format::User => Form::User,
            Format::Auto if is_of_system(&self.crontab) => Form::System,
            Format::Auto => Form::User,
        };
        let crontab = Crontab::read(&text, form);
        let zone = self.timezone.or_else(of_host).unwrap_or(Tz::UTC);
        let mut out = std::io::stdout().lock();
        // Whoever does not read it knows why.
        let _ = write!(out, "{}", crontab.write(zone)).and_then(|()| out.flush());
        let mut err = std::io::stderr().lock();
        for (line, note) in &crontab.notes {
            let _ = writeln!(err, "{shown}:{line}: note: {note}");
        }
        for (line, why) in &crontab.faults {
            let _ = writeln!(err, "{shown}:{line}: could not be read: {why}");
        }
        let (tasks, faults) = (crontab.len(), crontab.faults.len());
        let _ = writeln!(err, "{tasks} tasks, {faults} lines that could not be read");
        Ok(match faults {
            0 => Status::Done,
            _ => Status::Failed,
        })
    }

    fn text(&self) -> std::io::Result<String> {
        let mut bytes = Vec::new();
        if self.crontab == Path::new("-") {
            let input = std::io::stdin().lock();
            input.take(LARGEST).read_to_end(&mut bytes)?;
        } else {
            let file = std::fs::File::open(&self.crontab)?;
            file.take(LARGEST).read_to_end(&mut bytes)?;
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

fn is_of_system(path: &Path) -> bool {
    path == Path::new("/etc/crontab") || path.parent() == Some(Path::new("/etc/cron.d"))
}

/// The zone of this host's clock.
fn of_host() -> Option<Tz> {
    let variable = std::env::var("TZ").ok();
    let variable = variable.and_then(|name| name.trim_start_matches(':').parse().ok());
    variable.or_else(|| {
        let link = std::fs::read_link("/etc/localtime").ok()?;
        let link = link.to_string_lossy();
        link.split_once("zoneinfo/")?.1.parse().ok()
    })
}
