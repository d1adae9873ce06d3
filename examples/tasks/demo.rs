//! Tasks of every health, so that there is something to see: a made-up company's, with a made-up past.

mod invoices;
#[cfg(feature = "dynamic")]
mod note;
mod past;
mod rates;
mod reports;
mod search;
mod wishes;

use std::sync::Arc;

use tasklock::{Event, History, Observer, RunFacts, Scheduler};
use tokio::sync::watch;

/// The first run of this process: what is made up has the form of what is real.
pub(crate) struct FirstRun(watch::Sender<Option<RunFacts>>);

impl FirstRun {
    pub(crate) fn new() -> (Self, watch::Receiver<Option<RunFacts>>) {
        let (send, receive) = watch::channel(None);
        (Self(send), receive)
    }
}

impl Observer for FirstRun {
    fn on_event(&self, event: &Event) {
        if let Event::RunStarted { run } = event {
            self.0.send_if_modified(|first| {
                let is_first = first.is_none();
                first.get_or_insert_with(|| run.clone());
                is_first
            });
        }
    }
}

/// One by one, since the page shows where in the code each of them was registered.
pub(crate) fn register(scheduler: &Scheduler) -> tasklock::Result<()> {
    scheduler.register(rates::rates())?;
    scheduler.register(rates::cache())?;
    scheduler.register(invoices::sync())?;
    scheduler.register(invoices::feed())?;
    scheduler.register(invoices::dunning())?;
    scheduler.register(reports::daily())?;
    scheduler.register(reports::weekly())?;
    scheduler.register(reports::ledger())?;
    scheduler.register(reports::backup())?;
    scheduler.register(reports::digest())?;
    scheduler.register(reports::stock())?;
    scheduler.register(search::reindex())?;
    #[cfg(feature = "dynamic")]
    note::register(scheduler)?;
    Ok(())
}

/// Says since when the tasks are known, before the scheduler finds them.
pub(crate) async fn prepare(history: &dyn History) -> tasklock::Result<()> {
    past::begin(history).await
}

/// Writes the past as soon as there is a run to make it like, and wants what people want.
pub(crate) async fn furnish(
    scheduler: &Scheduler,
    history: Arc<dyn History>,
    mut first: watch::Receiver<Option<RunFacts>>,
) -> tasklock::Result<()> {
    wishes::wish(scheduler).await?;
    #[cfg(feature = "dynamic")]
    note::store(scheduler).await?;
    if let Ok(found) = first.wait_for(Option::is_some).await
        && let Some(first) = found.as_ref().cloned()
    {
        drop(found);
        past::write(&*history, &first).await?;
    }
    wishes::run(scheduler).await
}
