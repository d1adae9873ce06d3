//! On a terminal: colours, its width, and what is waited for.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::rig::Fleet;

/// What a command shows on a terminal of so many columns, and its status. Standard error is shown there
/// too.
fn shown(mut command: Command, columns: u16) -> (i32, String) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let theirs = OpenOptions::new()
        .read(true)
        .write(true)
        .open(name.to_str().unwrap())
        .unwrap();
    let size = Winsize {
        ws_row: 24,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&theirs, size).unwrap();
    let end = |file: &File| Stdio::from(OwnedFd::from(file.try_clone().unwrap()));
    command
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .stdout(end(&theirs))
        .stderr(end(&theirs));
    let mut child = command.spawn().unwrap();
    // Nobody but the process has it open, so that what it shows ends with it.
    drop(command);
    drop(theirs);
    let reader = std::thread::spawn(move || {
        let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
        let mut ours = File::from(ours);
        while let Ok(n @ 1..) = ours.read(&mut buffer) {
            bytes.extend_from_slice(&buffer[..n]);
        }
        String::from_utf8(bytes).unwrap()
    });
    let status = child.wait().unwrap().code().unwrap();
    (status, reader.join().unwrap())
}

/// Without the sequences that colour it.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        let end = after.find(|c: char| c.is_ascii_alphabetic()).unwrap();
        rest = &after[end + 1..];
    }
    plain + rest
}

#[test]
fn a_terminal_shows_colours_within_its_width_and_what_is_waited_for() {
    let fleet = Fleet::start();
    fleet.task("hello", |task| task["health"] == "healthy");
    for columns in [200_u16, 80, 60] {
        let (status, text) = shown(fleet.remote(&["list"]), columns);
        assert_eq!(status, 0, "{text}");
        assert!(text.contains("\u{1b}[32mhealthy\u{1b}[0m"), "{text}");
        for line in plain(&text).lines() {
            assert!(
                line.chars().count() <= usize::from(columns),
                "{columns}: {line}"
            );
        }
    }
    // Cut where there is no room, whole where there is.
    assert!(plain(&shown(fleet.remote(&["list"]), 60).1).contains('…'));
    assert!(!plain(&shown(fleet.remote(&["list"]), 200).1).contains('…'));

    let mut without = fleet.own(&["list"]);
    without.env("NO_COLOR", "1");
    let (_, text) = shown(without, 80);
    assert!(
        !text.contains('\u{1b}') && text.contains("healthy"),
        "{text}"
    );
    let mut empty = fleet.own(&["list"]);
    empty.env("NO_COLOR", "");
    assert!(
        shown(empty, 80).1.contains('\u{1b}'),
        "an empty NO_COLOR says nothing"
    );

    let words = ["run", "reindex", "--params", r#"{"parts": 10}"#];
    let (status, text) = shown(fleet.remote(&words), 80);
    assert_eq!(status, 0, "{text}");
    assert!(text.contains("\r\u{1b}[Krunning"), "{text}");
    assert!(plain(&text).contains("/10 "), "how far it has come: {text}");
    // It is gone when something else is said.
    let last = text.lines().last().unwrap();
    assert!(
        last.contains("success") && last.contains("\u{1b}[32m"),
        "{text}"
    );

    // JSON is for programs, whatever shows it.
    let (_, text) = shown(fleet.remote(&["list", "-o", "json"]), 60);
    assert!(!text.contains('\u{1b}'), "{text}");
    serde_json::from_str::<serde_json::Value>(text.trim()).unwrap();
}
