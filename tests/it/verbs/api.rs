//! By the HTTP API of an instance: the same verbs, with a token.

use std::net::SocketAddr;
use std::time::Duration;

use tasklock::admin::{Access, Visitor};
use tasklock::{BaseTask, RedisFleet, RedisHistory, RedisLock, Scheduler, TaskError};

use super::rig::{Said, row, said, tasklock};
use crate::support::RedisServer;

const SECOND: Duration = Duration::from_secs(1);

/// What `tasklock` answers to whoever has this token.
async fn ask(url: &str, token: &str, words: &[&str]) -> Said {
    let mut command = tasklock(words);
    command.env("TASKLOCK_URL", url);
    if !token.is_empty() {
        command.env("TASKLOCK_TOKEN", token);
    }
    tokio::task::spawn_blocking(move || said(command))
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_verbs_ask_and_steer_a_fleet_by_its_http_api() {
    let redis = RedisServer::start();
    let lock = RedisLock::connect(&redis.url()).await.unwrap();
    let scheduler = Scheduler::builder()
        .fleet(RedisFleet::beside(&lock))
        .history(RedisHistory::beside(&lock))
        .lock(lock)
        .instance_id("api-1")
        .build()
        .unwrap();
    let register = |name: &str, spec: &str, takes: Duration, fails: bool| {
        let task = BaseTask::new(name, spec, 60 * SECOND, move |_| async move {
            tokio::time::sleep(takes).await;
            match fails {
                true => Err(TaskError::new("upstream 503")),
                false => Ok(()),
            }
        });
        scheduler.register(task).unwrap();
    };
    register("hello", "* * * * * *", Duration::ZERO, false);
    register("broken", "0 30 4 * * *", Duration::ZERO, true);
    register("slow", "0 30 4 * * *", 50 * SECOND, false);
    scheduler.start().await.unwrap();
    let began = std::time::Instant::now();
    let tokens = [
        ("for-ana-0123456789", Visitor::admin("ana")),
        ("for-all-0123456789", Visitor::viewer()),
    ];
    let admin = scheduler
        .admin()
        .access(Access::bearer_tokens(tokens))
        .actions(true)
        .router();
    let app = axum::Router::new().nest_service("/admin/tasks", admin);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/admin/tasks", listener.local_addr().unwrap());
    let served = app.into_make_service_with_connect_info::<SocketAddr>();
    let server = tokio::spawn(async move { axum::serve(listener, served).await });
    let ana = |words: &'static [&'static str]| ask(&url, "for-ana-0123456789", words);

    // Read.
    let list = ana(&["list"]).await;
    assert_eq!(list.status, 0, "{list:?}");
    assert_eq!(row(&list.out, "broken")[..2], ["new", "broken"], "{list:?}");
    let run = loop {
        let found = ana(&["describe", "hello", "-o", "json"]).await.json();
        let last = &found["last_run"];
        if last["outcome"] == "success" {
            break last["id"].as_str().unwrap().to_owned();
        }
        assert!(began.elapsed() < 30 * SECOND, "{found}");
        tokio::time::sleep(SECOND / 10).await;
    };
    assert!(
        ana(&["describe", "hello"])
            .await
            .done()
            .contains("on 1 of 1 instances")
    );
    assert!(
        ana(&["next", "slow", "-n", "2"])
            .await
            .done()
            .contains("04:30:00 UTC")
    );
    let runs = ana(&["runs", "hello", "-n", "3", "-o", "json"])
        .await
        .json();
    assert!(
        runs.as_array()
            .unwrap()
            .iter()
            .all(|run| run["task"] == "hello")
    );
    assert_eq!(
        ask(&url, "for-ana-0123456789", &["logs", &run])
            .await
            .status,
        0
    );
    let why = ana(&["why", "slow", "--at", "14:00"]).await.done();
    assert!(why.contains("not due"), "{why}");
    assert_eq!(row(&ana(&["instances"]).await.done(), "api-1")[0], "ready");
    assert!(ana(&["doctor"]).await.done().contains("ok       store: ok"));
    assert_eq!(ana(&["health"]).await.status, 0);

    // Steer.
    let said = ana(&["run", "broken", "--reason", "to see it"]).await;
    assert_eq!(said.status, 1, "{said:?}");
    assert!(
        said.out.contains("failure in") && said.out.contains("upstream 503"),
        "{said:?}"
    );
    let id = ana(&["run", "slow", "--no-wait"])
        .await
        .done()
        .trim()
        .to_owned();
    ana(&["run", "slow", "--key", "again"])
        .await
        .refuses(4, &[]);
    let locks = ana(&["locks", "-o", "json"]).await.json();
    assert!(
        locks
            .as_array()
            .unwrap()
            .iter()
            .any(|lock| lock["run_id"] == id.as_str()),
        "{locks}"
    );
    assert!(
        ask(&url, "for-ana-0123456789", &["cancel", &id, "--abort"])
            .await
            .done()
            .contains("accepted")
    );
    assert!(
        ana(&["pause", "hello", "--for", "2h", "--reason", "quiet"])
            .await
            .done()
            .contains("paused until")
    );
    let task = ana(&["describe", "hello", "-o", "json"]).await.json();
    assert_eq!(
        (&task["health"], &task["pause"]["actor"]),
        (&"paused".into(), &"ana".into())
    );
    assert_eq!(ana(&["resume", "hello"]).await.done(), "hello: resumed\n");
    assert!(
        ana(&["skip", "slow"])
            .await
            .done()
            .starts_with("slow skips: 20")
    );
    let said = ana(&[
        "override", "slow", "@hourly", "--reason", "behind", "--for", "1h",
    ])
    .await;
    assert!(said.done().contains("slow: has @hourly"));
    ana(&["reset", "slow"]).await.done();
    ana(&["drain", "api", "--reason", "deploy"]).await.done();
    assert_eq!(
        row(&ana(&["instances"]).await.done(), "api-1")[0],
        "draining"
    );
    ana(&["undrain", "api-1"]).await.done();

    // Be refused.
    ask(&url, "", &["list"])
        .await
        .refuses(4, &["TASKLOCK_TOKEN"]);
    ask(&url, "guessed", &["list"]).await.refuses(4, &[]);
    assert_eq!(ask(&url, "for-all-0123456789", &["list"]).await.status, 0);
    ask(&url, "for-all-0123456789", &["run", "hello"])
        .await
        .refuses(4, &[]);
    ana(&["describe", "helo"])
        .await
        .refuses(3, &["did you mean hello?"]);
    let elsewhere = url.replace("/admin/tasks", "/nothing");
    ask(&elsewhere, "for-ana-0123456789", &["list"])
        .await
        .refuses(3, &[]);
    scheduler.stop().await;
    server.abort();
}
