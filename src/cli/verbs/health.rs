//! `health`: a probe for containers.

use serde_json::json;

use crate::cli::fleet::Fleet;
use crate::cli::format::{Output, say};
use crate::cli::status::{Failure, Status};
use crate::cli::verbs::asker::host;
use crate::text::contained_line;

/// Says whether an instance on this host takes firings
///
/// For readiness probes of containers, whose host name is their own. With --url, asks the instance there. A store that is
/// away makes it fail: do not have anything restarted by it. Exit status: 0 if it does, 1 if it does not, 5 if nobody
/// could be asked.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Health {
    /// Whether one on any host does
    #[arg(long)]
    any: bool,
    #[command(flatten)]
    output: Output,
}

impl Health {
    pub(crate) async fn run(self, fleet: &dyn Fleet) -> Result<Status, Failure> {
        let host = host();
        let found = fleet.is_ready((!self.any).then_some(&host)).await?;
        let text = contained_line(&found.text, 300);
        let answer = json!({ "ready": found.is_ready, "text": text });
        if !self.output.wrote(&answer)? {
            say(text);
        }
        Ok(match found.is_ready {
            true => Status::Done,
            false => Status::Failed,
        })
    }
}
