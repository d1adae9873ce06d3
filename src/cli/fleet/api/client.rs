//! Asks a server, and reads its answers: pages, problems.

use std::fmt;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use crate::board::Stamp;
use crate::cli::status::{Failure, Status};

/// How long an answer may take. A command waits up to five seconds for an instance, and fifteen more.
const PATIENCE: Duration = Duration::from_secs(25);
/// The longest answer, in bytes.
const LONGEST: usize = 32 << 20;
/// The most items of one page.
const PAGE: usize = 200;

type Http = legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Names and values of headers.
pub(super) type Headers<'a> = &'a [(HeaderName, String)];

/// Asks a server.
pub(super) struct Client {
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

/// What an answer was: its status, and its body.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

impl Client {
    pub(super) fn new(
        url: &str,
        token: Option<String>,
        ca: Option<Vec<u8>>,
    ) -> Result<Self, Failure> {
        let mut base =
            Url::parse(url).map_err(|e| Failure::usage(format!("--url is no URL: {e}")))?;
        let is_http = matches!(base.scheme(), "http" | "https") && base.has_host();
        if !is_http || base.query().is_some() || base.fragment().is_some() {
            return Err(Failure::usage(
                "--url is not of the form https://host/admin/tasks",
            ));
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
                let mut value = value
                    .map_err(|_| Failure::usage("the token has characters that no token has"))?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        Ok(Self {
            http: http(ca)?,
            base,
            token,
        })
    }

    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: Headers<'_>,
        body: Option<Value>,
    ) -> Result<Answer, Failure> {
        let address = self
            .base
            .join(path)
            .map_err(|e| Failure::usage(format!("{path} is no path: {e}")))?;
        let text = body.map(|body| body.to_string()).unwrap_or_default();
        let mut request = hyper::Request::new(Full::new(Bytes::from(text)));
        *request.method_mut() = method;
        *request.uri_mut() = address
            .as_str()
            .parse()
            .map_err(|e| Failure::usage(format!("{path}: {e}")))?;
        let all = request.headers_mut();
        all.insert(ACCEPT, HeaderValue::from_static("application/json"));
        all.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(token) = &self.token {
            all.insert(AUTHORIZATION, token.clone());
        }
        for (name, value) in headers {
            let value =
                HeaderValue::from_str(value).map_err(|e| Failure::usage(format!("{name}: {e}")))?;
            all.insert(name.clone(), value);
        }
        let asked = async {
            let answer = self
                .http
                .request(request)
                .await
                .map_err(|e| self.unreachable(&e))?;
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
        tokio::time::timeout(PATIENCE, asked)
            .await
            .unwrap_or_else(|_| {
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

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
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
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
        most: usize,
    ) -> Result<Vec<T>, Failure> {
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

    pub(super) async fn whole<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, Failure> {
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
                format!(
                    "{} has not reached a store of its fleet since {since}",
                    self.base
                ),
            )),
        }
    }

    /// Has it do something; the body of its answer, if it has one.
    pub(super) async fn have(
        &self,
        method: Method,
        path: &str,
        headers: Headers<'_>,
        body: Value,
    ) -> Result<Value, Failure> {
        let answer = self.ask(method, path, headers, Some(body)).await?;
        match answer.status.is_success() {
            true => Ok(serde_json::from_slice(&answer.body).unwrap_or_default()),
            false => Err(self.problem(&answer)),
        }
    }

    /// What it refuses, in its own words.
    pub(super) fn problem(&self, answer: &Answer) -> Failure {
        let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let part = |name: &str| {
            said.get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
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
        let like = said
            .get("did_you_mean")
            .and_then(Value::as_array)
            .and_then(|all| all.first())
            .and_then(Value::as_str);
        let like = like
            .map(|like| format!("; did you mean {like}?"))
            .unwrap_or_default();
        let hint = match (answer.status.as_u16(), self.token.is_some()) {
            (401, false) => " (there is no token: TASKLOCK_TOKEN or --token-file)",
            _ => "",
        };
        Failure::new(status, format!("{text}{like}{hint}"))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base", &self.base.as_str())
            .finish_non_exhaustive()
    }
}

/// A path with a query behind it.
pub(super) fn with_query(path: &str, query: &[(&str, String)]) -> String {
    let mut text = url::form_urlencoded::Serializer::new(String::new());
    text.extend_pairs(query);
    format!("{path}?{}", text.finish())
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

fn http(ca: Option<Vec<u8>>) -> Result<Http, Failure> {
    let cannot = |e: &dyn fmt::Display| Failure::usage(format!("TLS cannot be set up: {e}"));
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider);
    let tls = tls
        .with_safe_default_protocol_versions()
        .map_err(|e| cannot(&e))?;
    let tls = match ca {
        None => tls.with_webpki_roots(),
        Some(pem) => {
            let mut roots = rustls::RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(&pem) {
                roots
                    .add(certificate.map_err(|e| cannot(&e))?)
                    .map_err(|e| cannot(&e))?;
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
