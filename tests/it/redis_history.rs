//! The history in Redis: what others have written into it, outages, load.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tasklock::testing::{RecordingObserver, TestClock};
use tasklock::{
    BaseTask, Event, History, HistoryWrite, MemoryHistory, MemoryLock, Outcome, RedisHistory,
    RedisLock, RunQuery, RunRecord, Scheduler, TaskName,
};

use crate::support::redis_server::RedisServer;
use crate::support::{Bench, START, pass};

fn history(server: &RedisServer) -> RedisHistory {
    RedisHistory::beside(&RedisLock::builder(&server.url()).build().unwrap())
}

/// Records of runs as a scheduler makes them, started now.
async fn some_runs(tasks: &[&str]) -> Vec<RunRecord> {
    let kept = MemoryHistory::new();
    let scheduler = Scheduler::builder()
        .lock(MemoryLock::new())
        .history(kept.clone())
        .build()
        .unwrap();
    for task in tasks {
        let body = |_| async { Ok(()) };
        scheduler
            .register(BaseTask::new(
                *task,
                "* * * * * *",
                Duration::from_secs(9),
                body,
            ))
            .unwrap();
    }
    scheduler.start().await.unwrap();
    pass(1.3).await;
    scheduler.stop().await;
    kept.runs(&RunQuery::all()).await.unwrap().runs
}

fn put(run: &RunRecord) -> HistoryWrite {
    HistoryWrite::Run(Box::new(run.clone()))
}

async fn of(history: &RedisHistory, task: &str) -> Vec<RunRecord> {
    let query = RunQuery::of(task.parse().unwrap()).limit(200);
    history.runs(&query).await.unwrap().runs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_others_have_written_stop_nothing() {
    let server = RedisServer::start();
    let history = history(&server);
    let runs = some_runs(&["a", "b", "c"]).await;
    assert!(runs.len() >= 3);
    history
        .write(&runs.iter().map(put).collect::<Vec<_>>())
        .await
        .unwrap();
    let bad = runs.iter().find(|run| run.task == *"a").unwrap();
    for text in ["garbage", "F||{}", "R|x|", "\"\\xff\\xfe\""] {
        server.says(&format!("HSET {{task:history}}:runs {} {text}", bad.run_id));
        assert_eq!(history.run(bad.run_id).await.unwrap(), None, "{text}");
        assert_eq!(
            of(&history, "b").await.len(),
            runs.iter().filter(|r| r.task == *"b").count()
        );
        let all = history.runs(&RunQuery::all()).await.unwrap().runs;
        assert_eq!(all.len(), runs.len() - 1);
    }
    for (command, value) in [
        ("HSET {task:history}:counters a", "1|2|x"),
        ("HSET {task:history}:decided:a 17", "{}"),
        ("ZADD {task:history}:all 0", "nonsense"),
        (
            "ZADD {task:history}:all 0",
            "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz:b",
        ),
        ("ZADD {task:history}:task:a 0", "nonsense"),
        ("ZADD {task:history}:running:x 0", "nonsense"),
        ("ZADD {task:history}:alive 0", "x"),
    ] {
        let said = server.says(&format!("{command} {value}"));
        assert!(said.starts_with(':'), "{said}");
    }
    let names: Vec<TaskName> = ["a", "b"].map(|name| name.parse().unwrap()).to_vec();
    let counters = history.counters(&names).await.unwrap();
    assert!(counters[0].is_none() && counters[1].is_some());
    assert_eq!(history.decisions(&names[0]).await.unwrap(), []);
    assert_eq!(history.running(None).await.unwrap(), []);
    assert_eq!(history.silent(Duration::ZERO).await.unwrap(), []);
    let all = history.runs(&RunQuery::all()).await.unwrap().runs;
    assert_eq!(all.len(), runs.len() - 1);
    // What was written over is counted anew.
    history.write(&[put(bad)]).await.unwrap();
    assert_eq!(history.run(bad.run_id).await.unwrap().as_ref(), Some(bad));
    assert!(history.counters(&names).await.unwrap()[0].is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_another_kind_stops_only_its_task() {
    let server = RedisServer::start();
    server.says("SET {task:history}:task:bad x");
    let kept = history(&server);
    let seen = RecordingObserver::new();
    let scheduler = Scheduler::builder()
        .lock(MemoryLock::new())
        .history(kept.clone())
        .observer(seen.clone())
        .build()
        .unwrap();
    for task in ["bad", "good"] {
        let body = |_| async { Ok(()) };
        scheduler
            .register(BaseTask::new(
                task,
                "* * * * * *",
                Duration::from_secs(9),
                body,
            ))
            .unwrap();
    }
    scheduler.start().await.unwrap();
    let give_up = Instant::now() + Duration::from_secs(20);
    while of(&kept, "good").await.len() < 3 {
        assert!(
            Instant::now() < give_up,
            "{:?}",
            seen.outcomes("good").len()
        );
        pass(0.2).await;
    }
    scheduler.stop().await;
    let events = seen.events();
    assert!(
        events
            .iter()
            .any(|e| matches!(e, Event::HistoryDropped { .. }))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_misses_while_it_is_away_is_written_when_it_is_back() {
    let mut server = RedisServer::start();
    let kept = history(&server);
    let seen = RecordingObserver::new();
    let scheduler = Scheduler::builder()
        .lock(MemoryLock::new())
        .history(kept.clone())
        .observer(seen.clone())
        .build()
        .unwrap();
    let body = |_| async { Ok(()) };
    scheduler
        .register(BaseTask::new(
            "t",
            "* * * * * *",
            Duration::from_secs(9),
            body,
        ))
        .unwrap();
    server.kill();
    scheduler.start().await.unwrap();
    pass(4.0).await;
    let missed = seen.outcomes("t").len();
    assert!(missed >= 3, "{missed}");
    assert!(
        seen.starts("t")
            .iter()
            .all(|run| run.lateness < Duration::from_millis(500))
    );
    server.restart();
    let give_up = Instant::now() + Duration::from_secs(20);
    while of(&kept, "t").await.len() < missed {
        assert!(Instant::now() < give_up, "not written");
        pass(0.2).await;
    }
    scheduler.stop().await;
    assert!(
        of(&kept, "t")
            .await
            .iter()
            .all(|run| run.outcome == Some(Outcome::Success))
    );
}

/// The latenesses of the runs of a thousand tasks that are due each second, ordered; with a history, how
/// many runs ended, too.
async fn burst(kept: Option<RedisHistory>, seconds: u64) -> (Vec<Duration>, usize, u64) {
    let seen = RecordingObserver::new();
    let mut builder = Scheduler::builder()
        .lock(MemoryLock::new())
        .observer(seen.clone());
    if let Some(kept) = kept {
        builder = builder.history(kept);
    }
    let scheduler = builder.build().unwrap();
    for n in 0..1_000 {
        let body = |_| async { Ok(()) };
        scheduler
            .register(BaseTask::new(
                format!("load.{n}"),
                "* * * * * *",
                Duration::from_secs(9),
                body,
            ))
            .unwrap();
    }
    scheduler.start().await.unwrap();
    pass(seconds as f64 + 0.5).await;
    scheduler.stop().await;
    let (mut late, mut ended, mut dropped) = (Vec::new(), 0, 0);
    for event in seen.events() {
        match event {
            Event::RunStarted { run } => late.push(run.lateness),
            Event::RunFinished { .. } => ended += 1,
            Event::HistoryDropped { count, .. } => dropped += count,
            _ => {}
        }
    }
    late.sort_unstable();
    (late, ended, dropped)
}

/// `TASKLOCK_LOAD_SECONDS=60 cargo test --release --all-features --test it -- --ignored --nocapture
/// a_thousand_runs_a_second`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement of a minute or two"]
async fn a_thousand_runs_a_second_are_written_and_delay_nothing() {
    let seconds = std::env::var("TASKLOCK_LOAD_SECONDS");
    let seconds = seconds.ok().and_then(|s| s.parse().ok()).unwrap_or(60);
    let server = RedisServer::start();
    let kept = history(&server);
    let at = |late: &[Duration], part: f64| late[(late.len() as f64 * part) as usize];
    let mut p50 = Vec::new();
    let mut all = 0;
    let mut lost = 0;
    for round in 0..4 {
        let with = round % 2 == 1;
        let (late, ended, dropped) = burst(with.then(|| kept.clone()), seconds / 2).await;
        println!(
            "history {with}: {} runs, lateness p50 {:?} p90 {:?} p99 {:?}, dropped {dropped}",
            late.len(),
            at(&late, 0.5),
            at(&late, 0.9),
            at(&late, 0.99),
        );
        p50.push(at(&late, 0.5));
        if with {
            all += ended as u64;
            lost += dropped;
        }
    }
    let number = |said: String| -> u64 {
        said.trim_start_matches(':')
            .lines()
            .next()
            .unwrap()
            .trim()
            .parse()
            .unwrap()
    };
    let written = number(server.says("ZCARD {task:history}:all"));
    println!("ended {all}, written {written}, dropped {lost}");
    assert_eq!(written + lost, all);
    let memory =
        |key: &str| number(server.says(&format!("MEMORY USAGE {{task:history}}:{key} SAMPLES 0")));
    let tasks: u64 = (0..1_000).map(|n| memory(&format!("task:load.{n}"))).sum();
    println!(
        "bytes per run: record {}, in all {}, in its task {}; counters {} per task",
        memory("runs") / written,
        memory("all") / written,
        tasks / written,
        memory("counters") / 1_000,
    );
    println!(
        "{}",
        server
            .says("INFO commandstats")
            .lines()
            .filter(|l| l.contains("evalsha"))
            .collect::<String>()
    );
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_wrong_does_not_lose_records() {
    // A record's age is told from its id, by the store's clock.
    let clock = Arc::new(TestClock::at(START));
    let kept = MemoryHistory::with_clock(clock.clone());
    let bench = Bench::on(clock.clone(), MemoryLock::with_clock(clock.clone()), |b| {
        b.history(kept.clone())
    });
    bench.task("t", "* * * * * *", |_| async { Ok(()) });
    bench.start().await;
    pass(5.0).await;
    clock.step(tasklock::chrono::TimeDelta::minutes(-30));
    pass(30.0).await;
    let page = kept
        .runs(&RunQuery::of("t".parse().unwrap()))
        .await
        .unwrap();
    assert!(page.runs.len() >= 4, "{}", page.runs.len());
}
