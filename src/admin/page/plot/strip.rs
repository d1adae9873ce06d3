//! The last runs of a task in one line.

use maud::{Markup, html};

use super::path::{Bars, log_place, part_of};

/// So many runs are in a strip.
const LONGEST: usize = 60;
/// Each has so many pixels, and the strip is so high.
const STEP: u32 = 5;
const HEIGHT: u32 = 24;

/// What became of a run, or of a firing that did not become one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::admin::page) enum Mark {
    /// It succeeded, in so many seconds.
    Success(f64),
    /// It ended otherwise.
    Failure,
    /// It was cancelled, or did not run.
    Skipped,
    /// It goes on.
    Running,
}

/// The strip of the last 60 of `marks`, which are oldest first: height by the logarithm of the duration,
/// failures over the full height, stubs for what was skipped, a line where there was no run yet.
pub(in crate::admin::page) fn strip(marks: &[Mark]) -> Markup {
    let shown = marks.get(marks.len().saturating_sub(LONGEST)..);
    let shown = shown.unwrap_or_default();
    let seconds = shown.iter().filter_map(|mark| match mark {
        Mark::Success(seconds) if seconds.is_finite() => Some(*seconds),
        _ => None,
    });
    let (low, high) = seconds.fold((f64::MAX, 0.0), |(low, high), s| (s.min(low), s.max(high)));
    // What is all about the same is all about the same height.
    let high = high.max(low * 4.0);
    let mut paths = [(); 4].map(|()| Bars::default());
    let first = LONGEST.saturating_sub(shown.len());
    for (place, mark) in shown.iter().enumerate() {
        let x = STEP * u32::try_from(first + place).unwrap_or_default() + 2;
        let [ok, fail, run, skip] = &mut paths;
        let (bars, height) = match mark {
            // In steps of two pixels: nobody sees finer ones, and equal heights compress.
            Mark::Success(s) => (ok, 6 + 2 * part_of(6, log_place(*s, low, high))),
            Mark::Failure => (fail, HEIGHT),
            Mark::Running => (run, 14),
            Mark::Skipped => (skip, 4),
        };
        bars.add(x, HEIGHT, height);
    }
    let empty = STEP * u32::try_from(first).unwrap_or_default();
    let failed = shown.iter().filter(|m| **m == Mark::Failure).count();
    let label = match (shown.len(), failed) {
        (0, _) => "no run yet".to_owned(),
        (n, 0) => format!("last {n} runs: none failed"),
        (n, failed) => format!("last {n} runs: {failed} failed"),
    };
    html! {
        svg.strip width="300" height="24" viewBox="0 0 300 24" role="img" aria-label=(label) {
            @if empty > 0 { rect width=(empty) height="1" y="23" {} }
            @for (bars, class) in paths.iter().zip(["b-ok", "b-fail", "b-run", "b-skip"]) {
                @if let Some(d) = bars.data() { path class=(class) d=(d) {} }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strip_has_four_paths_at_the_most_and_names_its_failures() {
        let marks: Vec<Mark> = (0..500_u32)
            .map(|n| match n % 7 {
                0 => Mark::Failure,
                1 => Mark::Skipped,
                2 => Mark::Running,
                _ => Mark::Success(f64::from(n)),
            })
            .collect();
        let html = strip(&marks).into_string();
        assert_eq!(html.matches("<path").count(), 4);
        assert!(html.contains("last 60 runs: 9 failed"), "{html}");
        assert!(html.len() < 1_200, "{}", html.len());
    }

    #[test]
    fn no_run_is_a_line() {
        let html = strip(&[]).into_string();
        assert!(html.contains(r#"<rect width="300""#) && !html.contains("<path"));
        assert!(html.contains("no run yet"));
    }

    #[test]
    fn durations_that_are_no_numbers_stay_within_the_strip() {
        for odd in [f64::NAN, f64::INFINITY, -3.0, 0.0] {
            let html = strip(&[Mark::Success(odd), Mark::Success(1.0)]).into_string();
            assert!(!html.contains("NaN") && !html.contains("inf"), "{html}");
        }
    }
}
