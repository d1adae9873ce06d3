//! One request and its answer.

use std::error::Error as _;
use std::fmt;
use std::sync::Arc;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{HeaderMap, HeaderName, HeaderValue, LOCATION};
use hyper::{Method, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::ring;

use crate::error::{Error, ErrorKind, Result};
use crate::kinds::http::address::Address;
use crate::kinds::http::{HttpParameters, MOST_READ, SHOWN};
use crate::task::{TaskError, TaskResult};

const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
/// Headers that say how a message is sent, which is not a task's business.
const OURS: [&str; 6] = [
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "upgrade",
    "expect",
];

/// Who sends requests.
#[derive(Clone)]
pub(super) struct Client {
    client: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// What is sent, wherever to.
#[derive(Debug, Clone)]
pub(super) struct Request {
    method: Method,
    headers: HeaderMap,
    body: Bytes,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    location: Option<String>,
    body: Vec<u8>,
}

impl Client {
    pub(super) fn new() -> Result<Self> {
        let tls = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(Arc::new(ring::default_provider()))
            .map_err(|e| {
                let text = "TLS cannot be set up for HTTP requests";
                Error::new(ErrorKind::InvalidConfig, text).with_source(e)
            })?;
        let connector = tls.https_or_http().enable_http1().build();
        let client = legacy::Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { client })
    }

    pub(super) async fn send(
        &self,
        request: &Request,
        address: &Address,
    ) -> Result<Answer, TaskError> {
        let mut message = hyper::Request::new(Full::new(request.body.clone()));
        *message.method_mut() = request.method.clone();
        *message.uri_mut() = address.as_str().parse()?;
        *message.headers_mut() = request.headers.clone();
        let answer = self.client.request(message).await.map_err(|e| {
            let (mut text, mut cause) = (format!("{address} cannot be asked: {e}"), e.source());
            // A chain that leads back into itself must not hang us.
            for _ in 0..8 {
                let Some(e) = cause else { break };
                text = format!("{text}: {e}");
                cause = e.source();
            }
            TaskError::new(text)
        })?;
        let status = answer.status();
        let location = answer.headers().get(LOCATION);
        let location = location.and_then(|l| l.to_str().ok()).map(str::to_owned);
        let mut body = Vec::new();
        let mut rest = Limited::new(answer.into_body(), MOST_READ);
        // What comes after that, or not at all, matters to nobody: the status has come.
        while let Some(Ok(frame)) = rest.frame().await {
            body.extend_from_slice(frame.data_ref().map(Bytes::as_ref).unwrap_or_default());
        }
        Ok(Answer {
            status,
            location,
            body,
        })
    }
}

impl Request {
    /// What a task says, or what is wrong with it.
    pub(super) fn read(parameters: &HttpParameters) -> Result<Self, String> {
        let shown = |text: &str| text.chars().take(80).collect::<String>();
        let method = parameters.method.to_ascii_uppercase();
        let method = METHODS.into_iter().find(|known| *known == method);
        let method = method.ok_or_else(|| {
            let given = shown(&parameters.method);
            format!("the method {given:?} is none of {METHODS:?}")
        })?;
        let mut headers = HeaderMap::new();
        for (name, value) in &parameters.headers {
            let of_header = |why: &str| format!("the header {:?} {why}", shown(name));
            let key: HeaderName = name.parse().map_err(|_| of_header("has no such name"))?;
            if OURS.contains(&key.as_str()) {
                return Err(of_header("is not for tasks to set"));
            }
            let value = HeaderValue::from_str(value)
                .map_err(|_| of_header("has a value with control characters"))?;
            headers.insert(key, value);
        }
        Ok(Self {
            method: method.parse().unwrap_or_default(),
            headers,
            body: Bytes::from(parameters.body.clone()),
        })
    }

    /// Whether a task may set a header of that name.
    #[cfg(all(feature = "standalone", unix))]
    pub(super) fn is_header(name: &str) -> bool {
        let key = name.parse::<HeaderName>();
        key.is_ok_and(|key| !OURS.contains(&key.as_str()))
    }

    /// What is sent on after a redirect of that status; less to another server.
    pub(super) fn redirected(self, status: StatusCode, is_same_server: bool) -> Self {
        let keeps = matches!(
            status,
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT
        );
        let is_safe = matches!(self.method, Method::GET | Method::HEAD);
        let headers = match is_same_server {
            true => self.headers,
            false => HeaderMap::new(),
        };
        match keeps || is_safe {
            true => Self { headers, ..self },
            false => Self {
                method: Method::GET,
                headers,
                body: Bytes::new(),
            },
        }
    }
}

impl Answer {
    /// Where to ask in its place, unless this is what was expected.
    pub(super) fn redirected_to(&self, expected: &[u16]) -> Option<&str> {
        let status = self.status.as_u16();
        let redirects =
            matches!(status, 301 | 302 | 303 | 307 | 308) && !expected.contains(&status);
        self.location.as_deref().filter(|_| redirects)
    }

    pub(super) fn judge(&self, expected: &[u16], address: &Address) -> TaskResult {
        let is_expected = match expected {
            [] => self.status.is_success(),
            some => some.contains(&self.status.as_u16()),
        };
        if is_expected {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&self.body);
        let start: String = text.trim().chars().take(SHOWN).collect();
        let said = match start.is_empty() {
            true => String::new(),
            false => format!(": {}", start.escape_debug()),
        };
        Err(TaskError::new(format!(
            "{address} answered {}{said}",
            self.status
        )))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}
