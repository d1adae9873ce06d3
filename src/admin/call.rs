//! A request that was let in, as its handler reads it: strictly.

use axum::http::{HeaderMap, header};
use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;

use crate::admin::access::{Right, Visitor};
use crate::admin::door::Arrival;
use crate::admin::problem::Problem;
use crate::admin::state::AdminState;
use crate::control::{By, ControlPlane};
use crate::history::History;
use crate::task::RunId;
use crate::text::contained_line;

/// A request that was let in.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) state: AdminState,
    pub(super) visitor: Visitor,
    pub(super) arrival: Arrival,
    pub(super) path: Vec<(String, String)>,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// The body is that of a form.
    pub(super) is_form: bool,
    /// Whoever asks wants a page.
    pub(super) wants_page: bool,
}

impl Call {
    /// A part of the path.
    pub(super) fn part(&self, name: &str) -> &str {
        let found = self.path.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    /// The query, all of which is known. What is empty counts as not said, as forms send that.
    pub(super) fn query<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let query = said(self.query.as_bytes())?;
        serde_urlencoded::from_str(&query).map_err(|e| {
            let text = format!("the query cannot be read: {e}");
            Problem::new("malformed-request", &text).at("/query", e.to_string(), None)
        })
    }

    /// The body: a JSON object, or a form. None at all counts as an empty one.
    pub(super) fn body<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let malformed = |e: String, position: Option<usize>| {
            let text = format!("the body cannot be read: {e}");
            Problem::new("malformed-request", text).at("", e, position)
        };
        if self.is_form {
            let form = said(&self.body)?;
            return serde_urlencoded::from_str(&form).map_err(|e| malformed(e.to_string(), None));
        }
        let body: &[u8] = if self.body.is_empty() {
            b"{}"
        } else {
            &self.body
        };
        let kind = self.header("content-type").unwrap_or("application/json");
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !self.body.is_empty() && !kind.eq_ignore_ascii_case("application/json") {
            let shown = contained_line(kind, 80);
            let text = format!("{shown:?} is not read here: send application/json");
            return Err(Problem::new("unsupported-media-type", text));
        }
        serde_json::from_slice(body).map_err(|e| malformed(e.to_string(), Some(e.column())))
    }

    /// A header of text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// What is to be as it was seen: of `If-Match`, without quotes. `None` for no such wish.
    pub(super) fn if_match(&self) -> Option<&str> {
        let tag = self.header(header::IF_MATCH.as_str())?.trim();
        (tag != "*").then(|| tag.trim_start_matches("W/").trim_matches('"'))
    }

    /// Who asks, with a reason.
    pub(super) fn by(&self, reason: Option<&str>) -> Result<By, Problem> {
        let actor = self.visitor.actor().unwrap_or("unknown");
        let reason = reason.ok_or_else(|| {
            let text = "say why: `reason` is missing";
            Problem::new("malformed-request", text).at("/reason", "missing", None)
        })?;
        let by = By::new(actor, reason);
        let arrival = &self.arrival;
        let by = by.and_then(|by| by.by_request(&arrival.request_id, arrival.address));
        by.map_err(|e| {
            Problem::new("malformed-request", e.to_string()).at("/reason", e.to_string(), None)
        })
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.state.board.now()
    }

    /// The control of the fleet; of a scheduler that has none nothing can be wanted.
    pub(super) fn control(&self) -> Result<ControlPlane, Problem> {
        self.state.handle.control().ok_or_else(|| {
            let text =
                "the scheduler has no fleet to act on: give it one with SchedulerBuilder::fleet";
            Problem::new("no-fleet", text)
        })
    }

    pub(super) fn history(&self) -> Result<std::sync::Arc<dyn History>, Problem> {
        self.state.handle.history().ok_or_else(|| {
            let text = "the scheduler keeps no history: give it one with SchedulerBuilder::history";
            Problem::new("no-history", text)
        })
    }

    /// The id in the path.
    pub(super) fn run_id(&self) -> Result<RunId, Problem> {
        let id = self.part("id");
        id.parse().map_err(|_| self.no_run(id))
    }

    pub(super) fn no_run(&self, id: &str) -> Problem {
        let shown = contained_line(id, 40);
        let text = format!("no run {shown:?} is known: it never was, or is not kept any more");
        Problem::new("run-not-found", text)
    }

    /// An address of the API.
    pub(super) fn address(&self, path: &str) -> String {
        format!("{}/api/v1{path}", self.arrival.base)
    }

    pub(super) fn check(&self, right: Right) -> Result<(), Problem> {
        if self.visitor.may(right) {
            return Ok(());
        }
        let text = format!("this needs the right {:?}", right.as_str());
        Err(Problem::new("forbidden", text).with("required_right", right.as_str()))
    }
}

/// The pairs of a form or a query that say something, but for what tells the method.
fn said(text: &[u8]) -> Result<String, Problem> {
    let broken = |e: String| Problem::new("malformed-request", format!("it is no form: {e}"));
    let mut pairs: Vec<(String, String)> =
        serde_urlencoded::from_bytes(text).map_err(|e| broken(e.to_string()))?;
    pairs.retain(|(name, value)| !value.is_empty() && name != "_method");
    serde_urlencoded::to_string(&pairs).map_err(|e| broken(e.to_string()))
}
