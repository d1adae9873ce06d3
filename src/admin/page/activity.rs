//! The screen Activity: all that happened, in one feed.

use maud::{Markup, html};

use super::frame::{Frame, Screen};
use super::mark::{Mark, RUNNING};
use super::words::day_and_clock;
use crate::board::{Event, EventKind};
use crate::event::Decision;

/// What the screen shows.
#[derive(Debug)]
pub(super) struct View {
    pub(super) events: Vec<Event>,
    /// Which of the chips is chosen.
    pub(super) chosen: &'static str,
    /// What is looked for.
    pub(super) q: String,
    /// The task that it is about, if it is about one.
    pub(super) task: Option<String>,
    /// The page after this one, as a cursor.
    pub(super) next: Option<String>,
    /// It is not the first page.
    pub(super) is_older: bool,
}

/// Chips: how they are in the query, and how they are called.
pub(super) const CHIPS: [(&str, &str); 6] = [
    ("", "Everything"),
    ("run", "Runs"),
    ("failure", "Failures"),
    ("skip", "Skipped"),
    ("action", "Admin actions"),
    ("cluster", "Cluster"),
];

impl View {
    /// The address of the same with another chip, or further back.
    fn link(&self, frame: &Frame, (kind, task): (&str, bool), cursor: Option<&str>) -> String {
        let task = self.task.as_deref().filter(|_| task).unwrap_or_default();
        let said = [
            ("kind", kind),
            ("task", task),
            ("search", &self.q),
            ("cursor", cursor.unwrap_or_default()),
        ];
        let said = said.into_iter().filter(|(_, value)| !value.is_empty());
        let query = serde_urlencoded::to_string(said.collect::<Vec<_>>()).unwrap_or_default();
        match query.is_empty() {
            true => frame.to("/activity"),
            false => frame.to(&format!("/activity?{query}")),
        }
    }
}

pub(super) fn activity(frame: &Frame, view: &View) -> Markup {
    let main = html! {
        form.bar method="get" action=(frame.to("/activity")) role="search" {
            h1 { "Activity" } span.sp {}
            @for (kind, word) in CHIPS {
                a.chip href=(view.link(frame, (kind, true), None)) aria-current=[(view.chosen == kind).then_some("true")] { (word) }
            }
            @if let Some(task) = &view.task {
                a.chip aria-current="true" href=(view.link(frame, (view.chosen, false), None)) title="Of all tasks" { "task: " (task) " ×" }
                input type="hidden" name="task" value=(task);
            }
            @if !view.chosen.is_empty() { input type="hidden" name="kind" value=(view.chosen); }
            input name="search" value=(view.q) placeholder="task, run, person" aria-label="Filter" maxlength="128" data-key="/";
        }
        section.card #feed data-live {
            @if view.events.is_empty() { p.mute { "Nothing of that kind is kept" @if view.next.is_some() { " among what was looked through: look further back" } "." } } @else {
                table {
                    thead { tr { th { "Time" } th { "What" } th.hid { "Kind" } th { "On" } th { "Detail" } th.hid { "Replica" } } }
                    tbody { @for event in &view.events { (row(frame, event)) } }
                }
            }
            p.bar.nav {
                @if view.is_older { a rel="first" href=(view.link(frame, (view.chosen, true), None)) { "Newest" } }
                @if let Some(next) = &view.next { a rel="next" href=(view.link(frame, (view.chosen, true), Some(next))) { "Older" } }
            }
        }
    };
    frame.page(Screen::Activity, ("Activity", None), &main)
}

fn row(frame: &Frame, event: &Event) -> Markup {
    let kind = match event.kind {
        EventKind::Run => "run",
        EventKind::Action => "admin",
        EventKind::Skip => "fire",
        EventKind::Cluster => "cluster",
    };
    html! {
        tr {
            td.mute.w { (day_and_clock(event.at.0)) }
            td.w { (mark(event)) }
            td.mute.hid { (kind) }
            td {
                @match (&event.task, &event.run_id, event.kind) {
                    (Some(task), Some(run), _) => a.nm href=(frame.to_run(run)) { (task) },
                    (Some(task), None, _) => a.nm href=(frame.to_task(task)) { (task) },
                    (None, _, EventKind::Cluster) => a.nm href=(frame.to("/cluster")) { (event.instance.as_deref().unwrap_or("fleet")) },
                    _ => {}
                }
            }
            td {
                @if !event.detail.is_empty() { (event.detail) }
                @if let Some(reason) = &event.reason {
                    span.sub[!event.detail.is_empty()] { @if let Some(actor) = &event.actor { (actor) ": " } "“" (reason) "”" }
                }
            }
            td.mono.mute.hid.rep title=[event.instance.as_ref()] { @if let Some(instance) = &event.instance { (instance) } }
        }
    }
}

fn mark(event: &Event) -> Markup {
    let what = event.action.as_deref().unwrap_or_default();
    match event.kind {
        EventKind::Run => return event.outcome.map_or(RUNNING, Mark::outcome).html(),
        EventKind::Skip => return skipped(event.decision).html(),
        EventKind::Cluster => return happened(what).html(),
        EventKind::Action => {}
    }
    let action = event.action.as_deref().unwrap_or("action");
    let mark = match event.result.as_deref() {
        Some("refused" | "not_taken") => Mark("fail", "✕", ""),
        _ => match action {
            "pause" | "skip" | "drain" => Mark("pause", "‖", ""),
            "cancel" | "unlock" | "delete" => Mark("late", "!", ""),
            "run" => Mark("run", "▸", ""),
            _ => Mark("ok", "✓", ""),
        },
    };
    let word = match event.result.as_deref() {
        Some("refused") => format!("{action} refused"),
        Some("not_taken") => format!("{action} not taken"),
        Some("asked") => format!("{action} asked"),
        _ => action.to_owned(),
    };
    mark.saying(&word)
}

/// Why firings did not run.
fn skipped(decision: Option<Decision>) -> Mark {
    match decision {
        Some(Decision::Paused) => Mark("pause", "‖", "paused"),
        Some(Decision::Overlap) => Mark("off", "–", "skipped"),
        Some(Decision::Misfired) => Mark("late", "!", "missed"),
        Some(Decision::StoreDown) => Mark("fail", "✕", "no store"),
        Some(Decision::Limited) => Mark("late", "…", "no room"),
        Some(Decision::Draining) => Mark("off", "↓", "stopping"),
        _ => Mark("off", "–", "skipped"),
    }
}

/// What happened to the fleet.
fn happened(what: &str) -> Mark {
    match what {
        "joined" => Mark("ok", "✓", "joined"),
        "left" => Mark("off", "–", "left"),
        "lost" => Mark("fail", "?", "lost"),
        "drained" => Mark("pause", "↓", "drained"),
        "undrained" => Mark("ok", "✓", "undrained"),
        _ => Mark("late", "≠", "drift"),
    }
}
