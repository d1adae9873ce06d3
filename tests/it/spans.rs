//! What tracing systems are told of runs.

mod otel;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tasklock::testing::TestClock;
use tasklock::{LockOperation, MemoryLock, Policy, Retry, Scheduler, Scope, TaskError};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

use crate::support::lines::Lines;
use crate::support::{Bench, Fault, START, ScriptedLock, clock_and_lock, instance, pass};

/// One span, as far as it has come.
#[derive(Debug, Clone, Default)]
struct Seen {
    id: u64,
    name: &'static str,
    parent: Option<u64>,
    after: Option<u64>,
    fields: BTreeMap<&'static str, String>,
    is_closed: bool,
}

impl Seen {
    fn has(&self, field: &str, value: &str) {
        let found = self.fields.get(field).map(String::as_str);
        assert_eq!(found, Some(value), "{field} of {self:#?}");
    }
}

/// All spans of this thread.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<Seen>>>);

impl Spans {
    fn listen(&self) -> DefaultGuard {
        Lines::among_others();
        tracing::subscriber::set_default(Registry::default().with(self.clone()))
    }

    fn all(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.0.lock().unwrap()
    }

    fn named(&self, name: &str) -> Vec<Seen> {
        let all = self.all();
        all.iter().filter(|s| s.name == name).cloned().collect()
    }

    /// The only one of that name.
    fn one(&self, name: &str) -> Seen {
        let mut found = self.named(name);
        assert_eq!(found.len(), 1, "{name}: {:#?}", self.all());
        found.remove(0)
    }

    fn change(&self, id: &Id, change: impl FnOnce(&mut Seen)) {
        let mut all = self.all();
        // An id may come again, once its span is closed.
        let of_id = |span: &&mut Seen| span.id == id.into_u64();
        change(all.iter_mut().rev().find(of_id).unwrap());
    }
}

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut seen = Seen {
            id: id.into_u64(),
            name: attributes.metadata().name(),
            parent: context
                .span(id)
                .unwrap()
                .parent()
                .map(|p| p.id().into_u64()),
            ..Seen::default()
        };
        attributes.record(&mut seen);
        self.all().push(seen);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        self.change(id, |seen| values.record(seen));
    }

    fn on_follows_from(&self, id: &Id, before: &Id, _: Context<'_, S>) {
        self.change(id, |seen| seen.after = Some(before.into_u64()));
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        self.change(&id, |seen| seen.is_closed = true);
    }
}

impl Visit for Seen {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name(), value.to_owned());
    }
}

/// Due once, a second after the start.
const ONCE: &str = "@at 2026-11-21T10:00:01Z";
const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn a_run_is_a_root_and_its_code_is_within_its_attempt() {
    let spans = Spans::default();
    let _guard = spans.listen();
    let bench = Bench::with(
        |clock| MemoryLock::with_clock(clock),
        |builder| builder.instance_id("api-1"),
    );
    bench.task("t", ONCE, |_| async {
        tracing::info_span!("query").in_scope(|| {});
        Ok(())
    });
    let outer = tracing::info_span!("request");
    let _entered = outer.enter();
    bench.start().await;
    pass(5.0).await;

    let run = spans.one("task_run");
    assert_eq!(run.parent, None);
    for (field, value) in [
        ("otel.name", "run t"),
        ("otel.kind", "server"),
        ("task.name", "t"),
        ("task.trigger", "schedule"),
        ("task.due_at", "2026-11-21T10:00:01+00:00"),
        ("task.start_delay_s", "0.0"),
        ("task.attempt", "1"),
        ("task.attempt.count", "1"),
        ("task.outcome", "success"),
        ("faas.trigger", "timer"),
        ("faas.cron", ONCE),
        ("faas.time", "2026-11-21T10:00:01+00:00"),
        ("service.instance.id", "api-1"),
    ] {
        run.has(field, value);
    }
    for field in ["task.run_id", "task.lock.fencing_token"] {
        assert!(run.fields.contains_key(field), "{field}");
    }
    for field in ["otel.status_code", "error.type", "task.shard", "task.actor"] {
        assert!(!run.fields.contains_key(field), "{field}");
    }
    let attempt = spans.one("attempt");
    assert_eq!(attempt.parent, Some(run.id));
    attempt.has("otel.name", "attempt 1");
    attempt.has("otel.kind", "internal");
    assert_eq!(spans.one("query").parent, Some(attempt.id));
    // A lock that answers at once is not worth one.
    assert!(spans.named("lock").is_empty());
    assert!(run.is_closed && attempt.is_closed);
}

#[tokio::test(start_paused = true)]
async fn attempts_follow_each_other_within_their_run() {
    let spans = Spans::default();
    let _guard = spans.listen();
    let bench = Bench::new();
    let policy = Policy::default().retry(Retry::times(2));
    bench.task_with("t", ONCE, MINUTE, policy, |ctx| async move {
        match ctx.attempt() {
            1 => Err(TaskError::new("sold out")),
            2 => panic!("no luck"),
            _ => Ok(()),
        }
    });
    bench.start().await;
    pass(50.0).await;

    let run = spans.one("task_run");
    run.has("task.attempt", "1");
    run.has("task.attempt.count", "3");
    run.has("task.outcome", "success");
    assert!(!run.fields.contains_key("otel.status_code"));
    let attempts = spans.named("attempt");
    assert_eq!(attempts.len(), 3);
    assert!(attempts.iter().all(|a| a.parent == Some(run.id)));
    let after: Vec<_> = attempts.iter().map(|a| a.after).collect();
    assert_eq!(after, [None, Some(attempts[0].id), Some(attempts[1].id)]);
    attempts[0].has("otel.status_code", "ERROR");
    attempts[0].has("otel.status_description", "sold out");
    attempts[0].has("error.type", "failure");
    attempts[1].has("otel.status_description", "no luck");
    attempts[1].has("error.type", "panicked");
    attempts[2].has("otel.name", "attempt 3");
    assert!(!attempts[2].fields.contains_key("otel.status_code"));
}

#[tokio::test(start_paused = true)]
async fn how_a_run_ends_is_its_status_unless_somebody_ended_it() {
    let spans = Spans::default();
    let _guard = spans.listen();
    let bench = Bench::with(
        |clock| MemoryLock::with_clock(clock),
        |builder| builder.shutdown_grace(Duration::ZERO),
    );
    bench.task("failure", ONCE, |_| async { Err(TaskError::new("x")) });
    bench.task("panicked", ONCE, |_| async { panic!("x") });
    let forever = |_| async { std::future::pending().await };
    let short = Duration::from_secs(2);
    bench.task_with("timeout", ONCE, short, Policy::default(), forever);
    bench.task("cancelled", ONCE, forever);
    bench.start().await;
    pass(20.0).await;
    bench.scheduler.stop().await;
    let runs = spans.named("task_run");
    assert_eq!(runs.len(), 4);
    for run in &runs {
        let outcome = run.fields["task.outcome"].as_str();
        run.has("task.name", outcome);
        let status = run.fields.get("otel.status_code").map(String::as_str);
        let error = run.fields.get("error.type").map(String::as_str);
        match outcome {
            "cancelled" => assert_eq!((status, error), (None, None)),
            _ => assert_eq!((status, error), (Some("ERROR"), Some(outcome))),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_is_slow_or_fails_has_a_span() {
    let spans = Spans::default();
    let _guard = spans.listen();
    let clock = Arc::new(TestClock::at(START));
    let lock = ScriptedLock::new(MemoryLock::with_clock(clock.clone()));
    let bench = Bench::on(clock, lock.clone(), |builder| builder.lead(Duration::ZERO));
    bench.task("t", ONCE, |_| async { Ok(()) });
    let late = Fault::Late(Duration::from_millis(40));
    lock.next(LockOperation::Acquire, [late]);
    lock.next(LockOperation::Release, [Fault::NotSent]);
    bench.start().await;
    pass(20.0).await;
    let run = spans.one("task_run");
    let [acquire, release] = spans.named("lock").try_into().unwrap();
    assert_eq!([acquire.parent, release.parent], [Some(run.id); 2]);
    acquire.has("otel.name", "lock acquire");
    acquire.has("otel.kind", "client");
    acquire.has("task.lock.store", "a scripted lock");
    let took: f64 = acquire.fields["task.lock.took_s"].parse().unwrap();
    assert!((0.04..0.06).contains(&took), "{took}");
    assert!(!acquire.fields.contains_key("otel.status_code"));
    release.has("otel.name", "lock release");
    release.has("otel.status_code", "ERROR");
    // What the lock did is no failure of the run.
    run.has("task.outcome", "success");
}

#[tokio::test(start_paused = true)]
async fn a_firing_that_starts_nothing_has_no_span() {
    let spans = Spans::default();
    let _guard = spans.listen();
    let (clock, lock) = clock_and_lock();
    let fleet = [(); 3].map(|()| instance(&clock, lock.clone()));
    for bench in &fleet {
        bench.task("t", "* * * * * *", |_| async { Ok(()) });
        let long = |_| async {
            pass(30.0).await;
            Ok(())
        };
        bench.task_with("long", "* * * * * *", MINUTE, Policy::default(), long);
        bench.start().await;
    }
    pass(10.5).await;
    let runs = spans.named("task_run");
    let of = |task: &str| {
        runs.iter()
            .filter(|r| r.fields["task.name"] == task)
            .count()
    };
    assert_eq!((of("t"), of("long")), (10, 1));
    let others = spans
        .all()
        .iter()
        .filter(|s| s.name != "task_run" && s.name != "attempt")
        .count();
    assert_eq!(others, 0);
}

#[tokio::test(start_paused = true)]
async fn each_part_of_a_firing_has_a_run_of_its_own() {
    let spans = Spans::default();
    let _guard = spans.listen();
    let bench = Bench::new();
    let parts = Policy::default().scope(Scope::Sharded(3));
    bench.task_with("t", ONCE, MINUTE, parts, |_| async { Ok(()) });
    bench.start().await;
    pass(5.0).await;
    let mut shards: Vec<String> = spans
        .named("task_run")
        .iter()
        .map(|run| run.fields["task.shard"].clone())
        .collect();
    shards.sort_unstable();
    assert_eq!(shards, ["0/3", "1/3", "2/3"]);
}

#[tokio::test(start_paused = true)]
async fn of_frequent_tasks_the_traces_of_a_share_of_the_runs_are_wanted() {
    let spans = Spans::default();
    let _guard = spans.listen();
    let bench = Bench::with(
        |clock| MemoryLock::with_clock(clock),
        |builder| builder.trace_sample(0.25),
    );
    bench.task("often", "* * * * * *", |_| async { Ok(()) });
    bench.task("rests", "@after 30s", |_| async {
        Err(TaskError::new("x"))
    });
    bench.task("seldom", "0 * * * * *", |_| async { Ok(()) });
    bench.start().await;
    pass(600.5).await;
    let wanted = |task: &str| {
        let runs = spans.named("task_run");
        let of_task = runs.into_iter().filter(|r| r.fields["task.name"] == task);
        let (dropped, wanted): (Vec<Seen>, Vec<Seen>) =
            of_task.partition(|run| run.fields.contains_key("sampling.priority"));
        for run in &dropped {
            run.has("sampling.priority", "0");
        }
        (wanted.len(), dropped.len())
    };
    let (often, dropped) = wanted("often");
    assert_eq!(often + dropped, 600);
    assert!((90..210).contains(&often), "{often} of 600");
    // It is chosen before anybody knows that it will fail.
    assert!(wanted("rests").1 > 0);
    assert_eq!(wanted("seldom"), (10, 0));
}

#[test]
fn a_share_of_traces_is_from_0_to_1() {
    for share in [-0.5, 1.5, f64::NAN] {
        let builder = Scheduler::builder().lock(MemoryLock::new());
        let error = builder.trace_sample(share).build().unwrap_err();
        assert!(error.to_string().contains("trace_sample"), "{error}");
    }
}
