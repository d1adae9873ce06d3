//! Who may see and do what.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::ConnectInfo;
use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::request::Parts;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::text::contained_line;

/// Something that a visitor may be allowed to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Right {
    /// Look at everything.
    View,
    /// Have a task run now.
    Run,
    /// Pause, resume and skip.
    Pause,
    /// Cancel runs.
    Cancel,
    /// Give a task another schedule for a while.
    Override,
    /// Drain instances.
    Drain,
    /// Take a lock from its owner.
    ReleaseLock,
    /// Change and delete tasks that are defined at run time.
    Dynamic,
}

impl Right {
    const ALL: [Right; 8] = [
        Right::View,
        Right::Run,
        Right::Pause,
        Right::Cancel,
        Right::Override,
        Right::Drain,
        Right::ReleaseLock,
        Right::Dynamic,
    ];

    /// The word for it: `view`, `run`, `release_lock`.
    pub fn as_str(self) -> &'static str {
        match self {
            Right::View => "view",
            Right::Run => "run",
            Right::Pause => "pause",
            Right::Cancel => "cancel",
            Right::Override => "override",
            Right::Drain => "drain",
            Right::ReleaseLock => "release_lock",
            Right::Dynamic => "dynamic",
        }
    }
}

/// Who has sent a request, and what they may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visitor {
    actor: Option<Arc<str>>,
    rights: Vec<Right>,
}

impl Visitor {
    /// Somebody who may do nothing, not even look.
    pub fn denied() -> Self {
        Self {
            actor: None,
            rights: Vec::new(),
        }
    }

    /// Somebody who may look at everything, and change nothing.
    pub fn viewer() -> Self {
        Self {
            actor: None,
            rights: vec![Right::View],
        }
    }

    /// Somebody who may run, pause, cancel, override and drain. `actor` is their name in the audit
    /// trail.
    pub fn operator(actor: impl AsRef<str>) -> Self {
        use Right::{Cancel, Drain, Override, Pause, Run, View};
        Self::named(actor.as_ref(), &[View, Run, Pause, Cancel, Override, Drain])
    }

    /// Somebody who may do everything.
    pub fn admin(actor: impl AsRef<str>) -> Self {
        Self::named(actor.as_ref(), &Right::ALL)
    }

    /// Somebody who may look, and do these.
    pub fn with_rights(actor: impl AsRef<str>, rights: impl IntoIterator<Item = Right>) -> Self {
        let mut all = vec![Right::View];
        all.extend(rights);
        Self::named(actor.as_ref(), &all)
    }

    /// A name that cannot be in the audit trail is that of nobody.
    fn named(actor: &str, rights: &[Right]) -> Self {
        match crate::control::By::new(actor, "visits") {
            Ok(by) => Self {
                actor: Some(by.actor().into()),
                rights: rights.to_vec(),
            },
            Err(_) => Self::denied(),
        }
    }

    /// Whether they may do this.
    pub fn may(&self, right: Right) -> bool {
        self.rights.contains(&right)
    }

    /// Their name in the audit trail.
    pub fn actor(&self) -> Option<&str> {
        self.actor.as_deref()
    }
}

/// Decides who a request is from. Any `Fn(&Parts) -> Visitor` is one.
///
/// ```
/// use axum::http::request::Parts;
/// use tasklock::admin::{Access, Visitor};
///
/// // What a proxy says that nobody can go around: see `trusted_header` for one that is checked.
/// let access = Access::from(|request: &Parts| match request.headers.get("x-forwarded-user") {
///     Some(user) => Visitor::operator(user.to_str().unwrap_or_default()),
///     None => Visitor::denied(),
/// });
/// ```
#[derive(Clone)]
pub struct Access(Arc<Decide>);

type Decide = dyn Fn(&Parts) -> Visitor + Send + Sync;

impl<F: Fn(&Parts) -> Visitor + Send + Sync + 'static> From<F> for Access {
    fn from(decide: F) -> Self {
        Self(Arc::new(decide))
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Access")
    }
}

impl Access {
    /// Everything for whoever comes from this machine and asks for `localhost`, `127.0.0.1` or `[::1]`:
    /// for development. Nobody else is let in, nor is a page of another site whose name leads here.
    ///
    /// The server has to tell the peer's address:
    /// `app.into_make_service_with_connect_info::<SocketAddr>()`. Do not use it behind a proxy on the
    /// same machine: all requests come from there.
    pub fn localhost() -> Self {
        Self::from(|request: &Parts| {
            let is_near = peer(request).is_some_and(|peer| peer.to_canonical().is_loopback());
            match is_near && names_localhost(request) {
                true => Visitor::admin("localhost"),
                false => Visitor::denied(),
            }
        })
    }

    /// Whoever sends `Authorization: Bearer <token>` with one of these tokens is that visitor. Tokens
    /// are kept as hashes, and compared in constant time. Give them 32 random characters or more; one
    /// of fewer than 16 lets nobody in.
    pub fn bearer_tokens<T: AsRef<str>>(tokens: impl IntoIterator<Item = (T, Visitor)>) -> Self {
        let long = tokens
            .into_iter()
            .filter(|(token, _)| token.as_ref().len() >= 16);
        let known: Vec<([u8; 32], Visitor)> = long
            .map(|(token, visitor)| (Sha256::digest(token.as_ref()).into(), visitor))
            .collect();
        Self::from(move |request: &Parts| {
            let header = request.headers.get(AUTHORIZATION);
            let text = header
                .and_then(|header| header.to_str().ok())
                .unwrap_or_default();
            let (scheme, token) = text.split_once(' ').unwrap_or_default();
            if !scheme.eq_ignore_ascii_case("bearer") {
                return Visitor::denied();
            }
            let given: [u8; 32] = Sha256::digest(token.trim()).into();
            let mut found = Visitor::denied();
            for (hash, visitor) in &known {
                if bool::from(hash.ct_eq(&given)) {
                    found = visitor.clone();
                }
            }
            found
        })
    }

    /// Whoever a proxy at one of `peers` names in the header `name` is an
    /// [`operator`](Visitor::operator) of that name. From elsewhere the header counts for nothing. The
    /// proxy has to remove it from what it is sent.
    ///
    /// The server has to tell the peer's address:
    /// `app.into_make_service_with_connect_info::<SocketAddr>()`.
    pub fn trusted_header(
        name: impl Into<String>,
        peers: impl IntoIterator<Item = IpAddr>,
    ) -> Self {
        let (name, peers): (String, Vec<IpAddr>) = (name.into(), peers.into_iter().collect());
        Self::from(move |request: &Parts| {
            let is_trusted = peer(request).is_some_and(|peer| {
                peers
                    .iter()
                    .any(|known| known.to_canonical() == peer.to_canonical())
            });
            let mut values = request.headers.get_all(name.as_str()).iter();
            match (is_trusted, values.next(), values.next()) {
                (true, Some(user), None) => Visitor::operator(user.to_str().unwrap_or_default()),
                _ => Visitor::denied(),
            }
        })
    }

    pub(super) fn decide(&self, request: &Parts) -> Visitor {
        (self.0)(request)
    }
}

/// Where a request comes from, if the server tells.
pub(super) fn peer(request: &Parts) -> Option<IpAddr> {
    let peer = request.extensions.get::<ConnectInfo<SocketAddr>>()?;
    Some(peer.0.ip())
}

fn names_localhost(request: &Parts) -> bool {
    let header = request
        .headers
        .get(HOST)
        .and_then(|host| host.to_str().ok());
    let Some(host) = request.uri.authority().map(|a| a.as_str()).or(header) else {
        return false;
    };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    ["localhost", "127.0.0.1", "[::1]"].contains(&contained_line(name, 64).as_str())
}
