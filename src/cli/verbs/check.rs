//! `check`: of specs that are given, or of those of the tasks.

use crate::cli::fleet::Fleet;
use crate::cli::specs::{Asked, Check};
use crate::cli::status::{Failure, Status};

pub(crate) async fn run(
    check: Check,
    reach: impl AsyncFnOnce() -> Result<Box<dyn Fleet>, Failure>,
) -> Result<Status, Failure> {
    if check.has_specs() {
        return check.run(Vec::new());
    }
    let fleet = reach().await.map_err(|failure| match failure.status {
        Status::Usage => Failure::usage(format!(
            "give SPECS to check; or, for those of tasks: {}",
            failure.text
        )),
        _ => failure,
    })?;
    let tasks = fleet.tasks().await?;
    let asked = tasks.into_iter().map(|task| Asked {
        zone: task.schedule.timezone.parse().ok(),
        spec: task.schedule.cron,
        task: Some(task.name),
    });
    check.run(asked.collect())
}
