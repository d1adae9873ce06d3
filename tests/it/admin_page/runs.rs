//! What the page says of a run that goes on, and how one is asked for and ended.

use std::time::Duration;

use tasklock::{Policy, TaskError};

use crate::support::web::{Ask, Got, Shop, open};
use crate::support::{Bench, pass};

struct Runs {
    bench: Bench,
    router: axum::Router,
}

impl Runs {
    async fn new() -> Self {
        let bench = Shop::new().instance("a");
        let policy = Policy::default().cancel_grace(Duration::from_secs(20));
        let minutes = Duration::from_secs(300);
        bench.task_with("long", "0 0 * * * *", minutes, policy, |_| async {
            tokio::time::sleep(Duration::from_secs(280)).await;
            Err(TaskError::new("too long"))
        });
        bench.start().await;
        pass(0.1).await;
        Self {
            router: open(&bench),
            bench,
        }
    }

    async fn screen(&self, path: &str) -> String {
        let ask = Ask::get(path).by("admin").header("accept", "text/html");
        let got = ask.of(&self.router).await;
        assert_eq!(got.status, 200, "{path}: {}", got.body);
        super::harmless(path, &got.body);
        got.body
    }

    async fn send(&self, path: &str, form: &str) -> Got {
        let ask = Ask::new("POST", &format!("/api/v1{path}")).by("admin");
        ask.form(form).of(&self.router).await
    }

    /// The page of a run that has begun just now.
    async fn begun(&self) -> String {
        let got = self.send("/tasks/long/runs", "reason=now").await;
        assert_eq!(got.status, 303, "{}", got.body);
        pass(1.2).await;
        got.header("location").to_owned()
    }
}

/// What is within the first element that begins so.
fn after<'a>(page: &'a str, start: &str) -> &'a str {
    let (_, rest) = page
        .split_once(start)
        .unwrap_or_else(|| panic!("no {start}: {page}"));
    rest.split("</dd>").next().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_run_that_goes_on_says_how_long_it_may_and_how_long_its_lease_lasts() {
    let runs = Runs::new().await;
    let at = runs.begun().await;
    let page = runs.screen(&at).await;
    let left = after(&page, "<dt>Time left</dt>");
    assert!(
        left.contains("data-rel=\"left\"") && left.contains(">4 min 58 s<"),
        "{left}"
    );
    assert!(left.contains("of 5 min"), "{left}");
    let lease = after(&page, "<dt>Lease</dt>");
    assert!(
        lease.contains("data-rel=\"left\"") && lease.contains("of 30 s"),
        "{lease}"
    );
    let cluster = runs.screen("/cluster").await;
    let (_, row) = cluster.split_once(">long</a>").unwrap();
    let row = row.split("</tr>").next().unwrap();
    assert!(
        row.contains("data-rel=\"left\"") && row.contains("data-rel=\"for\""),
        "{row}"
    );
    assert!(row.contains(" of 30 s"), "{row}");
    let tasks = runs.screen("/").await;
    assert!(tasks.contains(", lock <time data-rel=\"left\""), "{tasks}");
    let locks = Ask::get("/api/v1/locks")
        .by("viewer")
        .of(&runs.router)
        .await
        .json();
    let ends = locks["items"][0]["lease_ends_at"].as_str().unwrap();
    let ends: tasklock::chrono::DateTime<tasklock::chrono::Utc> = ends.parse().unwrap();
    let seconds = (ends - runs.bench.now()).num_seconds();
    assert!((15..=30).contains(&seconds), "{seconds}");
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_asked_for_counts_its_grace_down_and_then_offers_to_abort() {
    let runs = Runs::new().await;
    let at = runs.begun().await;
    let page = runs.screen(&at).await;
    assert!(page.contains(">Cancel…<") && !page.contains(">Abort…<"));
    let got = runs
        .send(
            &format!("{at}/cancel"),
            "reason=wrong+file&mode=graceful&grace_s=60",
        )
        .await;
    assert_eq!(got.status, 303, "{}", got.body);
    pass(2.0).await;
    let page = runs.screen(&at).await;
    assert!(
        page.contains(">Abort…<") && !page.contains(">Cancel…<"),
        "{page}"
    );
    assert!(
        page.contains("Asked to end") && page.contains("wrong file"),
        "{page}"
    );
    assert!(
        page.contains("It may take <time data-rel=\"left\"") && page.contains(">58 s<"),
        "{page}"
    );
    let got = runs
        .send(&format!("{at}/cancel"), "reason=at+once&mode=abort")
        .await;
    assert_eq!(got.status, 303, "{}", got.body);
    pass(2.0).await;
    let page = runs.screen(&at).await;
    assert!(
        page.contains("cancelled") && !page.contains("Asked to end"),
        "{page}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_is_asked_for_as_of_a_past_fire_and_is_told_of_the_one_that_goes_on() {
    let runs = Runs::new().await;
    let page = runs.screen("/tasks/long").await;
    assert!(page.contains("No run of it is active"));
    assert!(
        page.contains("<option value=\"2026-11-21T10:00:00Z\">"),
        "{page}"
    );
    assert!(
        page.contains("<option value=\"2026-11-21T01:00:00Z\">"),
        "{page}"
    );
    let got = runs
        .send(
            "/tasks/long/runs",
            "reason=was+down&due_at=2026-11-21T07%3A00%3A00Z",
        )
        .await;
    assert_eq!(got.status, 303, "{}", got.body);
    pass(1.5).await;
    let run = runs.screen(got.header("location")).await;
    assert!(
        after(&run, "<dt>Due</dt>").contains("2026-11-21T07:00:00.000Z"),
        "{run}"
    );
    let page = runs.screen("/tasks/long").await;
    assert!(page.contains("A run is active</a> on a since"), "{page}");
    assert!(page.contains("name=\"if_running\""));
    let refused = runs.send("/tasks/long/runs", "reason=again").await;
    assert_eq!(refused.status, 409);
    super::harmless("a refusal", &refused.body);
    assert!(
        refused.body.contains("id=\"detail\"") && refused.body.contains("already"),
        "{}",
        refused.body
    );
    for wrong in ["yesterday", "2026-11-21T07:00", "9999999-01-01T00:00:00Z"] {
        pass(2.0).await;
        let got = runs
            .send("/tasks/long/runs", &format!("reason=x&due_at={wrong}"))
            .await;
        assert_eq!(got.status, 400, "{wrong}: {}", got.body);
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_says_where_in_the_code_it_was_registered() {
    let runs = Runs::new().await;
    let page = runs.screen("/tasks/long").await;
    // The bench registers it.
    assert!(page.contains("tests/it/support/bench.rs:"), "{page}");
}
