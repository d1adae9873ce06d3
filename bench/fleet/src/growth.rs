//! Lateness, processor time and memory against the number of tasks and of instances.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tasklock_fleet::lateness::round;
use tasklock_fleet::redis_server::RedisServer;

use crate::instance::Waking;
use crate::options::Options;
use crate::plot::{Plot, Series};
use crate::trial::Trial;
use crate::{due, idle, replicas};

/// A column of the points of one sweep, by the number that was varied.
type Column = Vec<(f64, f64)>;

pub fn run(options: &Options) -> Result<()> {
    let server = RedisServer::start()?;
    let plots = [
        due_at_once(&server, options)?,
        registered(&server, options)?,
        instances(&server, options)?,
    ];
    std::fs::create_dir_all(&options.plots)
        .with_context(|| format!("no directory {}", options.plots.display()))?;
    for plot in plots.iter().flatten() {
        for series in &plot.series {
            let slope = series.fit().map(|fit| round(fit.exponent()));
            println!(
                "{}",
                json!({"work": "growth", "plot": plot.file, "series": series.name, "slope": slope,
                    "from": series.fit_from})
            );
        }
        let path = options.plots.join(plot.file).with_extension("svg");
        std::fs::write(&path, plot.svg())
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(())
}

fn due_at_once(server: &RedisServer, options: &Options) -> Result<Vec<Plot>> {
    let sizes = options.tasks(&[1, 10, 100, 1_000, 10_000, 100_000], &[1, 100, 1_000]);
    let (mut p50, mut p99) = (Column::new(), Column::new());
    let (mut limit, mut cpu, mut memory) = (Column::new(), Column::new(), Column::new());
    for tasks in sizes {
        let trial = Trial {
            url: server.url(),
            tasks,
            replicas: 1,
            period: due::period(tasks),
            rounds: options.rounds(if tasks > 20_000 { 2 } else { 3 }, 2),
            with_limit: true,
            waking: Waking::default(),
        };
        let Some(seen) = told("growth_due", &trial, trial.run(server)) else {
            continue;
        };
        println!("{}", Value::from(seen.line("growth_due", &trial)));
        let x = tasks as f64;
        p50.push((x, seen.ours.lateness.p50()));
        p99.push((x, seen.ours.lateness.p99()));
        limit.extend(seen.limit.map(|l| (x, l.starts.lateness.p99())));
        cpu.push((x, seen.cpu_s * 1000.0 / f64::from(trial.rounds)));
        memory.push((x, seen.peak_mb));
    }
    // What a single task takes is timers and a round trip, and hides how it grows.
    let from = 1_000.0;
    let by_tasks = |file, title, y, series| Plot {
        file,
        title,
        x: "tasks due at the same second",
        y,
        series,
    };
    Ok(vec![
        by_tasks(
            "due-lateness",
            "Start of tasks after their instant",
            "milliseconds",
            vec![
                Series::new("p99", p99, from),
                Series::new("p50", p50, from),
                Series::new("limit, p99", limit, from),
            ],
        ),
        by_tasks(
            "due-cpu",
            "Processor time of the instance for a round",
            "milliseconds",
            vec![Series::new("processor time", cpu, from)],
        ),
        by_tasks(
            "due-memory",
            "Memory of the instance",
            "megabytes",
            vec![Series::new("peak", memory, from)],
        ),
    ])
}

fn registered(server: &RedisServer, options: &Options) -> Result<Vec<Plot>> {
    let usual = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000];
    let (mut time, mut memory, mut cpu) = (Column::new(), Column::new(), Column::new());
    for tasks in options.tasks(&usual, &[1_000, 10_000]) {
        let seconds = options.seconds(3, 2);
        let line = idle::report(server, tasks, None, seconds);
        println!("{line}");
        let add = |column: &mut Column, key: &str, scale: f64| {
            let value = line.get(key).and_then(Value::as_f64);
            column.extend(value.map(|v| (tasks as f64, v * scale)));
        };
        add(&mut time, "register_s", 1000.0);
        add(&mut memory, "memory_mb", 1.0);
        add(&mut cpu, "cpu_percent", 1.0);
    }
    let x = "tasks registered, none due";
    let from = 1_000.0;
    Ok(vec![
        Plot {
            file: "registered-time",
            title: "Time to register",
            x,
            y: "milliseconds",
            series: vec![Series::new("all of them", time, from)],
        },
        Plot {
            file: "registered-memory",
            title: "Memory of the instance",
            x,
            y: "megabytes",
            series: vec![Series::new("resident", memory, from)],
        },
        Plot {
            file: "registered-cpu",
            title: "Processor time while nothing is due",
            x,
            y: "percent of a core",
            series: vec![Series::new("idle", cpu, 1.0)],
        },
    ])
}

fn instances(server: &RedisServer, options: &Options) -> Result<Vec<Plot>> {
    let (mut p99, mut redis, mut cpu) = (Column::new(), Column::new(), Column::new());
    for count in options.replicas(&[1, 2, 3, 4, 5, 6, 7, 8], &[1, 2]) {
        let trial = replicas::trial(server, 1_000, count, options.rounds(3, 2));
        let Some(seen) = told("growth_replicas", &trial, trial.run(server)) else {
            continue;
        };
        println!("{}", replicas::line("growth_replicas", &trial, &seen));
        let x = count as f64;
        p99.push((x, seen.ours.lateness.p99()));
        redis.push((x, seen.per_firing(seen.redis_cpu_s() * 1e6)));
        cpu.push((x, seen.per_firing(seen.cpu_s * 1e6)));
    }
    let x = "instances, 1 000 tasks due at the same second";
    Ok(vec![
        Plot {
            file: "replicas-lateness",
            title: "Start of tasks after their instant, p99",
            x,
            y: "milliseconds",
            series: vec![Series::new("p99", p99, 1.0)],
        },
        Plot {
            file: "replicas-cpu",
            title: "Processor time for a firing",
            x,
            y: "microseconds",
            series: vec![
                Series::new("all instances", cpu, 1.0),
                Series::new("redis", redis, 1.0),
            ],
        },
    ])
}

/// A point that could not be measured is a line too: the others may be.
fn told<T>(work: &str, trial: &Trial, seen: Result<T>) -> Option<T> {
    match seen {
        Ok(seen) => Some(seen),
        Err(error) => {
            let (tasks, replicas) = (trial.tasks, trial.replicas);
            println!(
                "{}",
                json!({"work": work, "tasks": tasks, "replicas": replicas,
                    "error": format!("{error:#}")})
            );
            None
        }
    }
}
