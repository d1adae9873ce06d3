//! A request for a screen: who looks, at what, from where.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Extension;
use axum::body::Bytes;
use axum::extract::FromRequestParts;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use maud::Markup;

use super::assets::hash;
use super::frame::{Frame, May};
use super::words::{count, seconds};
use crate::admin::access::{Right, Visitor};
use crate::admin::door::Arrival;
use crate::admin::state::AdminState;
use crate::board::Snapshot;
use crate::text::contained_line;

/// So many rendered screens are kept, each for as long as what it shows is the newest.
const KEPT: usize = 256;
/// Names of the service and of its environment have so many bytes at the most.
const LONGEST_NAME: usize = 200;

/// A request for a screen.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) state: AdminState,
    pub(super) frame: Frame,
    pub(super) snapshot: Arc<Snapshot>,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    rendered: Arc<Rendered>,
    key: String,
}

impl FromRequestParts<AdminState> for Visit {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AdminState) -> Result<Self, Infallible> {
        let visitor = parts.extensions.get::<Visitor>().cloned();
        let visitor = visitor.unwrap_or_else(Visitor::denied);
        let base = parts
            .extensions
            .get::<Arrival>()
            .map_or("".into(), |a| a.base.clone());
        let rendered = parts
            .extensions
            .get::<Arc<Rendered>>()
            .cloned()
            .unwrap_or_default();
        let snapshot = state.board.look().await;
        let frame = Frame::of(state, &visitor, &base, Some(&snapshot));
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self {
            state: state.clone(),
            key: format!("{base} {} {:?} {:?}", parts.uri, frame.may, frame.viewer),
            frame,
            snapshot,
            query: serde_urlencoded::from_str(query).unwrap_or_default(),
            headers: parts.headers.clone(),
            rendered,
        })
    }
}

impl Frame {
    /// What is around a screen for this visitor; without a snapshot, nothing is said of the fleet.
    pub(super) fn of(
        state: &AdminState,
        visitor: &Visitor,
        base: &str,
        snapshot: Option<&Snapshot>,
    ) -> Self {
        let settings = &state.settings;
        let may = |right| settings.actions && visitor.may(right);
        let stale = snapshot.and_then(|snapshot| snapshot.stale.as_ref());
        let now = snapshot.map_or_else(|| state.board.now(), |snapshot| snapshot.at);
        Self {
            base: base.to_owned(),
            title: contained_line(&settings.title, LONGEST_NAME),
            environment: settings
                .environment
                .as_ref()
                .map(|(name, color)| (contained_line(name, LONGEST_NAME), color.as_str())),
            fleet: snapshot.map(fleet).unwrap_or_default(),
            viewer: visitor.actor().map(str::to_owned),
            may: May {
                run: may(Right::Run),
                pause: may(Right::Pause),
                override_: may(Right::Override),
                cancel: may(Right::Cancel),
                drain: may(Right::Drain),
                unlock: may(Right::ReleaseLock),
                #[cfg(feature = "dynamic")]
                dynamic: may(Right::Dynamic) && state.handle.task_store().is_some(),
                #[cfg(not(feature = "dynamic"))]
                dynamic: false,
            },
            now,
            read_at: stale.map_or(now, |(since, _)| since.0),
            stale: stale.map(|(_, why)| why.clone()),
        }
    }
}

/// The fleet in a few words.
fn fleet(snapshot: &Snapshot) -> String {
    let instances = &snapshot.summary.instances;
    let ready = match (instances.ready, instances.total) {
        (ready, total) if ready == total => count(total, "replica", "replicas"),
        (ready, total) => format!("{ready} of {total} replicas ready"),
    };
    let store = &snapshot.summary.store;
    match (store.status.as_str(), store.latency_s) {
        ("down", _) => format!("{ready} · store down"),
        (_, Some(s)) => format!("{ready} · store {}", seconds(s)),
        (_, None) => ready,
    }
}

impl Visit {
    /// What the query says; what is empty counts as not said.
    pub(super) fn asked(&self, name: &str) -> Option<&str> {
        let found = self
            .query
            .iter()
            .find(|(known, value)| known == name && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    }

    /// The same as an instant: RFC 3339, or the form that browsers send, which is taken to be in UTC.
    pub(super) fn asked_instant(&self, name: &str) -> Option<DateTime<Utc>> {
        let text = self.asked(name)?;
        let local = |form: &str| {
            Some(
                chrono::NaiveDateTime::parse_from_str(text, form)
                    .ok()?
                    .and_utc(),
            )
        };
        DateTime::parse_from_rfc3339(text)
            .map(|at| at.to_utc())
            .ok()
            .or_else(|| local("%Y-%m-%dT%H:%M:%S"))
            .or_else(|| local("%Y-%m-%dT%H:%M"))
    }

    /// The answer, if somebody else has just asked the same.
    pub(super) fn known(&self) -> Option<Response> {
        let (tag, page) = self.rendered.find(&self.key, self.snapshot.at)?;
        Some(self.answer(&tag, page))
    }

    /// The answer with a screen, which others who ask the same now get too.
    pub(super) fn show(&self, page: Markup) -> Response {
        let page = page.into_string();
        let tag: Arc<str> = format!("\"{:016x}\"", hash(&lasting(&page))).into();
        let page = Bytes::from(page);
        self.rendered
            .keep(&self.key, self.snapshot.at, (tag.clone(), page.clone()));
        self.answer(&tag, page)
    }

    fn answer(&self, tag: &str, page: Bytes) -> Response {
        let known = self
            .headers
            .get(IF_NONE_MATCH)
            .and_then(|known| known.to_str().ok());
        let headers = [(ETAG, tag), (CACHE_CONTROL, "no-store")];
        if known.is_some_and(|known| known.split(',').any(|k| k.trim() == tag)) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        let kind = [(CONTENT_TYPE, "text/html; charset=utf-8")];
        (headers, kind, page).into_response()
    }
}

/// What of a page tells something new: without how long ago that was, which readers count themselves.
fn lasting(page: &str) -> Vec<u8> {
    let body = page
        .find("<header")
        .and_then(|at| page.get(at..))
        .unwrap_or(page);
    let mut kept = Vec::with_capacity(body.len());
    for (n, piece) in body.split("<time ").enumerate() {
        let rest = match n {
            0 => piece,
            _ => {
                let tag = piece.split_once('>').map_or("", |(tag, _)| tag);
                // When it was read is no news either.
                if !tag.contains("data-read") {
                    kept.extend_from_slice(tag.as_bytes());
                }
                piece.split_once("</time>").map_or("", |(_, rest)| rest)
            }
        };
        kept.extend_from_slice(rest.as_bytes());
    }
    kept
}

type Screen = (Arc<str>, Bytes);

/// Screens that were rendered from the newest snapshot, with their tags.
#[derive(Debug, Default)]
pub(super) struct Rendered {
    // Held for a look and an insertion.
    screens: Mutex<(DateTime<Utc>, HashMap<String, Screen>)>,
}

impl Rendered {
    pub(super) fn layer() -> Extension<Arc<Self>> {
        Extension(Arc::default())
    }

    fn find(&self, key: &str, at: DateTime<Utc>) -> Option<Screen> {
        let screens = self.screens.lock().unwrap_or_else(PoisonError::into_inner);
        screens.1.get(key).filter(|_| screens.0 == at).cloned()
    }

    fn keep(&self, key: &str, at: DateTime<Utc>, screen: Screen) {
        let mut screens = self.screens.lock().unwrap_or_else(PoisonError::into_inner);
        if screens.0 != at || screens.1.len() >= KEPT {
            screens.1.clear();
            screens.0 = at;
        }
        screens.1.insert(key.to_owned(), screen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_that_passes_is_no_news() {
        let page = |now: &str, ago: &str, what: &str| {
            format!(
                "<body data-now={now}><header></header><p>{what} <time datetime=\"T\">{ago}</time> end"
            )
        };
        let first = lasting(&page("1", "5 s ago", "ran"));
        assert_eq!(first, lasting(&page("2", "9 s ago", "ran")));
        assert_ne!(first, lasting(&page("2", "9 s ago", "failed")));
        assert!(
            String::from_utf8(first)
                .unwrap()
                .ends_with("datetime=\"T\" end")
        );
    }
}
