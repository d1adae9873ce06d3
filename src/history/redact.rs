//! What is not kept: values of fields that by their name are secrets.

use serde_json::Value;

use crate::text::contained;

/// What stands in the place of a secret.
pub(crate) const REDACTED: &str = "•••";
/// The longest parameters that are kept, in bytes.
const LONGEST: usize = 16 * 1024;
/// Parts of names, without `_`, `-`, `.` and in small letters.
const SECRETS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "secret",
    "authorization",
    "apikey",
    "accesskey",
    "token",
    "credential",
    "privatekey",
    "cookie",
];

/// Whether a field of that name holds a secret.
pub(crate) fn is_secret(name: &str) -> bool {
    // A name of a megabyte is nobody's field.
    let plain: String = name
        .chars()
        .take(256)
        .filter(|c| !matches!(c, '_' | '-' | '.' | ' '))
        .flat_map(char::to_lowercase)
        .collect();
    SECRETS.iter().any(|secret| plain.contains(secret))
}

/// Parameters without their secrets. Of what is no JSON nobody knows where a secret ends: it is kept if
/// it names none. What is too long is not kept.
pub(crate) fn redacted(json: &str) -> String {
    if json.len() > LONGEST {
        return format!("{} bytes", json.len());
    }
    match serde_json::from_str::<Value>(json) {
        Ok(mut value) => {
            redact(&mut value);
            value.to_string()
        }
        Err(_) if names_secret(json) => REDACTED.to_owned(),
        Err(_) => contained(json, LONGEST),
    }
}

fn names_secret(text: &str) -> bool {
    let names = text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.')));
    names.into_iter().any(is_secret)
}

fn redact(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                match is_secret(name) {
                    true => *value = REDACTED.into(),
                    false => redact(value),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(redact),
        Value::String(text) => *text = contained(text, LONGEST),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_names() {
        for name in [
            "password",
            "db_password",
            "PASSWD",
            "client-secret",
            "Authorization",
            "api_key",
            "apiKey",
            "access_token",
            "token",
            "x.api.key",
            "aws_access_key_id",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["pass", "key", "user", "tok", "authority", "bucket"] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn parameters_keep_everything_but_their_secrets() {
        let given = r#"{"user":"ana","db":{"password":"x","hosts":[{"token":[1,2]},"a"]}}"#;
        assert_eq!(
            redacted(given),
            r#"{"db":{"hosts":[{"token":"•••"},"a"],"password":"•••"},"user":"ana"}"#
        );
        assert_eq!(redacted("since=yesterday\u{1b}"), "since=yesterday\\u{1b}");
        assert_eq!(redacted("--db-password=x"), "•••");
        assert_eq!(redacted("{\"api_key\": x}"), "•••");
        assert_eq!(redacted(&"x".repeat(1_000_000)), "1000000 bytes");
        let deep = "[".repeat(10_000);
        assert_eq!(redacted(&deep), deep);
    }
}
