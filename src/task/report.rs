//! What a run gives back.

use std::error::Error as StdError;
use std::fmt;

/// What [`Task::run`](crate::Task::run) returns.
pub type TaskResult = Result<(), TaskError>;

/// Why a run failed: any error at all, or a text.
///
/// `?` turns every `Error + Send + Sync` into one; [`TaskError::new`] takes texts and boxed errors
/// as well. As with other catch-all errors, it does not implement [`std::error::Error`] itself,
/// which is what makes `?` work.
pub struct TaskError(Box<dyn StdError + Send + Sync>);

impl TaskError {
    /// A failure with a text (`"sold out"`), or with an error that is boxed already.
    pub fn new(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self(error.into())
    }

    /// The error that the run returned.
    pub fn get_ref(&self) -> &(dyn StdError + Send + Sync + 'static) {
        &*self.0
    }
}

impl<E> From<E> for TaskError
where
    E: StdError + Send + Sync + 'static,
{
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

/// The error and the errors that caused it, joined by colons.
impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
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
        fmt::Debug::fmt(&self.0, f)
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
