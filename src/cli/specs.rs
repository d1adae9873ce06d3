//! What specs mean, and when they fire: without a server.

mod answer;
mod check;
mod fire_times;
mod question;

pub(crate) use check::{Asked, Check};
pub(crate) use fire_times::{FireTimes, MOST};
pub(crate) use question::{Question, instant, zone};
