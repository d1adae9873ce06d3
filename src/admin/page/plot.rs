//! Plots as SVG, drawn from plain numbers: no scripts, no styles of their own, texts escaped.

mod course;
mod durations;
mod heat;
mod path;
mod strip;
mod timeline;

pub(super) use course::{Part, Spent, course};
pub(super) use durations::{MOST as MOST_DURATIONS, Took, durations};
pub(super) use heat::{calendar, hours};
pub(super) use strip::{Mark, strip};
pub(super) use timeline::{BAR, BARS, Bin, PAST, timeline};
