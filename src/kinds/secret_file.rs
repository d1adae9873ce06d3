//! Files that hold secrets. What is wrong with one is said without a word of what is in it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The largest file, in bytes.
const LARGEST: u64 = 64 * 1024;

/// What a file says, without the end of its last line.
pub(crate) fn value(path: &Path) -> Result<String, String> {
    let text = text(path)?;
    let value = text.strip_suffix('\n').unwrap_or(&text);
    let value = value.strip_suffix('\r').unwrap_or(value);
    if value.contains('\0') {
        return Err(cannot(path, "it has a zero byte"));
    }
    Ok(value.to_owned())
}

/// The names and values of a file of lines `NAME=value`.
pub(crate) fn variables(path: &Path) -> Result<Vec<(String, String)>, String> {
    let text = text(path)?;
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let pair = line.split_once('=').map(|(n, v)| (n.trim(), v.trim()));
        let is_name = |name: &str| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        match pair {
            Some((name, value)) if is_name(name) && !value.contains('\0') => {
                found.push((name.to_owned(), unquoted(value).to_owned()));
            }
            _ => return Err(cannot(path, &format!("line {number} is no NAME=value"))),
        }
    }
    Ok(found)
}

fn unquoted(value: &str) -> &str {
    ['"', '\'']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(value)
}

fn text(path: &Path) -> Result<String, String> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?
            .take(LARGEST + 1)
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|e| cannot(path, &e.to_string()))?;
    if bytes.len() as u64 > LARGEST {
        return Err(cannot(path, "it has more than 64 KiB"));
    }
    String::from_utf8(bytes).map_err(|_| cannot(path, "it is no text"))
}

fn cannot(path: &Path, why: &str) -> String {
    format!("the file {} cannot be used: {why}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn a_value_is_a_file_without_its_last_line_end() {
        assert_eq!(value(file(b"hunter2\n").path()).unwrap(), "hunter2");
        assert_eq!(value(file(b" a b\r\n").path()).unwrap(), " a b");
        assert_eq!(value(file(b"").path()).unwrap(), "");
    }

    #[test]
    fn variables_are_lines() {
        let file = file(b"# of the database\n\nA=1\n B = \"two words\" \nC='x=y'\nD=\n");
        let found = variables(file.path()).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        assert_eq!(
            found,
            [("A", "1"), ("B", "two words"), ("C", "x=y"), ("D", "")]
        );
    }

    #[test]
    fn what_is_wrong_is_said_without_a_secret() {
        let secret = b"hunter2 is no line\n";
        let long = vec![b'h'; 100_000];
        for (bytes, part) in [
            (&secret[..], "line 1 is no NAME=value"),
            (b"A=1\nhunter2", "line 2"),
            (b"\xff\xfe", "no text"),
            (&long, "more than 64 KiB"),
        ] {
            let file = file(bytes);
            let error = variables(file.path()).unwrap_err();
            assert!(error.contains(part) && error.len() < 300, "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert!(
            value(Path::new("/nowhere/x"))
                .unwrap_err()
                .contains("/nowhere/x")
        );
    }
}
