//! Data in files.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};

use tasklock::chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use tasklock::{RunContext, async_trait};

use crate::data::{Data, Result, SAMPLE_USERS, Usage, hour_of, sample_calls};
use crate::directory::Directory;

const USERS: &str = "users.csv";
const CALLS: &str = "api_calls.log";

/// A line for each user in one file, and for each API call in another.
#[derive(Debug, Clone)]
pub(crate) struct FileData {
    directory: Directory,
}

impl FileData {
    pub(crate) fn new(directory: &Directory) -> Self {
        Self {
            directory: directory.clone(),
        }
    }

    /// Does something that blocks, off the threads that run tasks.
    async fn blocking<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Directory) -> io::Result<T> + Send + 'static,
    {
        let directory = self.directory.clone();
        Ok(tokio::task::spawn_blocking(move || work(&directory)).await??)
    }
}

#[async_trait]
impl Data for FileData {
    fn describe(&self) -> String {
        format!("files in {}", self.directory.join("").display())
    }

    async fn seed(&self) -> Result<()> {
        self.blocking(|directory| {
            let _guard = guard(directory)?;
            if directory.join(USERS).exists() {
                return Ok(());
            }
            let now = Utc::now();
            let mut calls = String::new();
            for (hours_ago, count) in sample_calls() {
                for _ in 0..count {
                    calls.push_str(&call_line(now - TimeDelta::hours(hours_ago)));
                }
            }
            append(directory, CALLS, &calls)?;
            let users: String = (1..=SAMPLE_USERS)
                .map(|id| format!("{id},user-{id}\n"))
                .collect();
            // Last, since it is what says that the rest is there.
            replace(directory, USERS, &users)
        })
        .await
    }

    async fn add_api_call(&self, at: DateTime<Utc>) -> Result<u64> {
        self.blocking(move |directory| {
            append(directory, CALLS, &call_line(at))?;
            count_lines(directory, CALLS, |_| true)
        })
        .await
    }

    async fn usage(&self, hour: DateTime<Utc>) -> Result<Usage> {
        self.blocking(move |directory| {
            let hour = hour_of(hour);
            Ok(Usage {
                users: count_lines(directory, USERS, |_| true)?,
                calls: count_lines(directory, CALLS, |_| true)?,
                calls_of_hour: count_lines(directory, CALLS, |line| line.starts_with(&hour))?,
            })
        })
        .await
    }

    async fn add_temporary(&self, id: &str) -> Result<String> {
        let name = format!("tmp/upload-{id}.part");
        let path = name.clone();
        self.blocking(move |directory| fs::write(directory.join(&path), "half of an upload"))
            .await?;
        Ok(name)
    }

    async fn remove_temporary_keys(&self, _ctx: &RunContext) -> Result<u64> {
        // Files are all there is.
        Ok(0)
    }

    async fn put(&self, name: &str, text: &str, fence: u64) -> Result<bool> {
        let name = format!("{name}.txt");
        let text = format!("{FENCE}{fence}\n{text}");
        self.blocking(move |directory| {
            let _guard = guard(directory)?;
            if fence_of(directory, &name)? > fence {
                return Ok(false);
            }
            replace(directory, &name, &text)?;
            Ok(true)
        })
        .await
    }
}

/// How the first line of a document begins.
const FENCE: &str = "fencing_token: ";

/// The fencing token in a document; 0 if there is none.
fn fence_of(directory: &Directory, name: &str) -> io::Result<u64> {
    let text = match fs::read_to_string(directory.join(name)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let fence = text.lines().next().and_then(|l| l.strip_prefix(FENCE));
    Ok(fence.and_then(|f| f.parse().ok()).unwrap_or(0))
}

fn call_line(at: DateTime<Utc>) -> String {
    let at = at.to_rfc3339_opts(SecondsFormat::Secs, true);
    format!("{at} GET /api/users 200\n")
}

/// Keeps other processes out until it is dropped, so that a look and a write are one.
fn guard(directory: &Directory) -> io::Result<File> {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(directory.join(".guard"))?;
    file.lock()?;
    Ok(file)
}

/// Writes the file anew, so that readers see the old text or the new one. Under the guard.
fn replace(directory: &Directory, name: &str, text: &str) -> io::Result<()> {
    let new = directory.join(&format!(".{name}.new"));
    fs::write(&new, text)?;
    fs::rename(new, directory.join(name))
}

fn append(directory: &Directory, name: &str, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(directory.join(name))?;
    // One write, so that lines of several processes do not mix.
    file.write_all(text.as_bytes())
}

fn count_lines(
    directory: &Directory,
    name: &str,
    is_wanted: impl Fn(&str) -> bool,
) -> io::Result<u64> {
    let file = match File::open(directory.join(name)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut count = 0;
    for line in BufReader::new(file).lines() {
        count += u64::from(is_wanted(&line?));
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data() -> (tempfile::TempDir, Directory, FileData) {
        let root = tempfile::tempdir().unwrap();
        let directory = Directory::open(root.path()).unwrap();
        let data = FileData::new(&directory);
        (root, directory, data)
    }

    #[tokio::test]
    async fn users_and_calls_are_counted() {
        let (_root, _, data) = data();
        data.seed().await.unwrap();
        data.seed().await.unwrap();
        let hour = Utc::now() + TimeDelta::hours(5);
        let before = data.usage(hour).await.unwrap();
        assert_eq!(
            (before.users, before.calls_of_hour),
            (u64::from(SAMPLE_USERS), 0)
        );
        let samples: u32 = sample_calls().map(|(_, count)| count).sum();
        assert_eq!(before.calls, u64::from(samples));

        assert_eq!(data.add_api_call(hour).await.unwrap(), before.calls + 1);
        let after = data.usage(hour).await.unwrap();
        assert_eq!(
            (after.calls, after.calls_of_hour),
            (before.calls + 1, before.calls_of_hour + 1)
        );
    }

    #[tokio::test]
    async fn a_stale_run_does_not_replace_a_later_ones_document() {
        let (_root, directory, data) = data();
        assert!(data.put("report", "first\n", 5).await.unwrap());
        assert!(data.put("report", "second\n", 7).await.unwrap());
        assert!(!data.put("report", "stale\n", 6).await.unwrap());
        assert_eq!(
            fs::read_to_string(directory.join("report.txt")).unwrap(),
            "fencing_token: 7\nsecond\n"
        );
    }
}
