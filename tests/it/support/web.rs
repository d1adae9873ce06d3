//! The page and its API, asked without a connection; and a fleet that it shows.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request};
use serde_json::Value;
use tasklock::admin::{Access, Right, Visitor};
use tasklock::testing::TestClock;
use tasklock::{
    Clock, MemoryFleet, MemoryHistory, MemoryLock, RedisFleet, RedisHistory, RedisLock,
    SchedulerBuilder, SystemClock,
};
use tower::ServiceExt;

use crate::support::{Bench, RedisServer, clock_and_lock};

/// A request.
pub struct Ask {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
    pub peer: Option<SocketAddr>,
}

impl Ask {
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: String::new(),
            peer: None,
        }
    }

    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// What a viewer reads of the API.
    pub fn read(path: &str) -> Self {
        Self::get(&format!("/api/v1{path}")).by("viewer")
    }

    /// What somebody does by the API who may do everything.
    pub fn act(method: &str, path: &str, body: Value) -> Self {
        let ask = Self::new(method, &format!("/api/v1{path}"));
        ask.by("admin").json(body)
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// As somebody of this level: see [`levels`].
    pub fn by(self, level: &str) -> Self {
        self.header("x-level", level)
    }

    pub fn json(mut self, body: Value) -> Self {
        self.body = body.to_string();
        self.header("content-type", "application/json")
    }

    pub fn form(mut self, body: &str) -> Self {
        self.body = body.to_owned();
        self.header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "text/html")
    }

    pub fn peer(mut self, peer: &str) -> Self {
        self.peer = Some(peer.parse().unwrap());
        self
    }

    pub async fn of(self, router: &Router) -> Got {
        let mut request = Request::builder()
            .method(self.method.as_str())
            .uri(&self.path);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let mut request = request.body(Body::from(self.body)).unwrap();
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(ConnectInfo(peer));
        }
        let response = router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 64 << 20).await.unwrap();
        Got {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }
}

/// An answer.
#[derive(Debug)]
pub struct Got {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Got {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub fn code(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{self:?}"
        );
        self.json()["code"].as_str().unwrap().to_owned()
    }
}

/// Whoever says so in a header: `viewer`, `operator`, `admin`, or a right.
pub fn levels() -> Access {
    Access::from(|request: &Parts| {
        let level = request
            .headers
            .get("x-level")
            .map(|level| level.to_str().unwrap());
        match level {
            None => Visitor::denied(),
            Some("viewer") => Visitor::viewer(),
            Some("operator") => Visitor::operator("olga"),
            Some("admin") => Visitor::admin("ana"),
            Some("run") => Visitor::with_rights("rita", [Right::Run]),
            Some(other) => panic!("{other}"),
        }
    })
}

/// Instances that share a lock, a fleet's store and a history.
pub struct Shop {
    pub clock: Arc<TestClock>,
    stores: Stores,
}

enum Stores {
    Memory(MemoryLock, MemoryFleet, MemoryHistory),
    Redis(RedisServer),
}

impl Shop {
    /// In memory. Use it in tests with tokio's time paused.
    pub fn new() -> Self {
        let (clock, lock) = clock_and_lock();
        let store = MemoryFleet::with_clock(clock.clone());
        let history = MemoryHistory::with_clock(clock.clone());
        Self {
            clock,
            stores: Stores::Memory(lock, store, history),
        }
    }

    /// In a Redis of its own, now.
    pub fn on_redis() -> Self {
        Self {
            clock: Arc::new(TestClock::at(&SystemClock.now().to_rfc3339())),
            stores: Stores::Redis(RedisServer::start()),
        }
    }

    /// What is in memory, to look into it and to write beside its instances.
    pub fn memory(&self) -> (MemoryFleet, MemoryHistory) {
        match &self.stores {
            Stores::Memory(_, store, history) => (store.clone(), history.clone()),
            Stores::Redis(_) => panic!("this one is in Redis"),
        }
    }

    /// An instance that is not started yet.
    pub fn instance(&self, id: &str) -> Bench {
        self.instance_with(id, |builder| builder)
    }

    pub fn instance_with(
        &self,
        id: &str,
        settings: impl FnOnce(SchedulerBuilder) -> SchedulerBuilder,
    ) -> Bench {
        let (clock, id) = (self.clock.clone(), id.to_owned());
        match &self.stores {
            Stores::Memory(lock, store, history) => {
                let (store, history) = (store.clone(), history.clone());
                Bench::on(clock, lock.clone(), |builder| {
                    settings(builder.fleet(store).history(history).instance_id(id))
                })
            }
            Stores::Redis(server) => {
                let lock = RedisLock::builder(&server.url()).build().unwrap();
                let (store, history) = (RedisFleet::beside(&lock), RedisHistory::beside(&lock));
                Bench::on(clock, lock, |builder| {
                    settings(builder.fleet(store).history(history).instance_id(id))
                })
            }
        }
    }

    /// An instance that has begun, with one task that is due once a year.
    pub async fn serving(&self, task: &str) -> (Bench, Router) {
        let bench = self.instance("a");
        bench.task(task, YEARLY, |_| async { Ok(()) });
        bench.start().await;
        let router = open(&bench);
        until("the instance is seen", async || {
            let got = Ask::get("/api/v1/instances").by("viewer").of(&router).await;
            let said = got.json()["items"][0]["tasks"].as_u64();
            (said == Some(1)).then_some(())
        })
        .await;
        (bench, router)
    }
}

/// Does something that answers with this status.
pub async fn done(
    router: &Router,
    (method, path): (&str, &str),
    body: Value,
    status: u16,
) -> Value {
    let got = Ask::act(method, path, body).of(router).await;
    assert_eq!(got.status, status, "{method} {path} {got:?}");
    match got.body.is_empty() {
        true => Value::Null,
        false => got.json(),
    }
}

/// Never while a test runs.
pub const YEARLY: &str = "0 0 0 1 1 *";

/// Waits until something is there to see, by tokio's time.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "not seen: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The same cases over stores in memory, with time that is paused, and over a real Redis.
macro_rules! over_all_stores {
    ($($case:ident),+ $(,)?) => {
        mod in_memory {
            $(#[tokio::test(start_paused = true)]
            async fn $case() {
                super::$case($crate::support::web::Shop::new()).await;
            })+
        }
        mod in_redis {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case($crate::support::web::Shop::on_redis()).await;
            })+
        }
    };
}
pub(crate) use over_all_stores;

/// The page and API of an instance, with actions.
pub fn open(bench: &Bench) -> Router {
    bench
        .scheduler
        .admin()
        .access(levels())
        .actions(true)
        .router()
}
