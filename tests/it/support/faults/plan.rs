//! What is run, and what is broken.

use std::time::Duration;

macro_rules! faults {
    ($($(#[$doc:meta])* $variant:ident = $word:literal,)*) => {
        /// What the nemesis does.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum FaultKind { $($(#[$doc])* $variant,)* }

        impl FaultKind {
            pub const ALL: &'static [FaultKind] = &[$(FaultKind::$variant),*];

            pub fn as_str(self) -> &'static str {
                match self { $(FaultKind::$variant => $word,)* }
            }
        }
    };
}

faults! {
    /// `kill -9` of a replica, at once or at a named point, and a new process in its place.
    Kill = "kill",
    /// The same for all at once, and new ones after up to 2.3 s.
    KillAll = "killall",
    /// SIGSTOP for 0.2 to 9 s.
    Stop = "stop",
    /// SIGSTOP for less than the margin of a lease.
    Pause = "pause",
    /// All connections closed, by the server or on the way, in order or with a reset.
    Cut = "cut",
    /// The next request is executed, its answer is lost and its connection closed.
    Reply = "reply",
    /// Connections swallow everything; with or without new ones being let through.
    BlackHole = "blackhole",
    /// 50 to 800 ms each way.
    Latency = "latency",
    /// 600 to 900 ms on each answer: longer than a client waits.
    Slow = "slow",
    /// The server has closed the connections, and the clients do not hear of it.
    HalfOpen = "halfopen",
    /// The server does not answer: `CLIENT PAUSE`, `DEBUG SLEEP`.
    Stall = "stall",
    /// `SCRIPT FLUSH`.
    Scripts = "scripts",
    /// `FLUSHALL`.
    Flush = "flush",
    /// The server is killed, and comes back without its data.
    Restart = "restart",
    /// The server's clock steps by up to 0.45 s to either side, and back.
    Clock = "clock",
}

impl FaultKind {
    /// Those after which all is promised.
    pub const DEFAULT: &'static [FaultKind] = &[
        FaultKind::Kill,
        FaultKind::KillAll,
        FaultKind::Stop,
        FaultKind::Pause,
        FaultKind::Cut,
        FaultKind::Reply,
        FaultKind::BlackHole,
        FaultKind::Latency,
        FaultKind::Slow,
        FaultKind::HalfOpen,
        FaultKind::Stall,
        FaultKind::Scripts,
    ];

    /// How often it comes, beside others. A fleet that is killed all the time is never stopped for
    /// long.
    pub fn weight(self) -> usize {
        match self {
            FaultKind::Stop => 5,
            FaultKind::Kill => 4,
            FaultKind::Cut | FaultKind::Reply | FaultKind::BlackHole | FaultKind::Latency => 3,
            FaultKind::Pause | FaultKind::Stall => 2,
            _ => 1,
        }
    }

    /// Reads `kill,stop`; `default` and `none` are words too.
    pub fn parse_list(text: &str) -> Result<Vec<FaultKind>, String> {
        let mut kinds = Vec::new();
        for word in text.split(',').filter(|w| !w.is_empty()) {
            match word {
                "default" => kinds.extend(Self::DEFAULT),
                "none" => {}
                _ => {
                    let found = Self::ALL.iter().find(|k| k.as_str() == word);
                    kinds.push(*found.ok_or_else(|| format!("no such fault: {word}"))?);
                }
            }
        }
        Ok(kinds)
    }
}

/// How the lock is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Tasklock,
    /// `SET NX EX`, run, `DEL`.
    Naive,
    /// The same, with a `DEL` of the owner alone.
    OwnerChecked,
}

impl Scheme {
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Tasklock => "tasklock",
            Scheme::Naive => "naive",
            Scheme::OwnerChecked => "owner-checked",
        }
    }

    pub fn parse(word: &str) -> Result<Self, String> {
        let all = [Scheme::Tasklock, Scheme::Naive, Scheme::OwnerChecked];
        let found = all.into_iter().find(|s| s.as_str() == word);
        found.ok_or_else(|| format!("no such scheme: {word}"))
    }
}

/// A task of every second; milliseconds.
#[derive(Debug, Clone)]
pub struct TaskPlan {
    pub name: String,
    pub shortest: u64,
    pub longest: u64,
    /// By how much the timeout cuts the longest runs short; 0 for not at all.
    pub timeout: u64,
}

/// One run of the fleet.
#[derive(Debug, Clone)]
pub struct Plan {
    pub seconds: u64,
    pub replicas: usize,
    pub seed: u64,
    pub scheme: Scheme,
    pub faults: Vec<FaultKind>,
    /// Between two faults, milliseconds.
    pub pause: std::ops::Range<u64>,
    pub tasks: Vec<TaskPlan>,
    pub lease_ttl: Duration,
    pub misfire_threshold: Duration,
    pub response_timeout: Duration,
    /// How many replicas of the store have to confirm a grant.
    pub replica_acks: usize,
    /// How replicas' processes are started: the program and its arguments.
    pub program: Vec<String>,
    /// The defence that they do without, in a build for that.
    pub mutant: Option<String>,
    /// A shared object that lets the server's clock be stepped.
    pub clock_shim: Option<String>,
}

impl Plan {
    /// Ten tasks, two of them longer than their period, and one of those with a timeout.
    pub fn new(program: Vec<String>) -> Self {
        let task = |i: u64| TaskPlan {
            name: format!("t{i}"),
            shortest: if i < 8 { 5 } else { 300 },
            longest: if i < 8 { 45 } else { 1800 },
            timeout: if i == 9 { 1500 } else { 0 },
        };
        Self {
            seconds: 60,
            replicas: 3,
            seed: 1,
            scheme: Scheme::Tasklock,
            faults: FaultKind::DEFAULT.to_vec(),
            pause: 250..1200,
            tasks: (0..10).map(task).collect(),
            lease_ttl: Duration::from_secs(3),
            misfire_threshold: Duration::from_secs(4),
            response_timeout: Duration::from_millis(500),
            replica_acks: 0,
            program,
            mutant: None,
            clock_shim: None,
        }
    }

    /// The margin of the leases, as the lock reckons it.
    pub fn margin(&self) -> Duration {
        (self.lease_ttl / 10)
            .max(Duration::from_secs(1))
            .min(self.lease_ttl / 3)
    }

    pub fn longest_run(&self) -> Duration {
        let longest = self.tasks.iter().map(|t| t.longest).max();
        Duration::from_millis(longest.unwrap_or(0))
    }

    /// By how much the clock of a replica is off: -180, 0, 180 ms and again.
    pub fn skew_ms(&self, replica: usize) -> i64 {
        [-180, 0, 180][replica % 3]
    }
}
