//! What becomes of a firing that is due while the run before it goes on.

/// What becomes of a firing that is due while the task's run before it goes on, here or on another
/// instance.
///
/// ```text
/// due        1         2         3         4
/// Skip       |=======1=========|           |==4==
/// QueueOne   |=======1=========||==2==||=3=|==4==     one waits; a newer one takes its place
/// Replace    |====1===x|==2====x|==3==|    |==4==     x: asked to end
/// Allow(2)   |=======1=========|
///                      |=======2=========|  |==4==     3 is one too many
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Overlap {
    /// It does not run. Only if the other instance died meanwhile, it does.
    #[default]
    Skip,
    /// It waits for the end of that run. A newer firing takes its place: one waits at most.
    QueueOne,
    /// That run is cancelled as by its timeout, with its grace; then this one runs. The instance that
    /// runs it does so itself when its own timer finds the new firing due, so all instances have to
    /// have the task registered with the same spec.
    Replace,
    /// It runs beside that run, as long as no more than so many go on in the whole fleet; beyond that it
    /// does not run. 2 to 64. Each run has a lock of its own, of which only the first is
    /// `task:lock:<name>`.
    Allow(u32),
}

impl Overlap {
    /// The word for it in metrics and pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Overlap::Skip => "skip",
            Overlap::QueueOne => "queue_one",
            Overlap::Replace => "replace",
            Overlap::Allow(_) => "allow",
        }
    }
}
