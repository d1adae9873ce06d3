//! The files for systemd, containers and Kubernetes.

use std::process::Command;

use super::host::Host;

const UNIT: &str = include_str!("../../../ops/tasklock.service");
const MANIFESTS: &str = include_str!("../../../ops/k8s.yaml");
const CONTAINERFILE: &str = include_str!("../../../ops/Containerfile");

#[test]
fn the_unit_is_one_that_systemd_takes() {
    let host = Host::new();
    let program = env!("CARGO_BIN_EXE_tasklock");
    let unit = UNIT.replace("/usr/bin/tasklock", program);
    assert_ne!(unit, UNIT);
    let path = host.write("tasklock.service", unit);
    let Ok(output) = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(&path)
        .output()
    else {
        return eprintln!("no systemd-analyze here");
    };
    // It looks at the units of this host too, which are their own business.
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let ours: Vec<&str> = said
        .lines()
        .filter(|l| l.contains("tasklock.service"))
        .collect();
    assert!(ours.is_empty(), "{said}");
}

/// The block of a key, without its indentation.
fn block(yaml: &str, key: &str) -> String {
    let mut lines = yaml
        .lines()
        .skip_while(|line| line.trim() != format!("{key}: |"));
    let indentation = lines.next().unwrap().find(key).unwrap() + 2;
    let inside = |line: &&str| line.trim().is_empty() || line.starts_with(&" ".repeat(indentation));
    let text: Vec<&str> = lines
        .take_while(inside)
        .map(|line| line.get(indentation..).unwrap_or_default())
        .collect();
    text.join("\n")
}

#[test]
fn the_tasks_in_the_manifests_can_be_started() {
    let host = Host::with(&block(MANIFESTS, "tasks.toml"));
    let (status, out, err) = host.run(&["start", "--check"]);
    assert_eq!((status, err.as_str()), (0, ""));
    assert!(
        out.starts_with("tasks.toml: ") && !out.contains("warning"),
        "{out}"
    );
}

#[test]
fn what_is_run_in_a_container_has_the_words_of_this_program() {
    let (status, _, err) =
        Host::new().run(&["start", "--check", "--config", "/nowhere/tasks.toml"]);
    assert_eq!(status, 1);
    assert!(
        err.starts_with("/nowhere/tasks.toml: the file cannot be read"),
        "{err}"
    );
    for part in [
        "ENTRYPOINT [\"tasklock\"]",
        "CMD [\"start\", \"--config\", \"/etc/tasklock/tasks.toml\"",
        "USER 65532",
    ] {
        assert!(CONTAINERFILE.contains(part), "{part}");
    }
    for part in [
        "path: /livez",
        "path: /readyz",
        "runAsNonRoot: true",
        "terminationGracePeriodSeconds: 60",
    ] {
        assert!(MANIFESTS.contains(part), "{part}");
    }
}
