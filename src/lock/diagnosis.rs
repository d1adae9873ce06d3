//! What a store is, and what is wrong with it: [`Diagnosis`].

use std::fmt;

/// What a lock's store is and what is wrong with it, in words for whoever runs it.
///
/// ```
/// use tasklock::{Diagnosis, Severity};
///
/// let mut diagnosis = Diagnosis::new("redis at 127.0.0.1:6379/0");
/// diagnosis.add(Severity::Ok, "version", "Redis 7.0.15");
/// diagnosis.add(Severity::Warning, "eviction", "set maxmemory-policy to noeviction");
/// assert!(diagnosis.has_warnings() && !diagnosis.has_errors());
/// assert_eq!(
///     diagnosis.to_string(),
///     "redis at 127.0.0.1:6379/0\n\
///      ok      version: Redis 7.0.15\n\
///      warning eviction: set maxmemory-policy to noeviction"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    store: String,
    findings: Vec<Finding>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What was looked at, in one word: `version`, `role`, `eviction`.
    pub subject: String,
    /// What was found and, unless all is well, what to do: one sentence, lower case, without a
    /// full stop.
    pub text: String,
}

/// How bad a [`Finding`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// As it should be.
    Ok,
    /// The lock serves, and may break a promise when something else goes wrong.
    Warning,
    /// The lock cannot serve, or cannot be relied upon.
    Error,
}

impl Severity {
    /// The word for it in logs and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Ok => "ok",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Diagnosis {
    /// A diagnosis without findings of the store that describes itself so.
    pub fn new(store: impl Into<String>) -> Self {
        Self {
            store: store.into(),
            findings: Vec::new(),
        }
    }

    /// Adds a finding. Its text must not hold a secret.
    pub fn add(&mut self, severity: Severity, subject: &str, text: impl Into<String>) {
        self.findings.push(Finding {
            severity,
            subject: subject.to_owned(),
            text: text.into(),
        });
    }

    /// The store, as its lock describes it.
    pub fn store(&self) -> &str {
        &self.store
    }

    /// What was found, in the order in which it was looked at.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Whether a finding is a warning.
    pub fn has_warnings(&self) -> bool {
        self.has(Severity::Warning)
    }

    /// Whether a finding is an error.
    pub fn has_errors(&self) -> bool {
        self.has(Severity::Error)
    }

    fn has(&self, severity: Severity) -> bool {
        self.findings.iter().any(|f| f.severity == severity)
    }
}

/// The store, and a line for each finding.
impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.store)?;
        for Finding {
            severity,
            subject,
            text,
        } in &self.findings
        {
            write!(f, "\n{severity:<7} {subject}: {text}")?;
        }
        Ok(())
    }
}
