//! What a run gives back.

use std::any::type_name;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use crate::text::contained;

/// The longest text of one error of several that is kept, in bytes.
const LONGEST_CAUSE: usize = 4096;

/// The name of a type, if it says something of the error: not of texts, nor of boxes.
fn name_of_error(name: &'static str) -> Option<&'static str> {
    let says_nothing = ["&", "alloc::string::", "alloc::borrow::", "alloc::boxed::"];
    let is_own = !says_nothing.iter().any(|other| name.starts_with(other));
    is_own.then_some(name)
}

/// What [`Task::run`](crate::Task::run) returns.
pub type TaskResult = Result<(), TaskError>;

/// Why a run failed: any error at all, or a text.
///
/// `?` turns every `Error + Send + Sync` into one; [`TaskError::new`] takes texts and boxed errors
/// as well. As with other catch-all errors, it does not implement [`std::error::Error`] itself,
/// which is what makes `?` work.
pub struct TaskError {
    error: Box<dyn StdError + Send + Sync>,
    type_name: Option<&'static str>,
    advice: Advice,
}

/// What a failure says about being retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Advice {
    /// Nothing: the task's policy decides.
    None,
    /// Another attempt would fail too.
    Permanent,
    /// Another attempt makes sense after so long.
    After(Duration),
}

impl TaskError {
    /// A failure with a text (`"sold out"`), or with an error that is boxed already.
    pub fn new(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::with_advice(error, Advice::None)
    }

    /// A failure that another attempt would meet too: it is not retried, whatever the task's
    /// [`Retry`](crate::Retry).
    pub fn permanent(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::with_advice(error, Advice::Permanent)
    }

    /// A failure that knows when another attempt makes sense, as from a `Retry-After`: the next
    /// retry, if the task's [`Retry`](crate::Retry) has one left, comes after `wait`.
    pub fn retry_after(wait: Duration, error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::with_advice(error, Advice::After(wait))
    }

    fn with_advice<E>(error: E, advice: Advice) -> Self
    where
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        Self {
            type_name: name_of_error(type_name::<E>()),
            error: error.into(),
            advice,
        }
    }

    /// The name of the error's type, `billing::BankError` say: one of a few, to sort failures by.
    /// `None` for a text, and for an error that came in a box.
    ///
    /// ```
    /// # use tasklock::TaskError;
    /// let error = TaskError::from("x".parse::<u32>().unwrap_err());
    /// assert_eq!(error.type_name(), Some("core::num::error::ParseIntError"));
    /// assert_eq!(TaskError::new("sold out").type_name(), None);
    /// ```
    pub fn type_name(&self) -> Option<&'static str> {
        self.type_name
    }

    pub(crate) fn advice(&self) -> Advice {
        self.advice
    }

    /// The text of the error and of the errors that caused it, one by one.
    pub(crate) fn causes(&self) -> Vec<String> {
        let mut causes = vec![contained(&self.error.to_string(), LONGEST_CAUSE)];
        let mut source = self.error.source();
        // A chain that leads back into itself must not hang us.
        for _ in 0..16 {
            let Some(cause) = source else { break };
            causes.push(contained(&cause.to_string(), LONGEST_CAUSE));
            source = cause.source();
        }
        causes
    }

    /// The error that the run returned.
    pub fn get_ref(&self) -> &(dyn StdError + Send + Sync + 'static) {
        &*self.error
    }
}

impl<E> From<E> for TaskError
where
    E: StdError + Send + Sync + 'static,
{
    fn from(error: E) -> Self {
        Self {
            type_name: name_of_error(type_name::<E>()),
            error: Box::new(error),
            advice: Advice::None,
        }
    }
}

/// The error and the errors that caused it, joined by colons.
impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.error)?;
        let mut source = self.error.source();
        // A chain that leads back into itself must not hang us.
        for _ in 0..16 {
            let Some(cause) = source else { break };
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

impl fmt::Debug for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.error, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn question_mark_turns_any_error_into_one() {
        fn body() -> TaskResult {
            let _: u32 = "x".parse()?;
            Ok(())
        }
        assert_eq!(
            body().unwrap_err().to_string(),
            "invalid digit found in string"
        );
    }

    #[test]
    fn the_text_holds_the_causes() {
        let cause = std::io::Error::other("no route");
        let error = crate::Error::new(crate::ErrorKind::StoreUnavailable, "cannot report")
            .with_source(cause);
        assert_eq!(
            TaskError::from(error).to_string(),
            "cannot report: no route"
        );
        assert_eq!(TaskError::new("sold out").to_string(), "sold out");
    }
}
