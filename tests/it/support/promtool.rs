//! Prometheus' own checks, of Debian's package `prometheus`.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// What `promtool` says to these arguments, run in the package's folder; it has to be content.
pub fn promtool(arguments: &[&str], input: &str) -> String {
    let mut promtool = Command::new("promtool")
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is missing: scripts/test installs it");
    // It may have ended already, and has said why.
    let _ = promtool.stdin.take().unwrap().write_all(input.as_bytes());
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
    said
}

/// Finds nothing to say about metrics.
pub fn check_metrics(text: &str) {
    let said = promtool(&["check", "metrics"], text);
    assert!(said.is_empty(), "{said}");
}

/// Reads each of these queries.
pub fn check_queries<'a>(queries: impl IntoIterator<Item = &'a str>) {
    let mut rules = "groups:\n- name: queries\n  rules:\n".to_owned();
    for (n, query) in queries.into_iter().enumerate() {
        // A string of JSON is one of YAML.
        let query = serde_json::Value::from(query);
        rules += &format!("  - record: query:n{n}\n    expr: {query}\n");
    }
    let dir = tempfile::tempdir().unwrap();
    let file: &Path = &dir.path().join("rules.yml");
    std::fs::write(file, rules).unwrap();
    promtool(&["check", "rules", file.to_str().unwrap()], "");
}
