//! What people want until further notice, and what follows from it at an instant. Pure.

mod overridden;
mod rule;

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use crate::task::TaskName;

pub(crate) use overridden::{Overridden, upcoming};
pub use rule::{Drain, Missed, Override, Pause, Skip};
pub(crate) use rule::{MOST_SKIPPED, Rule, RuleKey};

/// All rules, as they were at one moment.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    all: Option<Pause>,
    pauses: HashMap<TaskName, Pause>,
    skips: HashMap<TaskName, Skip>,
    overrides: HashMap<TaskName, (Override, Overridden)>,
    drains: HashMap<String, Drain>,
}

impl Rules {
    pub(crate) fn of<'a>(rules: impl IntoIterator<Item = &'a Rule>) -> Self {
        let mut this = Self::default();
        for rule in rules {
            match rule.clone() {
                Rule::Pause(pause) => match pause.task.clone() {
                    Some(task) => drop(this.pauses.insert(task, pause)),
                    None => this.all = Some(pause),
                },
                Rule::Skip(skip) => drop(this.skips.insert(skip.task.clone(), skip)),
                Rule::Override(other) => {
                    if let Some(overridden) = Overridden::of(&other) {
                        this.overrides
                            .insert(other.task.clone(), (other, overridden));
                    }
                }
                Rule::Drain(drain) => drop(this.drains.insert(drain.instance.clone(), drain)),
            }
        }
        this
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_none()
            && self.pauses.is_empty()
            && self.skips.is_empty()
            && self.overrides.is_empty()
            && self.drains.is_empty()
    }

    /// All pauses that have not ended at `now`.
    pub fn pauses(&self, now: DateTime<Utc>) -> Vec<&Pause> {
        let mut all: Vec<&Pause> = self.all.iter().chain(self.pauses.values()).collect();
        all.retain(|pause| now < pause.until);
        all.sort_by(|a, b| a.task.cmp(&b.task));
        all
    }

    /// The pause that holds a firing of `task` at `at` back: its own, or that of all tasks.
    pub fn pause_of(&self, task: &str, at: DateTime<Utc>) -> Option<&Pause> {
        let holds = |pause: &&Pause| pause.from <= at && at < pause.until;
        let own = self.pauses.get(task).filter(holds);
        own.or_else(|| self.all.as_ref().filter(holds))
    }

    /// Until when `task` was paused last, by itself or with all, or had another schedule, as far as that
    /// is kept: nothing was expected of it before by the one that it has.
    pub(crate) fn excused_until(&self, task: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let pauses = self.pauses.get(task).into_iter().chain(&self.all);
        let ends = pauses.map(|pause| pause.until);
        let ends = ends.chain(self.overrides.get(task).map(|(other, _)| other.until));
        ends.filter(|end| *end <= now).max()
    }

    /// Which fire times of `task` are skipped.
    pub fn skip_of(&self, task: &str) -> Option<&Skip> {
        self.skips.get(task)
    }

    /// The schedule that `task` has at `at` in place of its code's.
    pub fn override_of(&self, task: &str, at: DateTime<Utc>) -> Option<&Override> {
        let (other, _) = self.overrides.get(task)?;
        (other.from <= at && at < other.until).then_some(other)
    }

    /// Whether an instance is to take no new firings, as who asked for it why.
    pub fn drain_of(&self, instance: &str) -> Option<&Drain> {
        self.drains.get(instance)
    }

    /// Whether a firing is not to run: as it is paused, or skipped.
    pub(crate) fn holds_back(&self, task: &str, fire_time: DateTime<Utc>) -> bool {
        self.pause_of(task, fire_time).is_some()
            || self
                .skip_of(task)
                .is_some_and(|skip| skip.fire_times.contains(&fire_time))
    }

    pub(crate) fn overridden(&self, task: &str) -> Option<&Overridden> {
        self.overrides.get(task).map(|(_, overridden)| overridden)
    }

    pub(crate) fn overridden_tasks(&self) -> impl Iterator<Item = (&TaskName, &Override)> {
        self.overrides
            .iter()
            .map(|(task, (other, _))| (task, other))
    }

    /// Pauses that have ended at `now` and whose last firings are to run.
    pub(crate) fn to_catch_up(&self, now: DateTime<Utc>) -> impl Iterator<Item = &Pause> {
        let has_ended = move |pause: &&Pause| pause.until <= now && pause.missed == Missed::RunOnce;
        self.all
            .iter()
            .chain(self.pauses.values())
            .filter(has_ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::by::By;
    use crate::fleet::Record;
    use crate::schedule::Schedule;

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-11-21T{text}Z").parse().unwrap()
    }

    fn by() -> By {
        By::new("ana", "test").unwrap()
    }

    fn pause(task: Option<&str>, from: &str, until: &str) -> Rule {
        Rule::Pause(Pause {
            task: task.map(|task| task.parse().unwrap()),
            by: by(),
            from: at(from),
            until: at(until),
            missed: Missed::Drop,
        })
    }

    #[test]
    fn a_pause_holds_back_the_instants_from_its_first_to_its_last() {
        let one = pause(Some("t"), "10:00:00", "11:00:00");
        let all = pause(None, "12:00:00", "12:30:00");
        let rules = Rules::of([&one, &all]);
        for (task, instant, expected) in [
            ("t", "09:59:59", false),
            ("t", "10:00:00", true),
            ("t", "10:59:59", true),
            ("t", "11:00:00", false),
            ("u", "10:30:00", false),
            ("u", "12:00:00", true),
            ("t", "12:29:59", true),
            ("t", "12:30:00", false),
        ] {
            assert_eq!(
                rules.holds_back(task, at(instant)),
                expected,
                "{task} {instant}"
            );
        }
        assert_eq!(rules.pauses(at("11:30:00")).len(), 1);
    }

    #[test]
    fn a_skip_is_of_its_instants_alone() {
        let skip = Rule::Skip(Skip {
            task: "t".parse().unwrap(),
            by: by(),
            fire_times: vec![at("10:00:00"), at("10:05:00")],
            command: String::new(),
        });
        let rules = Rules::of([&skip]);
        let held: Vec<bool> = ["10:00:00", "10:02:30", "10:05:00", "10:10:00"]
            .map(|t| rules.holds_back("t", at(t)))
            .to_vec();
        assert_eq!(held, [true, false, true, false]);
        assert!(!rules.holds_back("u", at("10:00:00")));
    }

    #[test]
    fn an_override_is_for_its_time_and_the_code_for_the_rest() {
        let code: Schedule = "0 0 * * * *".parse().unwrap();
        let over = Overridden {
            schedule: "0 */20 * * * *".parse().unwrap(),
            from: at("10:30:00"),
            until: at("12:00:00"),
        };
        let times: Vec<String> = upcoming(&code, Some(&over), at("08:30:00"), 8)
            .into_iter()
            .map(|t| t.format("%H:%M").to_string())
            .collect();
        let expected = [
            "09:00", "10:00", "10:40", "11:00", "11:20", "11:40", "12:00", "13:00",
        ];
        assert_eq!(times, expected);
        let mut back = Vec::new();
        let mut last = at("13:30:00");
        while let Some(t) = over
            .prev_before(&code, last)
            .filter(|t| *t >= at("09:00:00"))
        {
            back.push(t.format("%H:%M").to_string());
            last = t;
        }
        back.reverse();
        assert_eq!(back, expected);
    }

    #[test]
    fn an_override_that_never_fires_in_its_time_is_passed_over() {
        let code: Schedule = "0 0 * * * *".parse().unwrap();
        let over = Overridden {
            schedule: "0 0 0 1 1 *".parse().unwrap(),
            from: at("10:30:00"),
            until: at("12:00:00"),
        };
        assert_eq!(over.next_after(&code, at("10:00:00")), Some(at("12:00:00")));
        assert_eq!(
            over.prev_before(&code, at("12:00:00")),
            Some(at("10:00:00"))
        );
    }

    #[test]
    fn records_that_cannot_be_are_no_rules() {
        let good = pause(Some("t"), "10:00:00", "11:00:00");
        let text = crate::control::encode(&good).unwrap();
        let record =
            |key: &str, text: &str| Record::new(key, crate::fleet::Version::new(1), text, None);
        assert_eq!(Rule::read(&record("pause/t", &text)).unwrap(), good);
        assert!(Rule::read(&record("pause/u", &text)).is_err());
        assert!(Rule::read(&record("pause", &text)).is_err());
        for (from, to) in [
            ("\"t\"", "\"a b\""),
            ("\"ana\"", "\"\\u001b\""),
            ("pause", "paws"),
            ("drop", "later"),
        ] {
            assert!(
                Rule::read(&record("pause/t", &text.replacen(from, to, 1))).is_err(),
                "{to}"
            );
        }
    }
}
