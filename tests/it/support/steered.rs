//! Processes of one fleet: told by lines what to ask of it, and writing down what they see.
//!
//! The process is this very test binary, started again with one test selected,
//! [`steered_process`]. What it is to ask comes in on its standard input, a line of JSON for each
//! act; what it asked, was answered, ran and follows goes to the end of a journal that all
//! processes share.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tasklock::schemars::{self, JsonSchema};
use tasklock::{
    Answer, BaseTask, By, Clock, Deleted, Event, Expected, FencingToken, IfPaused, IfRunning,
    Observer, PauseFor, RedisFleet, RedisLock, RunNow, Saved, Scheduler, SchedulerHandle,
    StoredTask, SystemClock, TaskError, chrono_tz,
};

const CONFIG: &str = "TASKLOCK_TEST_STEERED";
/// Tasks that are hardly ever due, for runs by hand.
pub const JOBS: usize = 60;
/// How often a process looks at what it follows.
const LOOK: Duration = Duration::from_millis(50);

/// A process of the fleet. Killed when dropped.
pub struct Steered {
    pub name: String,
    redis: String,
    journal: PathBuf,
    child: Child,
    input: Option<ChildStdin>,
}

impl Steered {
    /// Starts a process, which writes to the end of the file at `journal`.
    pub fn start(name: &str, redis: &str, journal: &Path) -> Self {
        let config = json!({"name": name, "redis": redis, "journal": journal});
        let mut command = Command::new(std::env::current_exe().unwrap());
        let test = "support::steered::steered_process";
        command.args(["--exact", test, "--nocapture"]);
        command.env(CONFIG, config.to_string());
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        Self {
            name: name.to_owned(),
            redis: redis.to_owned(),
            journal: journal.to_owned(),
            child,
            input,
        }
    }

    /// Has it ask for something.
    pub fn ask(&mut self, act: &Value) {
        let line = format!("{act}\n");
        let input = self.input.as_mut().unwrap();
        input.write_all(line.as_bytes()).unwrap();
        input.flush().unwrap();
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id() as i32).unwrap(), signal).unwrap();
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The next process of this name, after it was killed.
    pub fn restart(&mut self) {
        *self = Self::start(&self.name, &self.redis, &self.journal);
    }
}

impl Drop for Steered {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One line of a journal.
#[derive(Debug, Clone)]
pub struct Noted {
    pub replica: String,
    pub what: String,
    pub more: Value,
}

impl Noted {
    /// The number of the act that it is about.
    pub fn n(&self) -> Option<u64> {
        self.more["n"].as_u64()
    }

    pub fn text(&self, key: &str) -> &str {
        self.more[key].as_str().unwrap_or_default()
    }
}

/// Reads all whole lines of a journal; a process killed while it wrote may leave half of one.
pub fn read_journal(path: &Path) -> Vec<Noted> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let parse = |line: &str| {
        let v: Value = serde_json::from_str(line).ok()?;
        Some(Noted {
            replica: v["replica"].as_str()?.to_owned(),
            what: v["what"].as_str()?.to_owned(),
            more: v["more"].clone(),
        })
    };
    text.lines().filter_map(parse).collect()
}

/// One `write` for each line, so that those of several processes do not mix.
#[derive(Clone)]
struct Journal {
    file: Arc<File>,
    replica: Arc<str>,
}

impl Journal {
    fn note(&self, what: &str, more: &Value) {
        let line = json!({
            // For people: by the machine's monotonic clock, the same for all processes.
            "at": SystemClock.monotonic().as_micros() as u64,
            "replica": &*self.replica,
            "what": what,
            "more": more,
        });
        let line = format!("{line}\n");
        (&*self.file).write_all(line.as_bytes()).unwrap();
    }
}

impl Observer for Journal {
    fn on_event(&self, event: &Event) {
        match event {
            Event::RunStarted { run } => {
                let params = run.request.as_ref().and_then(|r| r.params.as_deref());
                let n = params.and_then(|n| n.parse::<u64>().ok());
                self.note(
                    "start",
                    &json!({
                        "n": n, "task": run.task.as_str(), "run": run.run_id.to_string(),
                        "due": run.fire_time.timestamp_millis(), "trigger": run.trigger.as_str(),
                    }),
                );
            }
            Event::RunFinished { run, outcome, .. } => self.note(
                "end",
                &json!({
                    "task": run.task.as_str(), "run": run.run_id.to_string(),
                    "outcome": outcome.as_str(),
                }),
            ),
            Event::FiringDecided {
                task,
                fire_time,
                decision,
                ..
            } => self.note(
                "decision",
                &json!({
                    "task": task.as_str(), "due": fire_time.timestamp_millis(),
                    "decision": decision.as_str(),
                }),
            ),
            _ => {}
        }
    }
}

#[derive(serde::Deserialize, JsonSchema)]
struct Nothing {}

/// Not a test: what a process of a fleet runs. Does nothing unless it was started as one.
#[test]
fn steered_process() {
    let Ok(config) = std::env::var(CONFIG) else {
        return;
    };
    let config: Value = serde_json::from_str(&config).unwrap();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        // A test that dies must not leave its processes behind for long.
        tokio::select! {
            () = serve(&config) => {}
            () = tokio::time::sleep(Duration::from_secs(600)) => {}
        }
    });
    // The thread that reads its input may wait for more.
    std::process::exit(0);
}

async fn serve(config: &Value) {
    let text = |key: &str| config[key].as_str().unwrap().to_owned();
    let mut options = OpenOptions::new();
    let file = options.create(true).append(true);
    let file = file.open(text("journal")).unwrap();
    let journal = Journal {
        file: Arc::new(file),
        replica: text("name").into(),
    };
    let lock = RedisLock::builder(&text("redis")).build().unwrap();
    let scheduler = Scheduler::builder()
        .fleet(RedisFleet::beside(&lock))
        .lock(lock)
        .observer(journal.clone())
        .instance_id(text("name"))
        .wait_for_lock(Duration::from_secs(20))
        .shutdown_grace(Duration::from_secs(2))
        .build()
        .unwrap();
    tasks(&scheduler);
    let acts = listen();
    scheduler.start().await.unwrap();
    journal.note("ready", &json!({}));
    let handle = scheduler.handle();
    tokio::spawn(watch(handle.clone(), journal.clone()));
    let mut acts = acts;
    while let Some(act) = acts.recv().await {
        let (handle, journal) = (handle.clone(), journal.clone());
        tokio::spawn(async move {
            journal.note("asked", &json!({"n": act["n"], "act": act}));
            let answer = match do_it(&handle, &act).await {
                Ok(answer) => answer,
                Err(error) => json!({"is": "error", "error": error.to_string()}),
            };
            journal.note("answered", &json!({"n": act["n"], "answer": answer}));
        });
    }
    scheduler.stop().await;
}

/// Lines of the standard input, until it ends.
fn listen() -> tokio::sync::mpsc::UnboundedReceiver<Value> {
    let (send, receive) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let Ok(act) = serde_json::from_str(&line) else {
                continue;
            };
            if send.send(act).is_err() {
                return;
            }
        }
    });
    receive
}

fn tasks(scheduler: &Scheduler) {
    let minutes = Duration::from_secs(300);
    for n in 0..JOBS {
        // As long as it takes that a fault finds some of them half way.
        let job = BaseTask::new(format!("job.{n}"), "0 0 0 1 1 * 2199", minutes, |_| async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Ok(())
        });
        scheduler.register(job).unwrap();
        let long = BaseTask::new(
            format!("long.{n}"),
            "0 0 0 1 1 * 2199",
            minutes,
            |ctx| async move {
                ctx.cancelled().await;
                Err(TaskError::new("cancelled"))
            },
        );
        scheduler.register(long).unwrap();
        let rare = BaseTask::new(format!("rare.{n}"), "0 0 0 1 1 *", minutes, |_| async {
            Ok(())
        });
        scheduler.register(rare).unwrap();
    }
    for name in ["tick", "tock", "held"] {
        let task = BaseTask::new(name, "* * * * * *", minutes, |_| async { Ok(()) });
        scheduler.register(task).unwrap();
    }
    let note = |_, _: Nothing| async { Ok(()) };
    scheduler.handler("note", note).unwrap();
}

/// Writes down what the instance follows, whenever that has changed.
async fn watch(handle: SchedulerHandle, journal: Journal) {
    let last = Mutex::new(Value::Null);
    loop {
        let view = view(&handle);
        if *last.lock().unwrap() != view {
            journal.note("view", &view);
            *last.lock().unwrap() = view;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// What an instance follows, in the words of [`truth`](crate::fleet_processes).
fn view(handle: &SchedulerHandle) -> Value {
    let stored: BTreeMap<String, String> = handle
        .tasks()
        .into_iter()
        .filter(|task| task.kind.is_some())
        .map(|task| (task.name.to_string(), task.spec.to_string()))
        .collect();
    let rules = rules_in_words(&handle.rules(), handle.now());
    json!({"rules": rules, "stored": stored, "drained": handle.is_drained()})
}

/// The rules that are about the tasks of these processes.
pub fn rules_in_words(
    rules: &tasklock::Rules,
    now: tasklock::chrono::DateTime<tasklock::chrono::Utc>,
) -> Value {
    let pauses: Vec<String> = rules
        .pauses(now)
        .iter()
        .map(|pause| {
            pause
                .task
                .as_ref()
                .map_or("*".to_owned(), |t| t.to_string())
        })
        .collect();
    let (mut skips, mut overrides) = (BTreeMap::new(), BTreeMap::new());
    let rare = (0..JOBS).map(|n| format!("rare.{n}"));
    for task in rare.chain(["tick".to_owned(), "tock".to_owned()]) {
        if let Some(skip) = rules.skip_of(&task) {
            let times = skip.fire_times.iter().map(|at| at.timestamp_millis());
            skips.insert(task.clone(), times.collect::<Vec<_>>());
        }
        if let Some(other) = rules.override_of(&task, now) {
            overrides.insert(task.clone(), other.spec.to_string());
        }
    }
    json!({"pauses": pauses, "skips": skips, "overrides": overrides})
}

async fn do_it(handle: &SchedulerHandle, act: &Value) -> tasklock::Result<Value> {
    let control = handle.control().unwrap();
    let store = handle.task_store().unwrap();
    let n = act["n"].as_u64().unwrap();
    let by = By::new(format!("act.{n}"), "a test")?;
    let text = |key: &str| act[key].as_str().unwrap_or_default();
    let task = text("task");
    let hour = Duration::from_secs(3600);
    let done = |version: u64| json!({"is": "done", "version": version});
    let was = |was: bool| json!({"is": if was { "done" } else { "was_not" }});
    Ok(match text("do") {
        "run" => {
            let mut run = RunNow::new(task, &by).params(n.to_string());
            if !text("on").is_empty() {
                run = run.on(text("on"));
            }
            if !text("key").is_empty() {
                run = run.idempotency_key(text("key"));
            }
            if act["even_if_paused"] == true {
                run = run.if_paused(IfPaused::Run);
            }
            if act["queue"] == true {
                run = run.if_running(IfRunning::Queue);
            }
            answer(control.run(run).await?)
        }
        "pause" => done(control.pause(PauseFor::task(task, &by)).await?.get()),
        "pause_all" => done(control.pause(PauseFor::all(&by)).await?.get()),
        "resume" => was(control.resume(Some(task), &by).await?),
        "resume_all" => was(control.resume(None, &by).await?),
        "skip" => answer(control.skip(task, 2, &by).await?),
        "override" => {
            let utc = chrono_tz::UTC;
            let version = control.override_spec(task, text("spec"), utc, hour, &by);
            done(version.await?.get())
        }
        "reset" => was(control.reset(task, &by).await?),
        "cancel" => {
            let run = text("run").parse().unwrap();
            answer(control.cancel(run, None, &by).await?)
        }
        "drain" => done(control.drain(text("on"), &by).await?.get()),
        "undrain" => was(control.undrain(text("on"), &by).await?),
        "unlock" => {
            let fence = FencingToken::new(act["fence"].as_u64().unwrap());
            answer(control.unlock(task, fence, false, &by).await?)
        }
        "save" => {
            let mut new = StoredTask::new(task, "note", text("spec"));
            if let Some(known) = store.get(task).await? {
                new.version = known.version;
            }
            match store.save(&new).await? {
                Saved::Done(version) => done(version.get()),
                _ => json!({"is": "was_not"}),
            }
        }
        "delete" => was(store.delete(task, Expected::Anything).await? == Deleted::Done),
        other => panic!("{other:?} is no act"),
    })
}

fn answer(receipt: tasklock::Receipt) -> Value {
    let mut said = match &receipt.answer {
        Answer::Accepted(accepted) => json!({
            "is": "accepted", "instance": accepted.instance,
            "runs": accepted.runs.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "skipped": accepted.skipped.iter().map(|at| at.timestamp_millis()).collect::<Vec<_>>(),
        }),
        Answer::Refused(refused) => json!({
            "is": "refused", "instance": refused.instance, "why": format!("{:?}", refused.why),
        }),
        Answer::NotTaken => json!({"is": "not_taken"}),
        Answer::Taken { instance, .. } => json!({"is": "taken", "instance": instance}),
        other => panic!("{other:?}"),
    };
    said["id"] = json!(receipt.id);
    said
}
