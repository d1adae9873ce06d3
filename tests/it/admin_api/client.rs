//! A client of others that has read the API's own document: schemathesis asks whatever the document lets
//! it ask, and more, and finds no answer that the document does not tell of.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tasklock::admin::{Access, Visitor};
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::support::web::{Shop, YEARLY};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
/// Longer than it may take.
const PATIENCE: Duration = Duration::from_secs(180);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs schemathesis: scripts/test installs it"]
async fn a_client_made_of_the_document_is_answered_as_it_tells() {
    let program = std::env::var("SCHEMATHESIS").unwrap_or_else(|_| "schemathesis".to_owned());
    let shop = Shop::on_redis();
    let all = ["a", "b"].map(|id| shop.instance(id));
    for bench in &all {
        bench
            .scheduler
            .handler("note", |_, _: Value| async { Ok(()) })
            .unwrap();
        bench.task("well", "* * * * * *", |_| async { Ok(()) });
        bench.task("bad", "*/2 * * * * *", |_| async {
            Err(std::io::Error::other("upstream 503").into())
        });
        bench.task("long", YEARLY, |ctx| async move {
            ctx.progress(1, 3);
            tokio::time::sleep(Duration::from_secs(5)).await;
            Ok(())
        });
        bench.start().await;
    }
    let access = Access::bearer_tokens([(TOKEN, Visitor::admin("ana"))]);
    let admin = all[0].scheduler.admin().access(access).actions(true);
    let app = axum::Router::new().nest_service("/ops", admin.router());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, app).await });

    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemathesis");
    let dir = tempfile::tempdir().unwrap();
    let said = Command::new(&program)
        .arg("--config-file")
        .arg(beside.join("schemathesis.toml"))
        .arg("run")
        .arg(format!("http://{address}/ops/api/v1/openapi.json"))
        .args(["--header", &format!("Authorization: Bearer {TOKEN}")])
        .current_dir(dir.path())
        .env("PYTHONPATH", &beside)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let said = tokio::time::timeout(PATIENCE, said).await;
    let said = said.expect("schemathesis does not end");
    let said =
        said.unwrap_or_else(|e| panic!("{program} cannot be started ({e}): run scripts/test"));
    server.abort();
    let text = String::from_utf8_lossy(&said.stdout);
    println!("{text}");
    assert!(
        said.status.success(),
        "{}\n{text}",
        String::from_utf8_lossy(&said.stderr)
    );
    // It has asked, and much, and was not only refused.
    let counts = text
        .lines()
        .filter_map(|line| line.trim().split_once(" generated"));
    let cases = counts.filter_map(|(count, _)| count.parse::<usize>().ok());
    assert!(cases.max().is_some_and(|cases| cases > 300), "{text}");
    let control = all[0].scheduler.handle().control().unwrap();
    let audit = control.audit(None, 1_000).await.unwrap();
    for action in [
        "pause", "resume", "override", "reset", "skip", "run", "drain", "undrain", "save",
    ] {
        assert!(
            audit.iter().any(|entry| entry.action == action),
            "nobody has asked for {action}: {text}"
        );
    }
}
