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
mod clock;
mod fleet;
mod history;
mod plan;
mod sim_lock;
mod store;
mod wire;
mod world;

#[test]
fn try_it() {
    for seed in 0..4 {
        let t = std::time::Instant::now();
        let r = world::simulate(seed, broken::Variant::Sound);
        println!("seed {seed} {:?} {} {:?}", t.elapsed(), r.entries.len(), r.answers);
        if seed == 0 { for e in &r.entries { println!("{e}"); } }
    }
}
