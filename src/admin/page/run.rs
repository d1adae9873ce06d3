//! The screen Run: what happened once.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use maud::{Markup, html};

use super::forms;
use super::frame::{Frame, Screen};
use super::mark::Mark;
use super::plot::{self, Part, Spent};
use super::task::trigger;
use super::words::{ago, count, iso, left, path_part, seconds};
use crate::board::{Lock, Policy, Run, RunState};
use crate::event::Outcome;
use crate::history::LogTail;
use crate::text::contained;

/// A line of a log has so many bytes at the most.
const LONGEST_LINE: usize = 16 * 1024;

/// What the screen shows.
#[derive(Debug)]
pub(super) struct RunView<'a> {
    pub(super) run: &'a Run,
    /// What it has logged.
    pub(super) log: &'a LogTail,
    /// Where its trace is.
    pub(super) trace: Option<String>,
    /// How its task behaves, if that is known.
    pub(super) policy: Option<&'a Policy>,
    /// Its lock, while it has one.
    pub(super) lock: Option<&'a Lock>,
    /// Who wants it to end.
    pub(super) ending: Option<Ending>,
}

/// That somebody has asked a run to end.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) actor: String,
    pub(super) reason: String,
    pub(super) at: DateTime<Utc>,
    /// How long it was given, if that was said.
    pub(super) grace: Option<Duration>,
}

impl RunView<'_> {
    /// When its time is over.
    fn times_out_at(&self) -> Option<DateTime<Utc>> {
        let timeout = Duration::try_from_secs_f64(self.policy?.timeout_s).ok()?;
        let timeout = TimeDelta::from_std(timeout).ok()?;
        self.run.started_at.0.checked_add_signed(timeout)
    }

    /// When it is dropped, as somebody has asked it to end.
    fn is_dropped_at(&self) -> Option<DateTime<Utc>> {
        let ending = self.ending.as_ref()?;
        let policy = || Duration::try_from_secs_f64(self.policy?.cancel_grace_s).ok();
        let grace = TimeDelta::from_std(ending.grace.or_else(policy)?).ok()?;
        ending.at.checked_add_signed(grace)
    }
}

pub(super) fn run(frame: &Frame, view: &RunView<'_>) -> Markup {
    let run = view.run;
    let is_running = run.state == RunState::Running;
    let short: String = run.id.chars().take(10).collect();
    let main = html! {
        div.bar #head data-live {
            h1 { a href=(frame.to_task(&run.task)) { (run.task) } }
            code title=(run.id) { (short) }
            (Mark::run(run).html())
            span.sp {}
            @if frame.may.run { (forms::opens("again", "Run again…", Some("r"), "")) }
            @if frame.may.cancel && is_running {
                @match view.ending {
                    None => (forms::opens("cancel", "Cancel…", None, "dan")),
                    Some(_) => (forms::opens("abort", "Abort…", None, "dan")),
                }
            }
        }
        div #said data-live { @if is_running { (ends(frame, view)) } (said(run)) }
        section.card #course data-live {
            h2 { "Where the time went" }
            div.scroll tabindex="0" role="region" aria-label="Where the time went" { (plot::course(&parts(frame, run))) }
        }
        div.grid {
            section.card #log data-live data-follow=[is_running.then(|| frame.to(&logs(run)))] { (log(frame, view)) }
            section.card #facts data-live { h2 { "Facts" } (facts(frame, view)) }
        }
        (forms::of_run(frame, run, is_running))
    };
    frame.page(
        Screen::Tasks,
        (&format!("{} {short}", run.task), None),
        &main,
    )
}

/// Where the run's log is, for programs.
fn logs(run: &Run) -> String {
    format!("/api/v1/runs/{}/logs", path_part(&run.id))
}

/// That somebody has asked it to end, and how long it may still take.
fn ends(frame: &Frame, view: &RunView<'_>) -> Markup {
    let Some(ending) = &view.ending else {
        return html! {};
    };
    html! {
        p.note.bad {
            b { "Asked to end" } " by " (ending.actor) " " (ago(ending.at, frame.now)) ": “" (ending.reason) "”. "
            @match view.is_dropped_at() {
                Some(at) if at > frame.now => { "It may take " (left(at, frame.now)) " more; Abort drops it at once." }
                Some(_) => "Its grace is over: it is dropped at its next await. Abort asks once more.",
                None => "Abort drops it at once.",
            }
        }
    }
}

/// What the run says of itself.
fn said(run: &Run) -> Markup {
    html! {
        @if run.status.is_some() || run.progress.is_some() {
            p.note {
                @if let Some(progress) = run.progress {
                    progress value=(progress.done) max=(progress.total.max(1)) aria-label="Progress" {} " " (progress.done) " of " (progress.total) " "
                }
                @if let Some(status) = &run.status { (status) }
            }
        }
    }
}

fn parts(frame: &Frame, run: &Run) -> Vec<Part> {
    let part = |spent, name: String, seconds| Part {
        spent,
        name,
        seconds,
    };
    let mut parts = vec![part(Spent::Late, "start delay".into(), run.start_delay_s)];
    let mut end = run.started_at.0;
    let last = run.attempts.len();
    for (n, attempt) in run.attempts.iter().enumerate() {
        let wait = (attempt.started_at.0 - end).num_milliseconds() as f64 / 1e3;
        if n > 0 && wait > 0.0 {
            parts.push(part(Spent::Waiting, "wait".into(), wait));
        }
        let since = (frame.now - attempt.started_at.0).num_milliseconds() as f64 / 1e3;
        let (spent, took) = match (attempt.duration_s, &attempt.error) {
            (None, _) => (Spent::Running, since.max(0.0)),
            (Some(s), Some(_)) => (Spent::Failed, s),
            (Some(s), None) => match run.outcome {
                Some(Outcome::Success) | None => (Spent::Succeeded, s),
                Some(_) if n + 1 == last => (Spent::Failed, s),
                Some(_) => (Spent::Succeeded, s),
            },
        };
        parts.push(part(spent, format!("attempt {}", attempt.n), took));
        let took = chrono::TimeDelta::try_milliseconds((took * 1e3) as i64);
        end = took
            .and_then(|took| attempt.started_at.0.checked_add_signed(took))
            .unwrap_or(end);
    }
    parts
}

fn log(frame: &Frame, view: &RunView<'_>) -> Markup {
    html! {
        h2 { "Log, " (count(view.log.lines.len(), "line", "lines")) }
        @match view.log.lines.is_empty() {
            true => p.mute { "Nothing was logged within the run's span, or its lines are not kept any more." },
            false => {
                @if view.log.is_cut { p.sub { "Lines before these are gone: the last 200, and 64 KiB, are kept." } }
                pre tabindex="0" role="region" aria-label="Log" {
                    @for line in &view.log.lines {
                        time data-abs="" datetime=(iso(line.at)) { (line.at.format("%H:%M:%S")) }
                        " " b class={ "lv-" (level(&line.level)) } { (format!("{:<5}", level(&line.level))) } " " (contained(&line.text, LONGEST_LINE)) "\n"
                    }
                }
                p.sub { a href=(frame.to(&logs(view.run))) { "As plain text" } }
            }
        }
    }
}

/// A level that there is, whatever was stored.
fn level(level: &str) -> &'static str {
    ["ERROR", "WARN", "DEBUG", "TRACE"]
        .into_iter()
        .find(|l| *l == level)
        .unwrap_or("INFO")
}

fn facts(frame: &Frame, view: &RunView<'_>) -> Markup {
    let run = view.run;
    let exact = |at: crate::board::Stamp| html! { time.mono data-abs="ms" datetime=(iso(at.0)) title=(iso(at.0)) { (at.0.format("%H:%M:%S%.3f")) } };
    html! {
        dl {
            dt { "Due" } dd { (exact(run.due_at)) span.mute { " " (ago(run.due_at.0, frame.now)) } }
            dt { "Started" } dd { (exact(run.started_at)) span.mute { " (+" (seconds(run.start_delay_s)) ")" } }
            @if let Some(at) = run.ended_at { dt { "Ended" } dd { (exact(at)) } }
            @if let Some(s) = run.duration_s { dt { "Took" } dd { (seconds(s)) } }
            @if run.state == RunState::Running {
                @if let Some((at, policy)) = view.times_out_at().zip(view.policy) {
                    dt { "Time left" } dd { (left(at, frame.now)) span.mute { " of " (seconds(policy.timeout_s)) ", its timeout" } }
                }
                @if let Some(at) = view.lock.and_then(|lock| lock.lease_ends_at) {
                    dt { "Lease" } dd { (left(at.0, frame.now)) " left" @if let Some(ttl) = view.lock.and_then(|lock| lock.ttl_s) { span.mute { " of " (seconds(ttl)) ", renewed" } } }
                }
            }
            dt { "Trigger" } dd { (trigger(run)) @if let Some(reason) = &run.trigger.reason { span.sub { "“" (reason) "”" } } }
            dt { "Replica" } dd.mono { (run.instance) }
            @if let Some(part) = run.shard { dt { "Part" } dd { (part.index.saturating_add(1)) " of " (part.count) } }
            dt { "Attempts" } dd { (run.attempts.last().map_or(0, |attempt| attempt.n)) @if let Some(policy) = view.policy { " of " (policy.max_attempts) } }
            dt { "Fencing token" } dd.mono { (run.lock.fencing_token) }
            @if let Some(error) = &run.error {
                dt { "Error" } dd { span.tx-fail { (error.message) } @for cause in &error.chain { span.sub { "caused by: " (cause) } } }
            }
            @if let Some(who) = &run.found_by { dt { "Found by" } dd.mono { (who) } }
            @if let Some(id) = &run.trace_id {
                dt { "Trace" } dd.mono { @match &view.trace { Some(link) => a href=(link) rel="noreferrer" { (id) " ↗" }, None => (id) } }
            }
            @if let Some(params) = &run.params { dt { "Parameters" } dd { code { (params) } } }
            dt { "Run" } dd.mono { (run.id) }
        }
    }
}
