//! Nothing secret on a command line, in a log, in an answer or in an error.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;

use super::host::Host;
use crate::support::redis_server::{RedisOptions, RedisServer};

const OF_REDIS: &str = "hunter2-of-redis";
const OF_HEADER: &str = "hunter2-of-a-header";
const OF_COMMAND: &str = "hunter2-of-a-command";

fn redis() -> RedisServer {
    RedisOptions {
        password: Some(OF_REDIS.to_owned()),
        ..RedisOptions::default()
    }
    .start()
}

/// Answers one request with 200, and says what it was.
fn one_request() -> (u16, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut text = String::new();
        let mut buffer = [0; 1024];
        while !text.contains("\r\n\r\n") {
            let count = stream.read(&mut buffer).unwrap();
            assert_ne!(count, 0);
            text.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            .unwrap();
        text
    });
    (port, serving)
}

#[test]
fn secrets_reach_whom_they_are_for_and_nobody_else() {
    let redis = redis();
    let (port, request) = one_request();
    let host = Host::new();
    let url = format!("redis://:{OF_REDIS}@127.0.0.1:{}", redis.port());
    host.write("redis-url", format!("{url}\n"));
    host.write("header", format!("Bearer {OF_HEADER}\n"));
    host.write("one", format!("{OF_COMMAND}\n"));
    host.write(
        "more.env",
        format!("# of the database\nPGPASSWORD=\"{OF_COMMAND}\"\n"),
    );
    host.write(
        "tasks.toml",
        format!(
            "[lock]\nredis_url_file = \"redis-url\"\n\
             [[task]]\nname = \"shell\"\nspec = \"@startup\"\n\
             command = [\"/bin/sh\", \"-c\", \"env > env.tmp; mv env.tmp env; ps -ef > ps.tmp 2>/dev/null; true\"]\n\
             env_file = \"more.env\"\nenv_from_files = {{ TOKEN = \"one\" }}\n\
             [[task]]\nname = \"http\"\nspec = \"@startup\"\nurl = \"http://127.0.0.1:{port}/x?key={OF_HEADER}\"\n\
             headers_from_files = {{ authorization = \"header\" }}\n",
        ),
    );
    let running = host.start_with(|command| {
        command
            .env("TASKLOCK_LOG", "trace")
            .env("OURS", "hunter2-of-ours");
    });
    host.wait_for("env", "PGPASSWORD");
    let env = host.read("env");
    for line in [
        format!("TOKEN={OF_COMMAND}"),
        format!("PGPASSWORD={OF_COMMAND}"),
    ] {
        assert!(env.lines().any(|l| l == line), "{line}");
    }
    // What the daemon has is not the command's.
    assert!(!env.contains("hunter2-of-ours") && !env.contains(OF_REDIS));
    let request = request.join().unwrap();
    assert!(
        request
            .to_lowercase()
            .contains(&format!("authorization: bearer {OF_HEADER}")),
        "{request}"
    );
    host.wait_for("log", "Task completed event=\"run.finished\" task=http");

    let line = fs::read(format!("/proc/{}/cmdline", running.pid())).unwrap();
    let line = String::from_utf8_lossy(&line).into_owned();
    assert!(line.contains("tasklock"), "{line}");
    let answers = [
        line,
        host.read("log"),
        format!("{:?}", host.run(&["state"])),
        format!("{:?}", host.run(&["state", "-o", "json"])),
        format!("{:?}", host.run(&["start"])),
        format!("{:?}", host.run(&["start", "--check"])),
        host.read("cron.pid"),
    ];
    for answer in answers {
        assert!(!answer.contains("hunter2"), "{answer}");
    }
    assert_eq!(running.stop(), 0);
    assert!(
        !host.read("log").contains("hunter2"),
        "{}",
        host.read("log")
    );
}

#[test]
fn errors_repeat_no_secret() {
    let redis = redis();
    let at = format!("127.0.0.1:{}", redis.port());
    let host = Host::new();
    host.write("wrong", format!("redis://:hunter2-wrong@{at}"));
    host.write("broken", "redis://:hunter2@[::1/x");
    host.write("lines", "hunter2 is no line\n");
    let task = "[[task]]\nname = \"t\"\nspec = \"@startup\"\n";
    for (text, said) in [
        // Not what Redis wants.
        (
            "[lock]\nredis_url_file = \"wrong\"\n".to_owned(),
            "wrong user or password",
        ),
        (
            "[lock]\nredis_url_file = \"broken\"\n".to_owned(),
            "tasks.toml: lock: ",
        ),
        (
            "[lock]\nredis_url_file = \"missing\"\n".to_owned(),
            "missing cannot be used: No such file",
        ),
        (
            "[lock]\nredis_url_env = \"NOT_SET\"\n".to_owned(),
            "the environment's \"NOT_SET\" is not set",
        ),
        (
            format!("[lock]\nredis_url = \"redis://:hunter2@{at}\n"),
            "tasks.toml:2:",
        ),
        (
            format!("[lock]\nredis_url = \"redis://:hunter2@x\" {at}\n"),
            "tasks.toml:2:",
        ),
        (
            "[lock]\nredis_url = \"http://:hunter2@x\"\n".to_owned(),
            "tasks.toml: lock: ",
        ),
        (
            format!("lock.memory = true\n{task}url = \"https://me:hunter2@a.b\"\n"),
            "has a user or a password",
        ),
        (
            format!("lock.memory = true\n{task}url = \"https://hunter2@[a\"\n"),
            "it is no address",
        ),
        (
            format!(
                "lock.memory = true\n{task}url = \"https://a.b\"\nheaders = {{ a = \"hunter2\\u0001\" }}\n"
            ),
            "a value with control characters",
        ),
        (
            format!("lock.memory = true\n{task}command = [\"x\"]\nenv = {{ A = [\"hunter2\"] }}\n"),
            "invalid type: sequence",
        ),
    ] {
        host.write("tasks.toml", &text);
        let (status, out, err) = host.run(&["start"]);
        // Redis itself refuses, or the file is wrong.
        let expected = if text.contains("\"wrong\"") { 4 } else { 1 };
        assert_eq!(status, expected, "{text}\n{out}{err}");
        assert!(err.contains(said), "{said}\n{text}\n{err}");
        assert!(
            !err.contains("hunter2") && !out.contains("hunter2"),
            "{text}\n{err}"
        );
    }
    // Of a run: it fails, and says which file.
    host.write(
        "tasks.toml",
        format!("lock.memory = true\n{task}command = [\"/bin/true\"]\nenv_file = \"lines\"\n"),
    );
    let running = host.start();
    host.wait_for("log", "lines cannot be used: line 1 is no NAME=value");
    assert_eq!(running.stop(), 0);
    assert!(!host.read("log").contains("hunter2"));
}

#[test]
fn a_password_in_a_file_that_everybody_may_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;
    let redis = redis();
    let host = Host::with(&format!(
        "lock.redis_url = \"redis://:{OF_REDIS}@127.0.0.1:{}\"\n",
        redis.port()
    ));
    let set = |mode| {
        let path = host.file("tasks.toml");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    set(0o644);
    let (status, out, _) = host.run(&["start", "--check"]);
    assert_eq!(status, 0);
    assert!(
        out.contains("warning: the address of Redis has a password"),
        "{out}"
    );
    set(0o640);
    let (_, out, _) = host.run(&["start", "--check"]);
    assert!(!out.contains("warning"), "{out}");
}
