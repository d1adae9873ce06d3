//! What instances say of themselves, as findings.

use std::collections::HashSet;

use crate::board::{InstanceState, Snapshot};
use crate::lock::Severity;

/// Clocks that differ by more are told of, in seconds.
const SKEW: f64 = 0.5;

/// What instances say of themselves that somebody should know.
pub(super) fn told_of(snapshot: &Snapshot) -> Vec<(Severity, String, String)> {
    let mut told = Vec::new();
    for instance in &snapshot.instances {
        let severity = match instance.state {
            InstanceState::Ready => Severity::Ok,
            InstanceState::Draining | InstanceState::Stopping => Severity::Warning,
            InstanceState::Lost => Severity::Error,
        };
        let mut text = instance.state.as_str().to_owned();
        if let Some(skew) = instance.clock_skew_s {
            text.push_str(&format!(", clock {:+.0} ms", -skew * 1e3));
        }
        told.push((severity, format!("instance {}", instance.id), text));
        if instance.clock_skew_s.is_some_and(|skew| skew.abs() > SKEW) {
            let text = "its clock is far from that of the lock's store".to_owned();
            told.push((Severity::Warning, format!("instance {}", instance.id), text));
        }
    }
    let versions: HashSet<&str> = snapshot
        .instances
        .iter()
        .map(|i| i.version.as_str())
        .collect();
    if versions.len() > 1 {
        let text = "instances have different versions of this crate".to_owned();
        told.push((Severity::Warning, "versions".to_owned(), text));
    }
    for drift in &snapshot.drifts {
        let variants: Vec<String> = drift
            .variants
            .iter()
            .map(|(what, who)| format!("{what} on {}", who.join(", ")))
            .collect();
        let text = format!("differs: {}", variants.join("; "));
        told.push((Severity::Warning, format!("task {}", drift.task), text));
    }
    told
}
