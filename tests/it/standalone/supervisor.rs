//! What a service manager hears.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::host::{Host, PATIENCE, signal};
use crate::support::redis_server::{RedisServer, free_port};

/// The socket of a service manager.
struct Manager(UnixDatagram);

impl Manager {
    fn of(host: &Host) -> Self {
        let socket = UnixDatagram::bind(host.file("notify")).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        Self(socket)
    }

    /// The next word, if one comes soon.
    fn hears(&self) -> Option<String> {
        let mut buffer = [0; 1024];
        loop {
            match self.0.recv(&mut buffer) {
                Ok(length) => return Some(String::from_utf8(buffer[..length].to_vec()).unwrap()),
                // Another test's child has ended: a receive with a time-out is not begun again by itself.
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return None;
                }
                Err(e) => panic!("{e}"),
            }
        }
    }

    /// Waits for a word that begins so.
    fn waits_for(&self, start: &str) -> String {
        let give_up = Instant::now() + PATIENCE;
        loop {
            match self.hears() {
                Some(word) if word.starts_with(start) => return word,
                _ => assert!(Instant::now() < give_up, "no {start}"),
            }
        }
    }
}

#[test]
fn a_service_manager_hears_of_the_start_reloads_the_watchdog_and_the_end() {
    let host = Host::with("lock.memory = true\n");
    let manager = Manager::of(&host);
    let socket = host.file("notify");
    let running = host.start_with(|command| {
        command
            .env("NOTIFY_SOCKET", &socket)
            .env("WATCHDOG_USEC", "600000");
    });
    manager.waits_for("READY=1");
    for _ in 0..3 {
        manager.waits_for("WATCHDOG=1");
    }
    running.hang_up();
    let reloading = manager.waits_for("RELOADING=1");
    let since = reloading
        .lines()
        .find_map(|l| l.strip_prefix("MONOTONIC_USEC="));
    assert!(since.unwrap().parse::<u64>().unwrap() > 0, "{reloading}");
    manager.waits_for("READY=1");

    // A process that does not get on feeds nobody.
    signal(running.pid(), Signal::STOP);
    while manager.hears().is_some() {}
    assert_eq!(manager.hears(), None);
    signal(running.pid(), Signal::CONT);
    manager.waits_for("WATCHDOG=1");

    let pid = running.pid();
    signal(pid, Signal::TERM);
    manager.waits_for("STOPPING=1");
    assert_eq!(running.end(), 0);
}

#[test]
fn it_is_ready_when_its_lock_answers_and_not_before() {
    let host = Host::new();
    let port = free_port();
    host.write(
        "tasks.toml",
        format!("[lock]\nredis_url = \"redis://127.0.0.1:{port}\"\nwait_s = 60\n"),
    );
    let manager = Manager::of(&host);
    let socket = host.file("notify");
    let running = host.start_with(|command| {
        command.env("NOTIFY_SOCKET", &socket);
    });
    host.wait_for("cron.pid", "\n");
    for _ in 0..5 {
        assert_eq!(manager.hears(), None);
    }
    // Asked to end while it waits, it does.
    assert_eq!(running.stop(), 0);

    let redis = RedisServer::start();
    host.write(
        "tasks.toml",
        format!("lock.redis_url = \"{}\"\n", redis.url()),
    );
    let running = host.start_with(|command| {
        command.env("NOTIFY_SOCKET", &socket);
    });
    manager.waits_for("READY=1");
    assert_eq!(running.stop(), 0);
}

#[test]
fn a_manager_that_is_gone_stops_nothing() {
    let host = Host::with("lock.memory = true\n");
    let socket = host.file("nobody");
    let running = host.start_with(|command| {
        command.env("NOTIFY_SOCKET", &socket);
    });
    host.wait_for("log", "Service manager cannot be told");
    host.wait_for("log", "Task scheduler started");
    assert_eq!(running.stop(), 0);
}
