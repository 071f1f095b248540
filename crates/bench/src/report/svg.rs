//! Charts as SVG: lines and stacked bars. It owns scales, grids and paths, and knows neither outcomes nor units.

use std::fmt::Write;

use super::page::escape;

/// The size of a chart, and what of it the axes take.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 32.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 28.0;

/// How many colours the page has; more series begin again.
pub(super) const COLOURS: usize = 8;

/// Where something on an axis is, from 0 to 1, and what is written there.
pub(super) type Tick = (f64, String);

/// Points of a line, both from 0 to 1, from the left and from the bottom.
pub(super) type Line = Vec<(f64, f64)>;

/// A bar of parts on each other, in the unit of the axis.
pub(super) struct Bar {
    pub(super) label: String,
    pub(super) value: String,
    /// Each with the class of its colour, from 0 to 1.
    pub(super) parts: Vec<(&'static str, f64)>,
}

/// Lines over a grid, each in the next colour.
pub(super) fn lines(title: &str, across: &[Tick], up: &[Tick], lines: &[Line]) -> String {
    let mut svg = open(title, HEIGHT);
    for (at, label) in up {
        let y = vertical(*at);
        put(
            &mut svg,
            &format!("<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>", WIDTH - RIGHT),
        );
        put(&mut svg, &words(LEFT - 8.0, y + 4.0, "end", label));
    }
    for (at, label) in across {
        put(&mut svg, &words(horizontal(*at), HEIGHT - 8.0, "middle", label));
    }
    for (number, line) in lines.iter().enumerate() {
        let mut path = String::new();
        for (at, (x, y)) in line.iter().enumerate() {
            let step = if at == 0 { 'M' } else { 'L' };
            write!(path, "{step}{:.1} {:.1}", horizontal(*x), vertical(*y)).expect("cannot fail: into memory");
        }
        put(&mut svg, &format!("<path class=\"line c{}\" d=\"{path}\"/>", number % COLOURS));
    }
    svg + "</svg>"
}

/// Bars from the left, one below the other.
pub(super) fn bars(title: &str, bars: &[Bar]) -> String {
    const ROW: f64 = 26.0;
    const LABELS: f64 = 250.0;
    const VALUES: f64 = 90.0;

    let mut svg = open(title, ROW * count(bars.len()) + 4.0);
    for (at, bar) in bars.iter().enumerate() {
        let top = ROW * count(at) + 4.0;
        put(&mut svg, &words(LABELS - 8.0, top + 14.0, "end", &bar.label));
        let mut left = LABELS;
        for (class, share) in &bar.parts {
            let width = share * (WIDTH - LABELS - VALUES);
            put(
                &mut svg,
                &format!("<rect class=\"{class}\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"18\"/>"),
            );
            left += width;
        }
        put(&mut svg, &words(left + 6.0, top + 14.0, "start", &bar.value));
    }
    svg + "</svg>"
}

/// Round numbers from 0 to at least the greatest, and the last of them.
pub(super) fn rounded(greatest: f64) -> (Vec<f64>, f64) {
    let rough = greatest.max(f64::MIN_POSITIVE) / 4.0;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|step| step * power).into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(rough);
    let last = (greatest / step).ceil().max(1.0);
    let mut all = Vec::new();
    while count(all.len()) <= last {
        all.push(step * count(all.len()));
    }
    (all, step * last)
}

/// Powers of ten around what is between these two.
pub(super) fn powers(least: f64, greatest: f64) -> Vec<f64> {
    let mut power = 10f64.powf(least.log10().floor());
    let mut all = vec![power];
    while power < greatest {
        power *= 10.0;
        all.push(power);
    }
    all
}

fn open(title: &str, height: f64) -> String {
    let title = escape(title);
    format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{title}\"><title>{title}</title>\n")
}

fn put(svg: &mut String, element: &str) {
    svg.push_str(element);
    svg.push('\n');
}

fn words(x: f64, y: f64, anchor: &str, text: &str) -> String {
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>", escape(text))
}

fn horizontal(share: f64) -> f64 {
    LEFT + share * (WIDTH - LEFT - RIGHT)
}

fn vertical(share: f64) -> f64 {
    HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
}

#[expect(clippy::cast_precision_loss, reason = "a handful")]
fn count(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(one: &[f64], other: &[f64]) -> bool {
        one.len() == other.len() && one.iter().zip(other).all(|(one, other)| (one - other).abs() < 1e-9)
    }

    #[test]
    fn axes_are_round_and_reach_as_far_as_they_must() {
        assert!(near(&rounded(870.0).0, &[0.0, 250.0, 500.0, 750.0, 1000.0]));
        assert!(near(&rounded(0.06).0, &[0.0, 0.02, 0.04, 0.06]));
        assert!(rounded(0.0).1 > 0.0, "an axis that can be divided by");
        assert!(near(&powers(0.4, 25.0), &[0.1, 1.0, 10.0, 100.0]));
    }
}
