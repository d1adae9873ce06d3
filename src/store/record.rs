//! What is written of a stored task: JSON with a format version.

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::fleet::Record;
use crate::store::StoredTask;

/// The shelf that stored tasks are on, by their names.
pub(crate) const SHELF: &str = "tasks";

/// What is written now. One that is larger was written by somebody newer, who knows why.
const FORMAT: u32 = 1;

#[derive(Serialize)]
struct Written<'a> {
    format: u32,
    task: &'a StoredTask,
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    #[serde(rename = "format")]
    _format: u32,
    task: StoredTask,
}

/// The text of a record.
pub(super) fn write(task: &StoredTask) -> Result<String> {
    // The version is the record's own.
    let task = &StoredTask {
        version: Default::default(),
        ..task.clone()
    };
    let format = FORMAT;
    serde_json::to_string(&Written { format, task }).map_err(|e| {
        let text = format!("task {:?} cannot be written as JSON: {e}", task.name);
        Error::new(ErrorKind::InvalidTask, text).with_source(e)
    })
}

/// What a record says, whoever wrote it.
pub(super) fn read(record: &Record) -> Result<StoredTask> {
    let unreadable = |why: String| {
        let key: String = record.key.chars().take(128).collect();
        let text = format!("the stored task {key:?} cannot be read: {why}");
        Error::new(ErrorKind::StoreProtocol, text)
    };
    let broken = |e: serde_json::Error| {
        // What others wrote may be in it, at any length.
        let why: String = e.to_string().escape_debug().take(300).collect();
        unreadable(why)
    };
    let Format { format } = serde_json::from_str(&record.value).map_err(broken)?;
    if format > FORMAT {
        return Err(unreadable(format!(
            "its format is {format}, and this version knows those up to {FORMAT}"
        )));
    }
    let Read { task, .. } = serde_json::from_str(&record.value).map_err(broken)?;
    if task.name != record.key {
        let named: String = task.name.chars().take(128).collect();
        return Err(unreadable(format!("it is one of {named:?}")));
    }
    Ok(StoredTask {
        version: record.version,
        ..task
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Version;

    fn record(value: &str) -> Record {
        Record::new("t", Version::new(7), value, None)
    }

    #[test]
    fn what_was_written_is_read_with_the_version_of_its_record() {
        let mut task = StoredTask::new("t", "k", "@hourly").owner("me");
        task.version = Version::new(3);
        let text = write(&task).unwrap();
        assert_eq!(
            text,
            r#"{"format":1,"task":{"name":"t","kind":"k","spec":"@hourly","timeout_s":300,"parameters":{},"policy":{},"owner":"me","enabled":true}}"#
        );
        task.version = Version::new(7);
        assert_eq!(read(&record(&text)).unwrap(), task);
    }

    #[test]
    fn what_cannot_be_read_is_said_in_a_few_words_on_one_line() {
        let deep = "[".repeat(100_000);
        let long = format!(r#"{{"format":1,"task":{{"{}":1}}}}"#, "x".repeat(1_000_000));
        for (text, part) in [
            ("", "EOF while parsing"),
            ("\u{0}", "expected value"),
            (r#"{"format":2,"anything":0}"#, "its format is 2"),
            (r#"{"format":-1}"#, "invalid value"),
            (r#"{"format":1}"#, "missing field `task`"),
            (
                r#"{"format":1,"task":{"name":"t","kind":"k"}}"#,
                "missing field `spec`",
            ),
            (
                r#"{"format":1,"task":{"name":"u","kind":"k","spec":"@hourly"}}"#,
                "it is one of \"u\"",
            ),
            (
                r#"{"format":1,"task":{"name":"t","kind":"k","spec":"@hourly","\n\u001b[31m":1}}"#,
                "unknown field",
            ),
            (
                r#"{"format":1,"task":{"name":"t","kind":"k","spec":"@hourly","timeout_s":1e400}}"#,
                "out of range",
            ),
            (&deep, "expected"),
            (&long, "unknown field `xxxx"),
        ] {
            let error = read(&record(text)).unwrap_err().to_string();
            let shown: String = text.chars().take(80).collect();
            assert!(error.contains(part), "{shown}: {error}");
            assert!(error.len() < 500 && !error.chars().any(char::is_control));
        }
    }
}
