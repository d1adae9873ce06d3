//! The starts that a process saw, kept in memory while it is measured and written down afterwards.
//!
//! The file has a line for each start: the task's number, the nominal instant in seconds since 1970,
//! the start in microseconds since 1970. Every program that is measured writes the same.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};

use crate::clock::now_us;

/// One start of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    pub task: u32,
    /// The nominal instant, seconds since 1970.
    pub instant: i64,
    /// When the task's code began, microseconds since 1970.
    pub at_us: i64,
}

/// Where tasks note their starts. Clones note in the same place.
#[derive(Debug, Clone)]
pub struct Starts(Arc<Mutex<Vec<Start>>>);

impl Starts {
    /// A place for so many, with memory that is in use from the beginning: what is measured is the
    /// growth of the scheduler, not that of its record.
    pub fn with_room(room: usize) -> Self {
        let used = Start {
            task: u32::MAX,
            instant: -1,
            at_us: -1,
        };
        let mut starts = vec![used; room];
        starts.clear();
        Self(Arc::new(Mutex::new(starts)))
    }

    /// Notes that a task starts now.
    pub fn note(&self, task: u32, instant: i64) {
        self.note_at(task, instant, now_us());
    }

    pub fn note_at(&self, task: u32, instant: i64, at_us: i64) {
        let mut starts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        starts.push(Start {
            task,
            instant,
            at_us,
        });
    }

    pub fn write(&self, path: &Path) -> Result<()> {
        let starts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let write = || -> std::io::Result<()> {
            let mut file = BufWriter::new(File::create(path)?);
            for s in starts.iter() {
                writeln!(file, "{} {} {}", s.task, s.instant, s.at_us)?;
            }
            file.flush()
        };
        write().with_context(|| format!("starts cannot be written to {}", path.display()))
    }
}

/// Reads what a process has written.
pub fn read(path: &Path) -> Result<Vec<Start>> {
    let file = File::open(path).with_context(|| format!("no starts in {}", path.display()))?;
    let mut starts = Vec::new();
    for line in BufReader::new(file).lines() {
        let line = line.with_context(|| format!("{} cannot be read", path.display()))?;
        let start = parse(&line).with_context(|| format!("{}: {line:?}", path.display()))?;
        starts.push(start);
    }
    Ok(starts)
}

fn parse(line: &str) -> Option<Start> {
    let mut words = line.split(' ');
    Some(Start {
        task: words.next()?.parse().ok()?,
        instant: words.next()?.parse().ok()?,
        at_us: words.next()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("starts");
        let starts = Starts::with_room(1);
        starts.note_at(7, 100, 100_000_123);
        starts.note_at(8, 100, 99_999_999);
        starts.write(&path).unwrap();
        let read = read(&path).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].task, read[0].instant), (7, 100));
        assert_eq!(read[1].at_us, 99_999_999);
    }
}
