//! Percentiles of lateness.

use serde_json::{Value, json};

/// Lateness of many starts, milliseconds, in order.
#[derive(Debug, Clone, Default)]
pub struct Lateness(Vec<f64>);

impl FromIterator<f64> for Lateness {
    fn from_iter<I: IntoIterator<Item = f64>>(all: I) -> Self {
        let mut all: Vec<f64> = all.into_iter().collect();
        all.sort_by(f64::total_cmp);
        Self(all)
    }
}

impl Lateness {
    /// The smallest value that so many percent do not exceed; NaN, which JSON shows as null, of none.
    pub fn percentile(&self, percent: f64) -> f64 {
        let rank = (percent / 100.0 * self.0.len() as f64).ceil() as usize;
        let value = self.0.get(rank.saturating_sub(1));
        value.copied().unwrap_or(f64::NAN)
    }

    pub fn p50(&self) -> f64 {
        self.percentile(50.0)
    }

    pub fn p99(&self) -> f64 {
        self.percentile(99.0)
    }

    pub fn json(&self) -> Value {
        json!({
            "p50_ms": round(self.p50()),
            "p99_ms": round(self.p99()),
            "max_ms": round(self.percentile(100.0)),
        })
    }
}

/// Three figures are more than any machine's noise leaves true.
pub fn round(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let scale = 10_f64.powi(2 - value.abs().log10().floor() as i32);
    let digits = (value * scale).round();
    // Divided rather than multiplied by a power below one, which would bring digits of its own.
    digits / scale
}

pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let finite = values.into_iter().filter(|v| v.is_finite());
    finite.collect::<Lateness>().p50()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let all: Lateness = (1..=200).rev().map(f64::from).collect();
        assert_eq!((all.p50(), all.p99()), (100.0, 198.0));
        assert_eq!(all.percentile(100.0), 200.0);
        assert!(Lateness::default().p99().is_nan());
        assert_eq!(round(1234.5), 1230.0);
        assert_eq!(round(0.012_34), 0.0123);
    }
}
