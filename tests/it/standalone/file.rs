//! The file of tasks: what it may say, and what is said of mistakes.

use super::host::Host;

fn check(text: &str) -> (i32, String, String) {
    Host::with(text).run(&["start", "--check"])
}

#[test]
fn the_annotated_file_of_the_documents_can_be_started() {
    let text = include_str!("../../../docs/standalone.md");
    let toml = text.split("```toml\n# tasks.toml").nth(1).unwrap();
    let toml = toml.split("\n```").next().unwrap();
    let (status, out, err) = check(toml);
    assert_eq!((status, err.as_str()), (0, ""), "{out}");
    assert!(out.starts_with("tasks.toml: 4 tasks\n"), "{out}");
    assert!(!out.contains("warning"), "{out}");
}

#[test]
fn a_file_that_nothing_is_wrong_with_is_summed_up() {
    let (status, out, err) = check(
        "timezone = \"Europe/Berlin\"\nlock.memory = true\n[[task]]\nname = \"a\"\nspec = \"@daily\"\n\
         command = [\"/bin/true\"]\n[[task]]\nname = \"b\"\nspec = \"@at 2020-01-01T00:00:00Z\"\n\
         timezone = \"Asia/Tokyo\"\nurl = \"https://example.com/x?key=hunter2\"\nenabled = false\n",
    );
    assert_eq!((status, err.as_str()), (0, ""));
    assert_eq!(
        out,
        "tasks.toml: 2 tasks\n  a  @daily  Europe/Berlin\n  b  @at 2020-01-01T00:00:00Z  Asia/Tokyo  (disabled)\n"
    );
}

#[test]
fn a_mistake_is_said_with_its_line_its_column_and_its_key() {
    let task = "[[task]]\nname = \"t\"\nspec = \"@daily\"\n";
    for (text, said) in [
        (
            "tiemzone = \"UTC\"\n",
            "tasks.toml:1:1: tiemzone: unknown field `tiemzone`, expected",
        ),
        (
            "timezone = \"Mars\"\n",
            "tasks.toml:1:12: timezone: it is no time zone: give it",
        ),
        (
            "\n[lock]\nredis_urll = \"x\"\n",
            "tasks.toml:3:1: lock.redis_urll: unknown field",
        ),
        ("a = [1,\n", "tasks.toml:1:8: unclosed array"),
        (
            "[lock]\n",
            "tasks.toml:1:1: lock: give it exactly one of redis_url, ",
        ),
        (
            "[lock]\nmemory = true\ndirectory = \"x\"\n",
            "tasks.toml:1:1: lock: give it exactly one of",
        ),
        (
            "listen = \"9100\"\n",
            "tasks.toml:1:10: listen: it is no address with a port: write",
        ),
        (
            "listen = \"127.0.0.1:9100\"\n[page]\n",
            "tasks.toml:2:1: page: who may see it?",
        ),
        (
            "[page]\nlocalhost = true\n",
            "tasks.toml:1:1: page: it is served nowhere",
        ),
        (
            "listen = \"127.0.0.1:9100\"\n[page]\nuser_header = \"x-user\"\n",
            "tasks.toml:2:1: page: user_header is believed from nowhere",
        ),
        ("log = \"a=b=c\"\n", "tasks.toml:1:7: log: it is no filter"),
        (
            "max_concurrent = 0\n",
            "tasks.toml:1:18: max_concurrent: nothing would run",
        ),
        (
            &format!("{task}timeout_s = \"hunter2\"\n"),
            "tasks.toml:4:13: task.timeout_s: invalid type: string, expected a number",
        ),
        (
            &format!("{task}command = [\"x\"]\npolicy = {{ overlapp = \"skip\" }}\n"),
            "tasks.toml:5:12: task.policy.overlapp: unknown field `overlapp`",
        ),
        (
            "[[task]]\nname = \"t\"\nspec = \"61 * * * *\"\ncommand = [\"x\"]\n",
            "tasks.toml:3:8: task t: spec: minute: end of range (61) above maximum (59): 61",
        ),
        (
            "[[task]]\nname = \"a b\"\nspec = \"@daily\"\ncommand = [\"x\"]\n",
            "tasks.toml:2:8: task a b: name: task name \"a b\" has ' ' at character 2",
        ),
        (
            task,
            "tasks.toml:1:1: task t: say what it does, in one way: command = ",
        ),
        (
            &format!("{task}command = [\"x\"]\nurl = \"https://a.b\"\n"),
            "tasks.toml:1:1: task t: say what it does, in one way",
        ),
        (
            &format!("{task}command = [\"x\"]\nmethod = \"GET\"\n"),
            "tasks.toml:5:1: task t: method: it does not go with command: command goes with [\"env\"",
        ),
        (
            &format!("{task}command = []\n"),
            "tasks.toml:4:1: task t: command: it names no program",
        ),
        (
            &format!("{task}command = [\"x\"]\nuser = \"nobody-here\"\n"),
            "tasks.toml:5:1: task t: user: \"nobody-here\" is no user of this host",
        ),
        (
            &format!("{task}command = [\"x\"]\nuser = \"root\"\ngroup = \"nobody-here\"\n"),
            "tasks.toml:6:1: task t: group: \"nobody-here\" is no group of this host",
        ),
        (
            &format!("{task}command = [\"x\"]\ngroup = \"root\"\n"),
            "tasks.toml:5:1: task t: group: it goes with user",
        ),
        (
            &format!("{task}command = [\"x\"]\nenv = {{ \"A-B\" = \"1\" }}\n"),
            "task t: env: \"A-B\" is no name of a variable",
        ),
        (
            &format!("{task}command = [\"x\"]\nexpect = [256]\n"),
            "task t: expect: exit codes are 0 to 255",
        ),
        (
            &format!("commands.a.command = [\"x\"]\n{task}run = \"b\"\n"),
            "tasks.toml:5:1: task t: run: the command \"b\" is not allowed here: there are [\"a\"]",
        ),
        (
            &format!("{task}url = \"ftp://a.b\"\n"),
            "tasks.toml:4:7: task t: url: ",
        ),
        (
            &format!("{task}url = \"https://a.b\"\nmethod = \"BREW\"\n"),
            "task t: the method \"BREW\" is none of",
        ),
        (
            &format!("{task}url = \"https://a.b\"\nheaders_from_files = {{ host = \"x\" }}\n"),
            "task t: headers_from_files: \"host\" is no header that a task may set",
        ),
        (
            &format!("{task}command = [\"x\"]\npolicy.group = \"mail\"\n"),
            "task t: policy.group: there is no group \"mail\": name it under [groups]",
        ),
        (
            &format!("{task}command = [\"x\"]\n{task}command = [\"x\"]\n"),
            "tasks.toml:6:8: task t: name: there is a task of that name in line 2",
        ),
        (
            &format!("{task}command = [\"x\"]\ntimeout_s = 0\n"),
            "task t: its timeout is zero",
        ),
    ] {
        let (status, out, err) = check(text);
        assert_eq!((status, out.as_str()), (1, ""), "{text}");
        assert!(err.contains(said), "{text}\n{err}");
        assert!(
            err.lines().count() == 1 && !err.contains("hunter2"),
            "{err}"
        );
    }
}

#[test]
fn all_mistakes_in_tasks_are_said_at_once() {
    let task =
        |name: &str| format!("[[task]]\nname = \"{name}\"\nspec = \"no\"\ncommand = [\"x\"]\n");
    let all: String = (0..30).map(|n| task(&format!("t{n}"))).collect();
    let (status, _, err) = check(&all);
    assert_eq!(status, 1);
    assert_eq!(err.lines().count(), 21, "{err}");
    assert!(err.ends_with("tasks.toml: and 10 more\n"), "{err}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let host = Host::new();
    let (status, _, err) = host.run(&["start", "--check"]);
    assert_eq!(status, 1);
    assert!(
        err.starts_with("tasks.toml: the file cannot be read: No such file"),
        "{err}"
    );
    let (status, _, err) = host.run(&["start", "-c", "/dev/zero"]);
    assert_eq!(status, 1);
    assert!(err.contains("more than 4 MiB"), "{err}");
    let (status, _, err) = host.run(&["start", "-c", "."]);
    assert_eq!(status, 1);
    assert!(err.contains("cannot be read: Is a directory"), "{err}");
}

#[test]
fn hostile_files_are_refused_in_a_few_words() {
    let long = format!("x = \"{}\"\n", "y".repeat(1_000_000));
    let key = format!("{} = 1\n", "k".repeat(1_000_000));
    let name = format!(
        "[[task]]\nname = \"{}\"\nspec = \"@daily\"\ncommand = [\"x\"]\n",
        "n".repeat(1_000_000)
    );
    let deep = format!("x = {}", "[".repeat(100_000));
    let spec = format!(
        "[[task]]\nname = \"t\"\nspec = \"{}\"\ncommand = [\"x\"]\n",
        "* ".repeat(500_000)
    );
    let texts: [&[u8]; 9] = [
        b"\xff\xfe = 1",
        b"\0",
        b"\x1b[31m = 1\n",
        b"[[task]]\nname = \"\\u001b[2J\"\nspec = \"\\u0000\"\ncommand = [\"x\"]\n",
        long.as_bytes(),
        key.as_bytes(),
        name.as_bytes(),
        deep.as_bytes(),
        spec.as_bytes(),
    ];
    for text in texts {
        let host = Host::new();
        host.write("tasks.toml", text);
        let (status, out, err) = host.run(&["start", "--check"]);
        let shown = String::from_utf8_lossy(&text[..text.len().min(60)]).into_owned();
        assert_eq!((status, out.as_str()), (1, ""), "{shown:?}");
        assert!(
            err.len() < 2_000 && !err.contains("panicked"),
            "{shown:?}: {err}"
        );
        let is_plain = |c: char| !c.is_control() || c == '\n';
        assert!(err.chars().all(is_plain), "{shown:?}: {err:?}");
    }
}

#[test]
fn a_file_without_a_place_to_meet_is_not_started() {
    let task = "[[task]]\nname = \"t\"\nspec = \"@daily\"\n";
    let host = Host::with(&format!("{task}command = [\"x\"]\n"));
    let (status, _, err) = host.run(&["start"]);
    assert_eq!(status, 1);
    assert!(
        err.starts_with("tasks.toml: there is no [lock]: say where"),
        "{err}"
    );
    host.write(
        "tasks.toml",
        format!("lock.memory = true\n{task}kind = \"mail\"\n"),
    );
    for arguments in [&["start"][..], &["start", "-d"], &["restart"]] {
        let (status, _, err) = host.run(arguments);
        assert_eq!(status, 1);
        assert!(
            err.contains("task t: a task with a kind is for the store"),
            "{err}"
        );
    }
    let (status, out, _) = host.run(&["start", "--check"]);
    assert_eq!(status, 0);
    assert!(
        out.contains("warning: it can be applied, not started"),
        "{out}"
    );
}
