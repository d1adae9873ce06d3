//! HTTP requests, to addresses of a list that code gives.

mod address;
mod request;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::error::Result;
use crate::store::Kind;
use crate::task::{RunContext, TaskError, TaskResult, seconds};

use address::Address;
use request::{Client, Request};

/// The longest body that is sent is what fits into a task's parameters; of an answer so much is read.
const MOST_READ: usize = 64 * 1024;
/// So much of an answer's body is in the error of a run.
const SHOWN: usize = 200;
/// So often a request is sent on.
const REDIRECTS: usize = 5;

/// The kind of task that sends an HTTP request, to an address of a list that is given here.
///
/// ```
/// use tasklock::Http;
/// # use tasklock::{MemoryFleet, MemoryLock, Scheduler};
/// # let scheduler = Scheduler::builder().lock(MemoryLock::new()).fleet(MemoryFleet::new()).build()?;
/// let http = Http::new()?.allow("https://hooks.example.com/tasks/")?.allow("http://10.0.0.7:8080/")?;
/// scheduler.kind("http", http)?;
/// # Ok::<(), tasklock::Error>(())
/// ```
///
/// A request that is redirected is sent on up to five times, to addresses of the list only, and without
/// the task's headers if they are of another server. HTTP/1.1, and TLS with the roots of Mozilla. An
/// answer whose status is not as expected fails the run; of its body the first 64 KiB are read, and the
/// beginning is in the error.
#[derive(Debug)]
pub struct Http {
    allowed: Vec<Address>,
    client: Client,
}

/// What a task of the kind [`Http`] says.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct HttpParameters {
    /// The address.
    pub url: String,
    /// `GET`, unless it says `HEAD`, `POST`, `PUT`, `PATCH` or `DELETE`.
    #[serde(default = "get")]
    pub method: String,
    /// Names and values of headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// What is sent.
    #[serde(default)]
    pub body: String,
    /// The statuses that are successes. Default: 200 to 299.
    #[serde(default)]
    pub expect: Vec<u16>,
    /// How long all of it may take, in seconds: 30 unless it says otherwise.
    #[serde(rename = "timeout_s", with = "seconds", default = "half_a_minute")]
    #[schemars(with = "f64")]
    pub timeout: Duration,
}

fn get() -> String {
    "GET".to_owned()
}

fn half_a_minute() -> Duration {
    Duration::from_secs(30)
}

#[cfg(all(feature = "standalone", unix))]
impl HttpParameters {
    /// `GET`, and nothing else said.
    pub(crate) fn get(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            method: get(),
            headers: BTreeMap::new(),
            body: String::new(),
            expect: Vec::new(),
            timeout: half_a_minute(),
        }
    }
}

impl Http {
    /// One that allows nothing yet.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](crate::ErrorKind::InvalidConfig) if TLS cannot be set up.
    pub fn new() -> Result<Self> {
        Ok(Self {
            allowed: Vec::new(),
            client: Client::new()?,
        })
    }

    /// Allows the addresses of this scheme, host and port, whose path is this one or below it:
    /// `https://example.com/tasks` allows `/tasks` and `/tasks/7`, not `/tasks7`.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](crate::ErrorKind::InvalidConfig) for what is no such address, or has a user, a
    /// query or a fragment.
    pub fn allow(mut self, prefix: &str) -> Result<Self> {
        self.allowed.push(Address::prefix(prefix)?);
        Ok(self)
    }

    /// One that allows this address and those below it, whatever its query, and nothing else; it shares
    /// connections with this one.
    #[cfg(all(feature = "standalone", unix))]
    pub(crate) fn only(&self, url: &str) -> Result<Self> {
        Ok(Self {
            allowed: vec![Address::path_of(url)?],
            client: self.client.clone(),
        })
    }

    /// One that allows nothing, and shares connections with this one.
    #[cfg(all(feature = "standalone", unix))]
    pub(crate) fn allowing_nothing(&self) -> Self {
        Self {
            allowed: Vec::new(),
            client: self.client.clone(),
        }
    }

    /// Whether a task may set a header of that name.
    #[cfg(all(feature = "standalone", unix))]
    pub(crate) fn is_header(name: &str) -> bool {
        Request::is_header(name)
    }

    /// The address that a text is, if it is allowed.
    fn address(&self, url: &str) -> Result<Address, TaskError> {
        let address = Address::read(url).map_err(TaskError::permanent)?;
        if self.allowed.iter().any(|allowed| address.is_below(allowed)) {
            return Ok(address);
        }
        let allowed: Vec<String> = self.allowed.iter().map(ToString::to_string).collect();
        Err(TaskError::permanent(format!(
            "the address {address} is not allowed here: there are {allowed:?}"
        )))
    }

    async fn send(&self, parameters: HttpParameters) -> TaskResult {
        let mut address = self.address(&parameters.url)?;
        let mut request = Request::read(&parameters).map_err(TaskError::permanent)?;
        for _ in 0..=REDIRECTS {
            let answer = self.client.send(&request, &address).await?;
            let Some(next) = answer.redirected_to(&parameters.expect) else {
                return answer.judge(&parameters.expect, &address);
            };
            let next = address.join(next).map_err(TaskError::permanent)?;
            let next = self.address(next.as_str()).map_err(|e| {
                TaskError::permanent(format!("{address} redirects to another address: {e}"))
            })?;
            request = request.redirected(answer.status, address.is_of_server(&next));
            address = next;
        }
        Err(TaskError::new(format!(
            "{address} redirects more than {REDIRECTS} times"
        )))
    }
}

#[async_trait]
impl Kind for Http {
    type Parameters = HttpParameters;

    fn check(&self, parameters: &HttpParameters) -> Result<(), TaskError> {
        self.address(&parameters.url)?;
        Request::read(parameters).map_err(TaskError::permanent)?;
        if parameters.timeout.is_zero() {
            return Err(TaskError::permanent("timeout_s is 0: give it some time"));
        }
        Ok(())
    }

    async fn run(&self, ctx: RunContext, parameters: HttpParameters) -> TaskResult {
        let timeout = parameters.timeout;
        tokio::select! {
            biased;
            () = ctx.cancelled() => Err(TaskError::new("the request was given up, as its run was to end")),
            sent = tokio::time::timeout(timeout, self.send(parameters)) => match sent {
                Ok(result) => result,
                Err(_) => Err(TaskError::new(format!("the request took longer than {timeout:?}"))),
            },
        }
    }
}
