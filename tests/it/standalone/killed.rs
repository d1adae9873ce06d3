//! A daemon that is killed: what it ran is killed with it.

use rustix::process::Signal;

use super::host::{Host, signal, wait};
use crate::daemon::is_alive;

/// The numbers that commands have written.
fn pids(host: &Host) -> Vec<u32> {
    let said = host.read("pids");
    said.lines().filter_map(|line| line.parse().ok()).collect()
}

/// Processes of this host whose command line has these words.
fn keepers(parent: u32) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").unwrap();
    let pids = all.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let is_one = |pid: &u32| {
        let read =
            |name| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let stat = read("stat");
        let fields = stat.rsplit(") ").next().unwrap_or_default();
        let is_child = fields.split(' ').nth(1) == Some(&parent.to_string());
        is_child && read("cmdline").contains("tasklock-keeper")
    };
    pids.filter(is_one).collect()
}

/// Two commands, each with a child that ignores being asked to end.
const TASKS: &str = "lock.memory = true
[[task]]
name = \"a\"
spec = \"@startup\"
command = [\"/bin/sh\", \"-c\", \"trap '' TERM; sleep 600 & echo $! >> pids; echo $$ >> pids; wait\"]
[[task]]
name = \"b\"
spec = \"@startup\"
command = [\"/bin/sh\", \"-c\", \"trap '' TERM HUP; sleep 600 & echo $! >> pids; echo $$ >> pids; wait\"]
[[task]]
name = \"short\"
spec = \"@every 100ms\"
command = [\"/bin/true\"]
";

#[test]
fn its_commands_and_their_children_are_killed_with_it() {
    let host = Host::with(TASKS);
    let running = host.start();
    wait(|| pids(&host).len() == 4, || host.read("log"));
    assert!(pids(&host).into_iter().all(is_alive));
    running.kill();
    wait(
        || !pids(&host).into_iter().any(is_alive),
        || format!("some of {:?} live", pids(&host)),
    );
}

#[test]
fn who_kills_them_is_replaced_if_it_is_killed_itself_and_ends_with_an_orderly_end() {
    let host = Host::with(TASKS);
    let running = host.start();
    wait(|| pids(&host).len() == 4, || host.read("log"));
    let [first] = keepers(running.pid())[..] else {
        panic!("{:?}", keepers(running.pid()));
    };
    signal(first, Signal::KILL);
    // The short task has it told something soon.
    wait(
        || {
            keepers(running.pid())
                .first()
                .is_some_and(|pid| *pid != first && is_alive(*pid))
        },
        || host.read("log"),
    );
    let second = keepers(running.pid())[0];
    running.kill();
    wait(
        || !pids(&host).into_iter().any(is_alive),
        || format!("some of {:?} live", pids(&host)),
    );
    wait(|| !is_alive(second), || format!("{second} lives"));

    // Stopped in order, nothing is left either.
    std::fs::remove_file(host.file("pids")).unwrap();
    host.write("tasks.toml", format!("shutdown_grace_s = 0\n{TASKS}"));
    let running = host.start();
    wait(|| pids(&host).len() == 4, || host.read("log"));
    let keeper = keepers(running.pid())[0];
    running.stop();
    wait(
        || !is_alive(keeper) && !pids(&host).into_iter().any(is_alive),
        || format!("{keeper} or some of {:?} live", pids(&host)),
    );
}
