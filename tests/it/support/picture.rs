use std::fmt::Write;

/// A curve and its name.
pub(crate) type Curve = (&'static str, Vec<(f64, f64)>);

const WIDTH: f64 = 430.0;
const HEIGHT: f64 = 150.0;
const COLOURS: [&str; 2] = ["#1f6feb", "#d1242f"];

/// Curves over the same seconds as one SVG, two panels a row: title, the factor and the unit of its values, its curves.
pub(crate) fn draw(panels: &[(&str, f64, &str, Vec<Curve>)], seconds: f64) -> String {
    let rows = panels.len().div_ceil(2);
    let (wide, high) = (2.0 * (WIDTH + 80.0), f64::from(u32::try_from(rows).unwrap()) * (HEIGHT + 70.0) + 10.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {wide} {high}\" font-family=\"sans-serif\" \
         font-size=\"12\"><rect width=\"{wide}\" height=\"{high}\" fill=\"white\"/>\n"
    );
    for (at, (title, factor, unit, curves)) in panels.iter().enumerate() {
        let column = f64::from(u32::try_from(at % 2).unwrap());
        let row = f64::from(u32::try_from(at / 2).unwrap());
        let (left, top) = (60.0 + column * (WIDTH + 80.0), 34.0 + row * (HEIGHT + 70.0));
        let most = curves.iter().flat_map(|(_, points)| points).map(|(_, value)| value * factor).fold(0.0, f64::max);
        let most = round_up(most);
        let _ = writeln!(svg, "<text x=\"{left}\" y=\"{}\" font-weight=\"bold\">{title}</text>", top - 14.0);
        for part in [0.0, 0.5, 1.0] {
            let y = top + HEIGHT * (1.0 - part);
            let _ = writeln!(
                svg,
                "<path d=\"M{left} {y}h{WIDTH}\" stroke=\"#ddd\"/><text x=\"{}\" y=\"{}\" text-anchor=\"end\" \
                 fill=\"#666\">{} {unit}</text>",
                left - 4.0,
                y + 4.0,
                most * part
            );
        }
        for part in [0.0, 0.5, 1.0] {
            let x = left + WIDTH * part;
            let y = top + HEIGHT + 16.0;
            let _ = writeln!(
                svg,
                "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\" fill=\"#666\">{} s</text>",
                seconds * part
            );
        }
        for (number, (name, points)) in curves.iter().enumerate() {
            let place = |(second, value): &(f64, f64)| {
                let y = HEIGHT * (1.0 - value * factor / most);
                format!("{:.1},{:.1}", left + WIDTH * second / seconds, top + y)
            };
            let points: Vec<_> = points.iter().map(place).collect();
            let colour = COLOURS[number % COLOURS.len()];
            let _ = writeln!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>\
                 <text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"{colour}\">{name}</text>",
                points.join(" "),
                left + WIDTH,
                top - 14.0 + 14.0 * f64::from(u32::try_from(number).unwrap())
            );
        }
    }
    svg + "</svg>\n"
}

/// The next number that people like at the end of an axis.
fn round_up(most: f64) -> f64 {
    let power = 10_f64.powf(most.max(1e-6).log10().floor());
    [1.0, 2.0, 4.0, 5.0, 8.0, 10.0].into_iter().map(|step| step * power).find(|end| *end >= most).unwrap_or(most)
}
