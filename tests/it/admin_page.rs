//! The page as it is rendered: what strangers write shows as text, and what is sent stays small.

mod activity;
mod runs;
mod stored;

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use chrono::TimeDelta;
use tasklock::admin::{Access, EnvColor, Visitor};
use tasklock::{
    BaseTask, By, History, HistoryWrite, LogLine, MemoryFleet, MemoryHistory, PauseFor, RunQuery,
    TaskError, chrono,
};
use tower::ServiceExt;

use crate::support::{Bench, clock_and_lock, pass};

const HOSTILE: &str = "<script>alert(1)</script>\" onx=\"1' style='x:1 a/b ../.. &amp; \u{202e}gpj\u{2066} \u{1b}[31mred\u{7} \
    javascript:alert(1)";

struct Page {
    bench: Bench,
    history: MemoryHistory,
    router: Router,
}

impl Page {
    fn new(actions: bool) -> Self {
        let (clock, lock) = clock_and_lock();
        let history = MemoryHistory::with_clock(clock.clone());
        let store = MemoryFleet::with_clock(clock.clone());
        let kept = history.clone();
        let bench = Bench::on(clock, lock, |builder| {
            builder
                .fleet(store)
                .history(kept)
                .instance_id("api/1?x=<b>")
        });
        let access = Access::from(|_: &axum::http::request::Parts| Visitor::admin("ana <b>"));
        let router = bench.scheduler.admin().access(access);
        let router = router
            .title(HOSTILE)
            .environment(HOSTILE, EnvColor::Red)
            .actions(actions)
            .router();
        Self {
            bench,
            history,
            router,
        }
    }

    async fn send(&self, request: Request<Body>) -> (StatusCode, axum::http::HeaderMap, String) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 64 << 20).await.unwrap();
        (
            parts.status,
            parts.headers,
            String::from_utf8(body.to_vec()).unwrap(),
        )
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).header("accept", "text/html");
        let (status, _, body) = self.send(request.body(Body::empty()).unwrap()).await;
        (status, body)
    }

    /// The screen of a path, which is one.
    async fn screen(&self, path: &str) -> String {
        let (status, body) = self.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        harmless(path, &body);
        body
    }
}

/// The tags of a page, with the names of their attributes.
fn tags(page: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut found = Vec::new();
    let mut rest = page;
    while let Some((_, tag)) = rest.split_once('<') {
        let mut name = String::new();
        let mut attributes = Vec::new();
        let mut chars = tag.char_indices().peekable();
        while let Some((_, c)) = chars.next_if(|(_, c)| !c.is_whitespace() && *c != '>') {
            name.push(c);
        }
        let mut end = tag.len();
        while let Some((at, c)) = chars.next() {
            match c {
                '>' => {
                    end = at;
                    break;
                }
                c if c.is_whitespace() => {}
                c => {
                    let mut attribute = String::from(c);
                    while let Some((_, c)) =
                        chars.next_if(|(_, c)| !matches!(c, '=' | '>') && !c.is_whitespace())
                    {
                        attribute.push(c);
                    }
                    let mut value = String::new();
                    if chars.next_if(|(_, c)| *c == '=').is_some() {
                        assert_eq!(chars.next().unwrap().1, '"', "{name} {attribute}");
                        for (_, c) in chars.by_ref() {
                            if c == '"' {
                                break;
                            }
                            value.push(c);
                        }
                    }
                    attributes.push((attribute, value));
                }
            }
        }
        found.push((name, attributes));
        rest = &tag[end..];
    }
    found
}

/// Fails for whatever of a text that somebody wrote could do more than be read.
fn harmless(path: &str, page: &str) {
    let is_plain = |c: char| !c.is_control() || c == '\n';
    assert!(page.chars().all(is_plain), "{path}: control characters");
    let turns = ['\u{202e}', '\u{2066}', '\u{200f}'];
    assert!(!page.contains(turns), "{path}: marks of direction");
    let known: BTreeSet<&str> = "action aria-current aria-hidden aria-label aria-labelledby autocomplete autofocus \
        charset checked class content d data-abs data-follow data-ask data-json data-key data-live data-name data-now data-poll data-preview data-read \
        data-rel data-row data-told data-zone datetime defer form formaction height hidden href html id lang list max maxlength method min name \
        pattern placeholder popover popovertarget popovertargetaction r rel required role rows rx selected spellcheck src step \
        tabindex title type value viewBox width x x1 x2 y y1 y2"
        .split_whitespace()
        .collect();
    for (name, attributes) in tags(page) {
        for (attribute, value) in &attributes {
            let is_known = known.contains(attribute.as_str());
            assert!(is_known, "{path}: <{name} {attribute}={value:?}>");
            if ["href", "src", "action", "formaction"].contains(&attribute.as_str()) {
                let is_ours = value.starts_with(['/', '#']) || value == "data:,";
                assert!(
                    is_ours && !value.starts_with("//"),
                    "{path}: {attribute}={value}"
                );
            }
        }
        if name == "script" {
            assert!(
                attributes.iter().any(|(a, _)| a == "src"),
                "{path}: a script in the page"
            );
        }
        assert!(name != "style", "{path}: a style in the page");
    }
}

fn gzipped(text: &str) -> usize {
    let mut gzip = Command::new("gzip")
        .args(["-9", "-c"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = gzip.stdin.take().unwrap();
    let text = text.to_owned();
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()).unwrap());
    let output = gzip.wait_with_output().unwrap();
    writer.join().unwrap();
    output.stdout.len()
}

#[tokio::test(start_paused = true)]
async fn whatever_strangers_write_shows_as_text_on_every_screen() {
    let page = Page::new(true);
    let long = format!("{HOSTILE} {}", "x".repeat(10_000));
    let told = long.clone();
    let task = BaseTask::new("t", "* * * * * *", Duration::from_secs(5), move |ctx| {
        ctx.status(&told);
        let error = TaskError::new(told.clone());
        async move { Err(error) }
    });
    let tag: &'static str = Box::leak(HOSTILE.to_owned().into_boxed_str());
    page.bench
        .scheduler
        .register(task.description(long.clone()).tag(tag))
        .unwrap();
    page.bench.start().await;
    pass(3.5).await;
    let control = page.bench.scheduler.handle().control().unwrap();
    let by = By::new("<i>ana</i>", "\"><script>alert(1)</script> a/b").unwrap();
    control.pause(PauseFor::task("t", &by)).await.unwrap();
    pass(3.0).await;
    let runs = page.history.runs(&RunQuery::all()).await.unwrap().runs;
    let run = runs.iter().find(|run| run.outcome.is_some()).unwrap();
    let line = LogLine::new(1, page.bench.now(), HOSTILE, HOSTILE, long.clone());
    let write = HistoryWrite::Log {
        run_id: run.run_id,
        task: run.task.clone(),
        lines: vec![line],
        keep_from: 0,
    };
    page.history.write(&[write]).await.unwrap();
    let escaped = "&lt;script&gt;alert(1)";
    let asked = "?q=%3Cscript%3E%22&health=%22x&tag=%3Cb%3E&kind=%22%3E&search=%3Cscript%3E%22%E2%80%AE%1b&at=%22%3E&outcome=%22&before=%22&cursor=%22~%3Cscript%3E~~&task=%22%3E";
    for path in [
        "/",
        "/tasks/t",
        &format!("/runs/{}", run.run_id),
        "/activity",
        "/activity?kind=skip",
        "/cluster",
    ] {
        let body = page.screen(path).await;
        assert!(body.contains(escaped), "{path} does not show it");
        let and = asked.replace('?', if path.contains('?') { "&" } else { "?" });
        page.screen(&format!("{path}{and}")).await;
    }
    for path in [
        "/tasks/%3Cscript%3E%22%E2%80%AE",
        "/runs/%3Cscript%3E%22",
        "/%3Cscript%3E",
    ] {
        let (status, body) = page.get(path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        harmless(path, &body);
    }
}

#[test]
#[should_panic(expected = "onx")]
fn the_scan_of_tags_sees_what_breaks_out() {
    harmless("/", "<p>a</p><a href=\"/x\" onx=\"1\">b</a>");
}

#[tokio::test(start_paused = true)]
async fn what_the_visitor_may_not_do_is_not_offered() {
    let page = Page::new(false);
    page.bench.task("t", "* * * * * *", |_| async { Ok(()) });
    page.bench.start().await;
    pass(1.5).await;
    for path in ["/", "/tasks/t", "/cluster"] {
        let body = page.screen(path).await;
        assert!(!body.contains("method=\"post\""), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_not_changed_is_not_sent_again_though_time_passes() {
    let page = Page::new(true);
    page.bench.task("t", "0 0 0 1 1 *", |_| async { Ok(()) });
    page.bench.start().await;
    pass(1.0).await;
    let ask = |tag: &str| {
        let request = Request::get("/tasks/t").header("if-none-match", tag);
        request.body(Body::empty()).unwrap()
    };
    let (status, headers, _) = page.send(ask("")).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers["cache-control"], "no-store");
    let tag = headers["etag"].to_str().unwrap().to_owned();
    pass(20.0).await;
    let (status, _, body) = page.send(ask(&tag)).await;
    assert_eq!((status, body.as_str()), (StatusCode::NOT_MODIFIED, ""));
    let control = page.bench.scheduler.handle().control().unwrap();
    let by = By::new("ana", "why").unwrap();
    control.pause(PauseFor::task("t", &by)).await.unwrap();
    pass(2.0).await;
    assert_eq!(page.send(ask(&tag)).await.0, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn style_and_script_are_small_and_kept_for_good_under_names_of_their_own() {
    let page = Page::new(true);
    let body = page.screen("/").await;
    assert!(body.contains("No task is registered yet"));
    let mut both = 0;
    for (name, attributes) in tags(&body) {
        let path = attributes
            .iter()
            .find(|(a, _)| a == "src" || (name == "link" && a == "href"));
        let Some((_, path)) = path.filter(|(_, path)| path.starts_with("/assets/")) else {
            continue;
        };
        let (status, headers, text) = page
            .send(Request::get(path).body(Body::empty()).unwrap())
            .await;
        assert_eq!(status, StatusCode::OK);
        assert!(
            headers["cache-control"]
                .to_str()
                .unwrap()
                .contains("immutable")
        );
        both += gzipped(&text);
    }
    assert!(
        (1_000..=8 * 1024).contains(&both),
        "{both} bytes of style and script"
    );
}

/// A board of a hundred tasks, all with sixty runs, of different lengths; some of them failed.
async fn hundred() -> Page {
    let page = Page::new(true);
    for n in 0..100_u64 {
        let (name, spec) = (
            format!("task.number-{n}"),
            format!("*/{} * * * * *", 2 + n % 4),
        );
        let task = BaseTask::new(name, spec, Duration::from_secs(5), move |ctx| async move {
            let ms = 3 + (ctx.fire_time().timestamp().unsigned_abs() * (n + 7)) % 1_900;
            tokio::time::sleep(Duration::from_millis(ms)).await;
            match ms % 23 {
                0 => Err(TaskError::new(format!("upstream {n} does not answer"))),
                _ => Ok(()),
            }
        });
        page.bench.scheduler.register(task.tag("billing")).unwrap();
    }
    page.bench.start().await;
    pass(305.0).await;
    page
}

#[tokio::test(start_paused = true)]
async fn a_board_of_a_hundred_tasks_is_twenty_kilobytes_at_the_most() {
    let page = hundred().await;
    let body = page.screen("/").await;
    assert_eq!(body.matches("<tr data-name").count(), 100);
    let size = gzipped(&body);
    println!("a board of 100 tasks: {size} bytes, {} before", body.len());
    assert!(size <= 20 * 1024, "{size} bytes, {} before", body.len());
}

#[tokio::test(start_paused = true)]
async fn an_instant_that_somebody_asks_about_is_explained() {
    let page = Page::new(true);
    page.bench.task("t", "0 * * * * *", |_| async { Ok(()) });
    page.bench.start().await;
    pass(61.0).await;
    let due = page.bench.now() - TimeDelta::seconds(1);
    let at = due.format("%Y-%m-%dT%H:%M:00");
    let body = page.screen(&format!("/tasks/t?at={at}")).await;
    assert!(body.contains("ran on api/1?x=&lt;b&gt;: success"), "{body}");
}
