//! A policy as plain data: how it is kept, sent and written in files.
//!
//! Only what differs from [`Policy::default`] is written, so that a record stays short, and says what
//! somebody wanted rather than what the defaults were on that day. Durations are seconds, as numbers,
//! and their names end in `_s`. What is not known is refused: a setting that nobody heeds is worse
//! than an error.

use std::sync::Arc;
use std::time::Duration;

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::schedule::DstPolicy;
use crate::task::policy::{Misfire, OnStoreDown, Overlap, Policy, Recovery, Retry, Scope};

/// Seconds as a number: `0.25`, `60`.
pub(crate) mod seconds {
    use std::time::Duration;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        match value.subsec_nanos() {
            0 => to.serialize_u64(value.as_secs()),
            _ => to.serialize_f64(value.as_secs_f64()),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(from)?;
        Duration::try_from_secs_f64(seconds)
            .map_err(|_| D::Error::custom(format_args!("{seconds} s is no duration")))
    }
}

/// Durations that may be missing.
mod some_seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => super::seconds::serialize(value, to),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        #[derive(Deserialize)]
        struct Seconds(#[serde(with = "super::seconds")] Duration);
        Ok(Option::<Seconds>::deserialize(from)?.map(|seconds| seconds.0))
    }
}

/// The names of time zones, of which there may be none.
pub(crate) mod zone {
    use chrono_tz::Tz;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(zone: &Option<Tz>, to: S) -> Result<S::Ok, S::Error> {
        match zone {
            Some(zone) => to.serialize_str(zone.name()),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Tz>, D::Error> {
        let Some(name) = Option::<String>::deserialize(from)? else {
            return Ok(None);
        };
        let zone = name.parse().map_err(|_| {
            let shown: String = name.chars().take(40).collect();
            D::Error::custom(format_args!(
                "{shown:?} is no time zone: give it a name such as Europe/Berlin"
            ))
        })?;
        Ok(Some(zone))
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename = "policy")]
#[serde(expecting = "a policy: an object of settings")]
pub(super) struct Plain {
    #[serde(with = "zone", skip_serializing_if = "Option::is_none")]
    timezone: Option<Tz>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dst: Option<DstPolicy>,
    #[serde(with = "some_seconds", skip_serializing_if = "Option::is_none")]
    spread_s: Option<Duration>,
    #[serde(with = "some_seconds", skip_serializing_if = "Option::is_none")]
    jitter_s: Option<Duration>,
    #[serde(with = "some_seconds", skip_serializing_if = "Option::is_none")]
    misfire_threshold_s: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    misfire: Option<Misfire>,
    #[serde(with = "some_seconds", skip_serializing_if = "Option::is_none")]
    start_deadline_s: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    overlap: Option<Overlap>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<PlainRetry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery: Option<Recovery>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<Scope>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_store_down: Option<OnStoreDown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pause_after: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<Arc<str>>,
    #[serde(with = "some_seconds", skip_serializing_if = "Option::is_none")]
    lease_ttl_s: Option<Duration>,
    #[serde(with = "some_seconds", skip_serializing_if = "Option::is_none")]
    cancel_grace_s: Option<Duration>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename = "retry")]
struct PlainRetry {
    times: u32,
    #[serde(
        default,
        with = "some_seconds",
        skip_serializing_if = "Option::is_none"
    )]
    first_wait_s: Option<Duration>,
    #[serde(
        default,
        with = "some_seconds",
        skip_serializing_if = "Option::is_none"
    )]
    longest_wait_s: Option<Duration>,
}

impl From<Policy> for Plain {
    fn from(policy: Policy) -> Self {
        let usual = Policy::default();
        fn unless<T: PartialEq>(value: T, usual: T) -> Option<T> {
            (value != usual).then_some(value)
        }
        Self {
            timezone: policy.timezone,
            dst: policy.dst,
            spread_s: unless(policy.spread, usual.spread),
            jitter_s: unless(policy.jitter, usual.jitter),
            misfire_threshold_s: unless(policy.misfire_threshold, usual.misfire_threshold),
            misfire: unless(policy.misfire, usual.misfire),
            start_deadline_s: policy.start_deadline,
            overlap: unless(policy.overlap, usual.overlap),
            retry: unless(policy.retry, usual.retry).map(|retry| {
                let usual = Retry::times(retry.times);
                PlainRetry {
                    times: retry.times,
                    first_wait_s: unless(retry.first_wait, usual.first_wait),
                    longest_wait_s: unless(retry.longest_wait, usual.longest_wait),
                }
            }),
            recovery: unless(policy.recovery, usual.recovery),
            scope: unless(policy.scope, usual.scope),
            on_store_down: unless(policy.on_store_down, usual.on_store_down),
            pause_after: policy.pause_after,
            group: policy.group,
            lease_ttl_s: unless(policy.lease_ttl, usual.lease_ttl),
            cancel_grace_s: unless(policy.cancel_grace, usual.cancel_grace),
        }
    }
}

impl From<Plain> for Policy {
    fn from(plain: Plain) -> Self {
        let usual = Self::default();
        let retry = plain.retry.map_or(usual.retry, |retry| {
            let usual = Retry::times(retry.times);
            Retry {
                first_wait: retry.first_wait_s.unwrap_or(usual.first_wait),
                longest_wait: retry.longest_wait_s.unwrap_or(usual.longest_wait),
                ..usual
            }
        });
        Self {
            timezone: plain.timezone,
            dst: plain.dst,
            spread: plain.spread_s.unwrap_or(usual.spread),
            jitter: plain.jitter_s.unwrap_or(usual.jitter),
            misfire_threshold: plain.misfire_threshold_s.unwrap_or(usual.misfire_threshold),
            misfire: plain.misfire.unwrap_or(usual.misfire),
            start_deadline: plain.start_deadline_s,
            overlap: plain.overlap.unwrap_or(usual.overlap),
            retry,
            recovery: plain.recovery.unwrap_or(usual.recovery),
            scope: plain.scope.unwrap_or(usual.scope),
            on_store_down: plain.on_store_down.unwrap_or(usual.on_store_down),
            pause_after: plain.pause_after,
            group: plain.group,
            lease_ttl: plain.lease_ttl_s.unwrap_or(usual.lease_ttl),
            cancel_grace: plain.cancel_grace_s.unwrap_or(usual.cancel_grace),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(policy: &Policy) -> String {
        serde_json::to_string(policy).unwrap()
    }

    fn read(text: &str) -> Result<Policy, String> {
        serde_json::from_str(text).map_err(|e| e.to_string())
    }

    #[test]
    fn only_what_differs_from_the_default_is_written() {
        assert_eq!(written(&Policy::default()), "{}");
        assert_eq!(read("{}"), Ok(Policy::default()));
        let policy = Policy::default().retry(Retry::times(3));
        assert_eq!(written(&policy), r#"{"retry":{"times":3}}"#);
    }

    #[test]
    fn every_setting_is_written_and_read() {
        let ms = Duration::from_millis;
        let policy = Policy::default()
            .timezone(Tz::Europe__Berlin)
            .dst(DstPolicy::Robfig)
            .spread(ms(1_500))
            .jitter(ms(250))
            .misfire_threshold(ms(90_000))
            .misfire(Misfire::RunAll(5))
            .start_deadline(ms(3_600_000))
            .overlap(Overlap::Allow(2))
            .retry(Retry::times(3).first_wait(ms(500)).longest_wait(ms(30_000)))
            .recovery(Recovery::Rerun { max: 2 })
            .scope(Scope::Sharded(4))
            .on_store_down(OnStoreDown::RunLocally)
            .pause_after(7)
            .group("mail")
            .lease_ttl(ms(20_000))
            .cancel_grace(ms(1));
        let text = written(&policy);
        assert_eq!(
            text,
            r#"{"timezone":"Europe/Berlin","dst":"robfig","spread_s":1.5,"jitter_s":0.25,"misfire_threshold_s":90,"misfire":{"run_all":5},"start_deadline_s":3600,"overlap":{"allow":2},"retry":{"times":3,"first_wait_s":0.5,"longest_wait_s":30},"recovery":{"rerun":{"max":2}},"scope":{"sharded":4},"on_store_down":"run_locally","pause_after":7,"group":"mail","lease_ttl_s":20,"cancel_grace_s":0.001}"#
        );
        assert_eq!(read(&text), Ok(policy));
    }

    #[test]
    fn words_are_those_of_metrics_and_pages() {
        for overlap in [Overlap::Skip, Overlap::QueueOne, Overlap::Replace] {
            let word = serde_json::to_value(overlap).unwrap();
            assert_eq!(word, overlap.as_str());
        }
        for misfire in [Misfire::Skip, Misfire::RunOnce] {
            let word = serde_json::to_value(misfire).unwrap();
            assert_eq!(word, misfire.as_str());
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_name() {
        for (text, part) in [
            (r#"{"overlaps":"skip"}"#, "unknown field `overlaps`"),
            (r#"{"overlap":"never"}"#, "unknown variant `never`"),
            (r#"{"spread_s":-1}"#, "-1 s is no duration"),
            (r#"{"spread_s":1e300}"#, "is no duration"),
            (r#"{"spread_s":"30s"}"#, "invalid type: string \"30s\""),
            (
                r#"{"timezone":"Mars/Base"}"#,
                "\"Mars/Base\" is no time zone",
            ),
            (r#"{"retry":{"times":1,"wait":2}}"#, "unknown field `wait`"),
            ("3", "a policy: an object of settings"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn durations_survive_to_the_nanosecond() {
        for nanos in [1, 999_999_999, 604_799_999_999_999, 86_399_000_000_001] {
            let policy = Policy::default().spread(Duration::from_nanos(nanos));
            assert_eq!(read(&written(&policy)), Ok(policy), "{nanos}");
        }
    }
}
