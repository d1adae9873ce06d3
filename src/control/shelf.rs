//! Where the records of a fleet's control are, and how their texts are written and read.
//!
//! Every text is JSON with a version of its form, `v`. Parts that are not known are passed over; a
//! text of a later form, or one that cannot be read, is no record.

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// Who there is: a record for each instance, which it refreshes.
pub(crate) const INSTANCES: &str = "instances";
/// What applies until further notice: pauses, skips, overrides, drains.
pub(crate) const RULES: &str = "rules";
/// What was asked of one instance.
pub(crate) const COMMANDS: &str = "commands";
/// Who asked for what.
pub(crate) const AUDIT: &str = "audit";
/// What happened to the fleet itself.
pub(crate) const HAPPENINGS: &str = "happenings";
/// What of that somebody has written, so that no two do.
pub(crate) const TOLD: &str = "told";

/// The form of texts that this version writes, and the latest that it reads.
const FORM: u32 = 1;
/// The longest text that is read, in bytes. Of those that are written the record of an instance is the
/// longest.
const LONGEST: usize = 512 * 1024;

/// Why a text is no record.
#[derive(Debug)]
pub(crate) struct Malformed(pub(crate) String);

#[derive(Serialize, Deserialize)]
struct Form<T> {
    v: u32,
    #[serde(flatten)]
    body: T,
}

#[derive(Deserialize)]
struct OnlyForm {
    v: u32,
}

pub(crate) fn encode<T: Serialize>(body: &T) -> Result<String> {
    let text = text_of(&Form { v: FORM, body })?;
    if text.len() > LONGEST {
        let text = format!(
            "a record of {} bytes is too long: {LONGEST} at most",
            text.len()
        );
        return Err(Error::new(ErrorKind::InvalidConfig, text));
    }
    Ok(text)
}

/// The same of what may be too long, with as many of its parts as there is room for, the first ones.
/// `take` takes them out of it, `put` puts in those that fit.
pub(crate) fn encode_fitting<T: Serialize, P: Serialize>(
    mut body: T,
    take: impl FnOnce(&mut T) -> Vec<P>,
    put: impl FnOnce(&mut T, Vec<P>),
) -> Result<String> {
    let whole = text_of(&Form {
        v: FORM,
        body: &body,
    })?;
    if whole.len() <= LONGEST {
        return Ok(whole);
    }
    let mut parts = take(&mut body);
    let mut room = LONGEST.saturating_sub(encode(&body)?.len());
    let mut fit = 0;
    for part in &parts {
        // And a comma.
        let Some(left) = room.checked_sub(text_of(part)?.len() + 1) else {
            break;
        };
        (room, fit) = (left, fit + 1);
    }
    parts.truncate(fit);
    put(&mut body, parts);
    encode(&body)
}

fn text_of(body: &impl Serialize) -> Result<String> {
    serde_json::to_string(body).map_err(|e| {
        let text = "a record of the fleet's control could not be written";
        Error::new(ErrorKind::InvalidConfig, text).with_source(e)
    })
}

pub(crate) fn decode<T: DeserializeOwned>(text: &str) -> Result<T, Malformed> {
    if text.len() > LONGEST {
        return Err(Malformed(format!("it is {} bytes long", text.len())));
    }
    // What a stranger wrote is in these messages: they are shown escaped.
    let told = |e: serde_json::Error| Malformed(e.to_string().escape_debug().take(200).collect());
    let OnlyForm { v } = serde_json::from_str(text).map_err(told)?;
    if v > FORM {
        return Err(Malformed(format!(
            "it is of form {v}, and this version reads {FORM}"
        )));
    }
    let Form { body, .. } = serde_json::from_str::<Form<T>>(text).map_err(told)?;
    Ok(body)
}

/// The key of what is about an instance: its id, with `_` and two digits for what keys cannot have.
pub(crate) fn instance_key(id: &str) -> String {
    let mut key = String::with_capacity(id.len());
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || b".:-".contains(&byte) {
            key.push(char::from(byte));
        } else {
            key.push_str(&format!("_{byte:02x}"));
        }
    }
    key
}

/// Instants as epoch milliseconds.
pub(super) mod ms {
    use super::{DateTime, Deserialize, Utc};
    use serde::{Deserializer, Serializer, de::Error};

    pub(in crate::control) fn serialize<S: Serializer>(
        at: &DateTime<Utc>,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        s.serialize_i64(at.timestamp_millis())
    }

    pub(in crate::control) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<DateTime<Utc>, D::Error> {
        let ms = i64::deserialize(d)?;
        DateTime::from_timestamp_millis(ms).ok_or_else(|| D::Error::custom("no such instant"))
    }
}

/// The same for several.
pub(super) mod ms_list {
    use super::{DateTime, Deserialize, Utc};
    use serde::{Deserializer, Serializer, de::Error};

    pub(in crate::control) fn serialize<S: Serializer>(
        at: &[DateTime<Utc>],
        s: S,
    ) -> Result<S::Ok, S::Error> {
        s.collect_seq(at.iter().map(DateTime::timestamp_millis))
    }

    pub(in crate::control) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Vec<DateTime<Utc>>, D::Error> {
        let at = |ms| DateTime::from_timestamp_millis(ms);
        let all = Vec::<i64>::deserialize(d)?.into_iter().map(at);
        let all: Option<Vec<_>> = all.collect();
        all.ok_or_else(|| D::Error::custom("no such instant"))
    }
}

/// The same for one that may be missing.
pub(super) mod ms_option {
    use super::{DateTime, Deserialize, Utc};
    use serde::{Deserializer, Serializer, de::Error};

    pub(in crate::control) fn serialize<S: Serializer>(
        at: &Option<DateTime<Utc>>,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => s.serialize_some(&at.timestamp_millis()),
            None => s.serialize_none(),
        }
    }

    pub(in crate::control) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Option<DateTime<Utc>>, D::Error> {
        let Some(ms) = Option::<i64>::deserialize(d)? else {
            return Ok(None);
        };
        let at = DateTime::from_timestamp_millis(ms);
        at.map(Some)
            .ok_or_else(|| D::Error::custom("no such instant"))
    }
}

/// What has a text of its own: names, ids.
pub(super) mod text {
    use std::fmt::Display;
    use std::str::FromStr;

    use super::Deserialize;
    use serde::{Deserializer, Serializer, de::Error};

    pub(in crate::control) fn serialize<S: Serializer, T: Display>(
        value: &T,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        s.collect_str(value)
    }

    pub(in crate::control) fn deserialize<'de, D: Deserializer<'de>, T: FromStr>(
        d: D,
    ) -> Result<T, D::Error>
    where
        T::Err: Display,
    {
        String::deserialize(d)?.parse().map_err(D::Error::custom)
    }
}

/// The same for one that may be missing.
pub(super) mod text_option {
    use std::fmt::Display;
    use std::str::FromStr;

    use super::Deserialize;
    use serde::{Deserializer, Serializer, de::Error};

    pub(in crate::control) fn serialize<S: Serializer, T: Display>(
        value: &Option<T>,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => s.collect_str(value),
            None => s.serialize_none(),
        }
    }

    pub(in crate::control) fn deserialize<'de, D: Deserializer<'de>, T: FromStr>(
        d: D,
    ) -> Result<Option<T>, D::Error>
    where
        T::Err: Display,
    {
        let text = Option::<String>::deserialize(d)?;
        text.map(|text| text.parse().map_err(D::Error::custom))
            .transpose()
    }
}

/// The same for several.
pub(super) mod text_list {
    use std::fmt::Display;
    use std::str::FromStr;

    use super::Deserialize;
    use serde::{Deserializer, Serializer, de::Error};

    pub(in crate::control) fn serialize<S: Serializer, T: Display>(
        values: &[T],
        s: S,
    ) -> Result<S::Ok, S::Error> {
        s.collect_seq(values.iter().map(T::to_string))
    }

    pub(in crate::control) fn deserialize<'de, D: Deserializer<'de>, T: FromStr>(
        d: D,
    ) -> Result<Vec<T>, D::Error>
    where
        T::Err: Display,
    {
        let texts = Vec::<String>::deserialize(d)?.into_iter();
        texts
            .map(|text| text.parse().map_err(D::Error::custom))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Body {
        a: u32,
    }

    #[test]
    fn texts_of_other_forms_are_no_records_and_more_than_was_asked_for_is_passed_over() {
        assert_eq!(encode(&Body { a: 7 }).unwrap(), r#"{"v":1,"a":7}"#);
        let read = |text: &str| decode::<Body>(text).ok();
        assert_eq!(read(r#"{"v":1,"a":7,"b":[{}]}"#), Some(Body { a: 7 }));
        for bad in [
            "",
            "7",
            "{}",
            r#"{"a":7}"#,
            r#"{"v":2,"a":7}"#,
            r#"{"v":1}"#,
            r#"{"v":1,"a":-1}"#,
            "{\"v\":1,\"a\":\"\u{1b}\"}",
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
        let deep = "[".repeat(200_000);
        let long = format!(r#"{{"v":1,"a":7,"b":"{}"}}"#, "x".repeat(1 << 20));
        assert_eq!((read(&deep), read(&long)), (None, None));
    }

    #[test]
    fn ids_of_instances_become_keys_that_are_no_others() {
        assert_eq!(instance_key("host-1:71:9f"), "host-1:71:9f");
        assert_eq!(instance_key("a_b/c~"), "a_5fb_2fc_7e");
        assert_ne!(instance_key("_5f"), instance_key("_"));
    }
}
