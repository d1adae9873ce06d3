//! Lines through points, by least squares.

/// `y = slope × x + offset`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    pub slope: f64,
    pub offset: f64,
}

/// The line through points; `None` through fewer than two places.
pub fn line_through(points: &[(f64, f64)]) -> Option<Line> {
    let n = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
    let (x, y) = (mean(|p| p.0), mean(|p| p.1));
    let width: f64 = points.iter().map(|p| (p.0 - x).powi(2)).sum();
    let both: f64 = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
    let slope = both / width;
    slope.is_finite().then_some(Line {
        slope,
        offset: y - slope * x,
    })
}

/// The power law through points: its slope is the exponent, 1 for what grows in proportion.
#[derive(Debug, Clone, Copy)]
pub struct Power(Line);

impl Power {
    pub fn through(points: &[(f64, f64)]) -> Option<Self> {
        let positive = points.iter().filter(|(x, y)| *x > 0.0 && *y > 0.0);
        let logs: Vec<(f64, f64)> = positive.map(|(x, y)| (x.log10(), y.log10())).collect();
        line_through(&logs).map(Self)
    }

    pub fn exponent(&self) -> f64 {
        self.0.slope
    }

    pub fn at(&self, x: f64) -> f64 {
        10_f64.powf(self.0.slope * x.log10() + self.0.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_law_is_found_again() {
        let points: Vec<(f64, f64)> = [1.0, 10.0, 1000.0]
            .map(|x: f64| (x, 3.0 * x.powf(0.5)))
            .into();
        let power = Power::through(&points).unwrap();
        assert!((power.exponent() - 0.5).abs() < 1e-9);
        assert!((power.at(100.0) - 30.0).abs() < 1e-9);
        assert!(Power::through(&points[..1]).is_none());
        assert_eq!(line_through(&[(1.0, 5.0), (3.0, 9.0)]).unwrap().slope, 2.0);
    }
}
