//! What is wrong with a file, and where.

use std::fmt;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::text::contained_line;

/// The longest text of one fault, in bytes.
const LONGEST: usize = 600;
/// So many are shown.
const MOST_SHOWN: usize = 20;

/// A file that was read, for those who say where something is in it.
#[derive(Debug)]
pub(super) struct Source {
    path: PathBuf,
    pub(super) text: String,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fault {
    /// Line and column, from 1, if it is anywhere in particular.
    at: Option<(usize, usize)>,
    text: String,
}

/// All that is wrong with a file: `tasks.toml:7:1: task.backup.spec: …`, a line for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Faults {
    path: PathBuf,
    faults: Vec<Fault>,
}

impl Source {
    /// Reads a file of up to `largest` bytes.
    pub(super) fn read(path: &Path, largest: u64) -> Result<Self, Faults> {
        let mut bytes = Vec::new();
        let opened = std::fs::File::open(path);
        let read = opened.and_then(|file| file.take(largest + 1).read_to_end(&mut bytes));
        let mut source = Self {
            path: path.to_owned(),
            text: String::new(),
        };
        if let Err(e) = read {
            return Err(source.refuse(format!("the file cannot be read: {e}")));
        }
        if bytes.len() as u64 > largest {
            let text = format!("the file has more than {} MiB", largest >> 20);
            return Err(source.refuse(text));
        }
        match String::from_utf8(bytes) {
            Ok(text) => source.text = text,
            Err(e) => {
                let at = e.utf8_error().valid_up_to();
                source.text = String::from_utf8_lossy(e.as_bytes()).into_owned();
                let mut faults = source.none();
                faults.add(
                    &source,
                    Some(at..at),
                    "",
                    "it is no UTF-8 text from here on",
                );
                return Err(faults);
            }
        }
        Ok(source)
    }

    /// No fault yet.
    pub(super) fn none(&self) -> Faults {
        Faults {
            path: self.path.clone(),
            faults: Vec::new(),
        }
    }

    fn refuse(&self, text: String) -> Faults {
        let mut faults = self.none();
        faults.add(self, None, "", &text);
        faults
    }

    /// The directory that relative paths in the file start from.
    pub(super) fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// Where a key is of the table that begins there, if it stands at the beginning of a line.
    pub(super) fn key(&self, table: usize, key: &str) -> Option<Range<usize>> {
        let key = key.split('.').next().filter(|key| !key.is_empty())?;
        let mut start = table;
        for (n, line) in self.text.get(table..)?.split_inclusive('\n').enumerate() {
            let found = line.trim_start();
            if n > 0 && found.starts_with('[') {
                break;
            }
            let ends = |rest: &str| rest.starts_with([' ', '\t', '=', '.']);
            if found.strip_prefix(key).is_some_and(ends) {
                let at = start + line.len() - found.len();
                return Some(at..at + key.len());
            }
            start += line.len();
        }
        None
    }

    /// The line of a byte, from 1.
    pub(super) fn line(&self, byte: usize) -> usize {
        self.place(byte).0
    }

    /// Whether every user of this host may read it.
    pub(super) fn is_for_all(&self) -> bool {
        use std::os::unix::fs::PermissionsExt;
        let found = std::fs::metadata(&self.path);
        found.is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o004 != 0)
    }

    /// The line and the column of a byte, from 1.
    fn place(&self, byte: usize) -> (usize, usize) {
        let mut end = byte.min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        let before = self.text.get(..end).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before.get(start..).unwrap_or_default().chars().count() + 1;
        (line, column)
    }
}

impl Faults {
    /// One more: at `span`, of the key `key`, both as far as there is one.
    pub(super) fn add(
        &mut self,
        source: &Source,
        span: Option<Range<usize>>,
        key: &str,
        text: &str,
    ) {
        let text = match key {
            "" => text.to_owned(),
            key => format!("{key}: {text}"),
        };
        self.faults.push(Fault {
            at: span.map(|span| source.place(span.start)),
            text: contained_line(&text, LONGEST),
        });
    }

    /// What was made, if nothing is wrong.
    pub(super) fn or<T>(self, made: T) -> Result<T, Self> {
        match self.faults.is_empty() {
            true => Ok(made),
            false => Err(self),
        }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = contained_line(&self.path.display().to_string(), LONGEST);
        for (n, fault) in self.faults.iter().take(MOST_SHOWN).enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{path}:")?;
            if let Some((line, column)) = fault.at {
                write!(f, "{line}:{column}:")?;
            }
            write!(f, " {}", fault.text)?;
        }
        match self.faults.len().saturating_sub(MOST_SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n{path}: and {more} more"),
        }
    }
}
