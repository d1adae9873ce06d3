//! A file that is read again.

use super::host::{Host, instants, missing, wait, writes};
use crate::support::redis_server::{RedisServer, free_port};

#[test]
fn a_file_is_read_again_on_sighup_and_the_log_says_what_is_different() {
    let host = Host::new();
    let ran = |name: &str| host.file(name);
    let tasks = |more: &str| {
        let same = writes("same", "* * * * * *", &ran("same"), "");
        host.write("tasks.toml", format!("lock.memory = true\n{same}{more}"));
    };
    let each = "* * * * * *";
    let before = writes("changes", "@every 250ms", &ran("changes"), "");
    tasks(&format!(
        "{before}{}",
        writes("goes", each, &ran("goes"), "")
    ));
    let running = host.start();
    wait(|| instants(&ran("changes")).len() >= 4, || host.read("log"));
    wait(|| instants(&ran("goes")).len() >= 2, || host.read("log"));

    // Other work at the same instants, and one task for another.
    let after = format!("{before}timeout_s = 17\ndescription = \"x\"\n");
    tasks(&format!(
        "{after}{}",
        writes("comes", each, &ran("comes"), "")
    ));
    running.hang_up();
    host.wait_for("log", "File of tasks read again");
    let log = host.read("log");
    for line in [
        "Task is new in the file event=\"config.added\" task=\"comes\"",
        "Task is another one in the file event=\"config.changed\" task=\"changes\" \
         what=\"timeout 300s to 17s, description\"",
        "Task is not in the file any more event=\"config.removed\" task=\"goes\"",
        "added=1 changed=1 removed=1",
    ] {
        assert!(log.contains(line), "{line}\n{log}");
    }
    wait(|| instants(&ran("comes")).len() >= 2, || host.read("log"));
    let gone = instants(&ran("goes")).len();

    // A mistake changes nothing.
    host.write("tasks.toml", "lock.memory = true\n[[task]]\nnmae = \"x\"\n");
    running.hang_up();
    host.wait_for("log", "File of tasks is not used, and nothing has changed");
    host.wait_for("log", "tasks.toml:3:1: task.nmae: unknown field `nmae`");
    let so_far = instants(&ran("comes")).len();
    wait(
        || instants(&ran("comes")).len() >= so_far + 2,
        || host.read("log"),
    );

    assert_eq!(running.stop(), 0);
    assert!(instants(&ran("goes")).len() <= gone + 1, "it ran on");
    // Neither lost nor run twice, though what runs them has changed.
    assert_eq!(missing(&ran("changes"), 250), [0; 0]);
    assert_eq!(missing(&ran("same"), 1_000), [0; 0]);
}

#[test]
fn a_run_goes_on_over_a_change_of_its_task() {
    let host = Host::new();
    let task = |word: &str| {
        let script = format!("echo begin {word} >> said; sleep 1.5; echo end {word} >> said");
        let text = format!(
            "lock.memory = true\n[[task]]\nname = \"t\"\nspec = \"@every 2s\"\n\
             command = [\"/bin/sh\", \"-c\", {script:?}]\n"
        );
        host.write("tasks.toml", text);
    };
    task("one");
    let running = host.start();
    host.wait_for("said", "begin one");
    task("two");
    running.hang_up();
    host.wait_for("log", "what=\"work\"");
    host.wait_for("said", "end two");
    assert_eq!(running.stop(), 0);
    assert!(
        host.read("said").contains("end one\nbegin two\n"),
        "{}",
        host.read("said")
    );
}

#[test]
fn what_needs_a_restart_is_said_and_the_tasks_are_taken() {
    let host = Host::with("lock.memory = true\n");
    let running = host.start();
    host.wait_for("log", "Task scheduler started");
    let ran = host.file("ran");
    let text = format!(
        "max_concurrent = 3\nlisten = \"127.0.0.1:{}\"\nlock.directory = \"locks\"\n{}",
        free_port(),
        writes("t", "* * * * * *", &ran, "")
    );
    host.write("tasks.toml", &text);
    running.hang_up();
    host.wait_for("log", "settings=[\"lock\", \"listen\", \"max_concurrent\"]");
    wait(|| instants(&ran).len() >= 2, || host.read("log"));
    host.write(
        "tasks.toml",
        format!("groups.mail = 1\n{text}policy.group = \"mail\"\n"),
    );
    running.hang_up();
    host.wait_for("log", "the group \"mail\" is new, and needs a restart");
    assert_eq!(running.stop(), 0);
}

#[test]
fn commands_for_tasks_of_the_store_come_and_change_with_a_reload() {
    let redis = RedisServer::start();
    let lock = format!("[lock]\nredis_url = \"{}\"\n", redis.url());
    let host = Host::with(&lock);
    let running = host.start();
    host.wait_for("log", "Task scheduler started");
    host.write(
        "stored.toml",
        format!("{lock}[[task]]\nname = \"t\"\nspec = \"@every 500ms\"\nrun = \"say\"\n"),
    );
    assert_eq!(host.run(&["apply", "stored.toml"]).0, 0);
    host.wait_for("log", "Stored task is not run here");
    for word in ["one", "two"] {
        let command =
            format!("commands.say.command = [\"/bin/sh\", \"-c\", \"echo {word} >> said\"]\n");
        host.write("tasks.toml", format!("{command}{lock}"));
        assert_eq!(host.run(&["reload"]).0, 0);
        host.wait_for("said", &format!("{word}\n"));
    }
    // Taken away: it fails, and says why.
    host.write("tasks.toml", &lock);
    assert_eq!(host.run(&["reload"]).0, 0);
    host.wait_for("log", "the command \\\"say\\\" is not allowed here");
    assert_eq!(running.stop(), 0);
    assert_eq!(host.run(&["reload"]).0, 3);
}
