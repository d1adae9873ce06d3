//! Several hosts with the same file and one Redis.

use std::time::Duration;

use super::host::{Host, instants, missing, wait, writes};
use crate::support::redis_server::RedisServer;

fn now() -> i64 {
    tasklock::chrono::Utc::now().timestamp_millis()
}

fn sleep(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

#[test]
fn three_hosts_run_each_instant_once_though_one_is_killed_and_another_restarted() {
    let redis = RedisServer::start();
    let out = tempfile::tempdir().unwrap();
    let file = |name: &str| out.path().join(name);
    let short = "policy = { lease_ttl_s = 2 }";
    let text = format!(
        "shutdown_grace_s = 5\n[lock]\nredis_url = \"{}\"\n{}{}{}{}",
        redis.url(),
        writes("second", "* * * * * *", &file("second"), short),
        writes("half", "@every 500ms", &file("half"), short),
        writes("two", "*/2 * * * * *", &file("two"), short),
        writes("other", "* * * * * *", &file("other"), short),
    );
    let periods = [
        ("second", 1_000),
        ("half", 500),
        ("two", 2_000),
        ("other", 1_000),
    ];
    let hosts = [(); 3].map(|()| Host::with(&text));
    let [first, second, third] = [0, 1, 2].map(|n: usize| hosts[n].start());
    for host in &hosts {
        host.wait_for("log", "Task scheduler started");
    }
    wait(
        || instants(&file("second")).len() >= 4,
        || hosts[0].read("log"),
    );
    // All at once: no word, no release, what it holds is held until its lease ends.
    let killed = now();
    first.kill();
    sleep(1_500);
    let first = hosts[0].start();
    sleep(4_500);
    // In order: takes nothing new, ends what goes on, gives back.
    assert_eq!(second.stop(), 0, "{}", hosts[1].read("log"));
    let second = hosts[1].start();
    sleep(4_000);
    for running in [first, second, third] {
        assert_eq!(running.stop(), 0);
    }
    for (name, period) in periods {
        let path = file(name);
        let ran = instants(&path).len() as i64;
        assert!(ran * period >= 10_000, "{name} ran {ran} times");
        // The one that was killed took with it what it had been granted and had not begun, and its
        // leases keep the others away while they last.
        let lost: Vec<i64> = missing(&path, period)
            .into_iter()
            .map(|at| at - killed)
            .filter(|at| !(-1_000..3_500).contains(at))
            .collect();
        assert_eq!(lost, [0; 0], "{name}: milliseconds after the kill");
    }
}

#[test]
fn processes_of_one_host_share_a_directory() {
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("ran");
    let text = format!(
        "[lock]\ndirectory = {:?}\n{}",
        out.path().join("locks"),
        writes("t", "@every 250ms", &file, "")
    );
    let hosts = [(); 2].map(|()| Host::with(&text));
    let running = [0, 1].map(|n: usize| hosts[n].start());
    wait(|| instants(&file).len() >= 12, || hosts[0].read("log"));
    for running in running {
        assert_eq!(running.stop(), 0);
    }
    assert_eq!(missing(&file, 250), [0; 0]);
}
