//! Words for what the engine announces, as metrics, logs, pages and records have them.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: &'static [$name] = &[$($name::$variant),*];

            /// The word for it in metrics, logs and pages.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }

            /// What a word stands for.
            pub(crate) fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.as_str() == word)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        /// The word.
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let word = String::deserialize(from)?;
                $name::from_word(&word).ok_or_else(|| {
                    let shown: String = word.chars().take(40).collect();
                    let known = $name::ALL.iter().map(|known| known.as_str());
                    let known: Vec<&str> = known.collect();
                    D::Error::custom(format_args!("{shown:?} is none of {}", known.join(", ")))
                })
            }
        }
    };
}

words! {
    /// Why a run began.
    Trigger {
        /// It was due.
        Schedule = "schedule",
        /// Somebody asked for it.
        Manual = "manual",
        /// It was due while nobody could run it, or while its task was paused, and is made up for.
        CatchUp = "catch_up",
        /// An instance that ran it before has died, or was stopped; or somebody asked to repeat a run.
        RetryOf = "retry_of",
    }
}

words! {
    /// What an instance did with a firing.
    Decision {
        /// It ran here.
        Started = "started",
        /// Another instance had taken this instant, or a later one.
        FiredElsewhere = "fired_elsewhere",
        /// The run before it still went on, here or elsewhere.
        Overlap = "overlap",
        /// The task was paused, as too many of its runs in a row had failed or as somebody asked for it;
        /// or somebody asked to skip this fire time.
        Paused = "paused",
        /// It was noticed, or could have started, only later than the misfire threshold.
        Misfired = "misfired",
        /// As many runs went on on this instance as may, for longer than it could wait; or the task's kind
        /// is not known here.
        Limited = "limited",
        /// The scheduler was stopping, or the task was taken out.
        Draining = "draining",
        /// The lock's store could not be asked in time, or was replaced, so that nobody knows whether
        /// the firing was granted before.
        StoreDown = "store_down",
    }
}

words! {
    /// Why an instance does not run a task defined at run time.
    Ignored {
        /// Its kind is not known here: its firings are left to others, and decided `limited`.
        UnknownKind = "unknown_kind",
        /// A task of code has its name here.
        OwnedByCode = "owned_by_code",
        /// It says something that cannot be here: a spec, a policy, a group, parameters.
        Invalid = "invalid",
        /// Its record cannot be read.
        Malformed = "malformed",
    }
}

words! {
    /// How a run ended.
    Outcome {
        /// It returned `Ok`.
        Success = "success",
        /// It returned an error.
        Failure = "failure",
        /// It took longer than its timeout.
        Timeout = "timeout",
        /// It panicked.
        Panicked = "panicked",
        /// A shutdown ended it, or the task's next firing, which took its place, or somebody who asked
        /// for it.
        Cancelled = "cancelled",
        /// Its lease was lost, and it was dropped.
        LeaseLost = "lease_lost",
        /// It could not be made to end, or its owner died.
        Abandoned = "abandoned",
    }
}

words! {
    /// What a lock was asked.
    LockOperation {
        /// For the right to run.
        Acquire = "acquire",
        /// To extend a lease.
        Renew = "renew",
        /// To end a lease.
        Release = "release",
    }
}

words! {
    /// What a store beside the lock's is asked for.
    StoreOperation {
        /// To follow the fleet, and to answer its commands.
        Fleet = "fleet",
        /// To read the tasks that are defined at run time.
        Tasks = "tasks",
        /// To keep what was run.
        HistoryWrite = "history_write",
        /// To tell what is counted, and to find runs whose instances are gone.
        HistoryRead = "history_read",
    }
}

words! {
    /// What kind of records a history keeps.
    RecordKind {
        /// Of runs.
        Run = "run",
        /// Lines that runs have logged.
        Log = "log",
        /// Of decisions.
        Event = "event",
    }
}

words! {
    /// How a lease was lost.
    LeaseLoss {
        /// It could not be renewed in time, so that it may have ended.
        Expired = "expired",
        /// The lock said that it is not ours any more.
        Taken = "taken",
    }
}
