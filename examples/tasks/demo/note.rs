//! A handler for tasks that are defined at run time, and one such task.

use tasklock::schemars::JsonSchema;
use tasklock::{Scheduler, StoredTask};
use tracing::info;

#[derive(serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Note {
    /// What is written into the log.
    text: String,
}

pub(super) fn register(scheduler: &Scheduler) -> tasklock::Result<()> {
    scheduler.handler("note", |_, note: Note| async move {
        info!(text = note.text, "A note");
        Ok(())
    })
}

/// One to look at; if another replica has stored it, that one stays.
pub(super) async fn store(scheduler: &Scheduler) -> tasklock::Result<()> {
    let Some(store) = scheduler.handle().task_store() else {
        return Ok(());
    };
    let parameters = tasklock::serde_json::json!({ "text": "Good morning" });
    let task = StoredTask::new("notes.morning", "note", "0 0 7 * * MON-FRI")
        .parameters(parameters)
        .owner("ana")
        .description("Says good morning in the log");
    store.save(&task).await.map(drop)
}
