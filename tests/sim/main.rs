//! Simulations: a fleet on a network that fails, in simulated time, the same course for each seed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub
)]

mod broken;
mod checker;
mod clock;
mod coverage;
mod fleet;
mod history;
mod plan;
mod seeds;
mod sim_lock;
mod store;
mod wire;
mod world;

use broken::Variant;
use checker::{Violation, check};
use seeds::{judge_all, seeds};
use world::simulate;

/// How many seeds each run of the tests simulates.
const USUAL: u64 = 200;

#[test]
fn every_seed_keeps_the_promises() {
    let seeds = seeds(0..USUAL);
    let summary = judge_all(seeds.clone(), Variant::Sound);
    println!("{summary}");
    assert!(summary.failures.is_empty(), "{summary}");
    if seeds.end - seeds.start >= USUAL {
        assert_eq!(summary.coverage.missing(), [""; 0], "never reached");
    }
}

#[test]
fn a_seed_takes_the_same_course_each_time() {
    for seed in 0..40 {
        let course = || simulate(seed, Variant::Sound).entries;
        let (first, second) = (course(), course());
        let differs = std::iter::zip(&first, &second).find(|(a, b)| a != b);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(first.len(), second.len(), "seed {seed}");
    }
}

/// Simulates seeds until a violation of the kind is found.
fn finds(variant: Variant, is_it: impl Fn(&Violation) -> bool) {
    let found = (0..8).any(|seed| {
        let verdict = check(&simulate(seed, variant));
        verdict.violations.iter().any(&is_it)
    });
    assert!(found, "{variant:?} was not found in 8 seeds");
}

#[test]
fn a_lock_that_forgets_the_marker_is_found() {
    finds(Variant::WithoutMarker, |v| {
        matches!(v, Violation::Duplicate(..))
    });
}

#[test]
fn a_lock_that_releases_for_anybody_is_found() {
    finds(Variant::WithoutOwnerCheck, |v| {
        matches!(v, Violation::Overlap(..))
    });
}

#[test]
fn a_lock_whose_fencing_tokens_start_again_is_found() {
    finds(Variant::CountsAnew, |v| matches!(v, Violation::Fence(..)));
}

#[test]
fn a_lock_that_refuses_firings_nobody_has_is_found() {
    finds(Variant::Refuses, |v| matches!(v, Violation::Lost(..)));
}

#[test]
fn a_lock_that_knows_no_delay_is_found() {
    finds(Variant::Impatient, |v| matches!(v, Violation::TooSoon(..)));
}
