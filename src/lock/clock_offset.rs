//! How far a store's clock is from this machine's: [`ClockOffset`].

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// How far the store's clock is ahead of this machine's, as one request found it.
///
/// The store read its clock at some moment between request and answer; the middle is taken for
/// it, which is wrong by half of the round trip at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockOffset {
    micros: i64,
    uncertainty: Duration,
}

impl ClockOffset {
    /// The offset of a store that said `store` in the answer to a request that was sent at `sent`,
    /// by this machine's clock, and took so long.
    pub fn new(store: DateTime<Utc>, sent: DateTime<Utc>, took: Duration) -> Self {
        let uncertainty = took / 2;
        let middle = TimeDelta::from_std(uncertainty)
            .ok()
            .and_then(|half| sent.checked_add_signed(half))
            .unwrap_or(sent);
        Self {
            micros: store
                .timestamp_micros()
                .saturating_sub(middle.timestamp_micros()),
            uncertainty,
        }
    }

    /// Microseconds; negative if the store's clock is behind.
    pub fn micros(&self) -> i64 {
        self.micros
    }

    /// Seconds; negative if the store's clock is behind.
    pub fn seconds(&self) -> f64 {
        self.micros as f64 / 1e6
    }

    /// By how much the offset may be wrong, both ways.
    pub fn uncertainty(&self) -> Duration {
        self.uncertainty
    }

    /// How far the clocks are apart at the least, whoever is ahead.
    pub fn at_least(&self) -> Duration {
        Duration::from_micros(self.micros.unsigned_abs()).saturating_sub(self.uncertainty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_counts_from_the_middle_of_the_round_trip() {
        let sent = DateTime::from_timestamp_millis(1_000_000).unwrap();
        let took = Duration::from_millis(20);
        for (store_ms, micros, at_least_ms) in [
            (1_000_010, 0, 0),
            (1_000_510, 500_000, 490),
            (999_510, -500_000, 490),
            (1_000_005, -5_000, 0),
        ] {
            let store = DateTime::from_timestamp_millis(store_ms).unwrap();
            let offset = ClockOffset::new(store, sent, took);
            assert_eq!(offset.micros(), micros);
            assert_eq!(offset.seconds(), micros as f64 / 1e6);
            assert_eq!(offset.uncertainty(), Duration::from_millis(10));
            assert_eq!(offset.at_least(), Duration::from_millis(at_least_ms));
        }
    }
}
