//! The only place that draws random numbers.

use crate::error::{Error, ErrorKind, Result};

/// 128 bits from the system's source of randomness.
pub(crate) fn random_bits() -> Result<u128> {
    #[cfg(feature = "testing")]
    if let Some(bits) = seeded::draw() {
        return Ok(bits);
    }
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|e| {
        Error::new(
            ErrorKind::InvalidConfig,
            "the system gives no random numbers",
        )
        .with_source(e)
    })?;
    Ok(u128::from_ne_bytes(bytes))
}

/// Numbers that a simulation can draw again.
#[cfg(feature = "testing")]
pub(crate) mod seeded {
    use std::cell::Cell;

    thread_local! {
        static STATE: Cell<Option<u64>> = const { Cell::new(None) };
    }

    /// From now on the schedulers on this thread draw their random numbers (tokens, pauses) from
    /// `seed`, the same ones in each process; with `None`, from the system again. For simulations
    /// that are to take the same course each time.
    pub fn seed_randomness(seed: Option<u64>) {
        STATE.set(seed);
    }

    pub(crate) fn draw() -> Option<u128> {
        let mut state = STATE.get()?;
        let bits = u128::from(next(&mut state)) << 64 | u128::from(next(&mut state));
        STATE.set(Some(state));
        Some(bits)
    }

    /// SplitMix64.
    fn next(state: &mut u64) -> u64 {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
