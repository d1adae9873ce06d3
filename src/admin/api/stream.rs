//! Streams of events: what a run logs, what changes. They end when the scheduler stops, so that a server
//! that drains does not wait for them.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::Response;
use futures_util::stream::{self, Stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::admin::api::tasks::Nothing;
use crate::admin::call::Call;
use crate::admin::problem::Problem;
use crate::admin::reply::{Answer, Reply};
use crate::admin::state::AdminState;
use crate::board::{Snapshot, Stamp};
use crate::history::{History, LogLine};
use crate::task::RunId;
use crate::text::contained;

/// How often is looked for something new.
const LOOK: Duration = Duration::from_secs(1);
/// After so many looks without anything new something is sent, so that nobody takes it for dead.
const QUIET: u32 = 15;
/// A stream lasts no longer than so many looks; browsers come back by themselves.
const LONGEST: u32 = 3_600;

/// From which line on.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LogQuery {
    /// Lines after the one of this number. Default: all that are kept.
    after: Option<u64>,
}

/// A line that a run has logged.
#[derive(Debug, Serialize)]
struct Line<'a> {
    n: u64,
    at: Stamp,
    level: &'a str,
    target: &'a str,
    text: String,
}

impl<'a> Line<'a> {
    fn of(line: &'a LogLine) -> Self {
        Self {
            n: line.number,
            at: line.at.into(),
            level: &line.level,
            target: &line.target,
            text: contained(&line.text, 64 * 1024),
        }
    }

    fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

pub(super) async fn log(call: Call) -> Answer {
    let query: LogQuery = call.query()?;
    let history = call.history()?;
    let id = call.run_id()?;
    if history.run(id).await?.is_none() {
        return Err(call.no_run(call.part("id")));
    }
    let last = call.header("last-event-id").and_then(|id| id.parse().ok());
    let after = query.after.or(last).unwrap_or_default();
    let accept = call.header(header::ACCEPT.as_str()).unwrap_or_default();
    if accept.contains("text/event-stream") {
        let state = call.state.clone();
        return follow(&call, |sender| {
            follow_log(state, history, (id, after), sender)
        });
    }
    let tail = history.log(id, after).await?;
    let lines = tail.lines.iter().map(Line::of);
    if accept.contains("text/plain") {
        let text: String = lines
            .map(|line| {
                format!(
                    "{} {:5} {}: {}\n",
                    line.at, line.level, line.target, line.text
                )
            })
            .collect();
        let mut reply = Reply::of(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text));
        reply.set(
            header::CONTENT_DISPOSITION,
            &format!("inline; filename=\"{id}.log\""),
        );
        return Ok(reply);
    }
    let text: String = lines.map(|line| line.json() + "\n").collect();
    Ok(Reply::of((
        [(header::CONTENT_TYPE, "application/x-ndjson")],
        text,
    )))
}

pub(super) async fn events(call: Call) -> Answer {
    call.query::<Nothing>()?;
    let is_back = call.header("last-event-id").is_some();
    let state = call.state.clone();
    follow(&call, |sender| follow_board(state, is_back, sender))
}

/// An answer that goes on, of what `work` sends.
fn follow<W>(call: &Call, work: impl FnOnce(Sender) -> W) -> Answer
where
    W: Future<Output = ()> + Send + 'static,
{
    let Ok(permit) = call.state.streams.clone().try_acquire_owned() else {
        let text = "as many streams go on as may";
        return Err(Problem::new("too-many-triggers", text).again_after(5));
    };
    let (to, from) = mpsc::channel(16);
    let sender = Sender {
        to,
        _permit: permit,
    };
    let (stopping, work) = (call.state.stopping.clone(), work(sender));
    tokio::spawn(async move {
        tokio::select! {
            () = stopping.cancelled() => {}
            () = work => {}
        }
    });
    let body = Body::from_stream(received(from));
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::OK;
    let mut reply = Reply::of(response);
    reply.set(header::CONTENT_TYPE, "text/event-stream");
    reply.set(header::CACHE_CONTROL, "no-store");
    Ok(reply)
}

fn received(
    from: mpsc::Receiver<String>,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
    stream::unfold(from, |mut from| async move {
        let text = from.recv().await?;
        Some((Ok(Bytes::from(text)), from))
    })
}

/// Sends events to somebody who may be gone.
struct Sender {
    to: mpsc::Sender<String>,
    _permit: OwnedSemaphorePermit,
}

impl Sender {
    /// False if nobody listens any more. `data` is one line.
    async fn event(&self, kind: &str, id: impl std::fmt::Display, data: &str) -> bool {
        let text = format!("event: {kind}\nid: {id}\ndata: {data}\n\n");
        self.to.send(text).await.is_ok()
    }

    async fn comment(&self) -> bool {
        self.to.send(": still here\n\n".to_owned()).await.is_ok()
    }
}

async fn follow_log(
    state: AdminState,
    history: Arc<dyn History>,
    (id, mut after): (RunId, u64),
    sender: Sender,
) {
    let mut quiet = 0;
    for _ in 0..LONGEST {
        // Looked at first: lines that were written before it ended are there then.
        let run = history.run(id).await.ok().flatten();
        let tail = history.log(id, after).await;
        let lines = tail.map(|tail| tail.lines).unwrap_or_default();
        quiet = if lines.is_empty() { quiet + 1 } else { 0 };
        for line in &lines {
            after = line.number;
            if !sender
                .event("line", line.number, &Line::of(line).json())
                .await
            {
                return;
            }
        }
        if let Some(outcome) = run.and_then(|run| run.outcome)
            && lines.is_empty()
        {
            let data = json!({ "outcome": outcome }).to_string();
            sender.event("end", after, &data).await;
            return;
        }
        if quiet % QUIET == QUIET - 1 && !sender.comment().await {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = sender.to.closed() => return,
            () = state.stopping.cancelled() => return,
        }
    }
}

async fn follow_board(state: AdminState, is_back: bool, sender: Sender) {
    let mut seen: Option<HashMap<(&'static str, String), String>> = None;
    let mut quiet = 0;
    for _ in 0..LONGEST {
        let snapshot = state.board.look().await;
        let now = all(&snapshot);
        let id = snapshot.at.timestamp_millis();
        // Who comes back may have missed something: is told all of it.
        let before = seen.take().unwrap_or_else(|| match is_back {
            true => HashMap::new(),
            false => now.clone(),
        });
        let mut is_quiet = true;
        for ((kind, name), data) in &now {
            if before.get(&(*kind, name.clone())) != Some(data) {
                is_quiet = false;
                if !sender.event(kind, id, data).await {
                    return;
                }
            }
        }
        for (kind, name) in before.keys().filter(|key| !now.contains_key(*key)) {
            is_quiet = false;
            let data = json!({ "gone": name }).to_string();
            if !sender.event(kind, id, &data).await {
                return;
            }
        }
        seen = Some(now);
        quiet = if is_quiet { quiet + 1 } else { 0 };
        if quiet % QUIET == QUIET - 1 && !sender.comment().await {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = sender.to.closed() => return,
            () = state.stopping.cancelled() => return,
        }
    }
}

/// All that may change, as it is told.
fn all(snapshot: &Snapshot) -> HashMap<(&'static str, String), String> {
    let mut all = HashMap::new();
    for task in snapshot.tasks() {
        let last = task.last_run.as_ref().map(|run| (&run.id, run.outcome));
        let data = json!({ "name": task.name, "health": task.health, "running": task.running,
            "next_fire_at": task.next_fire_at, "last_run": last.map(|(id, outcome)|
            json!({ "id": id, "outcome": outcome })) });
        all.insert(("task", task.name.clone()), data.to_string());
        if let Some((id, outcome)) = last {
            let data =
                json!({ "id": id, "task": task.name, "state": "finished", "outcome": outcome });
            all.insert(("run", id.clone()), data.to_string());
        }
    }
    for lock in &snapshot.locks {
        let data = json!({ "id": lock.run_id, "task": lock.task, "state": "running" });
        all.insert(("run", lock.run_id.clone()), data.to_string());
        let data = json!({ "task": lock.task, "holder": lock.holder, "fencing_token": lock.fencing_token });
        all.insert(("lock", lock.run_id.clone()), data.to_string());
    }
    for instance in &snapshot.instances {
        let data =
            json!({ "id": instance.id, "state": instance.state, "running": instance.running });
        all.insert(("instance", instance.id.clone()), data.to_string());
    }
    all
}
