//! What ships beside the crate for those who operate it: alert rules, dashboard, compose file.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use saphyr::{LoadableYamlNode, YamlOwned};
use serde_json::Value;

use crate::metrics::exported;
use crate::support::promtool::{check_queries, promtool};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

const RULES: [&str; 2] = ["ops/tasklock.rules.yml", "ops/tasklock-job.rules.yml"];
const TESTS: [&str; 2] = ["ops/tasklock.test.yml", "ops/tasklock-days.test.yml"];
const MANUAL: &str = "docs/operations.md";

/// What comes after `key` in the lines that begin with it.
fn after<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    let lines = text.lines().map(str::trim_start);
    lines.filter_map(|line| line.strip_prefix(key)).collect()
}

/// The names of metrics in a text.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = text.split(|c| !is_part(c));
    let is_metric = |word: &&str| {
        (word.starts_with("task_") || word.starts_with("tasklock_")) && *word != "task_name"
    };
    let ends = ["_bucket", "_sum", "_count"];
    words
        .filter(is_metric)
        .map(|word| {
            let base = ends.iter().find_map(|end| word.strip_suffix(end));
            base.unwrap_or(word).to_owned()
        })
        .collect()
}

/// The blocks of a language in a page.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    let parts = page.split(fence.as_str()).skip(1);
    parts
        .map(|part| part.split("```").next().unwrap())
        .collect()
}

fn dashboard() -> Value {
    serde_json::from_str(&read("ops/tasklock-dashboard.json")).unwrap()
}

/// All panels, those of collapsed rows too.
fn panels(of: &Value) -> Vec<&Value> {
    let own = of["panels"].as_array().unwrap();
    let all = own
        .iter()
        .flat_map(|panel| match panel["panels"].is_array() {
            true => [vec![panel], panels(panel)].concat(),
            false => vec![panel],
        });
    all.collect()
}

/// What the panels ask for, each with its panel's title, with values in the place of variables.
pub fn panel_queries(interval: &str, range: &str) -> Vec<(String, String)> {
    let dashboard = dashboard();
    let query = |target: &Value| {
        let query = target["expr"].as_str().unwrap();
        let query = query
            .replace("$__rate_interval", interval)
            .replace("$__range", range);
        query.replace("$job", ".*").replace("$task", ".*")
    };
    let of_panel = |panel: &Value| -> Vec<(String, String)> {
        let title = panel["title"].as_str().unwrap();
        let targets = panel["targets"].as_array().into_iter().flatten();
        targets.map(|t| (title.to_owned(), query(t))).collect()
    };
    let all = panels(&dashboard);
    all.into_iter().flat_map(of_panel).collect()
}

fn queries() -> Vec<String> {
    let all = panel_queries("5m", "1h").into_iter();
    all.map(|(_, query)| query).collect()
}

#[test]
fn promtool_reads_the_rules_and_their_unit_tests_pass() {
    let said = promtool(&["check", "rules", RULES[0]], "");
    assert!(said.contains("SUCCESS: 17 rules found"), "{said}");
    promtool(&["check", "rules", RULES[1]], "");
    let said = promtool(&[&["test", "rules"], &TESTS[..]].concat(), "");
    assert_eq!(said.matches("SUCCESS").count(), TESTS.len(), "{said}");
}

#[test]
fn each_alert_has_a_unit_test_that_fires_it_and_a_place_in_the_manual() {
    let manual = read(MANUAL);
    let tests = TESTS.map(read).join("\n");
    let mut all = BTreeSet::new();
    for file in RULES {
        let rules = read(file);
        let names = after(&rules, "- alert: ");
        let links = after(&rules, "runbook_url: ");
        assert_eq!(names.len(), links.len(), "{file}");
        for (name, link) in names.iter().zip(links) {
            let page = "https://docs.rs/crate/tasklock/latest/source/docs/operations.md";
            assert_eq!(link, format!("'{page}#{}'", name.to_lowercase()));
            all.insert((*name).to_owned());
            // The first file has no names of services, and unit tests.
            let fires = format!("alertname: {name}\n        exp_alerts:\n");
            assert!(file == RULES[1] || tests.contains(&fires), "{name}");
        }
    }
    assert_eq!(all.len(), 16);
    let told = after(&manual, "#### ");
    let told: BTreeSet<String> = told.into_iter().map(str::to_owned).collect();
    assert_eq!(told, all);
}

#[test]
fn the_dashboard_is_what_its_script_writes() {
    let script = Command::new("python3")
        .arg(root().join("scripts/dashboard"))
        .output()
        .expect("python3 is missing: scripts/test installs it");
    assert!(script.status.success(), "{script:?}");
    let written = String::from_utf8(script.stdout).unwrap();
    let kept = read("ops/tasklock-dashboard.json");
    assert!(
        written == kept,
        "run: scripts/dashboard > ops/tasklock-dashboard.json"
    );
}

#[test]
fn the_panels_have_places_of_their_own_and_each_query_can_be_read() {
    let dashboard = dashboard();
    let panels = panels(&dashboard);
    let ids: BTreeSet<u64> = panels.iter().map(|p| p["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    let mut taken = BTreeSet::new();
    for panel in &panels {
        let place = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(place("x") + place("w") <= 24, "{panel}");
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(taken.insert((x, y)), "{} covers another", panel["title"]);
            }
        }
        if panel["type"] != "row" {
            assert_eq!(panel["datasource"]["uid"], "${datasource}");
        }
    }
    let queries = queries();
    assert!(queries.len() > 30);
    check_queries(queries.iter().map(String::as_str));
}

#[test]
fn the_queries_of_the_manual_can_be_read() {
    let mut queries = Vec::new();
    for page in [MANUAL, "docs/history.md"] {
        let page = read(page);
        for block in blocks(&page, "promql") {
            let lines: Vec<&str> = block
                .lines()
                .map(|l| l.split('#').next().unwrap())
                .collect();
            let text = lines.join("\n");
            let parts = text
                .split("\n\n")
                .map(str::trim)
                .filter(|part| !part.is_empty());
            queries.extend(parts.map(str::to_owned));
        }
    }
    assert!(queries.len() >= 8, "{queries:#?}");
    check_queries(queries.iter().map(String::as_str));
}

#[tokio::test(start_paused = true)]
async fn what_alerts_dashboard_and_manual_ask_for_is_exported() {
    let exported: BTreeSet<String> = exported().await.into_keys().collect();
    let dashboard = dashboard();
    let variables = dashboard["templating"]["list"].to_string();
    let mut asked = metrics_in(&(queries().join("\n") + &variables));
    for file in RULES {
        asked.extend(metrics_in(&read(file)));
    }
    for page in [MANUAL, "docs/history.md"] {
        let page = read(page);
        asked.extend(blocks(&page, "promql").into_iter().flat_map(metrics_in));
    }
    assert!(asked.len() > 20, "{asked:?}");
    let missing: Vec<_> = asked.difference(&exported).collect();
    assert!(missing.is_empty(), "{missing:?} of {exported:#?}");
}

/// A file of YAML.
fn yaml(path: &str) -> YamlOwned {
    let documents = YamlOwned::load_from_str(&read(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    let [document] = documents.try_into().unwrap();
    document
}

/// All of a list of texts.
fn texts(list: &YamlOwned) -> Vec<String> {
    let all = list.as_sequence().unwrap().iter();
    all.map(|one| one.as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_compose_file_names_what_there_is() {
    let compose = yaml("ops/compose.yaml");
    let services = &compose["services"];
    let names: Vec<_> = services.as_mapping().unwrap().keys().collect();
    let names: Vec<_> = names
        .into_iter()
        .map(|name| name.as_str().unwrap())
        .collect();
    let replicas = ["replica-1", "replica-2", "replica-3"];
    assert_eq!(
        names,
        [&["redis"][..], &replicas, &["prometheus", "grafana"]].concat()
    );
    // The others are made of the first.
    assert!(read("ops/compose.yaml").matches("<<: *replica\n").count() == 2);
    for name in ["redis", "replica-1", "prometheus", "grafana"] {
        let image = services[name]["image"].as_str().unwrap();
        let tag = image.rsplit_once(':').map(|(_, tag)| tag);
        let is_ours = image == "localhost/tasklock";
        assert!(is_ours || tag.is_some_and(|tag| tag != "latest"), "{image}");
        // Whose registry it is is said: podman asks otherwise.
        assert!(is_ours || image.starts_with("docker.io/"), "{image}");
    }
    let build = &services["replica-1"]["build"];
    let context = root().join("ops").join(build["context"].as_str().unwrap());
    let containerfile = context.join(build["dockerfile"].as_str().unwrap());
    assert!(containerfile.exists(), "{}", containerfile.display());
    let mut mounted = BTreeSet::new();
    for name in ["replica-1", "prometheus", "grafana"] {
        for volume in texts(&services[name]["volumes"]) {
            let [from, to, mode] = volume.split(':').collect::<Vec<_>>().try_into().unwrap();
            assert_eq!(mode, "ro", "{volume}");
            assert!(root().join("ops").join(from).is_file(), "{volume}");
            mounted.insert(to.to_owned());
        }
        for port in texts(&services[name]["ports"]) {
            assert!(port.starts_with("127.0.0.1:"), "{port} is open to all");
        }
    }
    let scraped = &yaml("ops/prometheus.yml")["scrape_configs"][0]["static_configs"][0]["targets"];
    assert_eq!(texts(scraped), replicas.map(|name| format!("{name}:9100")));
    let dashboards = &yaml("ops/compose/dashboards.yaml")["providers"][0]["options"]["path"];
    let dashboard = format!("{}/tasklock-dashboard.json", dashboards.as_str().unwrap());
    assert!(mounted.contains(&dashboard), "{mounted:?}");
    let source = &yaml("ops/compose/datasources.yaml")["datasources"][0];
    assert_eq!(source["url"].as_str(), Some("http://prometheus:9090"));
}

#[test]
fn prometheus_takes_its_configuration_and_the_replicas_take_their_tasks() {
    let said = promtool(&["check", "config", "ops/prometheus.yml"], "");
    assert!(said.contains("2 rule files found"), "{said}");
    let checked = Command::new(env!("CARGO_BIN_EXE_tasklock"))
        .args(["start", "--check", "--config"])
        .arg(root().join("ops/compose/tasks.toml"))
        .env("REDIS_URL", "redis://redis:6379")
        .output()
        .unwrap();
    let said = String::from_utf8([checked.stdout, checked.stderr].concat()).unwrap();
    assert!(
        checked.status.success() && !said.contains("warning"),
        "{said}"
    );
}
