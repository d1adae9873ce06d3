//! Where a fleet is, for those who are no part of it.

use std::fmt;
#[cfg(any(feature = "redis", feature = "http"))]
use std::path::{Path, PathBuf};

use crate::cli::fleet::Fleet;
use crate::cli::status::Failure;

/// The longest file that is read for a secret, in bytes.
#[cfg(any(feature = "redis", feature = "http"))]
const LONGEST: u64 = 64 * 1024;

/// Where the fleet is: its Redis, or the HTTP API of one of its instances.
///
/// Options for a program of its own: `#[command(flatten)] place: tasklock::cli::Place`. They may stand
/// before or after the command. Nothing secret is among them, as everybody can read the arguments of
/// processes: an address with a password is taken from the environment (`TASKLOCK_REDIS`) or from a
/// file, a token from `TASKLOCK_TOKEN` or from a file.
#[derive(Clone, clap::Args)]
#[command(next_help_heading = "Where the fleet is")]
pub struct Place {
    /// Its Redis, as redis://host:6379/0; with a password by TASKLOCK_REDIS or --redis-file
    #[cfg(feature = "redis")]
    #[arg(long, global = true, value_name = "URL")]
    redis: Option<String>,
    /// A file with the address of its Redis
    #[cfg(feature = "redis")]
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "redis")]
    redis_file: Option<PathBuf>,
    /// The prefix of its keys in Redis [env: TASKLOCK_PREFIX]
    #[cfg(feature = "redis")]
    #[arg(long, global = true, value_name = "PREFIX")]
    prefix: Option<String>,
    /// Its admin routes, as https://host/admin/tasks [env: TASKLOCK_URL]
    #[cfg(feature = "http")]
    #[arg(long, global = true, value_name = "URL", conflicts_with_all = conflicts())]
    url: Option<String>,
    /// A file with the token for them, if it is not in TASKLOCK_TOKEN
    #[cfg(feature = "http")]
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A file with the certificates of your own authority, in PEM form [env: TASKLOCK_CA_FILE]
    #[cfg(any(feature = "redis", feature = "http"))]
    #[arg(long, global = true, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

#[cfg(feature = "http")]
fn conflicts() -> &'static [&'static str] {
    match cfg!(feature = "redis") {
        true => &["redis", "redis_file"],
        false => &[],
    }
}

impl Place {
    /// Whether an option says where it is, or how it is asked.
    pub fn is_named(&self) -> bool {
        #[cfg(feature = "redis")]
        let by_redis = self.redis.is_some() || self.redis_file.is_some() || self.prefix.is_some();
        #[cfg(not(feature = "redis"))]
        let by_redis = false;
        #[cfg(feature = "http")]
        let by_url = self.url.is_some() || self.token_file.is_some();
        #[cfg(not(feature = "http"))]
        let by_url = false;
        #[cfg(any(feature = "redis", feature = "http"))]
        let has_ca = self.ca_file.is_some();
        #[cfg(not(any(feature = "redis", feature = "http")))]
        let has_ca = false;
        by_redis || by_url || has_ca
    }

    /// The fleet there.
    #[cfg(any(feature = "redis", feature = "http"))]
    pub(crate) async fn reach(&self) -> Result<Box<dyn Fleet>, Failure> {
        let ca = match self
            .ca_file
            .clone()
            .or_else(|| variable("TASKLOCK_CA_FILE").map(Into::into))
        {
            Some(path) => Some(read(&path)?),
            None => None,
        };
        #[cfg(feature = "http")]
        if let Some(url) = &self.url {
            return self.api(url, ca);
        }
        #[cfg(feature = "redis")]
        if let Some(url) = self.redis_address()? {
            return self.redis(&url, ca).await;
        }
        let (redis, url) = (variable("TASKLOCK_REDIS"), variable("TASKLOCK_URL"));
        if redis.is_some() && url.is_some() {
            let text = "TASKLOCK_REDIS and TASKLOCK_URL are both set: say --redis or --url";
            return Err(Failure::usage(text));
        }
        #[cfg(feature = "redis")]
        if let Some(url) = redis {
            return self.redis(&url, ca).await;
        }
        #[cfg(feature = "http")]
        if let Some(url) = url {
            return self.api(&url, ca);
        }
        Err(Failure::usage(
            "where is the fleet? Say --redis redis://host:6379 (or TASKLOCK_REDIS) or --url https://host/admin/tasks \
             (or TASKLOCK_URL)",
        ))
    }

    /// Nowhere: the program can reach none.
    #[cfg(not(any(feature = "redis", feature = "http")))]
    pub(crate) async fn reach(&self) -> Result<Box<dyn Fleet>, Failure> {
        Err(Failure::usage(
            "this program was built without the features redis and http: it reaches no fleet",
        ))
    }

    #[cfg(feature = "redis")]
    fn redis_address(&self) -> Result<Option<String>, Failure> {
        if let Some(path) = &self.redis_file {
            return Ok(Some(text(path)?));
        }
        match &self.redis {
            Some(url) if has_secret(url) => Err(Failure::usage(
                "the address after --redis has a password, which everybody on this host can read there: put the \
                 address into TASKLOCK_REDIS, or into a file for --redis-file",
            )),
            redis => Ok(redis.clone()),
        }
    }

    #[cfg(feature = "redis")]
    async fn redis(&self, url: &str, ca: Option<Vec<u8>>) -> Result<Box<dyn Fleet>, Failure> {
        use std::sync::Arc;
        use std::time::Duration;

        use crate::board::Parts;
        use crate::cli::fleet::Stores;
        use crate::control::ControlPlane;
        use crate::fleet::RedisFleet;
        use crate::history::RedisHistory;
        use crate::lock::{Lock, RedisLock};
        use crate::time::SystemClock;

        let mut builder = RedisLock::builder(url).response_timeout(Duration::from_secs(2));
        if let Some(prefix) = self.prefix.clone().or_else(|| variable("TASKLOCK_PREFIX")) {
            builder = builder.prefix(prefix);
        }
        if let Some(ca) = ca {
            builder = builder.ca_certificate(ca);
        }
        let lock = builder.build()?;
        let fleet = RedisFleet::beside(&lock);
        Ok(Box::new(Stores::at(Parts {
            control: Some(ControlPlane::new(fleet.clone())),
            history: Some(Arc::new(RedisHistory::beside(&lock))),
            lock: Some(Arc::new(lock) as Arc<dyn Lock>),
            #[cfg(feature = "dynamic")]
            store: Some(crate::store::TaskStore::new(fleet)),
            local: None,
            clock: Arc::new(SystemClock),
            zone: chrono_tz::Tz::UTC,
        })))
    }

    #[cfg(feature = "http")]
    fn api(&self, url: &str, ca: Option<Vec<u8>>) -> Result<Box<dyn Fleet>, Failure> {
        let token = match &self.token_file {
            Some(path) => Some(text(path)?),
            None => variable("TASKLOCK_TOKEN"),
        };
        Ok(Box::new(crate::cli::fleet::api::Api::new(url, token, ca)?))
    }
}

/// Says where, and nothing that is secret.
impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").finish_non_exhaustive()
    }
}

/// A variable that says something.
#[cfg(any(feature = "redis", feature = "http"))]
fn variable(name: &str) -> Option<String> {
    std::env::var(name)
        .ok()
        .filter(|value| !value.trim().is_empty())
}

#[cfg(any(feature = "redis", feature = "http"))]
fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    use std::io::Read;

    let cannot = |why: String| Failure::usage(format!("cannot read {}: {why}", path.display()));
    let file = std::fs::File::open(path).map_err(|e| cannot(e.to_string()))?;
    let mut bytes = Vec::new();
    let read = file.take(LONGEST + 1).read_to_end(&mut bytes);
    match read {
        Err(e) => Err(cannot(e.to_string())),
        Ok(n) if n as u64 > LONGEST => Err(cannot(format!("it is longer than {LONGEST} bytes"))),
        Ok(_) => Ok(bytes),
    }
}

/// One line, whoever wrote it.
#[cfg(any(feature = "redis", feature = "http"))]
fn text(path: &Path) -> Result<String, Failure> {
    let bytes = read(path)?;
    let text = String::from_utf8(bytes)
        .unwrap_or_default()
        .trim()
        .to_owned();
    match text.is_empty() || text.contains(char::is_control) {
        true => Err(Failure::usage(format!(
            "{} is not one line of text",
            path.display()
        ))),
        false => Ok(text),
    }
}

/// Whether an address has a password in it, of whatever form it is.
#[cfg(feature = "redis")]
fn has_secret(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or_default();
    let user = rest.rsplit_once('@').map_or("", |(user, _)| user);
    let in_authority = host.contains('@')
        && host
            .rsplit_once('@')
            .is_some_and(|(user, _)| user.contains(':'));
    in_authority || user.contains(':') || rest.contains("pass=")
}

#[cfg(all(test, feature = "redis"))]
mod tests {
    use super::has_secret;

    #[test]
    fn a_password_is_found_wherever_it_is() {
        for url in [
            "redis://:secret@host",
            "redis://user:secret@host:6379/0",
            "redis://user:se/cret@host:6379/0",
            "rediss+sentinel://u:secret@a:1,b:2/primary",
            "redis+unix:///path?db=1&pass=secret",
            "user:secret@host",
        ] {
            assert!(has_secret(url), "{url}");
        }
        for url in [
            "redis://host:6379/0",
            "redis://user@host:6379",
            "redis+sentinel://a:1,b:2/primary/0",
            "redis+unix:///path?db=1",
        ] {
            assert!(!has_secret(url), "{url}");
        }
    }
}
