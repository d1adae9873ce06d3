//! What protects from what: each defence can be taken out of a build for tests of the tests.
//!
//! A test of faults that does not fail when a defence is missing proves nothing. With
//! `--cfg tasklock_mutants` the defence that the environment names in `TASKLOCK_MUTANT` does not
//! hold. Without that, all hold, and the compiler knows it.

macro_rules! defences {
    ($($(#[$doc:meta])* $variant:ident = $word:literal,)*) => {
        /// One defence.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[cfg_attr(not(feature = "redis"), allow(dead_code))] // some are in its scripts
        pub(crate) enum Defence { $($(#[$doc])* $variant,)* }

        #[cfg(tasklock_mutants)]
        impl Defence {
            fn as_str(self) -> &'static str {
                match self { $(Defence::$variant => $word,)* }
            }
        }
    };
}

defences! {
    /// Only the owner of a lock deletes it.
    OwnerCheck = "owner-check",
    /// The last instant is remembered.
    Marker = "marker",
    /// A claim keeps its token when it is repeated.
    SameToken = "same-token",
    /// Firings of one task are claimed in their order.
    Order = "order",
    /// At its start an instance looks for what has come due before.
    CatchUp = "catch-up",
    /// The lease is looked at before the task is polled.
    LookBeforePoll = "look-before-poll",
    /// A lease is believed in for less than its TTL.
    Margin = "margin",
    /// The lease counts from the request.
    CountFromRequest = "count-from-request",
    /// A renewal brings back only what is not released.
    RunningOnly = "running-only",
    /// Fencing tokens grow although the store forgets.
    FenceFromClock = "fence-from-clock",
    /// The lock is given back when the future is gone.
    DropBeforeRelease = "drop-before-release",
}

/// Whether a defence is there.
#[cfg(not(tasklock_mutants))]
pub(crate) const fn holds(_: Defence) -> bool {
    true
}

/// Whether a defence is there.
#[cfg(tasklock_mutants)]
pub(crate) fn holds(defence: Defence) -> bool {
    static MUTANT: std::sync::LazyLock<Option<String>> =
        std::sync::LazyLock::new(|| std::env::var("TASKLOCK_MUTANT").ok());
    MUTANT.as_deref() != Some(defence.as_str())
}
