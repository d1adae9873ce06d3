//! The screen Cluster: who is alive, and who holds what.

use maud::{Markup, html};

use super::forms;
use super::frame::{Frame, Screen};
use super::mark::Mark;
use super::words::{ago, held, left, seconds, span};
use crate::board::{Instance, InstanceState, Lock, Snapshot};
use crate::control::DriftKind;
use crate::lock::Severity;

/// A clock that is further from the store's, in seconds, is marked.
const SKEW: f64 = 0.5;

pub(super) fn cluster(frame: &Frame, snapshot: &Snapshot) -> Markup {
    let (first, rest) = halves(&snapshot.summary.instances.text, "; ");
    let main = html! {
        div.verdict #verdict data-live { h1 { (first) } span.mute { (rest) } }
        section.card #replicas data-live { h2 { "Replicas" } (replicas(frame, &snapshot.instances)) }
        section.card #locks data-live { h2 { "Locks held now" } (locks(frame, &snapshot.locks)) }
        @if !snapshot.drifts.is_empty() {
            section.card #drift data-live { h2 { "Not the same on all replicas" } (drifts(frame, snapshot)) }
        }
        section.card #store data-live { h2 { "Lock's store" } (store(frame, snapshot)) }
    };
    frame.page(Screen::Cluster, ("Cluster", None), &main)
}

/// A text before and after where it is first cut.
pub(super) fn halves<'a>(text: &'a str, cut: &str) -> (&'a str, &'a str) {
    text.split_once(cut).unwrap_or((text, ""))
}

fn replicas(frame: &Frame, instances: &[Instance]) -> Markup {
    let dash = || html! { "—" };
    let ms = |s: Option<f64>| s.map_or_else(dash, |s| html! { (millis(s)) });
    let drain = |n, instance: &Instance| frame.may.drain.then(|| forms::drain(frame, instance, n));
    html! {
        @if instances.is_empty() { p.mute { "No replica is known: the scheduler has no store for its fleet." } } @else {
            table {
                thead { tr { th { "State" } th { "Replica" } th.hid { "Version" } th.n { "Running" } th.n.hid { "Tasks" } th.n.hid { "Up" } th.n { "Heard of" } th.n.hid { "Clock" } th.n.hid { "Store" } @if frame.may.drain { th.n.hid { span.mute { "Do" } } } } }
                tbody {
                    @for (n, i) in instances.iter().enumerate() {
                        tr {
                            td { (state(i.state).html()) @if let Some(drain) = &i.drain { span.sub { "by " (drain.actor) ": “" (drain.reason) "”" } } }
                            td { span.mono { (i.id) } @if i.is_this { span.tag { "answers you" } } span.sub.hid { (i.host) } }
                            td.mono.hid { @if let Some(version) = &i.application { (version) span.sub { "tasklock " (i.version) } } @else { "tasklock " (i.version) } }
                            td.n { (i.running) @if let Some(limit) = i.limit { " / " (limit) } }
                            td.n.hid { (i.tasks) }
                            td.n.hid { (span(frame.now - i.started_at.0)) }
                            td.n { (ago(i.said_at.0, frame.now)) }
                            td.n.hid { @match i.clock_skew_s { Some(s) => span.tx-late[s.abs() > SKEW] { @if s <= -0.001 { "−" } @else if s >= 0.001 { "+" } (millis(s.abs())) } None => "—" } }
                            td.n.hid { (ms(i.store_round_trip_s)) }
                            @if let Some((button, dialog)) = drain(n, i) { td.n.hid { (button) (dialog) } }
                        }
                    }
                }
            }
        }
    }
}

/// What is told in whole milliseconds.
fn millis(s: f64) -> String {
    match s < 0.001 {
        true => "< 1 ms".to_owned(),
        false => seconds(s),
    }
}

fn state(state: InstanceState) -> Mark {
    match state {
        InstanceState::Ready => Mark("ok", "✓", "ready"),
        InstanceState::Draining => Mark("pause", "↓", "draining"),
        InstanceState::Stopping => Mark("off", "↓", "stopping"),
        InstanceState::Lost => Mark("fail", "?", "lost"),
    }
}

fn locks(frame: &Frame, locks: &[Lock]) -> Markup {
    let unlock = |n, lock: &Lock| frame.may.unlock.then(|| forms::unlock(frame, lock, n));
    html! {
        @if locks.is_empty() { p.mute { "None." } } @else {
            table {
                thead { tr { th { "Task" } th { "Holder" } th.n.hid { "Fencing token" } th.n { "Lease left" } th.n { "Held" } @if frame.may.unlock { th.n.hid { span.mute { "Do" } } } } }
                tbody {
                    @for (n, lock) in locks.iter().enumerate() {
                        tr {
                            td { a.nm href=(frame.to_run(&lock.run_id)) { (lock.task) } }
                            td { span.mono { (lock.holder) } @if !lock.holder_lives { span.sub.tx-late { "not heard of lately" } } }
                            td.n.mono.hid { (lock.fencing_token) }
                            td.n {
                                @match lock.lease_ends_at { Some(at) => (left(at.0, frame.now)), None => "—" }
                                @if let Some(s) = lock.ttl_s { span.mute { " of " (seconds(s)) } }
                            }
                            td.n { (held(lock.since.0, frame.now)) }
                            @if let Some((button, dialog)) = unlock(n, lock) { td.n.hid { (button) (dialog) } }
                        }
                    }
                }
            }
        }
    }
}

fn drifts(frame: &Frame, snapshot: &Snapshot) -> Markup {
    html! {
        table {
            thead { tr { th { "Task" } th { "In" } th { "Who has what" } } }
            tbody {
                @for drift in &snapshot.drifts {
                    tr {
                        td { a.nm href=(frame.to_task(drift.task.as_str())) { (drift.task) } }
                        td { (match drift.kind { DriftKind::Schedule => "schedule", DriftKind::Policy => "policy" }) }
                        td { @for (what, who) in &drift.variants { span.sub { code { (what) } " on " (who.join(", ")) } } }
                    }
                }
            }
        }
    }
}

fn store(frame: &Frame, snapshot: &Snapshot) -> Markup {
    let store = &snapshot.summary.store;
    let mark = match store.status.as_str() {
        "ok" => Mark("ok", "✓", "answers"),
        "down" => Mark("fail", "✕", "does not answer"),
        _ => Mark("off", "?", "not known"),
    };
    html! {
        dl {
            dt { "State" } dd { (mark.html()) @if let Some(since) = store.down_since { " since " (ago(since.0, frame.now)) } }
            @if let Some(place) = &store.place { dt { "What" } dd.mono { (place) } }
            @if let Some(s) = store.latency_s { dt { "Answers in" } dd { (seconds(s)) } }
            @for finding in &snapshot.findings {
                dt { (finding.subject) }
                dd {
                    @match finding.severity {
                        Severity::Ok => (finding.text),
                        Severity::Warning => (Mark("late", "!", "").saying(&finding.text)),
                        _ => (Mark("fail", "✕", "").saying(&finding.text)),
                    }
                }
            }
            dt { "tasklock" } dd.mono { (snapshot.summary.version) }
        }
    }
}
