//! What the cases of all conformance suites have in common: how they fail, and how that is told.

use std::fmt;
use std::future::Future;

/// How a case ended.
pub(super) type Outcome = std::result::Result<(), Breach>;

/// What a case found to be wrong.
pub(super) struct Breach(pub(super) String);

impl From<crate::Error> for Breach {
    fn from(error: crate::Error) -> Self {
        Breach(format!("a call failed: {error}"))
    }
}

/// Runs one case of a suite.
pub(super) async fn run(suite: &str, name: &str, case: impl Future<Output = Outcome>) {
    #[allow(clippy::panic)] // A suite that finds a breach has nothing else to say.
    if let Err(Breach(what)) = case.await {
        panic!("{suite} conformance, case {name}: {what}");
    }
}

pub(super) fn same<T: PartialEq + fmt::Debug>(found: T, expected: T) -> Outcome {
    holds(found == expected, || {
        format!("{found:?} in place of {expected:?}")
    })
}

pub(super) fn holds(condition: bool, what: impl FnOnce() -> String) -> Outcome {
    match condition {
        true => Ok(()),
        false => Err(Breach(what())),
    }
}
