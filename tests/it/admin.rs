//! The HTTP routes, over a real connection.

use std::time::Duration;

use axum::Router;
use tasklock::{Event, LockOperation, MemoryLock, Metrics, admin};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Bench, Fault, ScriptedLock};

struct Answer {
    code: u16,
    head: String,
    body: String,
}

/// Sends one request, and reads the answer to its end.
async fn ask(app: &Router, method: &str, target: &str) -> Answer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = app.clone();
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let mut connection = TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    server.abort();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    Answer {
        code: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_lowercase(),
        body: body.to_owned(),
    }
}

fn served() -> (Bench, Router) {
    let metrics = Metrics::new().unwrap();
    let bench = Bench::with(
        |clock| MemoryLock::with_clock(clock),
        |builder| builder.metrics(metrics.clone()),
    );
    bench.task("nightly", "0 0 2 * * *", |_| async { Ok(()) });
    let app = admin::routes(bench.scheduler.handle(), metrics);
    (bench, app)
}

#[tokio::test]
async fn metrics_are_served_as_text() {
    let (_bench, app) = served();
    let answer = ask(&app, "GET", "/metrics").await;
    assert_eq!(answer.code, 200);
    assert!(
        answer
            .head
            .contains("\r\ncontent-type: text/plain; version=0.0.4\r\n"),
        "{}",
        answer.head
    );
    assert!(
        answer
            .body
            .contains("task_errors_total{task_name=\"nightly\"} 0\n")
    );
}

#[tokio::test]
async fn head_has_no_body_and_other_methods_are_refused() {
    let (_bench, app) = served();
    for path in ["/metrics", "/livez", "/readyz"] {
        let answer = ask(&app, "HEAD", path).await;
        assert_ne!(answer.code, 405, "{path}");
        assert_eq!(answer.body, "", "{path}");
        for method in ["POST", "PUT", "DELETE"] {
            let answer = ask(&app, method, path).await;
            assert_eq!(answer.code, 405, "{method} {path}");
            assert!(answer.head.contains("allow: get,head"), "{}", answer.head);
        }
    }
    assert_eq!(ask(&app, "GET", "/").await.code, 404);
}

#[tokio::test]
async fn an_instance_is_ready_from_its_start_to_its_stop() {
    let (bench, app) = served();
    let readyz = ask(&app, "GET", "/readyz").await;
    assert_eq!((readyz.code, readyz.body.as_str()), (503, "fail\n"));
    assert_eq!(ask(&app, "GET", "/livez").await.code, 200);

    bench.start().await;
    let readyz = ask(&app, "GET", "/readyz").await;
    assert_eq!((readyz.code, readyz.body.as_str()), (200, "pass\n"));
    assert_eq!(ask(&app, "GET", "/livez").await.code, 200);

    bench.scheduler.stop().await;
    let readyz = ask(&app, "GET", "/readyz?verbose").await;
    assert_eq!(readyz.code, 503);
    let json: serde_json::Value = serde_json::from_str(&readyz.body).unwrap();
    assert_eq!(json["status"], "fail");
    assert_eq!(json["state"], "stopped");
    assert_eq!(ask(&app, "GET", "/livez").await.code, 503);
}

#[tokio::test]
async fn verbose_health_is_json() {
    let (bench, app) = served();
    bench.start().await;
    let mut answer = ask(&app, "GET", "/livez?verbose").await;
    for _ in 0..100 {
        // The timer's task may not have had its first turn yet.
        if !answer.body.contains("\"last_wake\":null") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        answer = ask(&app, "GET", "/livez?verbose").await;
    }
    assert_eq!(answer.code, 200);
    assert!(
        answer.head.contains("content-type: application/json"),
        "{}",
        answer.head
    );
    let json: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(json["instance"], bench.scheduler.handle().instance());
    assert_eq!(json["tasks"], 1);
    assert_eq!(json["checks"]["loop"]["status"], "pass");
    assert!(json["checks"]["loop"]["age_seconds"].as_f64().unwrap() < 60.0);
    assert_eq!(json["checks"]["store"]["status"], "pass");
    assert!(json["checks"]["store"]["down_since"].is_null());
}

#[tokio::test]
async fn a_store_that_does_not_answer_degrades_readiness_and_leaves_liveness_alone() {
    let store = std::sync::OnceLock::new();
    let bench = Bench::with(
        |clock| {
            let lock = ScriptedLock::new(MemoryLock::with_clock(clock));
            store.get_or_init(|| lock).clone()
        },
        |builder| builder,
    );
    let store = store.get().unwrap();
    bench.task("often", "* * * * * *", |_| async { Ok(()) });
    bench.start().await;
    store.always(LockOperation::Acquire, Fault::NotSent);
    let patience = Duration::from_secs(10);
    bench
        .seen
        .wait_for(patience, |events| {
            let mut events = events.iter();
            events
                .find(|e| matches!(e, Event::StoreDown { .. }))
                .map(|_| ())
        })
        .await;

    let app = admin::routes(bench.scheduler.handle(), Metrics::new().unwrap());
    let readyz = ask(&app, "GET", "/readyz").await;
    assert_eq!((readyz.code, readyz.body.as_str()), (200, "degraded\n"));
    // Where the service is of no use without it.
    let readyz = ask(&app, "GET", "/readyz?store_required").await;
    assert_eq!((readyz.code, readyz.body.as_str()), (503, "degraded\n"));
    let readyz = ask(&app, "GET", "/readyz?verbose=1").await;
    let json: serde_json::Value = serde_json::from_str(&readyz.body).unwrap();
    assert_eq!(json["checks"]["store"]["status"], "degraded");
    assert!(json["checks"]["store"]["down_since"].is_string());
    let livez = ask(&app, "GET", "/livez").await;
    assert_eq!((livez.code, livez.body.as_str()), (200, "pass\n"));
}
