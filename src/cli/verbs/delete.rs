//! `delete`: a task that is defined at run time.

use crate::cli::fleet::{Act, Fleet};
use crate::cli::format::say;
use crate::cli::status::{Failure, Status};
use crate::cli::verbs::asker::Asker;

/// Deletes a task that is defined at run time, in the whole fleet; its runs go on to their end
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Delete {
    /// The task
    task: String,
    #[command(flatten)]
    asker: Asker,
}

impl Delete {
    pub(crate) async fn run(self, fleet: &dyn Fleet) -> Result<Status, Failure> {
        let delete = Act::Delete { task: self.task };
        say(fleet.act(&delete, &self.asker.by()?).await?.text);
        Ok(Status::Done)
    }
}
