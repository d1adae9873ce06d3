//! Settings of a scheduler.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono_tz::Tz;

use crate::error::{Error, ErrorKind, Result};
use crate::event::{Observer, Observers};
use crate::fleet::FleetStore;
use crate::history::{History, HistoryWriter, RunLogs};
use crate::lock::Lock;
use crate::random::random_bits;
use crate::schedule::DstPolicy;
use crate::scheduler::Scheduler;
use crate::scheduler::alarm::TimerEngine;
use crate::scheduler::engine::Engine;
use crate::scheduler::trace::{TraceId, TraceSample};
use crate::time::{Clock, SystemClock};

/// Less than the second by which locks let claims be early, for clocks that differ.
const LONGEST_LEAD: Duration = Duration::from_millis(900);

/// What a scheduler is made of. [`build`](SchedulerBuilder::build) checks it all.
#[must_use = "a builder does nothing until `build`"]
pub struct SchedulerBuilder {
    lock: Option<Arc<dyn Lock>>,
    fleet: Option<Arc<dyn FleetStore>>,
    history: Option<Arc<dyn History>>,
    logs: RunLogs,
    observers: Vec<Arc<dyn Observer>>,
    timezone: Tz,
    dst: DstPolicy,
    max_concurrent: Option<u32>,
    groups: HashMap<Arc<str>, u32>,
    lead: Duration,
    shutdown_grace: Duration,
    success_grace: Duration,
    wait_for_lock: Duration,
    instance: Option<String>,
    application: Option<String>,
    clock: Arc<dyn Clock>,
    engine: TimerEngine,
    trace_id: TraceId,
    trace_sample: f64,
}

/// What `build` has checked.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) lock: Arc<dyn Lock>,
    /// Where the fleet meets, if it does.
    pub(crate) fleet: Option<Arc<dyn FleetStore>>,
    /// Who writes down what was run, if somebody does.
    pub(crate) history: Option<Arc<HistoryWriter>>,
    pub(crate) observers: Observers,
    pub(crate) timezone: Tz,
    pub(crate) dst: DstPolicy,
    pub(crate) max_concurrent: Option<u32>,
    pub(crate) groups: HashMap<Arc<str>, u32>,
    pub(crate) lead: Duration,
    pub(crate) shutdown_grace: Duration,
    pub(crate) success_grace: Duration,
    pub(crate) wait_for_lock: Duration,
    pub(crate) instance: Arc<str>,
    pub(crate) host: String,
    pub(crate) application: Option<String>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) engine: TimerEngine,
    /// Which trace a run belongs to.
    pub(crate) trace_id: TraceId,
    /// Of how many of the runs of frequent tasks the traces are wanted.
    pub(crate) trace_sample: TraceSample,
}

impl SchedulerBuilder {
    pub(crate) fn new() -> Self {
        Self {
            lock: None,
            fleet: None,
            history: None,
            logs: RunLogs::default(),
            observers: Vec::new(),
            timezone: Tz::UTC,
            dst: DstPolicy::default(),
            max_concurrent: None,
            groups: HashMap::new(),
            lead: Duration::from_millis(500),
            shutdown_grace: Duration::from_secs(20),
            success_grace: Duration::from_secs(120),
            wait_for_lock: Duration::ZERO,
            instance: None,
            application: None,
            clock: Arc::new(SystemClock),
            engine: TimerEngine::default(),
            trace_id: TraceId::default(),
            trace_sample: 1.0,
        }
    }

    /// The lock that decides which instance runs a firing. Required: replicas share work only if
    /// they share a lock, so there is no silent default.
    pub fn lock(mut self, lock: impl Lock) -> Self {
        self.lock = Some(Arc::new(lock));
        self
    }

    /// Where the instances of the fleet meet: who there is, what was asked of them, what is paused.
    /// All replicas of a service need the same one. Default: none, and each instance is alone.
    pub fn fleet(mut self, store: impl FleetStore) -> Self {
        self.fleet = Some(Arc::new(store));
        self
    }

    /// Keeps what was run and what was not, in the whole fleet. All replicas of a service need the same
    /// one. Default: none, and nobody keeps it.
    ///
    /// It is written in the background, from a bounded queue: a history that is slow or away delays
    /// nothing, and what is dropped is counted.
    pub fn history(mut self, history: impl History) -> Self {
        self.history = Some(Arc::new(history));
        self
    }

    /// Keeps what runs log in the [history](Self::history) too.
    #[cfg(feature = "run-logs")]
    pub fn run_logs(mut self, layer: &crate::history::RunLogLayer) -> Self {
        self.logs = layer.logs().clone();
        self
    }

    /// Keeps metrics: [`observer`](SchedulerBuilder::observer) by the name people look for.
    pub fn metrics(self, metrics: impl Observer) -> Self {
        self.observer(metrics)
    }

    /// Somebody who hears of everything the engine does. May be called several times.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observers.push(Arc::new(observer));
        self
    }

    /// The zone of schedules that do not name one, in their spec or their task's policy.
    /// Default: UTC.
    pub fn timezone(mut self, zone: Tz) -> Self {
        self.timezone = zone;
        self
    }

    /// What becomes of times that a change of the clock skips or repeats, for tasks whose policy
    /// does not say. Default: [`DstPolicy::RunOnce`].
    pub fn dst(mut self, dst: DstPolicy) -> Self {
        self.dst = dst;
        self
    }

    /// How many runs may go on at once on this instance. A firing beyond that waits for one to end,
    /// and leaves its instant to other instances meanwhile; after its misfire threshold it ends as
    /// `limited`. Default: no limit. At least 1.
    ///
    /// ```text
    /// max_concurrent(2)    |=====t1=====||=====t3=====|
    /// all due at once      |=====t2=====||=====t4=====|
    /// ```
    pub fn max_concurrent(mut self, runs: u32) -> Self {
        self.max_concurrent = Some(runs);
        self
    }

    /// Makes a group of tasks of which so many runs may go on at once on this instance, beside
    /// [`max_concurrent`](Self::max_concurrent). Tasks join it by [`Policy::group`](crate::Policy::group).
    /// At least 1.
    pub fn group(mut self, name: impl Into<Arc<str>>, runs: u32) -> Self {
        self.groups.insert(name.into(), runs);
        self
    }

    /// How long before its fire time a firing's lock may be taken at the most, so that its run starts
    /// on time however long the store takes to answer. What is used of it follows the store: twice as
    /// long as the last claims took. Default: 500 ms; at most 900 ms, as locks refuse claims that come
    /// a second early. Zero: a lock is asked when its firing is due, not sooner.
    ///
    /// No run starts before its fire time. An instance that dies between the grant and the start
    /// takes the firing with it, as one does that dies right after its start.
    pub fn lead(mut self, longest: Duration) -> Self {
        self.lead = longest;
        self
    }

    /// How long [`stop`](Scheduler::stop) waits for runs before it cancels them. Default: 20 s;
    /// at most 24 h. Kubernetes kills after 30 s unless told otherwise.
    pub fn shutdown_grace(mut self, grace: Duration) -> Self {
        self.shutdown_grace = grace;
        self
    }

    /// How much later than its second fire time a task has to have succeeded: the grace of the
    /// deadline that the metrics have of each task while there is a
    /// [`history`](Self::history). Give it the time that the longest of your runs takes, and something
    /// for their delay. All replicas should say the same. Default: 2 minutes; at most 24 h.
    pub fn success_grace(mut self, grace: Duration) -> Self {
        self.success_grace = grace;
        self
    }

    /// How long [`start`](Scheduler::start) waits for the lock's store to answer before it gives
    /// up. Default: zero, give up at once. At most 24 h. A store that refuses us (wrong password)
    /// is not waited for.
    pub fn wait_for_lock(mut self, patience: Duration) -> Self {
        self.wait_for_lock = patience;
        self
    }

    /// The instance's id, a label for people in logs, locks and metrics: 1 to 64 visible ASCII
    /// characters without `|`. Default: `host:pid:random`.
    pub fn instance_id(mut self, id: impl Into<String>) -> Self {
        self.instance = Some(id.into());
        self
    }

    /// The version of the application, for people who look at the instances of a fleet: one line of up
    /// to 64 characters. Default: not said.
    pub fn application_version(mut self, version: impl Into<String>) -> Self {
        self.application = Some(version.into());
        self
    }

    /// Where the time comes from. Default: [`SystemClock`].
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// What wakes the scheduler when something is due. Schedules, decisions and guarantees are the same
    /// with all of them; what differs is how late a firing may start, see
    /// [`docs/engines.md`](https://docs.rs/crate/tasklock/latest/source/docs/engines.md). Default:
    /// [`TimerEngine::Own`].
    pub fn engine(mut self, engine: TimerEngine) -> Self {
        self.engine = engine;
        self
    }

    /// Who knows the id of the trace that the current span belongs to, so that [`RunFacts`](crate::RunFacts)
    /// and the [history](Self::history) have it for each run. Asked at the start of a run, within its span.
    /// Default: nobody.
    ///
    /// ```
    /// # use tasklock::Scheduler;
    /// # fn current_trace_id() -> Option<String> { None }
    /// // With tracing-opentelemetry: Span::current().context().span().span_context().trace_id()
    /// let builder = Scheduler::builder().trace_id(current_trace_id);
    /// ```
    pub fn trace_id(mut self, ask: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        self.trace_id = TraceId::new(ask);
        self
    }

    /// Of which share of the runs of frequent tasks the traces are wanted, from 0 to 1; frequent are those
    /// whose next fire time comes in less than a minute. Default: 1, of all.
    ///
    /// The span of a run that is not chosen has the field `sampling.priority`, 0: a sampler drops it by
    /// that, with all within it ([how](https://docs.rs/crate/tasklock/latest/source/docs/operations.md#sampling)).
    /// The choice follows from the run's id, so that it is the same for whoever asks. It is made before the
    /// run, whatever becomes of it: one that fails without a trace is in the log, the metrics and the
    /// [history](Self::history). Runs that somebody asked for are always chosen.
    pub fn trace_sample(mut self, share: f64) -> Self {
        self.trace_sample = share;
        self
    }

    /// The scheduler, not yet started.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfig`] naming the setting that cannot be.
    pub fn build(self) -> Result<Scheduler> {
        let refuse = |text: String| Err(Error::new(ErrorKind::InvalidConfig, text));
        let Some(lock) = self.lock else {
            return refuse(
                "no lock: choose one with .lock(…): RedisLock for several hosts, FileLock for the \
                 processes of one host, MemoryLock for one process"
                    .to_owned(),
            );
        };
        let day = Duration::from_secs(86_400);
        for (name, value) in [
            ("shutdown_grace", self.shutdown_grace),
            ("success_grace", self.success_grace),
            ("wait_for_lock", self.wait_for_lock),
        ] {
            if value > day {
                return refuse(format!("{name} is {value:?}: give it at most 24 h"));
            }
        }
        if self.lead > LONGEST_LEAD {
            return refuse(format!(
                "lead is {:?}: give it at most {LONGEST_LEAD:?}, as locks refuse claims that come a \
                 second early",
                self.lead
            ));
        }
        let Some(trace_sample) = TraceSample::of(self.trace_sample) else {
            return refuse(format!(
                "trace_sample is {}: give it a share from 0 to 1",
                self.trace_sample
            ));
        };
        if self.max_concurrent == Some(0) {
            return refuse(
                "max_concurrent is 0, so that nothing would run: give it at least 1".to_owned(),
            );
        }
        if let Some((name, _)) = self.groups.iter().find(|(_, runs)| **runs == 0) {
            return refuse(format!(
                "group {name:?} may have 0 runs: give it at least 1"
            ));
        }
        if let Some(version) = &self.application
            && (version.chars().any(char::is_control) || !(1..=64).contains(&version.len()))
        {
            return refuse(format!(
                "application_version {:?} is not one line of 1 to 64 bytes",
                version.chars().take(80).collect::<String>()
            ));
        }
        let random = random_bits()?;
        let instance = match self.instance {
            None => default_instance(random),
            Some(id) => {
                let is_fit = |c: char| c.is_ascii_graphic() && c != '|';
                if id.is_empty() || id.len() > 64 || !id.chars().all(is_fit) {
                    return refuse(format!(
                        "instance id {:?} is not 1 to 64 visible ASCII characters without '|'",
                        id.chars().take(80).collect::<String>()
                    ));
                }
                id
            }
        };
        let instance: Arc<str> = instance.into();
        let mut observers = self.observers;
        let history = self.history.map(|history| {
            let (clock, logs) = (self.clock.clone(), self.logs);
            let writer = HistoryWriter::new(history, clock, instance.clone(), logs);
            // Not itself.
            writer.tell(Observers::new(instance.clone(), observers.clone()));
            Arc::new(writer)
        });
        observers.extend(history.clone().map(|writer| writer as Arc<dyn Observer>));
        let settings = Settings {
            lock,
            fleet: self.fleet,
            history,
            observers: Observers::new(instance.clone(), observers),
            timezone: self.timezone,
            dst: self.dst,
            max_concurrent: self.max_concurrent,
            groups: self.groups,
            lead: self.lead,
            shutdown_grace: self.shutdown_grace,
            success_grace: self.success_grace,
            wait_for_lock: self.wait_for_lock,
            instance,
            host: host(),
            application: self.application,
            clock: self.clock,
            engine: self.engine,
            trace_id: self.trace_id,
            trace_sample,
        };
        Ok(Scheduler {
            engine: Engine::new(settings, random),
        })
    }
}

/// The host's name, in up to 40 visible characters.
fn host() -> String {
    #[cfg(unix)]
    let host = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    #[cfg(not(unix))]
    let host = std::env::var("COMPUTERNAME").unwrap_or_default();
    host.chars()
        .filter(|c| c.is_ascii_graphic() && *c != '|')
        .take(40)
        .collect()
}

/// `host:pid:random`, the host cut so that all of it fits into 64 bytes.
fn default_instance(random: u128) -> String {
    let host = host();
    let host = if host.is_empty() { "host" } else { &host };
    format!("{host}:{}:{:08x}", std::process::id(), random as u32)
}

impl fmt::Debug for SchedulerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SchedulerBuilder")
            .field("lock", &self.lock)
            .field("fleet", &self.fleet)
            .field("history", &self.history)
            .field("observers", &self.observers.len())
            .field("timezone", &self.timezone)
            .field("dst", &self.dst)
            .field("max_concurrent", &self.max_concurrent)
            .field("groups", &self.groups)
            .field("lead", &self.lead)
            .field("shutdown_grace", &self.shutdown_grace)
            .field("success_grace", &self.success_grace)
            .field("wait_for_lock", &self.wait_for_lock)
            .field("instance", &self.instance)
            .field("application", &self.application)
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}
