//! A state as a sign, a colour and a word: no one of them is the only sign.

use maud::{Markup, html};

use crate::board::{Health, Run, RunState};
use crate::event::Outcome;

/// How a state is shown: its class, its sign and its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark(
    pub(super) &'static str,
    pub(super) &'static str,
    pub(super) &'static str,
);

pub(super) const RUNNING: Mark = Mark("run", "▸", "running");

impl Mark {
    pub(super) fn health(health: Health) -> Self {
        match health {
            Health::Overdue => Mark("late", "!", "overdue"),
            Health::Failing => Mark("fail", "✕", "failing"),
            Health::Late => Mark("late", "…", "late"),
            Health::Paused => Mark("pause", "‖", "paused"),
            Health::New => Mark("off", "○", "new"),
            Health::Healthy => Mark("ok", "✓", "healthy"),
            Health::Disabled => Mark("off", "–", "disabled"),
        }
    }

    pub(super) fn outcome(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Success => Mark("ok", "✓", "succeeded"),
            Outcome::Failure => Mark("fail", "✕", "failed"),
            Outcome::Timeout => Mark("fail", "✕", "timed out"),
            Outcome::Panicked => Mark("fail", "✕", "panicked"),
            Outcome::Cancelled => Mark("off", "–", "cancelled"),
            Outcome::LeaseLost => Mark("fail", "✕", "lost its lock"),
            Outcome::Abandoned => Mark("fail", "✕", "abandoned"),
        }
    }

    pub(super) fn run(run: &Run) -> Self {
        match (run.state, run.outcome) {
            (RunState::Finished, Some(outcome)) => Self::outcome(outcome),
            _ => RUNNING,
        }
    }

    pub(super) fn html(self) -> Markup {
        self.saying(self.2)
    }

    /// The same with other words.
    pub(super) fn saying(self, words: &str) -> Markup {
        html! { span class={ "st " (self.0) } { i aria-hidden="true" { (self.1) } (words) } }
    }
}
