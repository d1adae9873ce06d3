//! Streams of events.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::http::Request;
use serde_json::{Value, json};
use tasklock::{HistoryWrite, LogLine, MemoryFleet, MemoryLock, Scheduler};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

use crate::support::pass;
use crate::support::web::{Ask, Shop, levels, open, over_all_stores, until};

#[tokio::test]
async fn streams_follow_and_end_when_the_scheduler_stops_so_that_the_server_can() {
    let (history, fleet) = (tasklock::MemoryHistory::new(), MemoryFleet::new());
    let scheduler = Scheduler::builder()
        .lock(MemoryLock::new())
        .fleet(fleet)
        .history(history)
        .build()
        .unwrap();
    let minute = Duration::from_secs(60);
    let body = |_| async { Ok(()) };
    scheduler
        .register(tasklock::BaseTask::new("t", "* * * * * *", minute, body))
        .unwrap();
    scheduler.start().await.unwrap();
    let router = scheduler.admin().access(levels()).router();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(async move {
        let serve = axum::serve(listener, router);
        serve
            .with_graceful_shutdown(async { drop(stopped.await) })
            .await
    });
    let mut connection = TcpStream::connect(address).await.unwrap();
    let request =
        "GET /api/v1/events HTTP/1.1\r\nhost: x\r\nx-level: viewer\r\nconnection: close\r\n\r\n";
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    let mut buffer = [0; 4096];
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while !text.contains("event: task") {
        assert!(tokio::time::Instant::now() < deadline, "{text}");
        let read = connection.read(&mut buffer).await.unwrap();
        assert_ne!(read, 0, "{text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    assert!(
        text.to_lowercase()
            .contains("content-type: text/event-stream"),
        "{text}"
    );
    // The server waits for its connections: the stream is one that does not end by itself.
    scheduler.stop().await;
    stop.send(()).unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(10), server).await;
    ended
        .expect("the server waits for a stream")
        .unwrap()
        .unwrap();
    connection.read_to_string(&mut text).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_log_of_a_run_is_followed_to_its_end() {
    let shop = Shop::new();
    let bench = shop.instance("a");
    bench.task("t", "0 0 0 * * *", |_| async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        Ok(())
    });
    bench.start().await;
    pass(0.1).await;
    let router = open(&bench);
    let run = Ask::act("POST", "/tasks/t/runs", json!({ "reason": "x" }))
        .of(&router)
        .await
        .json();
    let id = run["run_id"].as_str().unwrap().to_owned();
    pass(1.5).await;
    let stream = Ask::read(&format!("/runs/{id}/logs"))
        .header("accept", "text/event-stream")
        .of(&router)
        .await;
    assert!(stream.body.contains("event: end\n"), "{stream:?}");
    assert!(
        stream.body.contains(r#"data: {"outcome":"success"}"#),
        "{stream:?}"
    );
    let plain = Ask::read(&format!("/runs/{id}/logs"))
        .header("accept", "text/plain")
        .of(&router)
        .await;
    assert_eq!(plain.header("content-type"), "text/plain; charset=utf-8");
    let none = Ask::read("/runs/01JD9A4F2C6Q8V0Y3M5N7P9R1T/logs")
        .of(&router)
        .await;
    assert_eq!(none.code(), "run-not-found");
}

/// A stream that is not read.
async fn opened(router: &Router) -> axum::response::Response {
    let request = Request::get("/api/v1/events").header("x-level", "viewer");
    let request = request.body(Body::empty()).unwrap();
    router.clone().oneshot(request).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_hundred_streams_are_open_at_once_and_one_that_is_left_makes_room() {
    let shop = Shop::new();
    let (_bench, router) = shop.serving("t").await;
    let mut streams = Vec::new();
    for _ in 0..100 {
        let stream = opened(&router).await;
        assert_eq!(stream.status(), 200);
        streams.push(stream);
    }
    let more = Ask::read("/events").of(&router).await;
    assert_eq!(
        (more.code().as_str(), more.header("retry-after")),
        ("too-many-triggers", "5")
    );
    // What is not a stream is answered all the same.
    assert_eq!(Ask::read("/tasks").of(&router).await.status, 200);
    drop(streams.pop());
    until("there is room for one", async || {
        let stream = opened(&router).await;
        (stream.status() == 200).then(|| streams.push(stream))
    })
    .await;
    assert_eq!(Ask::read("/events").of(&router).await.status, 429);
}

over_all_stores!(lines_are_read_from_where_they_were_left);

async fn lines_are_read_from_where_they_were_left(shop: Shop) {
    let (bench, router) = shop.serving("t").await;
    let run = Ask::act("POST", "/tasks/t/runs", json!({ "reason": "x" }));
    let id = run.of(&router).await.json()["run_id"].clone();
    let id = id.as_str().unwrap().to_owned();
    until("the run has ended", async || {
        let got = Ask::read(&format!("/runs/{id}")).of(&router).await;
        (got.status == 200 && got.json()["state"] == "finished").then_some(())
    })
    .await;
    let line = |n| {
        LogLine::new(
            n,
            bench.now(),
            "INFO",
            "shop",
            format!("line {n} <b>\u{1b}[2J"),
        )
    };
    let history = bench.scheduler.handle().history().unwrap();
    let log = HistoryWrite::Log {
        run_id: id.parse().unwrap(),
        task: "t".parse().unwrap(),
        lines: vec![line(1), line(2), line(3)],
        keep_from: 0,
    };
    history.write(&[log]).await.unwrap();
    let path = format!("/runs/{id}/logs");
    let numbers = async |path: &str| {
        let got = Ask::read(path).of(&router).await;
        assert_eq!(got.header("content-type"), "application/x-ndjson");
        let read = |line| serde_json::from_str::<Value>(line).unwrap()["n"].as_u64();
        got.body.lines().map(read).collect::<Vec<_>>()
    };
    assert_eq!(numbers(&path).await, [Some(1), Some(2), Some(3)]);
    assert_eq!(numbers(&format!("{path}?after=2")).await, [Some(3)]);
    assert_eq!(numbers(&format!("{path}?after=3")).await, []);
    let back = Ask::read(&path).header("accept", "text/event-stream");
    let back = back.header("last-event-id", "2").of(&router).await;
    assert!(back.body.starts_with("event: line\nid: 3\n"), "{back:?}");
    assert_eq!(back.body.matches("event: line").count(), 1, "{back:?}");
    assert!(back.body.contains("event: end\n"), "{back:?}");
    let plain = Ask::read(&path).header("accept", "text/plain");
    let plain = plain.of(&router).await;
    assert!(
        plain.body.contains("shop: line 3 <b>\\u{1b}[2J\n"),
        "{plain:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_to_a_stream_is_told_all_of_it() {
    let shop = Shop::new();
    let (_bench, router) = shop.serving("t").await;
    let first = async |ask: axum::http::request::Builder| {
        let response = router
            .clone()
            .oneshot(ask.header("x-level", "viewer").body(Body::empty()).unwrap())
            .await;
        let mut body = Box::pin(response.unwrap().into_body());
        let frame = std::future::poll_fn(|at| HttpBody::poll_frame(body.as_mut(), at)).await;
        let data = frame.unwrap().unwrap().into_data().unwrap();
        String::from_utf8(data.to_vec()).unwrap()
    };
    let events = || Request::get("/api/v1/events");
    // Nothing changes for somebody new: the first word is that the stream is still there.
    assert_eq!(first(events()).await, ": still here\n\n");
    let back = first(events().header("last-event-id", "1")).await;
    assert!(back.contains("data: {"), "{back}");
}
