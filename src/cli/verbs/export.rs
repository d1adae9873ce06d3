//! `export`: what goes with the service.

use crate::cli::format::print;
#[cfg(feature = "admin")]
use crate::cli::format::say;
use crate::cli::status::{Failure, Status};

const DASHBOARD: &str = include_str!("../../../ops/tasklock-dashboard.json");
const RULES: &str = include_str!("../../../ops/tasklock.rules.yml");
const JOB_RULES: &str = include_str!("../../../ops/tasklock-job.rules.yml");
const UNIT: &str = include_str!("../../../ops/tasklock.service");
const MANIFESTS: &str = include_str!("../../../ops/k8s.yaml");
const CONTAINER: &str = include_str!("../../../ops/Containerfile");
/// What stands for the name of the service in them.
const SERVICE: &str = "my-service";
/// What both files of rules have before their groups.
const GROUPS: &str = "\ngroups:\n";

/// Prints a dashboard, alert rules, a unit and manifests, with the name of your service in them
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Export {
    /// What
    what: What,
    /// The name of the service: the job as Prometheus knows it, and what its objects in Kubernetes are called. Without
    /// it, rules that need one are left out
    #[arg(long, value_name = "NAME", value_parser = name)]
    job: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// A dashboard for Grafana
    Grafana,
    /// Alert rules for Prometheus
    Alerts,
    /// The HTTP API, as OpenAPI 3.1
    #[cfg(feature = "admin")]
    Openapi,
    /// A unit for systemd, of a cron of its own
    Systemd,
    /// Manifests for Kubernetes, of a cron of its own
    K8s,
    /// A container file for it
    Container,
}

fn name(text: &str) -> Result<String, String> {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    match (1..=64).contains(&text.len()) && text.chars().all(is_fit) {
        true => Ok(text.to_owned()),
        false => Err("expected 1 to 64 characters of A-Z a-z 0-9 _ . -".to_owned()),
    }
}

impl Export {
    pub(crate) fn run(self) -> Result<Status, Failure> {
        match (self.what, &self.job) {
            #[cfg(feature = "admin")]
            (What::Openapi, _) => say(crate::admin::openapi()),
            (What::Systemd, _) => print(UNIT),
            (What::Container, _) => print(CONTAINER),
            (What::K8s, None) => print(MANIFESTS),
            (What::K8s, Some(job)) => {
                // Names of objects, and what refers to them; not files and programs.
                let named = MANIFESTS.replace("ame: tasklock\n", &format!("ame: {job}\n"));
                print(&named.replace(
                    "secret generic tasklock ",
                    &format!("secret generic {job} "),
                ));
            }
            (What::Grafana, _) => print(DASHBOARD),
            (What::Alerts, None) => print(RULES),
            (What::Alerts, Some(job)) => {
                let groups = JOB_RULES
                    .split_once(GROUPS)
                    .map_or("", |(_, groups)| groups);
                print(&format!("{RULES}{}", groups.replace(SERVICE, job)));
            }
        }
        Ok(Status::Done)
    }
}
