//! A fleet by the HTTP API of one of its instances.

mod client;

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use hyper::header::{ACCEPT, HeaderName, IF_MATCH};
use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::board::{Fire, Instance, Lock, Run, Stamp, Summary, Task, Why};
use crate::cli::fleet::{Act, Done, Fleet, Line, Readiness, RunsAsked, Wanted};
use crate::cli::status::{Failure, Status};
use crate::cli::when;
use crate::control::{By, IfPaused, IfRunning};
use crate::lock::{Finding, Severity};
use crate::task::RunId;
use crate::time::{Clock, SystemClock};

use client::{Client, with_query};

/// The HTTP API of an instance.
#[derive(Debug)]
pub(crate) struct Api {
    client: Client,
}

/// What an instance does, as it was asked.
#[derive(Deserialize)]
struct Begun {
    instance: Option<String>,
    after_s: Option<f64>,
    #[serde(default)]
    runs: Vec<String>,
    #[serde(default)]
    is_queued: bool,
}

impl Api {
    /// At an address below which `api/v1` is.
    pub(crate) fn new(
        url: &str,
        token: Option<String>,
        ca: Option<Vec<u8>>,
    ) -> Result<Self, Failure> {
        Ok(Self {
            client: Client::new(url, token, ca)?,
        })
    }
}

#[async_trait]
impl Fleet for Api {
    async fn summary(&self) -> Result<Summary, Failure> {
        self.client.get("api/v1/summary").await
    }

    async fn tasks(&self) -> Result<Vec<Task>, Failure> {
        self.client.list("api/v1/tasks", &[], usize::MAX).await
    }

    async fn task(&self, name: &str) -> Result<Task, Failure> {
        self.client
            .get(&format!("api/v1/tasks/{}", part(name)))
            .await
    }

    async fn fires(
        &self,
        task: &str,
        from: DateTime<Utc>,
        most: usize,
    ) -> Result<Vec<Fire>, Failure> {
        let path = format!("api/v1/tasks/{}/fires", part(task));
        self.client
            .list(&path, &[("from", when::instant(from))], most)
            .await
    }

    async fn runs(&self, asked: &RunsAsked) -> Result<Vec<Run>, Failure> {
        let mut query = Vec::new();
        if let Some(task) = &asked.task {
            query.push(("task", task.clone()));
        }
        if let Some(outcome) = asked.outcome {
            query.push(("outcome", outcome.to_string()));
        }
        if let Some(since) = asked.since {
            query.push(("since", when::instant(since)));
        }
        if asked.is_running {
            query.push(("state", "running".to_owned()));
        }
        self.client.list("api/v1/runs", &query, asked.most).await
    }

    async fn run(&self, id: RunId) -> Result<Option<Run>, Failure> {
        match self.client.get(&format!("api/v1/runs/{id}")).await {
            Ok(run) => Ok(Some(run)),
            Err(failure) if failure.status == Status::NotFound => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn lines(&self, id: RunId, after: u64) -> Result<Vec<Line>, Failure> {
        let headers = [(ACCEPT, "application/x-ndjson".to_owned())];
        let path = format!("api/v1/runs/{id}/logs?after={after}");
        let answer = self.client.ask(Method::GET, &path, &headers, None).await?;
        if !answer.status.is_success() {
            return Err(self.client.problem(&answer));
        }
        let text = String::from_utf8_lossy(&answer.body);
        Ok(text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect())
    }

    async fn instances(&self) -> Result<Vec<Instance>, Failure> {
        self.client.whole("api/v1/instances").await
    }

    async fn locks(&self) -> Result<Vec<Lock>, Failure> {
        self.client.whole("api/v1/locks").await
    }

    async fn why(&self, task: &str, at: DateTime<Utc>) -> Result<Why, Failure> {
        let path = format!("api/v1/tasks/{}/why", part(task));
        self.client
            .get(&with_query(&path, &[("at", when::instant(at))]))
            .await
    }

    async fn diagnose(&self) -> Result<Vec<Finding>, Failure> {
        let summary = self.summary().await?;
        let finding = |severity, subject: &str, text: String| Finding {
            severity,
            subject: subject.to_owned(),
            text,
        };
        let is_up = summary.store.status == "ok";
        let place = summary.store.place.clone().unwrap_or_default();
        let mut findings = vec![finding(
            if is_up { Severity::Ok } else { Severity::Error },
            "store",
            format!("{} {place}", summary.store.status),
        )];
        if let Some(trouble) = summary.trouble {
            findings.push(finding(Severity::Error, "store", trouble));
        }
        let (ready, total) = (summary.instances.ready, summary.instances.total);
        let severity = if ready == total {
            Severity::Ok
        } else {
            Severity::Warning
        };
        findings.push(finding(severity, "instances", summary.instances.text));
        for task in self.tasks().await?.iter().filter(|task| task.drift) {
            let text = "is not the same on all instances".to_owned();
            findings.push(finding(
                Severity::Warning,
                &format!("task {}", task.name),
                text,
            ));
        }
        Ok(findings)
    }

    async fn is_ready(&self, _: Option<&str>) -> Result<Readiness, Failure> {
        let answer = self.client.ask(Method::GET, "readyz", &[], None).await?;
        let answer = match answer.status {
            StatusCode::NOT_FOUND => {
                self.client
                    .ask(Method::GET, "api/v1/readyz", &[], None)
                    .await?
            }
            _ => answer,
        };
        let text = String::from_utf8_lossy(&answer.body)
            .trim()
            .chars()
            .take(200)
            .collect();
        Ok(Readiness {
            is_ready: answer.status.is_success(),
            text,
        })
    }

    async fn act(&self, act: &Act, by: &By) -> Result<Done, Failure> {
        let reason = by.reason();
        let of = |task: &str, what: &str| format!("api/v1/tasks/{}/{what}", part(task));
        match act {
            Act::Run(wanted) => self.run_now(wanted, reason).await,
            Act::Pause {
                task,
                length,
                missed,
            } => {
                let body = json!({ "reason": reason, "for_s": length.as_secs(), "missed": missed });
                let path = task
                    .as_ref()
                    .map_or("api/v1/pause".to_owned(), |task| of(task, "pause"));
                self.client.have(Method::PUT, &path, &[], body).await?;
                let until = when::second(SystemClock.now() + *length);
                let what = task.as_deref().unwrap_or("all tasks");
                Ok(Done::said(format!("{what}: paused until {until}")))
            }
            Act::Resume { task } => {
                let path = task
                    .as_ref()
                    .map_or("api/v1/pause".to_owned(), |task| of(task, "pause"));
                self.client
                    .have(Method::DELETE, &path, &[], json!({ "reason": reason }))
                    .await?;
                Ok(Done::said(format!(
                    "{}: resumed",
                    task.as_deref().unwrap_or("all tasks")
                )))
            }
            Act::Skip { task, count } => {
                let body = json!({ "count": count, "reason": reason });
                let said = self
                    .client
                    .have(Method::POST, &of(task, "skips"), &[], body)
                    .await?;
                let skipped = said.get("skipped").and_then(Value::as_array).map(|all| {
                    let texts: Vec<&str> = all.iter().filter_map(Value::as_str).collect();
                    texts.join(", ")
                });
                Ok(Done::said(format!(
                    "{task} skips: {}",
                    skipped.unwrap_or_else(|| "accepted".to_owned())
                )))
            }
            Act::Override {
                task,
                spec,
                timezone,
                length,
            } => {
                let body = json!({
                    "cron": spec, "timezone": timezone.name(), "reason": reason, "for_s": length.as_secs(),
                });
                self.client
                    .have(Method::PUT, &of(task, "override"), &[], body)
                    .await?;
                Ok(Done::said(format!(
                    "{task}: has {spec} for {}",
                    when::length(*length)
                )))
            }
            Act::Reset { task } => {
                self.client
                    .have(
                        Method::DELETE,
                        &of(task, "override"),
                        &[],
                        json!({ "reason": reason }),
                    )
                    .await?;
                Ok(Done::said(format!("{task}: has its code's schedule again")))
            }
            Act::Delete { task } => {
                let path = format!("api/v1/tasks/{}", part(task));
                let body = json!({ "reason": reason });
                self.client.have(Method::DELETE, &path, &[], body).await?;
                Ok(Done::said(format!("{task}: deleted")))
            }
            Act::Cancel { run, grace } => {
                let mut body = json!({ "mode": "graceful", "reason": reason });
                match grace {
                    Some(Duration::ZERO) => set(&mut body, "mode", "abort".into()),
                    Some(grace) => set(&mut body, "grace_s", grace.as_secs_f64().into()),
                    None => {}
                }
                self.client
                    .have(
                        Method::POST,
                        &format!("api/v1/runs/{run}/cancel"),
                        &[],
                        body,
                    )
                    .await?;
                Ok(Done::said(format!("cancel of {run}: accepted")))
            }
            Act::Drain { instance } => {
                let path = format!("api/v1/instances/{}/drain", part(instance));
                self.client
                    .have(Method::PUT, &path, &[], json!({ "reason": reason }))
                    .await?;
                Ok(Done::said(format!("{instance}: takes no new firings")))
            }
            Act::Undrain { instance } => {
                let path = format!("api/v1/instances/{}/drain", part(instance));
                self.client
                    .have(Method::DELETE, &path, &[], json!({ "reason": reason }))
                    .await?;
                Ok(Done::said(format!("{instance}: takes firings again")))
            }
            Act::Unlock { task, fence, force } => {
                let headers = [(IF_MATCH, format!("\"{fence}\""))];
                let body = json!({ "reason": reason, "force": force });
                self.client
                    .have(
                        Method::DELETE,
                        &format!("api/v1/locks/{}", part(task)),
                        &headers,
                        body,
                    )
                    .await?;
                Ok(Done::said(format!("unlock of {task}: accepted")))
            }
        }
    }
}

impl Api {
    async fn run_now(&self, wanted: &Wanted, reason: &str) -> Result<Done, Failure> {
        let task = &wanted.task;
        let mut body = json!({
            "reason": reason,
            "if_running": match wanted.if_running { IfRunning::Queue => "queue", IfRunning::Refuse => "refuse" },
            "if_paused": match wanted.if_paused { IfPaused::Run => "run", IfPaused::Refuse => "refuse" },
        });
        if let Some(params) = &wanted.params {
            let value = serde_json::from_str(params).unwrap_or_else(|_| params.clone().into());
            set(&mut body, "params", value);
        }
        if let Some(at) = wanted.due_at {
            set(&mut body, "due_at", Stamp(at).to_string().into());
        }
        if let Some(instance) = &wanted.instance {
            set(&mut body, "instance", instance.clone().into());
        }
        let key = wanted.key.iter().map(|key| {
            let name = HeaderName::from_static("idempotency-key");
            (name, key.clone())
        });
        let headers: Vec<_> = key.collect();
        let path = format!("api/v1/tasks/{}/runs", part(task));
        let said = self
            .client
            .have(Method::POST, &path, &headers, body)
            .await?;
        let begun: Begun = serde_json::from_value(said).map_err(|e| {
            let text = format!("what became of the run of {task} is not understood: {e}");
            Failure::failed(text)
        })?;
        let by = begun.instance.unwrap_or_default();
        let after = begun.after_s.map(|s| format!(" after {}", when::took(s)));
        let after = after.unwrap_or_default();
        let waits = match begun.is_queued {
            true => "; waits for a run that goes on",
            false => "",
        };
        Ok(Done {
            text: format!("run of {task}: accepted by {by}{after}{waits}"),
            runs: begun.runs.iter().filter_map(|id| id.parse().ok()).collect(),
        })
    }
}

fn set(body: &mut Value, name: &str, value: Value) {
    if let Some(body) = body.as_object_mut() {
        body.insert(name.to_owned(), value);
    }
}

/// A name as a part of a path.
fn part(name: &str) -> String {
    let mut part = String::new();
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                part.push(char::from(byte));
            }
            other => part.push_str(&format!("%{other:02X}")),
        }
    }
    part
}
