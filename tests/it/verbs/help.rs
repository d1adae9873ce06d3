//! What the commands say of themselves.

use std::collections::BTreeMap;
use std::path::Path;

use super::rig::{said, tasklock};

/// `docs/cli.md`.
fn manual() -> (std::path::PathBuf, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md");
    let text = std::fs::read_to_string(&path).unwrap();
    (path, text)
}

fn own(words: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new(crate::daemon::program());
    command.args(words).env_remove("REDIS_URL");
    command
}

#[test]
fn the_manual_has_the_help_as_it_is() {
    let (path, mut text) = manual();
    let before = text.clone();
    for (mark, command) in [
        ("cron --help", own(&["cron", "--help"])),
        ("tasklock --help", tasklock(&["--help"])),
    ] {
        let help = said(command)
            .done()
            .replace(&format!("{}/", std::env::temp_dir().display()), "");
        let (begin, end) = (
            format!("<!-- {mark} -->\n```text\n"),
            "```\n<!-- end -->".to_owned(),
        );
        let (head, rest) = text
            .split_once(&begin)
            .unwrap_or_else(|| panic!("docs/cli.md has no {mark}"));
        let (_, tail) = rest.split_once(&end).unwrap();
        text = format!("{head}{begin}{}\n{end}{tail}", help.trim_end());
    }
    if text != before {
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        panic!(
            "the help is not what docs/cli.md says: set UPDATE_DOCS=1 and run this test, then look at what changed"
        );
    }
}

#[test]
fn each_command_says_what_it_does_in_a_line_and_what_its_options_are() {
    let help = said(tasklock(&["--help"])).done();
    let (_, list) = help.split_once("Commands:\n").unwrap();
    let commands: BTreeMap<&str, &str> = list
        .lines()
        .take_while(|line| !line.is_empty())
        .map(|line| {
            line.trim()
                .split_once("  ")
                .unwrap_or_else(|| panic!("{line:?} says nothing"))
        })
        .collect();
    for verb in [
        "list",
        "describe",
        "next",
        "runs",
        "logs",
        "run",
        "pause",
        "resume",
        "skip",
        "override",
        "reset",
        "delete",
        "cancel",
        "instances",
        "drain",
        "undrain",
        "locks",
        "unlock",
        "why",
        "check",
        "doctor",
        "health",
        "export",
        "completions",
        "man",
    ] {
        assert!(commands.contains_key(verb), "{verb} is not in {help}");
        for said in [
            said(tasklock(&[verb, "--help"])),
            said(own(&["cron", verb, "--help"])),
        ] {
            let text = said.done();
            assert!(
                text.contains("Usage: ") && text.contains("-h, --help"),
                "{text}"
            );
        }
    }
}

#[test]
fn shells_complete_it_and_manuals_have_a_page_of_each_command() {
    for shell in ["bash", "zsh", "fish"] {
        let script = said(tasklock(&["completions", shell])).done();
        assert!(
            script.contains("tasklock") && script.contains("undrain"),
            "{shell}"
        );
        let script = said(own(&["cron", "completions", shell])).done();
        assert!(
            script.contains("cron") && script.contains("undrain"),
            "{shell}"
        );
    }
    let script = said(tasklock(&["completions", "bash"])).done();
    let mut bash = std::process::Command::new("bash");
    bash.arg("-n");
    let checked = super::rig::said_to(bash, &script);
    assert_eq!(checked.status, 0, "{checked:?}");
    let page = said(tasklock(&["man", "run"])).done();
    assert!(
        page.contains(".TH TASKLOCK-RUN 1") && page.contains("KEY"),
        "{page}"
    );
    let dir = tempfile::tempdir().unwrap();
    said(tasklock(&["man", "--dir", dir.path().to_str().unwrap()])).done();
    let pages: Vec<String> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for page in ["tasklock.1", "tasklock-run.1", "tasklock-list.1"] {
        assert!(
            pages.iter().any(|p| p == page),
            "{page} is not in {pages:?}"
        );
    }
    said(tasklock(&["man", "nonsense"])).refuses(3, &["there is no command"]);
}

#[test]
fn what_goes_with_a_service_is_printed_with_its_name() {
    let dashboard: serde_json::Value = said(tasklock(&["export", "grafana"])).json();
    assert_eq!(dashboard["schemaVersion"], 39);
    let api: serde_json::Value = said(tasklock(&["export", "openapi"])).json();
    assert!(api["paths"]["/api/v1/tasks"]["get"].is_object(), "{api}");
    let unit = said(tasklock(&["export", "systemd"])).done();
    assert!(unit.contains("ExecStart=/usr/bin/tasklock start"), "{unit}");
    let manifests = said(tasklock(&["export", "k8s", "--job", "nightly"])).done();
    assert!(manifests.contains("\n  name: nightly\n") && !manifests.contains("ame: tasklock\n"));
    let rules = said(tasklock(&["export", "alerts", "--job", "billing-api"])).done();
    assert!(rules.contains("TaskMissedDeadline"), "{rules}");
    assert!(
        rules.contains(r#"absent(task_scheduler_running{job="billing-api"})"#),
        "{rules}"
    );
    assert!(!rules.contains("my-service"), "{rules}");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rules.yml");
    std::fs::write(&file, rules).unwrap();
    let mut promtool = std::process::Command::new("promtool");
    promtool.args(["check", "rules"]).arg(&file);
    let checked = said(promtool);
    assert_eq!(checked.status, 0, "{checked:?}");
    let without = said(own(&["cron", "export", "alerts"])).done();
    assert!(!without.contains("my-service") && without.contains("TaskMissedDeadline"));
}
