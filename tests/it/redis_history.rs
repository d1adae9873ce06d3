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

/// A scheduler of tasks that are due each second, with a history, and who hears of it.
fn each_second(tasks: &[&str], kept: impl History) -> (Scheduler, RecordingObserver) {
    let seen = RecordingObserver::new();
    let builder = Scheduler::builder().lock(MemoryLock::new()).history(kept);
    let scheduler = builder.observer(seen.clone()).build().unwrap();
    for task in tasks {
        let limit = Duration::from_secs(9);
        let task = BaseTask::new(*task, "* * * * * *", limit, |_| async { Ok(()) });
        scheduler.register(task).unwrap();
    }
    (scheduler, seen)
}

/// Records of runs as a scheduler makes them, started now.
async fn some_runs(tasks: &[&str]) -> Vec<RunRecord> {
    let kept = MemoryHistory::new();
    let (scheduler, _) = each_second(tasks, kept.clone());
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
    // Of a service that is gone they end by themselves.
    for key in ["counters", "excused"] {
        let (task, until) = (names[1].clone(), runs[0].started);
        history
            .write(&[HistoryWrite::Excused { task, until }])
            .await
            .unwrap();
        let ttl = server.says(&format!("TTL {{task:history}}:{key}"));
        let seconds = ttl.lines().next().unwrap().trim_start_matches(':');
        let days = seconds.parse::<u64>().unwrap() / 86_400;
        assert!((399..=400).contains(&days), "{key}: {ttl}");
    }
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
    let (scheduler, seen) = each_second(&["bad", "good"], kept.clone());
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
    let (scheduler, seen) = each_second(&["t"], kept.clone());
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
