//! What a turn has shown.

use serde_json::{Map, Value};
use tasklock_fleet::lateness::{median, round};

#[derive(Debug, Clone)]
pub struct Outcome {
    /// Milliseconds: half of the starts, 99 of 100, all.
    pub lateness: [f64; 3],
    pub due: usize,
    pub lost: usize,
    pub duplicate: usize,
    pub early: usize,
    /// Microseconds of processor time for a firing, all processes together.
    pub cpu_us: f64,
    pub redis_cpu_us: f64,
    /// Of the largest process.
    pub peak_mb: f64,
    pub busy_cores: f64,
}

impl Outcome {
    pub fn p99_ms(&self) -> f64 {
        self.lateness[1]
    }

    /// Of several turns: the median of what is measured, the sum of what is counted.
    pub fn median(turns: &[Self]) -> Self {
        let of = |value: fn(&Self) -> f64| median(turns.iter().map(value));
        let sum = |count: fn(&Self) -> usize| turns.iter().map(count).sum();
        Self {
            lateness: [
                of(|o| o.lateness[0]),
                of(|o| o.lateness[1]),
                of(|o| o.lateness[2]),
            ],
            due: sum(|o| o.due),
            lost: sum(|o| o.lost),
            duplicate: sum(|o| o.duplicate),
            early: sum(|o| o.early),
            cpu_us: of(|o| o.cpu_us),
            redis_cpu_us: of(|o| o.redis_cpu_us),
            peak_mb: of(|o| o.peak_mb),
            busy_cores: of(|o| o.busy_cores),
        }
    }

    pub fn line(&self) -> Map<String, Value> {
        let measured = [
            ("p50_ms", self.lateness[0]),
            ("p99_ms", self.lateness[1]),
            ("max_ms", self.lateness[2]),
            ("cpu_us_per_firing", self.cpu_us),
            ("redis_cpu_us_per_firing", self.redis_cpu_us),
            ("peak_mb", self.peak_mb),
            ("busy_cores", self.busy_cores),
        ];
        let counted = [
            ("due", self.due),
            ("lost", self.lost),
            ("duplicate", self.duplicate),
            ("early", self.early),
        ];
        let measured = measured.map(|(key, value)| (key.to_owned(), round(value).into()));
        let counted = counted.map(|(key, value)| (key.to_owned(), value.into()));
        measured.into_iter().chain(counted).collect()
    }
}
