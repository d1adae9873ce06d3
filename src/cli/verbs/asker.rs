//! Who asks for something, and why.

use crate::cli::status::Failure;
use crate::control::By;

/// Who asks, where nobody says it.
#[derive(Debug, Clone, clap::Args)]
struct Actor {
    /// Who asks for it, for the audit trail; by the HTTP API the token says it [default: USER@host]
    #[arg(
        long = "as",
        value_name = "NAME",
        env = "TASKLOCK_ACTOR",
        hide_env_values = true
    )]
    actor: Option<String>,
}

/// Who asks for what changes little.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Asker {
    /// Why, for those who come after you
    #[arg(long, value_name = "TEXT", default_value = "by the command line")]
    reason: String,
    #[command(flatten)]
    actor: Actor,
}

/// Who asks for what others will wonder about.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ReasonedAsker {
    /// Why, for those who come after you
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    actor: Actor,
}

impl Asker {
    pub(crate) fn by(&self) -> Result<By, Failure> {
        self.actor.by(&self.reason)
    }
}

impl ReasonedAsker {
    pub(crate) fn by(&self) -> Result<By, Failure> {
        self.actor.by(&self.reason)
    }
}

impl Actor {
    fn by(&self, reason: &str) -> Result<By, Failure> {
        let actor = self.actor.clone().unwrap_or_else(user);
        Ok(By::new(actor, reason)?)
    }
}

/// `ana@api-7f9c`, as far as the system says so.
fn user() -> String {
    let named = ["USER", "LOGNAME", "USERNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok());
    let user = named.filter(|name| !name.trim().is_empty());
    let user = user.unwrap_or_else(|| "somebody".to_owned());
    let whole = format!("{user}@{}", host());
    let fit = whole.chars().filter(|c| c.is_ascii_graphic());
    fit.take(120).collect()
}

/// The name of this host, as instances know it.
pub(crate) fn host() -> String {
    #[cfg(unix)]
    let host = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    #[cfg(not(unix))]
    let host = std::env::var("COMPUTERNAME").unwrap_or_default();
    let fit = host.chars().filter(|c| c.is_ascii_graphic() && *c != '|');
    fit.take(40).collect()
}
