//! Where the time of a run went.

use maud::{Markup, html};

use crate::admin::page::words::seconds;

const WIDTH: f64 = 1_170.0;
/// What took no time at all is to be seen too.
const LEAST: f64 = 5.0;
/// So many parts are drawn.
const MOST: usize = 60;

/// What a part of a run was spent with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::admin::page) enum Spent {
    /// From the fire time to the start: the lock, places that were taken, a late instance.
    Late,
    /// An attempt that succeeded.
    Succeeded,
    /// An attempt that failed.
    Failed,
    /// An attempt that goes on.
    Running,
    /// Between two attempts.
    Waiting,
}

/// A part of a run, in the order of time.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::admin::page) struct Part {
    /// With what.
    pub(in crate::admin::page) spent: Spent,
    /// What it is called.
    pub(in crate::admin::page) name: String,
    /// How long, in seconds.
    pub(in crate::admin::page) seconds: f64,
}

/// One bar of all parts, as long as they took.
pub(in crate::admin::page) fn course(parts: &[Part]) -> Markup {
    let parts = parts.get(..parts.len().min(MOST)).unwrap_or_default();
    let of = |part: &Part| match part.seconds {
        s if s.is_finite() && s > 0.0 => s,
        _ => 0.0,
    };
    let all: f64 = parts.iter().map(of).sum();
    let room = WIDTH - LEAST * parts.len() as f64;
    let width = |part: &Part| LEAST + room * (of(part) / all.max(1e-9));
    let mut x = 0.0;
    // When a label of the row above, or below, ends.
    let mut ends = [0.0, 0.0];
    let mut drawn = Vec::new();
    for part in parts {
        let w = width(part).min(WIDTH - x);
        let text = format!("{}, {}", part.name, seconds(part.seconds));
        let long = 7.0 * text.chars().count() as f64;
        let [above, below] = &mut ends;
        let at = f64::min(x, WIDTH - long).max(0.0);
        let row = [(above, 14_u32), (below, 58)]
            .into_iter()
            .find(|(end, _)| **end <= at);
        let label = row.map(|(end, y)| {
            *end = at + long + 8.0;
            (at as u32, y)
        });
        drawn.push((x as u32, (w as u32).max(1), part, text, label));
        x += w;
    }
    let label = drawn
        .iter()
        .map(|(.., text, _)| text.as_str())
        .collect::<Vec<_>>();
    html! {
        svg.wide viewBox="0 0 1170 66" role="img" aria-label=(label.join(", ")) {
            @for (x, width, part, text, label) in &drawn {
                rect class=(class(part.spent)) x=(x) y="22" width=(width) height="20" rx="2" { title { (text) } }
                @if let Some((at, y)) = label { text.tk x=(at) y=(y) { (text) } }
            }
        }
    }
}

fn class(spent: Spent) -> &'static str {
    match spent {
        Spent::Late => "s-late",
        Spent::Succeeded => "s-ok",
        Spent::Failed => "s-fail",
        Spent::Running => "s-run",
        Spent::Waiting => "s-skip",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(spent: Spent, name: &str, seconds: f64) -> Part {
        Part {
            spent,
            name: name.into(),
            seconds,
        }
    }

    #[test]
    fn the_gap_before_the_start_is_seen_and_told_beside_a_long_run() {
        let html = course(&[
            part(Spent::Late, "start delay", 0.021),
            part(Spent::Failed, "attempt 1", 5.1),
            part(Spent::Waiting, "wait", 1.2),
            part(Spent::Failed, "attempt 2", 6.4),
        ])
        .into_string();
        assert!(
            html.contains(r#"class="s-late" x="0" y="22" width="6""#),
            "{html}"
        );
        for text in [
            "start delay, 21 ms",
            "attempt 1, 5.1 s",
            "wait, 1.2 s",
            "attempt 2, 6.4 s",
        ] {
            assert!(html.contains(&format!(">{text}</text>")), "{text}: {html}");
        }
    }

    #[test]
    fn many_parts_and_odd_numbers_stay_in_the_picture() {
        let odd = [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e300];
        let parts: Vec<Part> = (0..500)
            .map(|n| part(Spent::Running, "attempt", odd[n % 5]))
            .collect();
        let html = course(&parts).into_string();
        assert!(html.matches("<rect").count() <= MOST && !html.contains("NaN"));
        assert!(course(&[]).into_string().contains("<svg"));
    }
}
