//! How long the last runs of a task took.

use maud::{Markup, html};

use super::path::{Dots, log_place, part_of};
use crate::admin::page::words::seconds;

/// So many runs are drawn.
pub(in crate::admin::page) const MOST: usize = 200;
const LEFT: u32 = 56;
const WIDTH: u32 = 694;
const TOP: u32 = 20;
const BASE: u32 = 160;
/// Marks that people read durations by.
const MARKS: [f64; 19] = [
    0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 180.0, 600.0, 1_800.0, 3_600.0,
    10_800.0, 36_000.0, 86_400.0, 604_800.0,
];

/// A run that has ended.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::admin::page) struct Took {
    /// How long it took, in seconds.
    pub(in crate::admin::page) seconds: f64,
    /// Of one that did not succeed: where to read about it, and what to say of it here.
    pub(in crate::admin::page) failure: Option<(String, String)>,
}

/// The durations of `runs`, which are oldest first, on a logarithmic scale, with what 95 of 100 stay
/// below and the timeout, both in seconds. `since` is when the first of them began, in words.
pub(in crate::admin::page) fn durations(
    runs: &[Took],
    p95: Option<f64>,
    timeout: Option<f64>,
    since: &str,
) -> Markup {
    let shown = runs.get(runs.len().saturating_sub(MOST)..);
    let shown = shown.unwrap_or_default();
    let sound = |s: &f64| s.is_finite() && *s >= 0.0;
    let took = || shown.iter().map(|run| run.seconds).filter(sound);
    let high = took().chain(p95).fold(0.0, f64::max).max(0.004);
    let low = took().fold(f64::MAX, f64::min).max(0.001).min(high / 4.0);
    // A timeout far above all runs would press them to the ground.
    let timeout = timeout.filter(sound);
    let drawn = timeout.filter(|t| *t <= high * 100.0);
    let (low, high) = (low / 1.5, drawn.unwrap_or(high).max(high) * 1.1);
    let y = |s: f64| BASE - part_of(BASE - TOP, log_place(s, low, high));
    let step = f64::from(WIDTH) / MOST as f64;
    let first = MOST.saturating_sub(shown.len());
    let x = |place: usize| LEFT + (step * (first + place) as f64 + step / 2.0) as u32;
    let mut ok = Dots::default();
    let mut failed = Vec::new();
    for (place, run) in shown.iter().enumerate() {
        match &run.failure {
            None => ok.add(x(place), y(run.seconds)),
            Some(failure) => failed.push((x(place), y(run.seconds), failure)),
        }
    }
    let label = format!(
        "duration of the last {} runs, {} to {}; {} failed",
        shown.len(),
        seconds(took().fold(f64::MAX, f64::min).min(high)),
        seconds(took().fold(0.0, f64::max)),
        failed.len()
    );
    html! {
        svg.wide viewBox="0 0 760 186" role="group" aria-label=(label) {
            line.ax x1=(LEFT) x2="750" y1=(BASE) y2=(BASE) {}
            @for (at, text) in marks(low, high, y) { text.tk.end x="48" y=(at + 4) { (text) } line.ax x1=(LEFT) x2="750" y1=(at) y2=(at) {} }
            @for (at, text) in limits(p95, drawn, y) {
                line.dash x1=(LEFT) x2="750" y1=(at) y2=(at) {}
                text.tk.end x="750" y=(at - 5) { (text) }
            }
            @if let Some(d) = ok.data() { path.dots.b-ok d=(d) {} }
            @for (x, y, (link, title)) in failed {
                a href=(link) aria-label=(title) { rect.s-fail x=(x - 4) y=(y - 4) width="8" height="8" { title { (title) } } }
            }
            @if !shown.is_empty() { text.tk x=(x(0).min(660)) y="178" { (since) } }
            text.tk.end x="750" y="178" { "now" }
        }
    }
}

/// Marks that keep clear of each other.
fn marks(low: f64, high: f64, y: impl Fn(f64) -> u32) -> Vec<(u32, String)> {
    let mut kept: Vec<(u32, String)> = Vec::new();
    for mark in MARKS.into_iter().filter(|m| (low..=high).contains(m)) {
        let at = y(mark);
        let is_clear = kept.last().is_none_or(|(last, _)| last.abs_diff(at) >= 26);
        if is_clear {
            kept.push((at, seconds(mark)));
        }
    }
    kept
}

/// The dashed lines; of two that are close to each other the second is left out.
fn limits(p95: Option<f64>, timeout: Option<f64>, y: impl Fn(f64) -> u32) -> Vec<(u32, String)> {
    let line = |value: Option<f64>, name| value.map(|v| (y(v), format!("{name} {}", seconds(v))));
    let (timeout, p95) = (line(timeout, "timeout"), line(p95, "p95"));
    let is_clear = match (&timeout, &p95) {
        (Some((a, _)), Some((b, _))) => a.abs_diff(*b) >= 14,
        _ => true,
    };
    timeout
        .into_iter()
        .chain(p95.filter(|_| is_clear))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn took(seconds: f64) -> Took {
        Took {
            seconds,
            failure: None,
        }
    }

    #[test]
    fn failures_are_links_and_the_limits_are_named() {
        let mut runs: Vec<Took> = (1..=300).map(|n| took(f64::from(n) / 10.0)).collect();
        runs[299].failure = Some(("/runs/X".into(), "failed: \"upstream\" <503>".into()));
        let html = durations(&runs, Some(28.0), Some(120.0), "19 Nov 22:00").into_string();
        assert!(html.contains(r#"<a href="/runs/X""#));
        assert!(html.contains("&lt;503&gt;") && !html.contains("<503>"));
        assert!(
            html.contains("p95 28 s") && html.contains("timeout 2 min"),
            "{html}"
        );
        assert_eq!(html.matches("h0").count(), 199);
    }

    #[test]
    fn a_timeout_far_above_all_runs_is_not_drawn() {
        let html = durations(&[took(0.01)], None, Some(3600.0), "now").into_string();
        assert!(!html.contains("timeout"), "{html}");
    }

    #[test]
    fn durations_that_are_no_numbers_do_no_harm() {
        for odd in [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e300] {
            let html = durations(&[took(odd), took(1.0)], Some(odd), Some(odd), "").into_string();
            assert!(!html.contains("NaN") && !html.contains("inf"), "{html}");
        }
        assert!(
            durations(&[], None, None, "")
                .into_string()
                .contains("last 0 runs")
        );
    }
}
