//! How late tasks start, and what tasks cost that are not due.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tasklock::chrono::{DateTime, Utc};
use tasklock::{
    BaseTask, Clock, Decision, Event, FileLock, Lock, MemoryLock, Observer, RedisLock, Scheduler,
    SystemClock,
};

type Anything = Box<dyn Error + Send + Sync>;
/// The task's number, its fire time, and how late it started, milliseconds.
type Start = (usize, DateTime<Utc>, f64);
/// How many firings, by decision and fire time.
type Counts = BTreeMap<(&'static str, DateTime<Utc>), u64>;

#[tokio::main]
async fn main() -> Result<(), Anything> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [work, lock, tasks, seconds] = args.as_slice() else {
        return Err("usage: (lateness|idle) (redis-url|directory|memory) TASKS SECONDS".into());
    };
    let lock: Arc<dyn Lock> = match lock.as_str() {
        "memory" => Arc::new(MemoryLock::new()),
        url if url.contains("://") => Arc::new(RedisLock::connect(url).await?),
        dir => Arc::new(FileLock::open(dir)?),
    };
    let (tasks, seconds): (usize, u64) = (tasks.parse()?, seconds.parse()?);
    match work.as_str() {
        "lateness" => lateness(lock, tasks, seconds).await,
        "idle" => idle(lock, tasks, seconds).await,
        other => Err(format!("no such work: {other}").into()),
    }
}

/// All tasks are due on each second.
async fn lateness(lock: Arc<dyn Lock>, tasks: usize, seconds: u64) -> Result<(), Anything> {
    let starts: Arc<Mutex<Vec<Start>>> = Arc::default();
    let skipped = Skipped::default();
    let scheduler = Scheduler::builder()
        .lock(lock)
        .observer(skipped.clone())
        .build()?;
    for i in 0..tasks {
        let starts = starts.clone();
        let body = move |ctx: tasklock::RunContext| {
            let starts = starts.clone();
            async move {
                let late = (SystemClock.now() - ctx.fire_time())
                    .num_microseconds()
                    .unwrap_or(0);
                if let Ok(mut starts) = starts.lock() {
                    starts.push((i, ctx.fire_time(), late as f64 / 1000.0));
                }
                Ok(())
            }
        };
        // Names of this process's own: it has no past to catch up on.
        let name = format!("bench_{}_{i}", std::process::id());
        scheduler.register(BaseTask::new(
            name,
            "* * * * * *",
            Duration::from_secs(30),
            body,
        ))?;
    }
    let begun = Usage::now();
    scheduler.start().await?;
    tokio::time::sleep(Duration::from_secs(seconds + 2)).await;
    let used = Usage::now().since(&begun);
    scheduler.stop().await;

    let mut starts = starts.lock().map_err(|_| "poisoned")?.clone();
    let first = starts
        .iter()
        .map(|s| s.1)
        .min()
        .ok_or("nothing was started")?;
    starts.retain(|s| s.1 >= first + Duration::from_secs(2));
    let last = starts
        .iter()
        .map(|s| s.1)
        .max()
        .ok_or("nothing was started")?;
    starts.retain(|s| s.1 < last); // the last second may have been cut by the stop
    let mut instants: Vec<_> = starts.iter().map(|s| (s.1, s.0)).collect();
    instants.sort();
    instants.dedup();
    let due = (last - first).num_seconds() as usize - 2;
    let mut late: Vec<f64> = starts.iter().map(|s| s.2).collect();
    late.sort_by(f64::total_cmp);
    let at = |q: f64| {
        late.get(((late.len() - 1) as f64 * q) as usize)
            .copied()
            .unwrap_or(f64::NAN)
    };
    println!(
        "{{\"work\":\"lateness\",\"tasks\":{tasks},\"seconds\":{due},\"starts\":{},\"lost\":{},\
         \"duplicate\":{},\"early\":{},\"p50_ms\":{:.2},\"p99_ms\":{:.2},\"max_ms\":{:.2},\
         \"skipped\":\"{}\",\"cpu_s\":{:.2},\"peak_mb\":{:.1}}}",
        starts.len(),
        due * tasks - instants.len(),
        starts.len() - instants.len(),
        late.iter().filter(|l| **l < 0.0).count(),
        at(0.5),
        at(0.99),
        at(1.0),
        skipped.text(),
        used.cpu_s,
        used.peak_mb,
    );
    Ok(())
}

/// Counts what did not start, by decision and fire time.
#[derive(Clone, Default)]
struct Skipped(Arc<Mutex<Counts>>);

impl Skipped {
    fn text(&self) -> String {
        let Ok(counts) = self.0.lock() else {
            return String::new();
        };
        let word = |((decision, at), n): (&(&str, DateTime<Utc>), &u64)| {
            format!("{n} {decision} at {}", at.format("%H:%M:%S"))
        };
        counts.iter().map(word).collect::<Vec<_>>().join(", ")
    }
}

impl Observer for Skipped {
    fn on_event(&self, event: &Event) {
        if let Event::FiringDecided {
            fire_time,
            decision,
            count,
            ..
        } = event
            && *decision != Decision::Started
            && let Ok(mut counts) = self.0.lock()
        {
            *counts.entry((decision.as_str(), *fire_time)).or_default() += count;
        }
    }
}

/// No task is due before the year 2199.
async fn idle(lock: Arc<dyn Lock>, tasks: usize, seconds: u64) -> Result<(), Anything> {
    let before = Usage::now();
    let scheduler = Scheduler::builder().lock(lock).build()?;
    let clock = SystemClock;
    let begun = clock.monotonic();
    for i in 0..tasks {
        let task = BaseTask::new(
            format!("idle_{i}"),
            "0 0 0 1 1 * 2199",
            Duration::from_secs(30),
            |_| async { Ok(()) },
        );
        scheduler.register(task)?;
    }
    let registered = clock.monotonic() - begun;
    scheduler.start().await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let settled = Usage::now();
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let end = Usage::now();
    println!(
        "{{\"work\":\"idle\",\"tasks\":{tasks},\"register_s\":{:.3},\"cpu_percent\":{:.3},\
         \"memory_mb\":{:.1},\"bytes_per_task\":{:.0}}}",
        registered.as_secs_f64(),
        end.since(&settled).cpu_s / seconds as f64 * 100.0,
        end.memory_mb,
        (end.memory_mb - before.memory_mb) * 1024.0 * 1024.0 / tasks as f64,
    );
    scheduler.stop().await;
    Ok(())
}

/// What the kernel says of this process (Linux).
struct Usage {
    cpu_s: f64,
    memory_mb: f64,
    peak_mb: f64,
}

impl Usage {
    fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let kb = |key: &str| {
            let line = status.lines().find_map(|l| l.strip_prefix(key))?;
            line.split_whitespace().next()?.parse::<f64>().ok()
        };
        // Nanoseconds on a processor of each thread, the first number of its schedstat.
        let mut cpu_ns = 0.0;
        for task in std::fs::read_dir("/proc/self/task")
            .into_iter()
            .flatten()
            .flatten()
        {
            let stat = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            cpu_ns += stat
                .split(' ')
                .next()
                .and_then(|n| n.parse::<f64>().ok())
                .unwrap_or(0.0);
        }
        Self {
            cpu_s: cpu_ns / 1e9,
            memory_mb: kb("VmRSS:").unwrap_or(0.0) / 1024.0,
            peak_mb: kb("VmHWM:").unwrap_or(0.0) / 1024.0,
        }
    }

    fn since(&self, before: &Self) -> Self {
        Self {
            cpu_s: self.cpu_s - before.cpu_s,
            memory_mb: self.memory_mb - before.memory_mb,
            peak_mb: self.peak_mb,
        }
    }
}
