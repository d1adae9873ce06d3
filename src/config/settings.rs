//! What a file says beside its tasks.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use chrono_tz::Tz;
use tracing_subscriber::filter::Targets;

use crate::config::fault::{Faults, Source};
use crate::config::file::{File, Lock};
use crate::config::page::Page;
use crate::config::source::SecretFrom;

/// How long the lock is waited for at the start, unless the file says otherwise.
const WAIT: Duration = Duration::from_secs(30);

/// Settings that are read once, when it starts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    /// Where its instances meet; `None` in a file that names no place.
    pub(crate) place: Option<Place>,
    /// How long the lock may take to answer at the start.
    pub(crate) wait: Duration,
    /// The zone of specs that name none.
    pub(crate) zone: Option<Tz>,
    /// Who answers for its tasks.
    pub(crate) owner: Option<String>,
    /// Where metrics and health are served.
    pub(crate) listen: Option<String>,
    /// The page that is served there, and to whom.
    pub(crate) page: Option<Page>,
    /// What is logged.
    pub(crate) log: Option<String>,
    pub(crate) max_concurrent: Option<u32>,
    pub(crate) groups: BTreeMap<String, u32>,
    pub(crate) shutdown_grace: Option<Duration>,
}

/// Where the lock is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Place {
    /// In a Redis, for any number of hosts.
    Redis {
        /// Its address.
        url: SecretFrom,
        /// What its keys begin with.
        prefix: String,
        /// The certificates of who signed its own.
        ca_file: Option<PathBuf>,
    },
    /// In files, for the processes of one host.
    Directory(PathBuf),
    /// In this process, for it alone.
    Memory,
}

impl Settings {
    /// The settings of a file, and what is wrong with them, in `faults`.
    pub(super) fn of(source: &Source, file: &File, faults: &mut Faults) -> Self {
        let mut settings = Self {
            place: None,
            wait: WAIT,
            zone: None,
            owner: file.owner.clone(),
            listen: None,
            page: None,
            log: file.log.as_ref().map(|log| log.get_ref().clone()),
            max_concurrent: file.max_concurrent.as_ref().map(|most| *most.get_ref()),
            groups: BTreeMap::new(),
            shutdown_grace: file.shutdown_grace_s.as_ref().map(|s| s.get_ref().0),
        };
        if let Some(zone) = &file.timezone {
            match zone.get_ref().parse() {
                Ok(zone) => settings.zone = Some(zone),
                Err(_) => faults.add(source, Some(zone.span()), "timezone", NO_ZONE),
            }
        }
        if let Some(listen) = &file.listen {
            // Names are looked up when it starts.
            let port = listen.get_ref().rsplit_once(':');
            match port.and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?))) {
                Some((host, _)) if !host.is_empty() => {
                    settings.listen = Some(listen.get_ref().clone());
                }
                _ => {
                    let text = "it is no address with a port: write 127.0.0.1:9100, or 0.0.0.0:9100 \
                                for other hosts";
                    faults.add(source, Some(listen.span()), "listen", text);
                }
            }
        }
        if let Some(page) = &file.page {
            let found = Page::of(page.get_ref(), |path| source.directory().join(path));
            match found {
                Ok(_) if file.listen.is_none() => {
                    let text = "it is served nowhere: give the file a listen";
                    faults.add(source, Some(page.span()), "page", text);
                }
                Ok(found) => settings.page = Some(found),
                Err(text) => faults.add(source, Some(page.span()), "page", &text),
            }
        }
        if let Some(log) = &file.log
            && log.get_ref().parse::<Targets>().is_err()
        {
            let text = "it is no filter: write info, or info,tasklock=debug";
            faults.add(source, Some(log.span()), "log", text);
        }
        if let Some(most) = &file.max_concurrent
            && *most.get_ref() == 0
        {
            let text = "nothing would run: give it at least 1";
            faults.add(source, Some(most.span()), "max_concurrent", text);
        }
        for (name, runs) in &file.groups {
            settings.groups.insert(name.clone(), *runs.get_ref());
            if *runs.get_ref() == 0 {
                let text = "nothing of it would run: give it at least 1";
                faults.add(source, Some(runs.span()), &format!("groups.{name}"), text);
            }
        }
        if let Some(grace) = &file.shutdown_grace_s
            && grace.get_ref().0 > Duration::from_secs(86_400)
        {
            let text = "it is more than a day: give it at most 86400";
            faults.add(source, Some(grace.span()), "shutdown_grace_s", text);
        }
        if let Some(lock) = &file.lock {
            if let Some(wait) = &lock.get_ref().wait_s {
                settings.wait = wait.0.min(Duration::from_secs(86_400));
            }
            match place(source, lock.get_ref()) {
                Ok(place) => settings.place = Some(place),
                Err(text) => faults.add(source, Some(lock.span()), "lock", text),
            }
        }
        settings
    }

    /// The names of those that differ.
    pub(crate) fn differences(&self, other: &Self) -> Vec<&'static str> {
        let Self {
            place,
            wait,
            zone: _,
            owner: _,
            listen,
            page,
            log,
            max_concurrent,
            groups,
            shutdown_grace,
        } = self;
        [
            ("lock", *place != other.place || *wait != other.wait),
            ("listen", *listen != other.listen),
            ("page", *page != other.page),
            ("log", *log != other.log),
            ("max_concurrent", *max_concurrent != other.max_concurrent),
            ("groups", *groups != other.groups),
            ("shutdown_grace_s", *shutdown_grace != other.shutdown_grace),
        ]
        .into_iter()
        .filter_map(|(name, differs)| differs.then_some(name))
        .collect()
    }
}

/// What is said of a text that names no zone.
pub(super) const NO_ZONE: &str = "it is no time zone: give it a name such as Europe/Berlin";

fn place(source: &Source, lock: &Lock) -> Result<Place, &'static str> {
    let urls = [
        lock.redis_url.clone().map(SecretFrom::Here),
        lock.redis_url_file
            .as_ref()
            .map(|path| SecretFrom::File(source.directory().join(path))),
        lock.redis_url_env.clone().map(SecretFrom::Environment),
    ];
    let mut urls = urls.into_iter().flatten();
    let (url, second) = (urls.next(), urls.next());
    let is_memory = lock.memory == Some(true);
    let is_of_redis = lock.redis_prefix.is_some() || lock.redis_ca_file.is_some();
    match (url, &lock.directory, is_memory) {
        (Some(url), None, false) if second.is_none() => Ok(Place::Redis {
            url,
            prefix: lock.redis_prefix.clone().unwrap_or_default(),
            ca_file: lock
                .redis_ca_file
                .as_ref()
                .map(|path| source.directory().join(path)),
        }),
        (None, _, _) if is_of_redis => Err(
            "redis_prefix and redis_ca_file are for a Redis: give its address, as redis_url_file",
        ),
        (None, Some(directory), false) => Ok(Place::Directory(source.directory().join(directory))),
        (None, None, true) => Ok(Place::Memory),
        _ => Err(
            "give it exactly one of redis_url, redis_url_file, redis_url_env (several hosts), \
             directory (the processes of one host) and memory = true (one process)",
        ),
    }
}
