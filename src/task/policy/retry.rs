//! Calling a task again that failed.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

/// How often a task that failed is called again within one run, and after which waits.
///
/// ```text
/// |=attempt 1=✗---first---|=attempt 2=✗------twice that------|=attempt 3=|
/// |<---------------- one run, one lease, one timeout -------------------->|
/// ```
///
/// All of it is one run of one firing, on one instance, under one lease and one timeout; other
/// instances see a run that takes longer. There is no retry whose wait would end after the timeout,
/// or at or after the task's next fire time. A panic is retried as an error is; a timeout is not.
///
/// [`TaskError::permanent`](crate::TaskError::permanent) is not retried, and
/// [`TaskError::retry_after`](crate::TaskError::retry_after) says how long to wait.
///
/// ```
/// use std::time::Duration;
/// use tasklock::{Policy, Retry};
///
/// let policy = Policy::default().retry(Retry::times(3).first_wait(Duration::from_millis(500)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Retry {
    pub(crate) times: u32,
    pub(crate) first_wait: Duration,
    pub(crate) longest_wait: Duration,
}

impl Retry {
    /// No retries: the default of a task.
    pub fn never() -> Self {
        Self::times(0)
    }

    /// At most so many calls after the first, after waits of a second, two, four and so on up to a
    /// minute, each with up to as much again at random.
    pub fn times(times: u32) -> Self {
        Self {
            times,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(60),
        }
    }

    /// The first wait; each one after it is twice as long. Default: 1 s; at least 1 ms.
    #[must_use]
    pub fn first_wait(mut self, wait: Duration) -> Self {
        self.first_wait = wait;
        self
    }

    /// The longest wait, without what is added at random. Default: 60 s.
    #[must_use]
    pub fn longest_wait(mut self, wait: Duration) -> Self {
        self.longest_wait = wait;
        self
    }

    /// The waits, one for each retry.
    pub(crate) fn waits(self, seed: u64) -> impl Iterator<Item = Duration> + Send + Sync {
        ExponentialBuilder::default()
            .with_min_delay(self.first_wait)
            .with_max_delay(self.longest_wait)
            .with_factor(2.0)
            .with_jitter()
            .with_jitter_seed(seed)
            .with_max_times(usize::try_from(self.times).unwrap_or(usize::MAX))
            .build()
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self::never()
    }
}
