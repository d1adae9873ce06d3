//! The directory of the service: log files and temporary files.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

const HOUR: Duration = Duration::from_secs(3600);

/// How long log files are kept.
const LOGS_EXPIRE: Duration = HOUR.saturating_mul(7 * 24);

/// How old temporary files get.
const TEMPORARY_EXPIRES: Duration = HOUR.saturating_mul(24);

/// Files below one directory; nothing outside of it is ever touched. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Directory {
    path: Arc<Path>,
}

impl Directory {
    /// The directory at `path`, which is made if it is missing.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let made = ["logs", "tmp"].map(|part| fs::create_dir_all(path.join(part)));
        for result in made {
            result.map_err(|e| format!("the data directory {} fails: {e}", path.display()))?;
        }
        Ok(Self { path: path.into() })
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Puts log files and temporary files of several ages there, if there are none.
    pub(crate) fn seed(&self) -> io::Result<()> {
        let now = SystemTime::now();
        let logs = self.path.join("logs");
        if is_empty(&logs)? {
            for days in [0, 1, 3, 6, 8, 15, 40] {
                let path = logs.join(format!("service-{days:02}-days-ago.log"));
                write_aged(&path, "started\nstopped\n", now, HOUR * 24 * days)?;
            }
        }
        let temporary = self.path.join("tmp");
        if is_empty(&temporary)? {
            for hours in [1, 5, 23, 30, 72] {
                let path = temporary.join(format!("upload-{hours:02}-hours-ago.part"));
                write_aged(&path, "half of an upload", now, HOUR * hours)?;
            }
        }
        Ok(())
    }

    /// Deletes `logs/*.log` that have not been written to for a week. Returns how many.
    pub(crate) fn remove_expired_logs(&self, should_end: &dyn Fn() -> bool) -> io::Result<u64> {
        let is_log = |path: &Path| path.extension().is_some_and(|e| e == "log");
        remove_old(&self.path.join("logs"), LOGS_EXPIRE, is_log, should_end)
    }

    /// Deletes the files in `tmp` that have not been written to for a day. Returns how many.
    pub(crate) fn remove_temporary_files(&self, should_end: &dyn Fn() -> bool) -> io::Result<u64> {
        let all = |_: &Path| true;
        remove_old(&self.path.join("tmp"), TEMPORARY_EXPIRES, all, should_end)
    }
}

fn is_empty(dir: &Path) -> io::Result<bool> {
    Ok(fs::read_dir(dir)?.next().is_none())
}

fn write_aged(path: &Path, text: &str, now: SystemTime, age: Duration) -> io::Result<()> {
    match File::create_new(path) {
        Ok(mut file) => {
            io::Write::write_all(&mut file, text.as_bytes())?;
            file.set_modified(now.checked_sub(age).unwrap_or(now))
        }
        // Another replica seeds as well.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Deletes the regular files right in `dir` that are older than `age`. Links are not followed: one
/// in place of `dir` is an error, one in it stays.
fn remove_old(
    dir: &Path,
    age: Duration,
    is_wanted: impl Fn(&Path) -> bool,
    should_end: &dyn Fn() -> bool,
) -> io::Result<u64> {
    if !fs::symlink_metadata(dir)?.is_dir() {
        let text = format!("{} is no directory: nothing was deleted", dir.display());
        return Err(io::Error::other(text));
    }
    let now = SystemTime::now();
    let mut removed = 0;
    for entry in fs::read_dir(dir)? {
        if should_end() {
            let text = format!("asked to end after {removed} files of {}", dir.display());
            return Err(io::Error::other(text));
        }
        let entry = entry?;
        let path = entry.path();
        let delete = || {
            let facts = entry.metadata()?;
            let is_old = now.duration_since(facts.modified()?).is_ok_and(|a| a > age);
            if facts.is_file() && is_old && is_wanted(&path) {
                fs::remove_file(&path)?;
                return io::Result::Ok(1);
            }
            Ok(0)
        };
        match delete() {
            Ok(count) => removed += count,
            // Somebody else was quicker.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let text = format!("{} cannot be deleted: {error}", path.display());
                return Err(io::Error::new(error.kind(), text));
            }
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: PathBuf) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<_> = entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn old_file(path: PathBuf) {
        write_aged(&path, "x", SystemTime::now(), HOUR * 24 * 365).unwrap();
    }

    #[test]
    fn old_files_go_and_young_ones_stay() {
        let root = tempfile::tempdir().unwrap();
        let directory = Directory::open(root.path()).unwrap();
        directory.seed().unwrap();
        old_file(directory.join("logs/notes.txt"));
        assert_eq!(directory.remove_expired_logs(&|| false).unwrap(), 3);
        assert_eq!(directory.remove_temporary_files(&|| false).unwrap(), 2);
        assert_eq!(
            names(directory.join("logs")),
            [
                "notes.txt",
                "service-00-days-ago.log",
                "service-01-days-ago.log",
                "service-03-days-ago.log",
                "service-06-days-ago.log"
            ]
        );
        assert_eq!(names(directory.join("tmp")).len(), 3);
    }

    #[test]
    fn seeding_leaves_what_is_there_alone() {
        let root = tempfile::tempdir().unwrap();
        let directory = Directory::open(root.path()).unwrap();
        fs::write(directory.join("logs/own.log"), "own").unwrap();
        directory.seed().unwrap();
        directory.seed().unwrap();
        assert_eq!(names(directory.join("logs")), ["own.log"]);
        assert_eq!(names(directory.join("tmp")).len(), 5);
    }

    #[test]
    fn a_run_that_should_end_stops_between_files() {
        let root = tempfile::tempdir().unwrap();
        let directory = Directory::open(root.path()).unwrap();
        directory.seed().unwrap();
        let error = directory.remove_expired_logs(&|| true).unwrap_err();
        assert!(error.to_string().contains("after 0 files"), "{error}");
        assert_eq!(names(directory.join("logs")).len(), 7);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_not_followed() {
        use std::os::unix::fs::symlink;

        let elsewhere = tempfile::tempdir().unwrap();
        old_file(elsewhere.path().join("precious.log"));
        let root = tempfile::tempdir().unwrap();
        let directory = Directory::open(root.path()).unwrap();
        symlink(
            elsewhere.path().join("precious.log"),
            directory.join("logs/link.log"),
        )
        .unwrap();
        symlink(elsewhere.path(), directory.join("tmp/link")).unwrap();
        assert_eq!(directory.remove_expired_logs(&|| false).unwrap(), 0);
        assert_eq!(directory.remove_temporary_files(&|| false).unwrap(), 0);
        assert_eq!(names(directory.join("logs")), ["link.log"]);

        fs::remove_dir_all(directory.join("logs")).unwrap();
        symlink(elsewhere.path(), directory.join("logs")).unwrap();
        assert!(directory.remove_expired_logs(&|| false).is_err());
        assert_eq!(names(elsewhere.path().to_owned()), ["precious.log"]);
    }
}
