//! Tasks that are not the same on all instances. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::control::instance::Instance;
use crate::task::TaskName;

/// A task that is not the same everywhere: a deployment under way, or a mistake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Drift {
    /// The task.
    #[serde(with = "super::shelf::text")]
    pub task: TaskName,
    /// In what it differs.
    pub kind: DriftKind,
    /// Who has what: a spec, or a policy's fingerprint, and the ids of the instances that have it.
    pub variants: Vec<(String, Vec<String>)>,
}

/// In what instances may differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DriftKind {
    /// When it is due.
    Schedule,
    /// Its policy or timeout.
    Policy,
}

/// Finds them, in the order of their names.
pub(crate) fn drifts<'a>(instances: impl IntoIterator<Item = &'a Instance>) -> Vec<Drift> {
    type Variants<'a> = BTreeMap<&'a str, (&'a str, Vec<&'a str>)>;
    let mut found: BTreeMap<(&TaskName, DriftKind, &str), Variants<'_>> = BTreeMap::new();
    for instance in instances {
        for task in &instance.tasks {
            let id = instance.id.as_str();
            let mut add = |kind, among, print: &'a str, shown: &'a str| {
                let variants = found.entry((&task.name, kind, among)).or_default();
                variants
                    .entry(print)
                    .or_insert((shown, Vec::new()))
                    .1
                    .push(id);
            };
            add(DriftKind::Schedule, "", &task.schedule, &task.spec);
            // Another version may have settings that this one does not know.
            add(
                DriftKind::Policy,
                &instance.version,
                &task.policy,
                &task.policy,
            );
        }
    }
    let differing = found.into_iter().filter(|(_, variants)| variants.len() > 1);
    differing
        .map(|((task, kind, _), variants)| Drift {
            task: task.clone(),
            kind,
            variants: variants
                .into_values()
                .map(|(shown, mut ids)| {
                    ids.sort_unstable();
                    (
                        shown.to_owned(),
                        ids.into_iter().map(str::to_owned).collect(),
                    )
                })
                .collect(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::instance::TaskFacts;

    fn instance(id: &str, version: &str, tasks: &[(&str, &str, &str)]) -> Instance {
        let fact = |(name, schedule, policy): &(&str, &str, &str)| TaskFacts {
            name: name.parse().unwrap(),
            spec: format!("spec {schedule}"),
            schedule: (*schedule).to_owned(),
            policy: (*policy).to_owned(),
            timezone: None,
            timeout: None,
            kind: None,
            tags: Vec::new(),
            lacks_kind: false,
            settings: None,
        };
        Instance {
            id: id.to_owned(),
            host: "h".to_owned(),
            application: None,
            version: version.to_owned(),
            started: chrono::DateTime::UNIX_EPOCH,
            said: chrono::DateTime::UNIX_EPOCH,
            limit: None,
            running: Vec::new(),
            run_count: None,
            tasks: tasks.iter().map(fact).collect(),
            task_count: tasks.len(),
            clock_offset_ms: None,
            store_round_trip_ms: None,
            is_stopping: false,
            is_drained: false,
            follows: 0,
        }
    }

    #[test]
    fn a_task_that_differs_is_named_with_those_who_have_each_variant() {
        let fleet = [
            instance(
                "a",
                "1",
                &[("t", "s1", "p1"), ("u", "s", "p1"), ("only-here", "x", "y")],
            ),
            instance("b", "1", &[("t", "s2", "p1"), ("u", "s", "p2")]),
            instance("c", "1", &[("t", "s1", "p1")]),
        ];
        let found = drifts(&fleet);
        let named: Vec<_> = found.iter().map(|d| (d.task.as_str(), d.kind)).collect();
        assert_eq!(
            named,
            [("t", DriftKind::Schedule), ("u", DriftKind::Policy)]
        );
        assert_eq!(
            found[0].variants,
            [
                ("spec s1".to_owned(), vec!["a".to_owned(), "c".to_owned()]),
                ("spec s2".to_owned(), vec!["b".to_owned()]),
            ]
        );
    }

    #[test]
    fn policies_are_compared_among_instances_of_one_version_only() {
        let fleet = [
            instance("a", "1", &[("t", "s", "p1")]),
            instance("b", "2", &[("t", "s", "p2")]),
        ];
        assert_eq!(drifts(&fleet), []);
    }
}
