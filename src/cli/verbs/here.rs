//! `run --here`: a task in this process, under its lock or without.

use crate::board::Run;
use crate::cli::fleet::refusal;
use crate::cli::format::note;
use crate::cli::status::{Failure, Status};
use crate::cli::verbs::Circumstances;
use crate::cli::verbs::run::RunNow;
use crate::scheduler::Beside;

impl RunNow {
    pub(super) async fn run_here(self, with: impl Circumstances) -> Result<Status, Failure> {
        let by = self.asker.by()?;
        let run = self.wanted(None)?.run_now(&by);
        #[cfg(all(feature = "standalone", unix))]
        let file = self.config.as_deref();
        #[cfg(not(all(feature = "standalone", unix)))]
        let file = None;
        let is_locked = !self.no_lock;
        let scheduler = with.own(file).await?;
        let how = match is_locked {
            true => "in a process of its own, under the lock",
            false => "in a process of its own, without the lock",
        };
        if let Some(control) = scheduler.handle().control() {
            match control.note_run_here(&self.task, how, &by).await {
                Err(error) if is_locked => return Err(error.into()),
                // Whoever needs no lock may need no store.
                _ => {}
            }
        }
        let what = format!("run of {}", self.task);
        match is_locked {
            true => note(format_args!("{what}: in this process, under its lock")),
            false => note(format_args!(
                "{what}: in this process, without its lock: nothing keeps another run of it from going on at the \
                 same time"
            )),
        }
        let beside = Beside {
            run: &run,
            is_locked,
        };
        let begun =
            |ids: &[crate::task::RunId]| ids.iter().for_each(|id| note(format_args!("run {id}")));
        let second = async {
            interrupted().await;
            interrupted().await;
        };
        let ran = tokio::select! {
            biased;
            ran = scheduler.run_beside(beside, begun, interrupted()) => ran?,
            () = second => {
                return Err(Failure::failed(format!("{what}: ended at once by a second signal")));
            }
        };
        let ended = ran.map_err(|refused| refusal(&what, &refused))?;
        let mut status = Status::Done;
        for run in &ended {
            if self.tell(&Run::of(run))? == Status::Failed {
                status = Status::Failed;
            }
        }
        Ok(status)
    }
}

/// Whoever started this wants it to end.
async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
