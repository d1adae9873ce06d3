//! The kind `http`, with real servers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::any;
use tasklock::serde_json::{Value, json};
use tasklock::{ErrorKind, Http, Outcome};
use tokio::net::TcpListener;

use crate::support::one_run::{Ended, OneRun};

/// A server of this test's own, and what it was asked.
struct Server {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(routes: impl FnOnce(Router) -> Router) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = asked.clone();
        let hear = move |request: Request| {
            let heard = heard.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
                let key = parts.headers.get("x-key").map(|k| k.to_str().unwrap());
                let text = format!(
                    "{} {} {} {}",
                    parts.method,
                    parts.uri,
                    key.unwrap_or("-"),
                    String::from_utf8_lossy(&body)
                );
                heard.lock().unwrap().push(text.trim_end().to_owned());
                "fine"
            }
        };
        let router = routes(Router::new().fallback(hear));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, asked }
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn to(url: &str) -> impl Fn() -> std::future::Ready<Response> + Clone + Send + use<> {
    let url = url.to_owned();
    move || std::future::ready(Redirect::temporary(&url).into_response())
}

fn answer(
    status: u16,
    text: &str,
) -> impl Fn() -> std::future::Ready<Response> + Clone + Send + use<> {
    let text = text.to_owned();
    let status = axum::http::StatusCode::from_u16(status).unwrap();
    move || std::future::ready((status, text.clone()).into_response())
}

async fn ask(server: &Server, parameters: Value) -> Ended {
    let http = Http::new().unwrap().allow(&server.url).unwrap();
    OneRun::of(http).await.run("t", parameters).await
}

#[tokio::test]
async fn a_request_is_sent_as_the_task_says() {
    let server = Server::start(|r| r).await;
    let ended = ask(
        &server,
        json!({ "url": server.at("/a/b?c=d"), "method": "post", "headers": { "X-Key": "k" }, "body": "hello" }),
    )
    .await;
    assert_eq!(ended, (Outcome::Success, String::new()));
    assert_eq!(server.asked(), ["POST /a/b?c=d k hello"]);
}

#[tokio::test]
async fn a_status_that_is_not_expected_fails_with_the_beginning_of_the_answer() {
    let long = format!("sold\u{1b} out {}", "x".repeat(1_000_000));
    let server = Server::start(|r| r.route("/", any(answer(503, &long)))).await;
    let (outcome, error) = ask(&server, json!({ "url": server.at("/?secret=1") })).await;
    assert_eq!(outcome, Outcome::Failure);
    let text = format!(
        "{}/ answered 503 Service Unavailable: sold\\u{{1b}} out xxx",
        server.url
    );
    assert!(error.starts_with(&text), "{error}");
    assert!(error.len() < 400 && !error.contains("secret"));
    let expected = json!({ "url": server.at("/"), "expect": [200, 503] });
    assert_eq!(ask(&server, expected).await.0, Outcome::Success);
    let fine = json!({ "url": server.at("/fine"), "expect": [204] });
    assert_eq!(ask(&server, fine).await.0, Outcome::Failure);
}

#[tokio::test]
async fn redirects_are_followed_within_the_list_and_not_outside_of_it() {
    let inside = Server::start(|r| r).await;
    let outside = Server::start(|r| r).await;
    let server = Server::start(|r| {
        r.route("/in", any(to(&inside.at("/there"))))
            .route("/out", any(to(&outside.at("/there"))))
            .route("/file", any(to("file:///etc/passwd")))
            .route("/user", any(to("http://me:secret@127.0.0.1/")))
            .route("/again", any(to("/again")))
            .route("/here", any(to("there")))
    })
    .await;
    let http = || Http::new().unwrap().allow(&server.url).unwrap();
    let http = || http().allow(&inside.at("/there")).unwrap();
    let ask = async |path: &str| {
        let asked = json!({ "url": server.at(path), "method": "PUT", "headers": { "x-key": "k" }, "body": "b" });
        OneRun::of(http()).await.run("t", asked).await
    };
    assert_eq!(ask("/in").await.0, Outcome::Success);
    // What is meant for one server is not told to another.
    assert_eq!(inside.asked(), ["PUT /there - b"]);
    assert_eq!(ask("/here").await.0, Outcome::Success);
    assert_eq!(server.asked(), ["PUT /there k b"]);
    for (path, part) in [
        ("/out", "is not allowed here"),
        ("/file", "redirects to another address"),
        ("/user", "has a user or a password"),
        ("/again", "redirects more than 5 times"),
    ] {
        let (outcome, error) = ask(path).await;
        assert_eq!(outcome, Outcome::Failure);
        assert!(error.contains(part) && !error.contains("secret"), "{error}");
    }
    assert_eq!(outside.asked(), [""; 0]);
}

#[tokio::test]
async fn what_the_list_does_not_allow_is_refused_when_it_is_saved() {
    let http = Http::new().unwrap();
    let http = http.allow("https://hooks.example.com/tasks/").unwrap();
    let run = OneRun::of(http).await;
    let ours = "https://hooks.example.com/tasks/7";
    for (parameters, part) in [
        (
            json!({ "url": "https://example.com/" }),
            "is not allowed here",
        ),
        (
            json!({ "url": "http://169.254.169.254/latest/meta-data" }),
            "is not allowed here",
        ),
        (
            json!({ "url": "https://hooks.example.com/tasks/../admin" }),
            "is not allowed here",
        ),
        (json!({ "url": "file:///etc/passwd" }), "no address of http"),
        (json!({ "url": "x".repeat(60_000) }), "is no address"),
        (
            json!({ "url": ours, "method": "CONNECT" }),
            "\"CONNECT\" is none of",
        ),
        (
            json!({ "url": ours, "headers": { "Host": "evil" } }),
            "\"Host\" is not for tasks",
        ),
        (
            json!({ "url": ours, "headers": { "a b": "c" } }),
            "no such name",
        ),
        (
            json!({ "url": ours, "headers": { "a": "b\r\nc: d" } }),
            "control characters",
        ),
        (json!({ "url": ours, "timeout_s": -1 }), "is no duration"),
        (json!({ "url": ours, "timeout_s": 0 }), "timeout_s is 0"),
        (
            json!({ "url": ours, "verify": false }),
            "unknown field `verify`",
        ),
    ] {
        let error = run.save("t", parameters).await.unwrap_err();
        assert!(error.contains(part), "{error}");
        assert!(error.len() < 700, "{error}");
    }
    for prefix in [
        "example.com",
        "ftp://example.com/",
        "https://a@b/",
        "https://a/?b",
    ] {
        let error = Http::new().unwrap().allow(prefix).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{prefix}");
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_and_one_that_is_away_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}", listener.local_addr().unwrap());
    let http = Http::new().unwrap().allow(&silent).unwrap();
    let run = OneRun::of(http).await;
    let ended = run
        .run("silent", json!({ "url": silent, "timeout_s": 0.2 }))
        .await;
    let text = "the request took longer than 200ms";
    assert_eq!(ended, (Outcome::Failure, text.to_owned()));
    // It is given up too when its run is to end.
    run.save("asked", json!({ "url": silent })).await.unwrap();
    drop(listener.accept().await.unwrap());
    let _held = listener.accept().await.unwrap();
    let report = run.scheduler.stop().await;
    assert_eq!(report.cancelled, ["asked"]);
    drop((listener, _held));
    let http = Http::new().unwrap().allow(&silent).unwrap();
    let (outcome, error) = OneRun::of(http)
        .await
        .run("t", json!({ "url": silent }))
        .await;
    assert_eq!(outcome, Outcome::Failure);
    assert!(
        error.contains("cannot be asked") && error.contains("refused"),
        "{error}"
    );
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let endless = || async {
        let chunks = std::iter::repeat_with(|| Ok::<_, std::io::Error>(vec![b'x'; 65_536]));
        let body = axum::body::Body::from_stream(futures_of(chunks));
        body.into_response()
    };
    let server = Server::start(|r| r.route("/", any(endless))).await;
    let asked = json!({ "url": server.at("/"), "timeout_s": 20 });
    assert_eq!(ask(&server, asked).await.0, Outcome::Success);
}

/// An iterator as a stream that goes on for ever.
fn futures_of<I>(iter: I) -> impl futures_util::Stream<Item = I::Item>
where
    I: Iterator,
{
    futures_util::stream::iter(iter)
}

#[tokio::test]
async fn a_client_can_be_made_twice_and_shared_by_many_runs() {
    let server = Server::start(|r| r).await;
    let http = Http::new().unwrap().allow(&server.url).unwrap();
    let run = OneRun::of(http).await;
    for n in 0..20 {
        let asked = json!({ "url": server.at(&format!("/{n}")), "timeout_s": 10 });
        run.save(&format!("t{n}"), asked).await.unwrap();
    }
    for n in 0..20 {
        assert_eq!(run.ended(&format!("t{n}")).await.0, Outcome::Success);
    }
    assert_eq!(server.asked().len(), 20);
    tokio::time::timeout(Duration::from_secs(10), run.scheduler.stop())
        .await
        .unwrap();
}
