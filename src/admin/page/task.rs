//! The screen Task: to understand one task, and to steer it.

use chrono::{DateTime, TimeDelta, Utc};
use maud::{Markup, html};

use super::forms;
use super::frame::{Frame, Screen};
use super::mark::{Mark, RUNNING};
use super::plot::{self, Took};
use super::tasks::pause_words;
use super::words::{ago, ahead, clock, count, day_and_clock, iso, path_part, seconds};
use crate::board::{Fire, Health, Run, Task, Why};
use crate::event::Outcome;
use crate::history::is_failure;

/// What the screen shows.
#[derive(Debug)]
pub(super) struct TaskView<'a> {
    pub(super) task: &'a Task,
    /// The next fire times.
    pub(super) fires: Vec<Fire>,
    /// The last ones, latest first.
    pub(super) past: Vec<DateTime<Utc>>,
    /// The last runs of all outcomes, newest first, for the plots.
    pub(super) last: Vec<Run>,
    /// They cannot be read now.
    pub(super) is_lost: bool,
    /// Runs as they are asked for, newest first.
    pub(super) runs: Vec<Run>,
    pub(super) outcome: Option<Outcome>,
    /// The page after this one, as a query.
    pub(super) next: Option<String>,
    /// The answer to why it ran at an instant, or did not; or why there is none.
    pub(super) why: Option<Result<Why, String>>,
    pub(super) asked_at: Option<DateTime<Utc>>,
}

pub(super) fn task(frame: &Frame, view: &TaskView<'_>) -> Markup {
    let task = view.task;
    // What cannot be read now stays as it was, in pages that are open.
    let live = if view.is_lost { "lost" } else { "" };
    let main = html! {
        div.bar #head data-live {
            h1 { (task.name) }
            (state(task))
            @if task.running && !matches!(task.health, Health::Healthy | Health::New) { (RUNNING.html()) }
            @for tag in &task.tags { a.chip href=(frame.to(&format!("/?tag={}", path_part(tag)))) { (tag) } }
            span.sp {}
            (buttons(frame, task))
        }
        div #notes data-live { @if view.is_lost { p.note { "The runs of this task cannot be read now." } } (notes(frame, task)) }
        @if task.description.is_some() || task.source.is_some() {
            p.mute { @if let Some(text) = &task.description { (text) " " } @if let Some(source) = &task.source { code { (source) } } }
        }
        div.grid {
            div {
                section.card #durations data-live=(live) {
                    h2 { "Duration of the last " (view.last.len()) " runs" }
                    (durations(frame, view))
                }
                section.card {
                    h2 { "Runs" }
                    (outcomes(frame, view))
                    div #runs data-live=(live) { (runs(frame, view)) }
                }
            }
            div {
                section.card #facts data-live { h2 { "Schedule and policy" } (facts(frame, task)) }
                section.card #fires data-live { h2 { "Next fires" } (fires(frame, view)) }
                section.card #heat data-live=(live) { (heat(frame, view)) }
                section.card #why { h2 { "Why did it not run?" } (why(frame, view)) }
            }
        }
        (forms::of_task(frame, task, &view.past))
    };
    let zone = task.schedule.timezone.as_str();
    frame.page(Screen::Tasks, (&task.name, Some(zone)), &main)
}

fn state(task: &Task) -> Markup {
    match (task.health, task.consecutive_failures) {
        (Health::Failing, n @ 2..) => {
            Mark::health(task.health).saying(&format!("failing, {n} in a row"))
        }
        (Health::Healthy | Health::New, _) if task.running => RUNNING.html(),
        (health, _) => Mark::health(health).html(),
    }
}

fn buttons(frame: &Frame, task: &Task) -> Markup {
    html! {
        @if frame.may.run { (forms::opens("run", "Run now", Some("r"), "pri")) }
        @if frame.may.pause {
            @match task.pause {
                Some(_) => (forms::opens("resume", "Resume…", Some("p"), "")),
                None => (forms::opens("pause", "Pause…", Some("p"), "")),
            }
            (forms::opens("skip", "Skip next fire…", None, ""))
        }
        @if frame.may.override_ {
            (forms::opens("override", "Override schedule…", None, ""))
            @if task.schedule.other.is_some() { (forms::opens("reset", "Reset…", None, "")) }
        }
        @if frame.may.dynamic && task.kind != "code" {
            a.btn href={ (frame.to_task(&task.name)) "/edit" } { "Edit" }
            (forms::opens("delete", "Delete…", None, "dan"))
        }
    }
}

/// What somebody has to know before all else.
fn notes(frame: &Frame, task: &Task) -> Markup {
    html! {
        @if let Some(pause) = &task.pause { p.note { b { "Paused" } " " (pause_words(pause)) } }
        @if let Some(other) = &task.schedule.other {
            p.note { b { "Override" } " by " (other.actor) ": " code { (other.cron) } ", " (other.text) ", until " (day_and_clock(other.until.0)) ", “" (other.reason) "”. Code says " code { (task.schedule.cron) } "." }
        }
        @if !task.skips.is_empty() {
            p.note { b { "Skipped" } ": " @for (n, at) in task.skips.iter().take(5).enumerate() { @if n > 0 { ", " } (day_and_clock(at.0)) } @if task.skips.len() > 5 { " and " (task.skips.len() - 5) " more" } }
        }
        @if task.drift { p.note { b { "Not the same on all replicas: " } a href=(frame.to("/cluster")) { "see Cluster" } } }
        @if task.registered_on < task.instances { p.note { "Registered on " (task.registered_on) " of " (task.instances) " replicas: the others do not run it." } }
        @if let Some(on) = task.handler_on.filter(|on| *on < task.instances) {
            p.note { "Handler " code { (task.kind) } " on " (on) " of " (task.instances) " replicas: the others leave its firings to them." }
        }
        @for lint in &task.schedule.lint { p.note { (lint.text) } }
    }
}

fn facts(frame: &Frame, task: &Task) -> Markup {
    html! {
        dl {
            dt { "Cron" } dd { code { (task.schedule.cron) } }
            dt { "Reads" } dd { (task.schedule.text) }
            dt { "Zone" } dd { (task.schedule.timezone) }
            @if task.kind != "code" { dt { "Kind" } dd { (task.kind) } }
            @if let Some(policy) = &task.policy {
                dt { "Overlap" } dd { (spoken(&policy.overlap)) }
                dt { "Misfire" } dd { (spoken(&policy.misfire)) ", after " (seconds(policy.misfire_threshold_s)) }
                dt { "Timeout" } dd { (seconds(policy.timeout_s)) }
                dt { "Attempts" } dd { (policy.max_attempts) }
                dt { "Died with" } dd { (match policy.recovery.as_str() { "rerun" => "run again", _ => "skipped" }) }
                @if policy.scope != "once" { dt { "Runs on" } dd { (spoken(&policy.scope)) @if let Some(n) = policy.shards { ", " (n) " parts" } } }
                dt { "Lock" } dd { (seconds(policy.lock_ttl_s)) ", renewed while it runs" }
                @if policy.jitter_s + policy.spread_s > 0.0 { dt { "Starts" } dd { "up to " (seconds(policy.jitter_s + policy.spread_s)) " later" } }
                @if let Some(n) = policy.pause_after { dt { "Paused after" } dd { (n) " failures in a row" } }
            }
            @if let Some(at) = task.success_deadline_at {
                dt { "Deadline" } dd class=[(task.health == Health::Overdue).then_some("tx-late")] { "success due by " (day_and_clock(at.0)) }
            }
            dt { "Last success" } dd { @match task.last_success_at { Some(at) => (ago(at.0, frame.now)), None => "none yet" } }
            @if let Some(ratio) = task.stats.success_ratio {
                dt { "Last " (seconds(task.stats.window_s)) } dd { (count(task.stats.runs, "run", "runs")) ", " (format!("{:.1}", ratio * 100.0)) " % succeeded" @if let Some(p) = task.stats.p50_s { ", half within " (seconds(p)) } }
            }
            dt { "Registered" } dd { "on " (task.registered_on) " of " (task.instances) }
        }
    }
}

/// `run_once` as people say it.
fn spoken(word: &str) -> String {
    word.replace('_', " ")
}

fn durations(frame: &Frame, view: &TaskView<'_>) -> Markup {
    let ended: Vec<Took> = view
        .last
        .iter()
        .rev()
        .filter_map(|run| {
            let (outcome, seconds) = (run.outcome?, run.duration_s?);
            let failure = is_failure(outcome);
            let error = run
                .error
                .as_ref()
                .map_or("", |error| error.message.as_str());
            let short: String = error.chars().take(80).collect();
            let title = || format!("{} {}: {short}", run.started_at, Mark::outcome(outcome).2);
            Some(Took {
                seconds,
                failure: failure.then(|| (frame.to_run(&run.id), title())),
            })
        })
        .collect();
    let since = view
        .last
        .last()
        .map(|run| run.started_at.0.format("%d %b %H:%M").to_string());
    let timeout = view.task.policy.as_ref().map(|policy| policy.timeout_s);
    html! {
        @match ended.is_empty() {
            true => p.mute { "No run has ended yet." },
            false => {
                div.scroll tabindex="0" role="region" aria-label="Durations" { (plot::durations(&ended, view.task.stats.p95_s, timeout, since.as_deref().unwrap_or_default())) }
                div.legend { span { "succeeded" } span.l-fail { "failed" } }
            }
        }
    }
}

fn heat(frame: &Frame, view: &TaskView<'_>) -> Markup {
    let runs = || {
        view.last.iter().map(|run| {
            let failed = run.outcome.is_some_and(is_failure);
            (run.started_at.0, failed)
        })
    };
    // What was before is not known: it is not kept any more, or the task was not there.
    let oldest = view.last.last().map(|run| run.started_at.0);
    let since = oldest.unwrap_or(frame.now);
    let mut gaps = view.fires.iter().zip(view.fires.iter().skip(1));
    let is_rare = gaps
        .next()
        .is_some_and(|(a, b)| b.at.0 - a.at.0 >= TimeDelta::hours(20));
    html! {
        @match is_rare {
            true => { h2 { "By day, last 26 weeks" } (plot::calendar(frame.now, since, runs())) }
            false => { h2 { "By hour, last 14 days" } (plot::hours(frame.now, since, runs())) }
        }
        div.legend { span { "succeeded" } span.l-fail { "failed" } span.l-none { "none" } }
    }
}

fn fires(frame: &Frame, view: &TaskView<'_>) -> Markup {
    let zone = &view.task.schedule.timezone;
    html! {
        @if view.fires.is_empty() { p.mute { "None that the clock alone tells." } }
        @if zone != "UTC" && !view.fires.is_empty() { p.sub { "in " (zone) ", below in yours" } }
        dl {
            @for fire in &view.fires {
                dt { (ahead(fire.at.0, frame.now)) }
                dd {
                    @if zone == "UTC" { (day_and_clock(fire.at.0)) } @else {
                        span.mono title=(iso(fire.at.0)) { (local(&fire.local)) }
                        span.sub { (day_and_clock(fire.at.0)) }
                    }
                    @if let Some(note) = &fire.note { span.sub.tx-late { (note) } }
                    @if let Some(who) = &fire.held_back { span.sub { (who) } }
                }
            }
        }
    }
}

/// `Fri 20 Nov 14:35:00` of an RFC 3339 time, on its own clock.
fn local(text: &str) -> String {
    match DateTime::parse_from_rfc3339(text) {
        Ok(at) => at.format("%a %d %b %H:%M:%S").to_string(),
        Err(_) => text.to_owned(),
    }
}

fn outcomes(frame: &Frame, view: &TaskView<'_>) -> Markup {
    let link = frame.to_task(&view.task.name);
    html! {
        div.bar {
            a.chip href=(link) aria-current=[view.outcome.is_none().then_some("true")] { "all" }
            @for outcome in Outcome::ALL {
                a.chip href={ (link) "?outcome=" (outcome.as_str()) } aria-current=[(view.outcome == Some(*outcome)).then_some("true")] { (Mark::outcome(*outcome).2) }
            }
        }
    }
}

fn runs(frame: &Frame, view: &TaskView<'_>) -> Markup {
    html! {
        @if view.runs.is_empty() { p.mute { "No such run is kept." } } @else {
            table {
                thead { tr { th { "Outcome" } th.hid { "Run" } th.hid { "Trigger" } th.n { "Started" } th.n.hid { "Delay" } th.n { "Duration" } th { "Error" } th.hid { "Replica" } } }
                tbody { @for run in &view.runs { (row(frame, run)) } }
            }
            @if let Some(next) = &view.next { p { a rel="next" href={ (frame.to_task(&view.task.name)) "?" (next) } { "Older runs" } } }
        }
    }
}

fn row(frame: &Frame, run: &Run) -> Markup {
    let short: String = run.id.chars().take(10).collect();
    html! {
        tr {
            td.w { a.nm.in href=(frame.to_run(&run.id)) { (Mark::run(run).html()) } }
            td.mono.w.hid { (short) }
            td.w.hid { (trigger(run)) }
            td.n { (ago(run.started_at.0, frame.now)) }
            td.n.hid { (seconds(run.start_delay_s)) }
            td.n { @match run.duration_s { Some(s) => (seconds(s)), None => "…" } }
            td.err { @if let Some(error) = &run.error { (error.message.chars().take(200).collect::<String>()) } }
            td.mono.mute.hid.rep title=(run.instance) { (run.instance) }
        }
    }
}

/// `schedule`, or `manual · ana`.
pub(super) fn trigger(run: &Run) -> Markup {
    html! { (spoken(run.trigger.kind.as_str())) @if let Some(actor) = &run.trigger.actor { " · " (actor) } }
}

fn why(frame: &Frame, view: &TaskView<'_>) -> Markup {
    // Of one that is asked about, or of the last one that ran.
    let last = view.last.first().map(|run| run.due_at.0);
    let at = view.asked_at.or(last);
    let at = at.map(|at| at.format("%Y-%m-%dT%H:%M:%S").to_string());
    html! {
        form method="get" action={ (frame.to_task(&view.task.name)) "#why" } {
            label { span.sub { "Instant, in UTC" } input type="datetime-local" name="at" step="1" value=[at]; }
            " " button { "Explain" }
        }
        @match &view.why {
            None => p.mute { "Each replica notes what it decides of each fire; ask about an instant." },
            Some(Err(error)) => p.note.bad { (error) },
            Some(Ok(why)) => {
                p { (why.text) }
                @if !why.decisions.is_empty() {
                    dl {
                        @for decided in &why.decisions {
                            dt.mono { (decided.instance) }
                            dd { (spoken(decided.decision.as_str())) @if let Some(holder) = &decided.holder { " · " (holder) } }
                        }
                    }
                }
                @for run in &why.runs { p { a href=(frame.to_run(&run.id)) { (Mark::run(run).html()) " " (clock(run.started_at.0)) } } }
            }
        }
    }
}
