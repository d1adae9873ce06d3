//! Instants and durations, as the API writes them.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant: `2026-11-20T14:30:00.021Z`, in UTC and with milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Stamp(pub(crate) DateTime<Utc>);

impl From<DateTime<Utc>> for Stamp {
    fn from(at: DateTime<Utc>) -> Self {
        Self(at)
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let at = DateTime::parse_from_rfc3339(&text).map_err(|_| {
            let shown: String = text.chars().take(40).collect();
            D::Error::custom(format_args!(
                "{shown:?} is no instant such as 2026-11-20T14:30:00Z"
            ))
        })?;
        Ok(Self(at.to_utc()))
    }
}

#[cfg(feature = "admin")]
impl schemars::JsonSchema for Stamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Instant".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date-time" })
    }
}

/// Seconds, to the microsecond.
pub(crate) fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_written_in_utc_with_milliseconds_and_read_with_any_offset() {
        let read: Stamp = serde_json::from_str("\"2026-11-20T15:30:00.0211+01:00\"").unwrap();
        assert_eq!(
            serde_json::to_string(&read).unwrap(),
            "\"2026-11-20T14:30:00.021Z\""
        );
        let error = serde_json::from_str::<Stamp>("\"yesterday\\u001b\"").unwrap_err();
        assert!(
            error
                .to_string()
                .contains(r#""yesterday\u{1b}" is no instant"#),
            "{error}"
        );
    }

    #[test]
    fn durations_are_seconds() {
        assert_eq!(seconds(Duration::from_millis(12_749)), 12.749);
        assert_eq!(seconds(Duration::ZERO), 0.0);
    }
}
