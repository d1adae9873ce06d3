//! What people do: forms that work without the script. Where that is there, dialogs are the browser's
//! own.

use chrono::{DateTime, SecondsFormat, Utc};
use maud::{Markup, html};

use super::frame::Frame;
use super::words::{clock, day_and_clock, path_part, relative};
use crate::board::{Instance, Lock, Run, Task};

/// Where the acts on a task go.
pub(super) fn task_path(task: &str) -> String {
    format!("/api/v1/tasks/{}", path_part(task))
}

/// What a form asks for: a method and a path of the API.
struct Act<'a>(&'a str, &'a str);

/// A dialog, and the form in it, which ends with a button: its word and its class.
fn dialog(
    frame: &Frame,
    (id, title): (&str, &str),
    Act(method, path): Act<'_>,
    fields: &Markup,
    (word, class): (&str, &str),
) -> Markup {
    html! {
        dialog popover id=(id) aria-labelledby={ (id) "-t" } {
            h2 id={ (id) "-t" } { (title) }
            form method="post" action=(frame.to(path)) {
                (method_of(method))
                (fields)
                div.bar {
                    button.by type="button" popovertarget=(id) popovertargetaction="hide" { "Close" }
                    a.btn.un href="#" { "Close" }
                    button class=(class) { (word) }
                }
            }
        }
    }
}

/// Forms know two methods: which other is meant, they say in a field.
pub(super) fn method_of(method: &str) -> Markup {
    html! { @if method != "POST" { input type="hidden" name="_method" value=(method); } }
}

fn reason() -> Markup {
    html! { label { span { (REASON) } input name="reason" required maxlength="500" autocomplete="off" autofocus; } }
}

fn length(options: &[(u64, &str)], chosen: u64, what: &str) -> Markup {
    html! {
        label { span { (what) }
            select name="for_s" { @for (s, words) in options { option value=(s) selected[*s == chosen] { (words) } } }
        }
    }
}

const REASON: &str = "Reason, for those who come after you";

/// RFC 3339, as browsers check it.
const INSTANT: &str = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+\-]\d\d:\d\d)";

const LENGTHS: [(u64, &str); 7] = [
    (900, "15 minutes"),
    (3_600, "1 hour"),
    (14_400, "4 hours"),
    (86_400, "1 day"),
    (259_200, "3 days"),
    (604_800, "7 days"),
    (2_592_000, "30 days"),
];

/// The form that the buttons of all rows send.
pub(super) fn row_form() -> Markup {
    html! { form #row method="post" hidden { input type="hidden" name="reason" value="asked for on the page"; } }
}

/// What can be done in a row: the rest is on the task's own page.
pub(super) fn row_buttons(frame: &Frame, task: &Task, link: &str) -> Markup {
    html! {
        @if frame.may.run { button.act form="row" formaction={ (frame.base) (task_path(&task.name)) "/runs" } aria-label={ "Run now: " (task.name) } data-row="r" { "Run now" } }
        @if frame.may.pause {
            @match task.pause {
                Some(_) => a.btn.act href={ (link) "#resume" } aria-label={ "Resume… " (task.name) } data-row="p" { "Resume…" },
                None => a.btn.act href={ (link) "#pause" } aria-label={ "Pause… " (task.name) } data-row="p" { "Pause…" },
            }
        }
    }
}

/// A button that opens a dialog; without the script, it is the browser that opens it.
pub(super) fn opens(id: &str, word: &str, key: Option<&str>, class: &str) -> Markup {
    html! { button type="button" class=(class) popovertarget=(id) data-key=[key] { (word) } }
}

pub(super) fn pause_all_buttons(is_paused: bool) -> Markup {
    match is_paused {
        true => opens("resume-all", "Resume all…", None, ""),
        false => opens("pause-all", "Pause all…", None, ""),
    }
}

pub(super) fn pause_all(frame: &Frame, is_paused: bool) -> Markup {
    let path = "/api/v1/pause";
    match is_paused {
        false => {
            let fields = html! { (reason()) (length(&LENGTHS, 3_600, "For how long")) };
            let title = ("pause-all", "Pause all tasks");
            dialog(
                frame,
                title,
                Act("PUT", path),
                &fields,
                ("Pause all tasks", "dan"),
            )
        }
        true => {
            let title = ("resume-all", "Resume all tasks");
            dialog(
                frame,
                title,
                Act("DELETE", path),
                &reason(),
                ("Resume all tasks", "pri"),
            )
        }
    }
}

/// The dialogs of a task's page, of those things that the viewer may do.
pub(super) fn of_task(frame: &Frame, task: &Task, past: &[DateTime<Utc>]) -> Markup {
    let path = |rest: &str| format!("{}/{rest}", task_path(&task.name));
    let (runs, pauses, skips, overrides) =
        (path("runs"), path("pause"), path("skips"), path("override"));
    let title = |verb: &str| format!("{verb} {}", task.name);
    html! {
        @if frame.may.run { (dialog(frame, ("run", &title("Run now:")), Act("POST", &runs), &run(frame, task, past), ("Run now", "pri"))) }
        @if frame.may.pause {
            (dialog(frame, ("pause", &title("Pause")), Act("PUT", &pauses), &pause(), ("Pause", "pri")))
            (dialog(frame, ("resume", &title("Resume")), Act("DELETE", &pauses), &reason(), ("Resume", "pri")))
            (dialog(frame, ("skip", "Skip the next fires"), Act("POST", &skips), &skip(), ("Skip", "pri")))
        }
        @if frame.may.override_ {
            (dialog(frame, ("override", "Override the schedule"), Act("PUT", &overrides), &override_(frame, task), ("Override", "pri")))
            (dialog(frame, ("reset", "Back to the schedule of the code"), Act("DELETE", &overrides), &reason(), ("End the override", "pri")))
        }
        @if frame.may.dynamic && task.kind != "code" {
            (dialog(frame, ("delete", &title("Delete")), Act("DELETE", &task_path(&task.name)), &delete(task), ("Delete the task", "dan")))
        }
    }
}

fn run(frame: &Frame, task: &Task, past: &[DateTime<Utc>]) -> Markup {
    html! {
        @match task.active.first() {
            Some(run) => p.note {
                a href=(frame.to_run(&run.id)) { "A run is active" } " on " (run.instance) " since " (clock(run.started_at.0)) ": a further one is refused, or waits if you ask for it."
                label.in { input type="checkbox" name="if_running" value="queue"; "Wait for the active run" }
            },
            None => p.mute { "No run of it is active: this one starts at once, on one replica." },
        }
        @if let Some(pause) = &task.pause {
            p.note {
                "The task is paused" @if let Some(actor) = &pause.actor { " by " (actor) } ": the run is refused unless you say otherwise."
                label.in { input type="checkbox" name="if_paused" value="run"; "Run although it is paused" }
            }
        }
        (reason())
        label {
            span { "As of a past fire, to make up for one instant; empty for now" }
            input.mono name="due_at" list="past" placeholder="now" maxlength="40" autocomplete="off" spellcheck="false" pattern=(INSTANT) title="An instant such as 2026-11-20T14:30:00Z";
            datalist #past { @for at in past { option value=(at.to_rfc3339_opts(SecondsFormat::Secs, true)) { (relative(*at, frame.now)) } } }
        }
        label { span { "Parameters as JSON, if the task reads any" } textarea.mono name="params" rows="2" maxlength="16384" spellcheck="false" data-json {} }
    }
}

/// The fields of a task's deletion, for which its name is typed.
fn delete(task: &Task) -> Markup {
    html! {
        p.note.bad { "The task fires no more, on no replica. Runs that go on end as they would; what is kept of its past stays for a while." }
        (typed(&task.name))
        (why())
    }
}

/// A field for the task's name, and nothing else.
fn typed(name: &str) -> Markup {
    let pattern = name.replace('.', "\\.");
    html! { label { span { "Type the task's name" } input required pattern=(pattern) autocomplete="off" placeholder=(name) autofocus; } }
}

/// The reason, in a form that begins with another field.
pub(super) fn why() -> Markup {
    html! { label { span { (REASON) } input name="reason" required maxlength="500" autocomplete="off"; } }
}

fn pause() -> Markup {
    html! {
        (reason())
        (length(&LENGTHS, 3_600, "For how long"))
        label { span { "Fires that are missed meanwhile" }
            select name="missed" { option value="drop" { "are gone" } option value="run_once" { "run once when the pause ends" } }
        }
    }
}

fn skip() -> Markup {
    html! {
        (reason())
        label { span { "How many" } input type="number" name="count" value="1" min="1" max="100" required; }
    }
}

fn override_(frame: &Frame, task: &Task) -> Markup {
    let schedule = &task.schedule;
    let shown = schedule
        .other
        .as_ref()
        .map_or(&schedule.cron, |other| &other.cron);
    html! {
        p.mute { "Code says " code { (schedule.cron) } ". That applies again when the override ends or is reset; a deployment does not touch the override." }
        label { span { "Schedule" } input.mono name="cron" value=(shown) required maxlength="1024" autocomplete="off" spellcheck="false" data-preview=(frame.to("/api/v1/schedule/preview")); }
        label { span { "Zone" } input name="timezone" value=(schedule.timezone) maxlength="64" autocomplete="off" spellcheck="false"; }
        p.mute #preview role="status" data-told {}
        (reason())
        (length(&LENGTHS, 86_400, "For how long"))
    }
}

/// The dialogs of a run's page.
pub(super) fn of_run(frame: &Frame, run: &Run, is_running: bool) -> Markup {
    let path = format!("/api/v1/runs/{}/cancel", path_part(&run.id));
    let again = format!("{}/runs", task_path(&run.task));
    let mode = |mode: &str| html! { input type="hidden" name="mode" value=(mode); (reason()) };
    let title = format!("Run {} again", run.task);
    let same = run.due_at.to_string();
    let fields = html! {
        (reason())
        label.in { input type="checkbox" name="due_at" value=(same); "For the same instant, " (day_and_clock(run.due_at.0)) }
        @if run.params.is_some() { p.mute { "It is given no parameters: secrets in those of this run are not kept. To give some, run the task from its own page." } }
    };
    html! {
        @if frame.may.run { (dialog(frame, ("again", &title), Act("POST", &again), &fields, ("Run again", "pri"))) }
        @if frame.may.cancel && is_running {
            (dialog(frame, ("cancel", "Cancel the run"), Act("POST", &path), &html! {
                p.mute { "The run is asked to end, and is dropped when its policy's grace is over." } (mode("graceful"))
            }, ("Cancel the run", "dan")))
            (dialog(frame, ("abort", "Abort the run"), Act("POST", &path), &html! {
                p.note.bad { "The run is dropped at once, at its next await. What it has begun stays as it is." } (mode("abort"))
            }, ("Abort the run", "dan")))
        }
    }
}

/// What is done with an instance: its button, and its dialog.
pub(super) fn drain(frame: &Frame, instance: &Instance, n: usize) -> (Markup, Markup) {
    let path = format!("/api/v1/instances/{}/drain", path_part(&instance.id));
    let id = format!("drain-{n}");
    let (word, method, text) = match instance.drain {
        None => (
            "Drain",
            "PUT",
            "It takes no new firings: others take them over. Its runs go on.",
        ),
        Some(_) => ("Undrain", "DELETE", "It takes firings again."),
    };
    let title = format!("{word} {}", instance.id);
    let fields = html! { p.mute { (text) } (reason()) };
    let button = html! { button.act type="button" popovertarget=(id) aria-label={ (word) "… " (instance.id) } { (word) "…" } };
    let act = Act(method, &path);
    (
        button,
        dialog(frame, (&id, &title), act, &fields, (word, "pri")),
    )
}

/// What is done with a lock: its button, and its dialog.
pub(super) fn unlock(frame: &Frame, lock: &Lock, n: usize) -> (Markup, Markup) {
    let path = format!("/api/v1/locks/{}", path_part(&lock.task));
    let id = format!("unlock-{n}");
    let title = format!("Release the lock of {}", lock.task);
    let fields = html! {
        input type="hidden" name="fencing_token" value=(lock.fencing_token);
        @match lock.holder_lives {
            true => p.note.bad { (lock.holder) " was heard of lately and may still be working: two runs may then work at once. Without force this is refused." },
            false => p.note { (lock.holder) " was not heard of lately. If it still lives, two runs may work at once until it finds that its lock is gone." },
        }
        (typed(&lock.task))
        (why())
        @if lock.holder_lives { label.in { input type="checkbox" name="force" value="true"; "Force: also if the holder lives" } }
    };
    let button = html! { button.act.dan type="button" popovertarget=(id) aria-label={ "Release… " (lock.task) } { "Release…" } };
    let act = Act("DELETE", &path);
    (
        button,
        dialog(
            frame,
            (&id, &title),
            act,
            &fields,
            ("Release the lock", "dan"),
        ),
    )
}
