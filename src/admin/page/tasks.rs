//! The screen Tasks: is anything wrong, and what comes next.

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::forms;
use super::frame::{Frame, Screen};
use super::mark::{Mark, RUNNING};
use super::plot::{self, Bin};
use super::words::{ago, ahead, clock, count, held, left, seconds};
use crate::board::{Health, Pause, Task};
use crate::event::Outcome;

/// What the screen shows.
#[derive(Debug)]
pub(super) struct Tasks<'a> {
    /// How the tasks are, in a few words, and in more of them.
    pub(super) verdict: (&'a str, &'a str),
    /// Tasks that fit the filter, worst first.
    pub(super) tasks: Vec<&'a Task>,
    /// How many tasks of each health there are, without a filter.
    pub(super) counts: Vec<(Health, usize)>,
    /// All of them.
    pub(super) all: usize,
    /// When the timeline begins, its bars, and the tasks that are due too often to be in them.
    pub(super) timeline: (DateTime<Utc>, Vec<Bin>),
    pub(super) continuous: Vec<&'a str>,
    pub(super) filter: Filter,
    /// A pause of all tasks.
    pub(super) paused: Option<&'a Pause>,
}

/// Which tasks are shown.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    pub(super) q: String,
    pub(super) health: Option<Health>,
    pub(super) tag: Option<String>,
}

impl Filter {
    pub(super) fn fits(&self, task: &Task) -> bool {
        let q = self.q.to_lowercase();
        self.health.is_none_or(|health| task.health == health)
            && self.tag.as_ref().is_none_or(|tag| task.tags.contains(tag))
            && (q.is_empty() || searched(task).to_lowercase().contains(&q))
    }

    fn is_empty(&self) -> bool {
        self.q.is_empty() && self.health.is_none() && self.tag.is_none()
    }
}

/// What the filter looks at.
fn searched(task: &Task) -> String {
    format!("{} {}", task.name, task.tags.join(" "))
}

pub(super) fn tasks(frame: &Frame, view: &Tasks<'_>) -> Markup {
    let main = html! {
        div.verdict #verdict data-live {
            h1 { (view.verdict.0) } span.mute { (view.verdict.1) }
        }
        div #paused data-live {
            @if let Some(pause) = view.paused { p.note { b { "All tasks are paused" } " " (pause_words(pause)) } }
        }
        @if view.all == 0 { (empty(frame)) } @else { (filled(frame, view)) }
    };
    frame.page(Screen::Tasks, ("Tasks", None), &main)
}

fn filled(frame: &Frame, view: &Tasks<'_>) -> Markup {
    html! {
        section.card #timeline data-live {
            h2 { "Last 6 hours and next 24" }
            div.scroll tabindex="0" role="region" aria-label="Timeline" { (plot::timeline(view.timeline.0, frame.now, &view.timeline.1)) }
            div.legend {
                span { "succeeded" } span.l-fail { "failed" } span.l-due { "due" }
                @if !view.continuous.is_empty() {
                    b title=(view.continuous.join(", ")) { (count(view.continuous.len(), "continuous task", "continuous tasks")) " not drawn: " (names(&view.continuous)) }
                }
            }
        }
        form.bar method="get" action=(frame.to("/")) role="search" {
            (chip(frame, &view.filter, None, view.all))
            @for (health, n) in view.counts.iter().filter(|(_, n)| *n > 0) { (chip(frame, &view.filter, Some(*health), *n)) }
            @if let Some(tag) = &view.filter.tag { a.chip aria-current="true" href=(frame.to("/")) title="Show all" { "tag: " (tag) " ×" } input type="hidden" name="tag" value=(tag); }
            span.sp {}
            @if let Some(health) = view.filter.health { input type="hidden" name="health" value=(health.as_str()); }
            input name="q" value=(view.filter.q) placeholder="task or tag" aria-label="Filter tasks" maxlength="128" data-key="/";
            @if frame.may.dynamic { a.btn href=(frame.to("/new")) { "New task" } }
            @if frame.may.pause { (forms::pause_all_buttons(view.paused.is_some())) }
        }
        section.card #tasks data-live {
            table {
                thead { tr {
                    th { "State" } th { "Task" } th.hid { "Last 60 runs" } th.hid { "Schedule" } th.n.hid { "Last" } th.n { "Next" }
                    @if frame.may.run || frame.may.pause { th.n.hid { span.mute { "Do" } } }
                } }
                tbody { @for task in &view.tasks { (row(frame, task)) } }
            }
            @if view.tasks.is_empty() { p.mute { "No task fits. " a href=(frame.to("/")) { "Show all" } } }
        }
        @if frame.may.run { (forms::row_form()) }
        @if frame.may.pause { (forms::pause_all(frame, view.paused.is_some())) }
    }
}

fn names(names: &[&str]) -> String {
    let shown: Vec<&str> = names.iter().take(6).copied().collect();
    let more = if names.len() > 6 { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

fn chip(frame: &Frame, filter: &Filter, health: Option<Health>, n: usize) -> Markup {
    let is_current = match health {
        None => filter.is_empty(),
        some => filter.health == some,
    };
    let link = match health {
        None => frame.to("/"),
        Some(health) => frame.to(&format!("/?health={}", health.as_str())),
    };
    let word = health.map_or("all", Health::as_str);
    html! { a.chip href=(link) aria-current=[is_current.then_some("true")] { (word) " " (n) } }
}

fn row(frame: &Frame, task: &Task) -> Markup {
    let link = frame.to_task(&task.name);
    let is_calm = matches!(task.health, Health::Healthy | Health::New);
    let mark = match task.running && is_calm {
        true => RUNNING,
        false => Mark::health(task.health),
    };
    let other = task.schedule.other.as_ref();
    let (cron, text) = match other {
        Some(other) => (&other.cron, &other.text),
        None => (&task.schedule.cron, &task.schedule.text),
    };
    html! {
        tr data-name=(searched(task)) {
            td { (mark.html()) }
            td {
                a.nm href=(link) { (task.name) }
                @if other.is_some() { span.tag.ov { "override" } }
                @if task.running && !is_calm { span.tag { "running" } }
                @if task.drift { span.tag.ov { "differs" } }
                @if task.registered_on < task.instances { span.tag { "on " (task.registered_on) " of " (task.instances) } }
                @if let Some(on) = task.handler_on.filter(|on| *on < task.instances) { span.tag.ov { "handler on " (on) " of " (task.instances) " replicas" } }
                @for tag in &task.tags { span.tag { (tag) } }
                (sub(frame, task))
            }
            td.hid { (plot::strip(&marks(task))) }
            td.hid { code { (cron) } span.sub { (text) } }
            td.n.hid {
                @match &task.last_run {
                    Some(last) => { a href=(frame.to_run(&last.id)) { (ago(last.ended_at.0, frame.now)) } span.sub { @if let Some(s) = last.duration_s { (seconds(s)) } } }
                    None => "—",
                }
            }
            td.n { (next(frame, task)) }
            @if frame.may.run || frame.may.pause { td.n.hid { (forms::row_buttons(frame, task, &link)) } }
        }
    }
}

fn next(frame: &Frame, task: &Task) -> Markup {
    html! {
        @match (task.health, task.next_fire_at) {
            (Health::Overdue, _) => span.tx-late { "overdue" },
            (Health::Paused | Health::Disabled, _) | (_, None) => "—",
            (_, Some(at)) => (ahead(at.0, frame.now)),
        }
    }
}

/// The line below the name: what is wrong, or what goes on.
fn sub(frame: &Frame, task: &Task) -> Markup {
    let error = task.last_run.as_ref().and_then(|run| run.error.as_deref());
    html! {
        @match task.health {
            Health::Overdue => {
                span.sub.tx-late {
                    @match task.success_deadline_at { Some(at) => { "should have succeeded by " (clock(at.0)) ", " }, None => "" }
                    @match task.last_success_at { Some(at) => { "last success " (ago(at.0, frame.now)) }, None => "has never succeeded" }
                    @if let Some(error) = error { ": " (error) }
                }
            }
            Health::Failing => {
                span.sub.tx-fail {
                    (match task.consecutive_failures { 0 | 1 => "failed".to_owned(), n => format!("{n} failures in a row") })
                    @if let Some(error) = error { ": " (error) }
                }
            }
            Health::Late => span.sub.tx-late { "was due and has not succeeded since" },
            Health::Paused => { @if let Some(pause) = &task.pause { span.sub { (pause_words(pause)) } } }
            Health::New => { @if !task.running { span.sub { "has not run yet" } } }
            Health::Healthy | Health::Disabled => {}
        }
        @if let Some(run) = task.active.first() {
            span.sub {
                a href=(frame.to_run(&run.id)) { "on " (run.instance) } ", " (held(run.started_at.0, frame.now))
                @if let Some(at) = run.lease_ends_at { ", lock " (left(at.0, frame.now)) " left" }
                @if task.active.len() > 1 { ", and " (task.active.len() - 1) " more" }
            }
        }
    }
}

/// `by ana, until 18:00:00: “bank holiday”`.
pub(super) fn pause_words(pause: &Pause) -> Markup {
    html! {
        @if let Some(actor) = &pause.actor { "by " (actor) ", " }
        @if let Some(until) = pause.until { "until " (super::words::day_and_clock(until.0)) ": " }
        "“" (pause.reason) "”"
    }
}

fn marks(task: &Task) -> Vec<plot::Mark> {
    let ended = task.history.iter().map(|(outcome, s)| match outcome {
        Outcome::Success => plot::Mark::Success(*s),
        Outcome::Cancelled => plot::Mark::Skipped,
        _ => plot::Mark::Failure,
    });
    ended
        .chain(task.running.then_some(plot::Mark::Running))
        .collect()
}

/// What is shown where there is no task yet.
fn empty(frame: &Frame) -> Markup {
    html! {
        section.card {
            h2 { "No task is registered yet" }
            p { "Register one before the scheduler starts, and it is here within a second:" }
            pre { code { (FIRST) } }
            @if frame.may.dynamic { p { "Or " a href=(frame.to("/new")) { "store one" } " for a handler that code has registered." } }
        }
    }
}

const FIRST: &str = r#"scheduler.register(BaseTask::new(
    "reports.daily",
    "0 30 9 * * MON-FRI",
    Duration::from_secs(60),
    |ctx| async move {
        println!("report for {}", ctx.fire_time());
        Ok(())
    },
))?;"#;
