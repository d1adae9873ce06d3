//! The direction of imports: domain ← contracts ← adapters and engine ← surfaces.
//!
//! Adapters and engine know the contracts, and not each other. A table says who may import whom;
//! what is missing from it may not be imported.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const DOMAIN: &[&str] = &["defence", "error", "random", "schedule", "text", "time"];
const CONTRACTS: &[&str] = &[
    "task",
    "base_task",
    "control",
    "event",
    "fleet",
    "history",
    "lock",
    "lock/lease",
    "lock/transition",
    "store",
];

/// A module, and what it may import beside itself: modules of its own layer one by one, lower
/// layers whole.
const MAY_IMPORT: &[(&str, &[&[&str]])] = &[
    ("defence", &[]),
    ("error", &[DOMAIN]),
    ("random", &[DOMAIN]),
    ("schedule", &[DOMAIN]),
    ("text", &[]),
    ("time", &[]),
    ("task", &[DOMAIN, CONTRACTS]),
    ("base_task", &[DOMAIN, CONTRACTS]),
    ("control", &[DOMAIN, CONTRACTS]),
    ("event", &[DOMAIN, CONTRACTS]),
    ("fleet", &[DOMAIN, CONTRACTS]),
    ("fleet/memory", &[DOMAIN, CONTRACTS]),
    ("fleet/redis", &[DOMAIN, CONTRACTS]),
    // How commands are ended, for those who run them.
    ("process_group", &[]),
    ("kinds", &[DOMAIN, CONTRACTS, &["process_group"]]),
    ("history", &[DOMAIN, CONTRACTS]),
    ("history/memory", &[DOMAIN, CONTRACTS]),
    ("history/redis", &[DOMAIN, CONTRACTS]),
    ("lock", &[DOMAIN, CONTRACTS]),
    ("lock/lease", &[DOMAIN, CONTRACTS]),
    ("lock/transition", &[DOMAIN, CONTRACTS]),
    ("lock/memory", &[DOMAIN, CONTRACTS]),
    ("lock/file", &[DOMAIN, CONTRACTS]),
    ("lock/redis", &[DOMAIN, CONTRACTS]),
    ("metrics", &[DOMAIN, CONTRACTS]),
    ("store", &[DOMAIN, CONTRACTS]),
    ("testing", &[DOMAIN, CONTRACTS]),
    // What people look at: made of contracts, filled by the engine, shown by surfaces.
    ("board", &[DOMAIN, CONTRACTS]),
    ("scheduler", &[DOMAIN, CONTRACTS, &["board"]]),
    (
        "admin",
        &[DOMAIN, CONTRACTS, &["board", "scheduler", "metrics"]],
    ),
    ("config", &[DOMAIN, CONTRACTS, &["kinds"]]),
    (
        "cli",
        &[
            DOMAIN,
            CONTRACTS,
            &["admin", "board", "scheduler", "process_group"],
        ],
    ),
    (
        "cli/standalone",
        &[
            DOMAIN,
            CONTRACTS,
            &["scheduler", "kinds", "metrics", "admin", "config", "cli"],
        ],
    ),
    ("tokio_cron", &[DOMAIN, CONTRACTS, &["scheduler"]]),
    // A crate of its own, which sees what everybody sees.
    ("bin", &[]),
];

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// All sources but `lib.rs`, as (path below `src`, text without comments and inline tests).
pub fn modules() -> Vec<(String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let read = |path: PathBuf| {
        let name = path.strip_prefix(&src).unwrap().with_extension("");
        let name = name.to_str().unwrap().replace('\\', "/");
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let code: Vec<&str> = code
            .lines()
            .map(|l| l.split("//").next().unwrap_or_default())
            .collect();
        (name, code.join("\n"))
    };
    // Files that hold only tests may do what tests do.
    files.retain(|path| !path.ends_with("tests.rs") && !path.ends_with("model_test.rs"));
    let all: Vec<_> = files
        .into_iter()
        .map(read)
        .filter(|(name, _)| name != "lib")
        .collect();
    assert!(all.len() > 20, "the sources were not found");
    all
}

/// The table's name for the module at a path like `lock/lease/x`: the longest that fits.
fn module_of(path: &str) -> &'static str {
    let fits = |name: &str| path == name || path.starts_with(&format!("{name}/"));
    let names = MAY_IMPORT
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| fits(name));
    names
        .max_by_key(|n| n.len())
        .unwrap_or_else(|| panic!("{path} is in no layer: add it to the table"))
}

/// The paths after `crate::` in a text, as `lock/lease`.
fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for part in code.split("crate::").skip(1) {
        assert!(
            !part.starts_with('{'),
            "write one `use crate::…` for each module"
        );
        let path = part
            .split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
            .next();
        let is_module = |s: &&str| {
            s.chars()
                .all(|c| c.is_lowercase() || c == '_' || c.is_numeric())
        };
        let parts: Vec<&str> = path.unwrap().split("::").take_while(is_module).collect();
        found.insert(parts.join("/").trim_end_matches('/').to_owned());
    }
    found
}

#[test]
fn imports_go_down_only() {
    let mut breaches = Vec::new();
    for (file, code) in modules() {
        let from = module_of(&file);
        let (_, allowed) = MAY_IMPORT.iter().find(|(name, _)| *name == from).unwrap();
        for import in imports(&code).into_iter().filter(|i| !i.is_empty()) {
            let to = module_of(&import);
            if to != from && !allowed.iter().any(|layer| layer.contains(&to)) {
                breaches.push(format!("src/{file}.rs imports crate::{import}"));
            }
        }
    }
    assert!(breaches.is_empty(), "{breaches:#?}");
}

#[test]
fn the_import_scan_sees_an_arrow_that_goes_up() {
    let code = "use crate::scheduler::engine::Engine;\nlet x = crate::lock::lease::Lease::new();";
    let found: Vec<String> = imports(code).into_iter().collect();
    assert_eq!(found, ["lock/lease", "scheduler/engine"]);
    assert_eq!(module_of("scheduler/engine"), "scheduler");
    assert_eq!(module_of("lock/redis/script"), "lock/redis");
}

#[test]
fn only_the_clock_reads_the_time() {
    for (file, code) in modules() {
        if ["time", "testing/clock"].contains(&file.as_str()) {
            continue;
        }
        for call in [
            "Utc::now",
            "Local::now",
            "Instant::now",
            "SystemTime::now",
            ".elapsed()",
        ] {
            assert!(!code.contains(call), "src/{file}.rs calls {call}");
        }
    }
}

#[test]
fn the_domain_is_synchronous_and_does_no_input_or_output() {
    let pure = [
        "schedule",
        "error",
        "text",
        "history/counters",
        "history/deadline",
        "history/sweep",
        "history/why",
        "task/policy",
        "task/name",
        "scheduler/admit",
        "scheduler/spread",
        "scheduler/timeline",
        "lock/transition",
        "lock/state",
    ];
    for (file, code) in modules() {
        if pure
            .iter()
            .any(|p| file == *p || file.starts_with("schedule/"))
        {
            for word in ["tokio", "async ", "std::fs", "std::net", "tracing::"] {
                assert!(!code.contains(word), "src/{file}.rs uses {word}");
            }
        }
    }
}

#[test]
fn tokio_cron_scheduler_is_spoken_by_one_alarm_and_by_the_adapter() {
    for (file, code) in modules() {
        if file != "scheduler/alarm/tokio_cron" && !file.starts_with("tokio_cron") {
            let speaks = code.contains("tokio_cron_scheduler");
            assert!(!speaks, "src/{file}.rs uses tokio-cron-scheduler");
        }
    }
}

#[test]
fn redis_is_spoken_by_its_adapters() {
    let windows = ["lock", "fleet", "history"];
    for (file, code) in modules() {
        // Windows show the module of that name.
        let is_adapter = windows
            .iter()
            .any(|w| file.starts_with(&format!("{w}/redis")));
        if !windows.contains(&file.as_str()) && !is_adapter {
            assert!(!code.contains("redis::"), "src/{file}.rs uses redis");
        }
    }
}
