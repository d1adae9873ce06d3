//! Plots with two logarithmic axes, as SVG that is small enough to be kept beside a text.

use std::fmt::Write;

use tasklock_fleet::lateness::round;

use crate::fit::Power;

pub struct Plot {
    /// Its file's name, without the ending.
    pub file: &'static str,
    pub title: &'static str,
    pub x: &'static str,
    pub y: &'static str,
    pub series: Vec<Series>,
}

pub struct Series {
    pub name: &'static str,
    points: Vec<(f64, f64)>,
    /// Where the fitted line begins.
    pub fit_from: f64,
}

impl Series {
    /// Points that are not positive have no place on a logarithmic axis.
    pub fn new(name: &'static str, points: Vec<(f64, f64)>, fit_from: f64) -> Self {
        let positive = points.into_iter().filter(|(x, y)| *x > 0.0 && *y > 0.0);
        Self {
            name,
            points: positive.collect(),
            fit_from,
        }
    }

    pub fn fit(&self) -> Option<Power> {
        let points = self.points.iter().copied();
        let fitted: Vec<_> = points.filter(|(x, _)| *x >= self.fit_from).collect();
        Power::through(&fitted)
    }
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
/// Left, right, top, bottom.
const MARGINS: [f64; 4] = [70.0, 36.0, 40.0, 55.0];
/// Told apart also by those who see no red or no green.
const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];

/// From values to places: whole decades, so that the axes end on labels.
struct Scale {
    decades: (f64, f64),
    places: (f64, f64),
}

impl Scale {
    fn over(values: impl Iterator<Item = f64>, places: (f64, f64)) -> Self {
        let logs: Vec<f64> = values.map(f64::log10).collect();
        let low = logs.iter().copied().fold(f64::INFINITY, f64::min).floor();
        let high = logs
            .iter()
            .copied()
            .fold(f64::NEG_INFINITY, f64::max)
            .ceil();
        let decades = match low.is_finite() {
            true => (low, high.max(low + 1.0)),
            false => (0.0, 1.0),
        };
        Self { decades, places }
    }

    fn place(&self, value: f64) -> f64 {
        let (low, high) = self.decades;
        let (from, to) = self.places;
        from + (value.log10() - low) / (high - low) * (to - from)
    }

    /// Each decade; more where there are few.
    fn ticks(&self) -> Vec<f64> {
        let (low, high) = self.decades;
        let parts: &[f64] = if high - low > 2.0 {
            &[1.0]
        } else {
            &[1.0, 2.0, 5.0]
        };
        let decades = (low as i32..=high as i32).map(|decade| 10_f64.powi(decade));
        let ticks = decades.flat_map(|decade| parts.iter().map(move |part| round(part * decade)));
        ticks.filter(|tick| tick.log10() <= high).collect()
    }
}

impl Plot {
    pub fn svg(&self) -> String {
        let [left, right, top, bottom] = MARGINS;
        let all = || self.series.iter().flat_map(|s| s.points.iter());
        let x = Scale::over(all().map(|p| p.0), (left, WIDTH - right));
        let y = Scale::over(all().map(|p| p.1), (HEIGHT - bottom, top));
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n"
        );
        self.axes(&mut out, &x, &y);
        for (number, (series, colour)) in self.series.iter().zip(COLOURS).enumerate() {
            series.draw(&mut out, &x, &y, colour);
            let slope = series.fit().map_or(String::new(), |fit| {
                let from = match series.fit_from {
                    from if from > 1.0 => format!(" from {from}"),
                    _ => String::new(),
                };
                format!(": slope {:.2}{from}", fit.exponent())
            });
            let text = format!("{}{slope}", series.name);
            let place = (left + 12.0, top + 18.0 * (number as f64 + 1.0));
            label(&mut out, place, "start", colour, &text);
        }
        out.push_str("</svg>\n");
        out
    }

    fn axes(&self, out: &mut String, x: &Scale, y: &Scale) {
        let (x0, x1) = x.places;
        let (y0, y1) = y.places;
        for tick in x.ticks() {
            let at = x.place(tick);
            line(out, (at, y0), (at, y1), "#ddd");
            label(out, (at, y0 + 16.0), "middle", "#333", &number(tick));
        }
        for tick in y.ticks() {
            let at = y.place(tick);
            line(out, (x0, at), (x1, at), "#ddd");
            label(out, (x0 - 6.0, at + 4.0), "end", "#333", &number(tick));
        }
        label(out, ((x0 + x1) / 2.0, 22.0), "middle", "#000", self.title);
        label(
            out,
            ((x0 + x1) / 2.0, HEIGHT - 14.0),
            "middle",
            "#000",
            self.x,
        );
        let (cx, cy) = (16.0, (y0 + y1) / 2.0);
        let _ = writeln!(
            out,
            "<text transform=\"translate({cx} {cy}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            self.y
        );
    }
}

impl Series {
    fn draw(&self, out: &mut String, x: &Scale, y: &Scale, colour: &str) {
        for (px, py) in &self.points {
            let _ = writeln!(
                out,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\" fill=\"{colour}\"><title>{px}: {}</title></circle>",
                x.place(*px),
                y.place(*py),
                round(*py),
            );
        }
        let xs = self.points.iter().map(|p| p.0);
        let end = xs.fold(self.fit_from, f64::max);
        if let Some(fit) = self.fit() {
            let place = |at: f64| (x.place(at), y.place(fit.at(at)));
            line(out, place(self.fit_from), place(end), colour);
        }
    }
}

fn line(out: &mut String, from: (f64, f64), to: (f64, f64), colour: &str) {
    let _ = writeln!(
        out,
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{colour}\"/>",
        from.0, from.1, to.0, to.1
    );
}

fn label(out: &mut String, at: (f64, f64), anchor: &str, colour: &str, text: &str) {
    let _ = writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{text}</text>",
        at.0, at.1
    );
}

/// With spaces between thousands.
fn number(value: f64) -> String {
    if value < 1.0 {
        return format!("{value}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_says_its_slope_and_stays_small() {
        let points = vec![(1.0, 2.0), (100.0, 200.0), (10_000.0, 20_000.0), (5.0, 0.0)];
        let plot = Plot {
            file: "p",
            title: "Title",
            x: "tasks",
            y: "ms",
            series: vec![Series::new("p99", points, 1.0)],
        };
        let svg = plot.svg();
        assert!(svg.contains("p99: slope 1.00"), "{svg}");
        assert_eq!(svg.matches("<circle").count(), 3);
        assert!(svg.contains(">10 000<"));
        assert!(svg.len() < 5_000);
    }
}
