//! `start --only`: some of the tasks of a file.

use super::host::Host;

const TASKS: &str = "lock.memory = true
[[task]]
name = \"nightly\"
spec = \"@startup\"
command = [\"/bin/sh\", \"-c\", \"echo nightly >> ran\"]
tags = [\"slow\", \"night\"]
[[task]]
name = \"other\"
spec = \"@startup\"
command = [\"/bin/sh\", \"-c\", \"echo other >> ran\"]
";

#[test]
fn an_instance_can_be_given_the_tasks_of_a_tag_also_when_its_file_is_read_again() {
    let host = Host::with(TASKS);
    let running = host.start_with(|command| {
        command.args(["--only", "night,day"]);
    });
    host.wait_for("ran", "nightly");
    // A task that comes with another tag stays away, one that has the tag comes.
    let more = TASKS.replace("\"other\"", "\"another\"")
        + "[[task]]\nname = \"late\"\nspec = \"@startup\"\ncommand = [\"/bin/sh\", \"-c\", \"echo late >> ran\"]\n\
           tags = [\"day\"]\n";
    host.write("tasks.toml", more);
    running.hang_up();
    host.wait_for("ran", "late");
    host.wait_for("log", "File of tasks read again");
    assert_eq!(running.stop(), 0);
    assert_eq!(host.read("ran"), "nightly\nlate\n");
    let log = host.read("log");
    assert!(!log.contains("another"), "{log}");
}

#[test]
fn a_tag_that_no_task_has_is_told() {
    let host = Host::with(TASKS);
    let (status, _, err) = host.run(&["start", "--only", "weekly"]);
    assert_eq!(status, 3);
    assert!(err.contains("--only: no task has the tag weekly"), "{err}");
    assert_eq!(host.read("ran"), "");
    for (tags, said) in [
        (
            "[\"a b\"]",
            "tasks.toml:6:1: task nightly: tags: one of them is no word",
        ),
        ("[\"\"]", "task nightly: tags: one of them is no word"),
        ("\"night\"", "task.tags: invalid type: string"),
    ] {
        host.write("tasks.toml", TASKS.replace("[\"slow\", \"night\"]", tags));
        let (status, _, err) = host.run(&["start", "--check"]);
        assert_eq!(status, 1, "{err}");
        assert!(err.contains(said), "{err}");
    }
}
