//! What happened in one simulation, in the order in which it happened.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tasklock::{Decision, Outcome};

/// True time: milliseconds since the simulation began, which no clock in it shows.
pub type Millis = i64;

/// One fact.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub at: Millis,
    pub what: What,
}

/// An instance, and how often it had been started when it did this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Life {
    pub instance: usize,
    pub boot: u32,
}

/// A firing: the number of a task, and the instant in epoch milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Firing {
    pub task: usize,
    pub instant: i64,
}

#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// The scheduler fires from now on.
    Up(Life),
    /// It was asked to stop.
    Stopping(Life),
    /// It has stopped.
    Stopped(Life),
    /// The process is gone, with its runs.
    Crashed(Life),
    /// Of this many fire times, up to this one.
    Decided(Life, Firing, Decision, u64),
    /// With this fencing token.
    Started(Life, Firing, u64),
    Finished(Life, Firing, Outcome),
    /// The task's own code begins; it ends when it is dropped.
    BodyBegan(Life, Firing),
    BodyEnded(Life, Firing),
    /// What the store did, by the token of the claim.
    Granted {
        firing: Firing,
        instance: usize,
        token: String,
        fence: u64,
        /// A repeat of a claim that had been granted.
        again: bool,
    },
    Renewed {
        firing: Firing,
        token: String,
    },
    Released {
        firing: Firing,
        token: String,
        abandoned: bool,
    },
    /// The store has forgotten everything.
    DataLost,
    StoreStepped(Millis),
    ClockStepped(usize, Millis),
    /// Whether the instance and the store can talk as they should.
    Link(usize, bool),
    Store(bool),
    Fault(Fault),
    /// No more faults.
    Calm,
}

macro_rules! faults {
    ($($variant:ident)*) => {
        /// What can go wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Fault { $($variant,)* }

        impl Fault {
            pub const ALL: &'static [Fault] = &[$(Fault::$variant),*];
        }
    };
}

faults! {
    Partition RepliesLost RequestsLost Held Slow Crash Stop StoreRestart DataLoss
    SmallStep BigStep StoreStep
}

/// Where facts are written, and what time it truly is. Clones share both.
#[derive(Debug, Clone, Default)]
pub struct History {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    // Held to push or to copy.
    entries: Mutex<Vec<Entry>>,
    /// The time while nothing runs, plus one; zero while something does.
    frozen: AtomicI64,
}

impl History {
    /// What time it truly is, where a host runs.
    pub fn now(&self) -> Duration {
        match self.inner.frozen.load(Ordering::Relaxed) {
            0 => turmoil::sim_elapsed().unwrap_or_default(),
            at => Duration::from_millis(at.unsigned_abs() - 1),
        }
    }

    /// Between the steps of the simulation hosts are only taken down: what they still do in their
    /// drop is not done by anybody, and their runtimes do not know the time.
    pub fn freeze(&self, at: Duration) {
        let at = at.as_millis() as i64 + 1;
        self.inner.frozen.store(at, Ordering::Relaxed);
    }

    pub fn thaw(&self) {
        self.inner.frozen.store(0, Ordering::Relaxed);
    }

    /// Writes down what a host did.
    pub fn note(&self, what: What) {
        if self.inner.frozen.load(Ordering::Relaxed) == 0 {
            self.note_at(self.now(), what);
        }
    }

    /// Writes down what was done to hosts.
    pub fn note_at(&self, at: Duration, what: What) {
        let at = at.as_millis() as Millis;
        self.inner.entries.lock().unwrap().push(Entry { at, what });
    }

    /// Everything so far, in the order of time; hosts take turns in slices of a tick.
    pub fn entries(&self) -> Vec<Entry> {
        let mut entries = self.inner.entries.lock().unwrap().clone();
        entries.sort_by_key(|e| e.at);
        entries
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>8.3} {:?}", self.at as f64 / 1000.0, self.what)
    }
}
