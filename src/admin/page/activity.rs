//! The screen Activity: all that happened, in one feed.

use maud::{Markup, html};

use super::frame::{Frame, Screen};
use super::mark::{Mark, RUNNING};
use super::words::day_and_clock;
use crate::board::{Event, EventKind};

/// What the screen shows.
#[derive(Debug)]
pub(super) struct Activity {
    pub(super) events: Vec<Event>,
    /// Which of the chips is chosen.
    pub(super) chosen: &'static str,
    /// What is looked for.
    pub(super) q: String,
    /// The page after this one, as a query.
    pub(super) next: Option<String>,
}

/// Chips: how they are in the query, and how they are called.
pub(super) const CHIPS: [(&str, &str); 4] = [
    ("", "Everything"),
    ("run", "Runs"),
    ("failure", "Failures"),
    ("action", "Admin actions"),
];

pub(super) fn activity(frame: &Frame, view: &Activity) -> Markup {
    let main = html! {
        form.bar method="get" action=(frame.to("/activity")) role="search" {
            h1 { "Activity" } span.sp {}
            @for (kind, word) in CHIPS {
                a.chip href={ (frame.to("/activity")) @if !kind.is_empty() { "?kind=" (kind) } } aria-current=[(view.chosen == kind).then_some("true")] { (word) }
            }
            @if !view.chosen.is_empty() { input type="hidden" name="kind" value=(view.chosen); }
            input name="search" value=(view.q) placeholder="task, run, person" aria-label="Filter" maxlength="128" data-key="/";
        }
        section.card #feed data-live {
            @if view.events.is_empty() { p.mute { "Nothing of that kind is kept." } } @else {
                table {
                    thead { tr { th { "Time" } th { "What" } th.hid { "Kind" } th { "On" } th { "Detail" } th.hid { "Replica" } } }
                    tbody { @for event in &view.events { (row(frame, event)) } }
                }
            }
            @if let Some(next) = &view.next { p { a rel="next" href={ (frame.to("/activity")) "?" (next) } { "Older" } } }
        }
    };
    frame.page(Screen::Activity, ("Activity", None), &main)
}

fn row(frame: &Frame, event: &Event) -> Markup {
    let kind = match event.kind {
        EventKind::Run => "run",
        EventKind::Action => "admin",
    };
    html! {
        tr {
            td.mute.w { (day_and_clock(event.at.0)) }
            td.w { (mark(event)) }
            td.mute.hid { (kind) }
            td {
                @match (&event.task, &event.run_id) {
                    (Some(task), Some(run)) => a.nm href=(frame.to_run(run)) { (task) },
                    (Some(task), None) => a.nm href=(frame.to_task(task)) { (task) },
                    _ => {}
                }
            }
            td {
                (event.text)
                @if let Some(reason) = &event.reason { span.sub { @if let Some(actor) = &event.actor { (actor) ": " } "“" (reason) "”" } }
            }
            td.mono.mute.hid { @if let Some(instance) = &event.instance { (instance) } }
        }
    }
}

fn mark(event: &Event) -> Markup {
    if event.kind == EventKind::Run {
        return event.outcome.map_or(RUNNING, Mark::outcome).html();
    }
    let action = event.action.as_deref().unwrap_or("action");
    let mark = match event.result.as_deref() {
        Some("refused" | "not_taken") => Mark("fail", "✕", ""),
        _ => match action {
            "pause" | "skip" | "drain" => Mark("pause", "‖", ""),
            "cancel" | "unlock" => Mark("late", "!", ""),
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
