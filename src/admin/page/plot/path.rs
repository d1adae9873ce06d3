//! Bars and dots as one path each: many of them in few bytes, and alike ones in the same bytes.

use std::fmt::Write as _;

/// Upright bars on a common base, drawn as strokes of one path, from left to right.
#[derive(Debug, Default)]
pub(super) struct Bars {
    d: String,
    /// Where the pen is: the place of the last bar, and how high that is.
    pen: Option<(u32, u32)>,
}

impl Bars {
    /// A bar of some height at `x`, on the base at `y`.
    pub(super) fn add(&mut self, x: u32, y: u32, height: u32) {
        // To a string, this cannot fail.
        let _ = match self.pen {
            // Relative: equal bars are equal text, which compresses well.
            Some((last, high)) => write!(
                self.d,
                "m{} {high}v-{height}",
                i64::from(x) - i64::from(last)
            ),
            None => write!(self.d, "M{x} {y}v-{height}"),
        };
        self.pen = Some((x, height));
    }

    /// The path's data, if there is a bar.
    pub(super) fn data(&self) -> Option<&str> {
        self.pen.map(|_| self.d.as_str())
    }
}

/// Rectangles of one kind, as one path.
#[derive(Debug, Default)]
pub(super) struct Boxes {
    d: String,
}

impl Boxes {
    /// A rectangle; of no height it is left out.
    pub(super) fn add(&mut self, (x, y): (u32, u32), width: u32, height: u32) {
        if width > 0 && height > 0 {
            let _ = write!(self.d, "M{x} {y}h{width}v{height}h-{width}z");
        }
    }

    /// The path's data, if there is a rectangle.
    pub(super) fn data(&self) -> Option<&str> {
        Some(self.d.as_str()).filter(|d| !d.is_empty())
    }
}

/// Dots of one kind, as one path of strokes without length and with square ends.
#[derive(Debug, Default)]
pub(super) struct Dots {
    d: String,
}

impl Dots {
    pub(super) fn add(&mut self, x: u32, y: u32) {
        let _ = write!(self.d, "M{x} {y}h0");
    }

    pub(super) fn data(&self) -> Option<&str> {
        Some(self.d.as_str()).filter(|d| !d.is_empty())
    }
}

/// A number between 0 and 1 as a whole number of `most`.
pub(super) fn part_of(most: u32, part: f64) -> u32 {
    // Within bounds, whatever `part` is: `as` takes what is no number as 0.
    (part.clamp(0.0, 1.0) * f64::from(most)).round() as u32
}

/// Where `value` is between `low` and `high` on a logarithmic scale: 0 to 1.
pub(super) fn log_place(value: f64, low: f64, high: f64) -> f64 {
    let (low, high) = (low.max(1e-6), high.max(1e-6));
    if high <= low {
        return 0.5;
    }
    ((value.max(low) / low).ln() / (high / low).ln()).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_bars_are_equal_text() {
        let mut bars = Bars::default();
        for x in [2, 7, 12] {
            bars.add(x, 24, 10);
        }
        assert_eq!(bars.data(), Some("M2 24v-10m5 10v-10m5 10v-10"));
        assert_eq!(Bars::default().data(), None);
    }

    #[test]
    fn places_on_a_logarithmic_scale_stay_within_it() {
        assert!((log_place(10.0, 1.0, 100.0) - 0.5).abs() < 1e-9);
        for odd in [f64::NAN, f64::INFINITY, -1.0, 0.0] {
            assert!(part_of(20, log_place(odd, 1.0, 100.0)) <= 20);
            assert!(part_of(20, log_place(1.0, odd, odd)) <= 20);
        }
    }
}
