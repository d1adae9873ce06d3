//! A fleet by the HTTP API of one of its instances.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, IF_MATCH};
use hyper::{Method, StatusCode};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::Url;

use crate::board::{Fire, Instance, Lock, Run, Stamp, Summary, Task, Why};
use crate::cli::fleet::{Act, Done, Fleet, Line, Readiness, RunsAsked};
use crate::cli::status::{Failure, Status};
use crate::cli::when;
use crate::control::{By, IfPaused, IfRunning};
use crate::lock::{Finding, Severity};
use crate::task::RunId;

/// How long an answer may take. A command waits up to five seconds for an instance, and fifteen more.
const PATIENCE: Duration = Duration::from_secs(25);
/// The longest answer, in bytes.
const LONGEST: usize = 32 << 20;
/// The most items of one page.
const PAGE: usize = 200;

type Http = legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// The HTTP API of an instance.
pub(crate) struct Api {
    http: Http,
    base: Url,
    token: Option<HeaderValue>,
}

/// A page of a list.
#[derive(Deserialize)]
struct Page<T> {
    items: Vec<T>,
    #[serde(default)]
    next_cursor: Option<String>,
    /// Since when its stores have not answered.
    #[serde(default)]
    stale_since: Option<Stamp>,
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

/// What an answer was: its status, and its body.
struct Answer {
    status: StatusCode,
    body: Bytes,
}

impl Api {
    pub(crate) fn new(url: &str, token: Option<String>, ca: Option<Vec<u8>>) -> Result<Self, Failure> {
        let mut base = Url::parse(url).map_err(|e| Failure::usage(format!("--url is no URL: {e}")))?;
        let is_http = matches!(base.scheme(), "http" | "https") && base.has_host();
        if !is_http || base.query().is_some() || base.fragment().is_some() {
            return Err(Failure::usage("--url is not of the form https://host/admin/tasks"));
        }
        if !base.username().is_empty() || base.password().is_some() {
            let text = "the address has a user or a password in it: put a token into TASKLOCK_TOKEN, or into a \
                        file for --token-file";
            return Err(Failure::usage(text));
        }
        if base.scheme() == "http" && token.is_some() && !is_here(&base) {
            let text = "a token is sent over https only, except to this host itself";
            return Err(Failure::usage(text));
        }
        if !base.path().ends_with('/') {
            let path = format!("{}/", base.path());
            base.set_path(&path);
        }
        let token = match token {
            Some(token) => {
                let value = HeaderValue::from_str(&format!("Bearer {token}"));
                let mut value = value.map_err(|_| Failure::usage("the token has characters that no token has"))?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        Ok(Self {
            http: client(ca)?,
            base,
            token,
        })
    }

    async fn ask(&self, method: Method, path: &str, headers: &[(hyper::header::HeaderName, String)], body: Option<Value>) -> Result<Answer, Failure> {
        let address = self.base.join(path).map_err(|e| Failure::usage(format!("{path} is no path: {e}")))?;
        let text = body.map(|body| body.to_string()).unwrap_or_default();
        let mut request = hyper::Request::new(Full::new(Bytes::from(text)));
        *request.method_mut() = method;
        *request.uri_mut() = address.as_str().parse().map_err(|e| Failure::usage(format!("{path}: {e}")))?;
        let all = request.headers_mut();
        all.insert(ACCEPT, HeaderValue::from_static("application/json"));
        all.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(token) = &self.token {
            all.insert(AUTHORIZATION, token.clone());
        }
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).map_err(|e| Failure::usage(format!("{name}: {e}")))?;
            all.insert(name.clone(), value);
        }
        let asked = async {
            let answer = self.http.request(request).await.map_err(|e| self.unreachable(&e))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), LONGEST).collect().await;
            let body = body.map_err(|e| {
                let text = format!("the answer of {} broke off: {e}", self.base);
                Failure::new(Status::Unreachable, text)
            })?;
            Ok(Answer {
                status,
                body: body.to_bytes(),
            })
        };
        tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| {
            let text = format!("{} did not answer within {PATIENCE:?}", self.base);
            Err(Failure::new(Status::TimedOut, text))
        })
    }

    fn unreachable(&self, error: &legacy::Error) -> Failure {
        let mut text = format!("{} cannot be asked: {error}", self.base);
        let mut cause = std::error::Error::source(error);
        // A chain that leads back into itself must not hang us.
        for _ in 0..8 {
            let Some(e) = cause else { break };
            text = format!("{text}: {e}");
            cause = e.source();
        }
        Failure::new(Status::Unreachable, text)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let answer = self.ask(Method::GET, path, &[], None).await?;
        self.read(answer)
    }

    fn read<T: DeserializeOwned>(&self, answer: Answer) -> Result<T, Failure> {
        if !answer.status.is_success() {
            return Err(self.problem(&answer));
        }
        serde_json::from_slice(&answer.body).map_err(|e| {
            Failure::failed(format!(
                "{} answers what this version does not understand ({e}): is it the address of the admin routes, and of \
                 the same version?",
                self.base
            ))
        })
    }

    /// All pages of a list, up to so many items.
    async fn list<T: DeserializeOwned>(&self, path: &str, query: &[(&str, String)], most: usize) -> Result<Vec<T>, Failure> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        while items.len() < most {
            let mut all = query.to_vec();
            all.push(("limit", (most - items.len()).min(PAGE).to_string()));
            all.extend(cursor.map(|cursor| ("cursor", cursor)));
            let page: Page<T> = self.get(&with_query(path, &all)).await?;
            self.check_age(&page)?;
            let is_empty = page.items.is_empty();
            items.extend(page.items);
            cursor = page.next_cursor;
            if cursor.is_none() || is_empty {
                break;
            }
        }
        items.truncate(most);
        Ok(items)
    }

    async fn whole<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, Failure> {
        let page: Page<T> = self.get(path).await?;
        self.check_age(&page)?;
        Ok(page.items)
    }

    /// What is old is not shown as if it were well.
    fn check_age<T>(&self, page: &Page<T>) -> Result<(), Failure> {
        match page.stale_since {
            None => Ok(()),
            Some(since) => Err(Failure::new(
                Status::Unreachable,
                format!("{} has not reached a store of its fleet since {since}", self.base),
            )),
        }
    }

    /// Has it do something; the body of its answer, if it has one.
    async fn have(&self, method: Method, path: &str, headers: &[(hyper::header::HeaderName, String)], body: Value) -> Result<Value, Failure> {
        let answer = self.ask(method, path, headers, Some(body)).await?;
        match answer.status.is_success() {
            true => Ok(serde_json::from_slice(&answer.body).unwrap_or_default()),
            false => Err(self.problem(&answer)),
        }
    }

    /// What it refuses, in its own words.
    fn problem(&self, answer: &Answer) -> Failure {
        let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let part = |name: &str| said.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let status = match answer.status.as_u16() {
            400 | 422 => Status::Usage,
            401 | 403 | 409 | 412 | 429 => Status::Refused,
            404 => Status::NotFound,
            503 if part("code") == "not-taken" => Status::TimedOut,
            502..=504 => Status::Unreachable,
            _ => Status::Failed,
        };
        let (title, detail) = (part("title"), part("detail"));
        let text = match (title.is_empty(), detail.is_empty()) {
            (_, false) => detail,
            (false, true) => title,
            (true, true) => format!("{} answered {}", self.base, answer.status),
        };
        let like = said.get("did_you_mean").and_then(Value::as_array).and_then(|all| all.first()).and_then(Value::as_str);
        let like = like.map(|like| format!("; did you mean {like}?")).unwrap_or_default();
        let hint = match (answer.status.as_u16(), self.token.is_some()) {
            (401, false) => " (there is no token: TASKLOCK_TOKEN or --token-file)",
            _ => "",
        };
        Failure::new(status, format!("{text}{like}{hint}"))
    }
}

#[async_trait]
impl Fleet for Api {
    async fn summary(&self) -> Result<Summary, Failure> {
        self.get("api/v1/summary").await
    }

    async fn tasks(&self) -> Result<Vec<Task>, Failure> {
        self.list("api/v1/tasks", &[], usize::MAX).await
    }

    async fn task(&self, name: &str) -> Result<Task, Failure> {
        self.get(&format!("api/v1/tasks/{}", part(name))).await
    }

    async fn fires(&self, task: &str, from: DateTime<Utc>, most: usize) -> Result<Vec<Fire>, Failure> {
        let path = format!("api/v1/tasks/{}/fires", part(task));
        self.list(&path, &[("from", when::instant(from))], most).await
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
        self.list("api/v1/runs", &query, asked.most).await
    }

    async fn run(&self, id: RunId) -> Result<Option<Run>, Failure> {
        match self.get(&format!("api/v1/runs/{id}")).await {
            Ok(run) => Ok(Some(run)),
            Err(failure) if failure.status == Status::NotFound => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn lines(&self, id: RunId, after: u64) -> Result<Vec<Line>, Failure> {
        let headers = [(ACCEPT, "application/x-ndjson".to_owned())];
        let path = format!("api/v1/runs/{id}/logs?after={after}");
        let answer = self.ask(Method::GET, &path, &headers, None).await?;
        if !answer.status.is_success() {
            return Err(self.problem(&answer));
        }
        let text = String::from_utf8_lossy(&answer.body);
        Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    async fn instances(&self) -> Result<Vec<Instance>, Failure> {
        self.whole("api/v1/instances").await
    }

    async fn locks(&self) -> Result<Vec<Lock>, Failure> {
        self.whole("api/v1/locks").await
    }

    async fn why(&self, task: &str, at: DateTime<Utc>) -> Result<Why, Failure> {
        let path = format!("api/v1/tasks/{}/why", part(task));
        self.get(&with_query(&path, &[("at", when::instant(at))])).await
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
        let severity = if ready == total { Severity::Ok } else { Severity::Warning };
        findings.push(finding(severity, "instances", summary.instances.text));
        for task in self.tasks().await?.iter().filter(|task| task.drift) {
            let text = "is not the same on all instances".to_owned();
            findings.push(finding(Severity::Warning, &format!("task {}", task.name), text));
        }
        Ok(findings)
    }

    async fn is_ready(&self, _: Option<&str>) -> Result<Readiness, Failure> {
        let answer = self.ask(Method::GET, "readyz", &[], None).await?;
        let answer = match answer.status {
            StatusCode::NOT_FOUND => self.ask(Method::GET, "api/v1/readyz", &[], None).await?,
            _ => answer,
        };
        let text = String::from_utf8_lossy(&answer.body).trim().chars().take(200).collect();
        Ok(Readiness {
            is_ready: answer.status.is_success(),
            text,
        })
    }

    async fn act(&self, act: &Act, by: &By) -> Result<Done, Failure> {
        let reason = by.reason();
        let of = |task: &str, what: &str| format!("api/v1/tasks/{}/{what}", part(task));
        match act {
            Act::Run {
                task,
                params,
                due_at,
                if_running,
                if_paused,
                instance,
                key,
            } => {
                let mut body = json!({
                    "reason": reason,
                    "if_running": match if_running { IfRunning::Queue => "queue", IfRunning::Refuse => "refuse" },
                    "if_paused": match if_paused { IfPaused::Run => "run", IfPaused::Refuse => "refuse" },
                });
                if let Some(params) = params {
                    let value = serde_json::from_str(params).unwrap_or_else(|_| params.clone().into());
                    set(&mut body, "params", value);
                }
                if let Some(at) = due_at {
                    set(&mut body, "due_at", Stamp(*at).to_string().into());
                }
                if let Some(instance) = instance {
                    set(&mut body, "instance", instance.clone().into());
                }
                let key = key.iter().map(|key| {
                    let name = hyper::header::HeaderName::from_static("idempotency-key");
                    (name, key.clone())
                });
                let headers: Vec<_> = key.collect();
                let said = self.have(Method::POST, &of(task, "runs"), &headers, body).await?;
                let begun: Begun = serde_json::from_value(said).map_err(|e| {
                    Failure::failed(format!("what became of the run of {task} is not understood: {e}"))
                })?;
                let by = begun.instance.unwrap_or_default();
                let after = begun.after_s.map(|s| format!(" after {}", when::took(s)));
                let waits = if begun.is_queued { "; waits for a run that goes on" } else { "" };
                Ok(Done {
                    text: format!("run of {task}: accepted by {by}{}{waits}", after.unwrap_or_default()),
                    runs: begun.runs.iter().filter_map(|id| id.parse().ok()).collect(),
                })
            }
            Act::Pause {
                task,
                length,
                missed,
            } => {
                let body = json!({ "reason": reason, "for_s": length.as_secs(), "missed": missed });
                let path = task.as_ref().map_or("api/v1/pause".to_owned(), |task| of(task, "pause"));
                self.have(Method::PUT, &path, &[], body).await?;
                let until = when::instant(crate::time::Clock::now(&crate::time::SystemClock) + *length);
                let what = task.as_deref().unwrap_or("all tasks");
                Ok(Done::said(format!("{what}: paused until {until}")))
            }
            Act::Resume { task } => {
                let path = task.as_ref().map_or("api/v1/pause".to_owned(), |task| of(task, "pause"));
                self.have(Method::DELETE, &path, &[], json!({ "reason": reason })).await?;
                Ok(Done::said(format!("{}: resumed", task.as_deref().unwrap_or("all tasks"))))
            }
            Act::Skip { task, count } => {
                let body = json!({ "count": count, "reason": reason });
                let said = self.have(Method::POST, &of(task, "skips"), &[], body).await?;
                let skipped = said.get("skipped").and_then(Value::as_array).map(|all| {
                    let texts: Vec<&str> = all.iter().filter_map(Value::as_str).collect();
                    texts.join(", ")
                });
                Ok(Done::said(format!("{task} skips: {}", skipped.unwrap_or_else(|| "accepted".to_owned()))))
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
                self.have(Method::PUT, &of(task, "override"), &[], body).await?;
                Ok(Done::said(format!("{task}: has {spec} for {}", when::length(*length))))
            }
            Act::Reset { task } => {
                self.have(Method::DELETE, &of(task, "override"), &[], json!({ "reason": reason })).await?;
                Ok(Done::said(format!("{task}: has its code's schedule again")))
            }
            Act::Cancel { run, grace } => {
                let mut body = json!({ "mode": "graceful", "reason": reason });
                match grace {
                    Some(Duration::ZERO) => set(&mut body, "mode", "abort".into()),
                    Some(grace) => set(&mut body, "grace_s", grace.as_secs_f64().into()),
                    None => {}
                }
                self.have(Method::POST, &format!("api/v1/runs/{run}/cancel"), &[], body).await?;
                Ok(Done::said(format!("cancel of {run}: accepted")))
            }
            Act::Drain { instance } => {
                let path = format!("api/v1/instances/{}/drain", part(instance));
                self.have(Method::PUT, &path, &[], json!({ "reason": reason })).await?;
                Ok(Done::said(format!("{instance}: takes no new firings")))
            }
            Act::Undrain { instance } => {
                let path = format!("api/v1/instances/{}/drain", part(instance));
                self.have(Method::DELETE, &path, &[], json!({ "reason": reason })).await?;
                Ok(Done::said(format!("{instance}: takes firings again")))
            }
            Act::Unlock { task, fence, force } => {
                let headers = [(IF_MATCH, format!("\"{fence}\""))];
                let body = json!({ "reason": reason, "force": force });
                self.have(Method::DELETE, &format!("api/v1/locks/{}", part(task)), &headers, body).await?;
                Ok(Done::said(format!("unlock of {task}: accepted")))
            }
        }
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

fn set(body: &mut Value, name: &str, value: Value) {
    if let Some(body) = body.as_object_mut() {
        body.insert(name.to_owned(), value);
    }
}

/// A path with a query behind it.
fn with_query(path: &str, query: &[(&str, String)]) -> String {
    let mut text = url::form_urlencoded::Serializer::new(String::new());
    text.extend_pairs(query);
    format!("{path}?{}", text.finish())
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

/// Whether a server is on this host, so that nobody is in between.
fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

fn client(ca: Option<Vec<u8>>) -> Result<Http, Failure> {
    let cannot = |e: &dyn fmt::Display| Failure::usage(format!("TLS cannot be set up: {e}"));
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider);
    let tls = tls.with_safe_default_protocol_versions().map_err(|e| cannot(&e))?;
    let tls = match ca {
        None => tls.with_webpki_roots(),
        Some(pem) => {
            let mut roots = rustls::RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(&pem) {
                roots.add(certificate.map_err(|e| cannot(&e))?).map_err(|e| cannot(&e))?;
            }
            if roots.is_empty() {
                return Err(cannot(&"the file has no certificate in PEM form"));
            }
            tls.with_root_certificates(roots)
        }
    };
    let connector = HttpsConnectorBuilder::new().with_tls_config(tls.with_no_client_auth());
    let connector = connector.https_or_http().enable_http1().build();
    Ok(legacy::Client::builder(TokioExecutor::new()).build(connector))
}
