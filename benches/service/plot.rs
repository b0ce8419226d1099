//! Size against time, as an SVG: one panel a workload, both axes logarithmic. Flat lines are what is hoped for.

use std::fmt::Write;

use crate::report::Outcome;

const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 36.0;
const BOTTOM: f64 = 44.0;
const PANELS_IN_A_ROW: usize = 3;
const SERVICE: &str = "#1f6feb";
const FLOOR: &str = "#8c959f";

/// A panel: what it is called, and points of size, seconds of the service and seconds of the floor.
struct Panel {
    name: String,
    points: Vec<(f64, f64, Option<f64>)>,
}

/// Draws all outcomes that have a time.
pub fn svg(outcomes: &[Outcome]) -> String {
    let mut panels: Vec<Panel> = Vec::new();
    for outcome in outcomes {
        let (Some(seconds), name) = (outcome.seconds(), outcome.name()) else { continue };
        let point = (outcome.size.max(1) as f64, seconds, outcome.floor_time());
        match panels.iter_mut().find(|panel| panel.name == name) {
            Some(panel) => panel.points.push(point),
            None => panels.push(Panel { name, points: vec![point] }),
        }
    }
    let columns = panels.len().clamp(1, PANELS_IN_A_ROW);
    let rows = panels.len().div_ceil(PANELS_IN_A_ROW).max(1);
    let (width, height) = (WIDTH * columns as f64, HEIGHT * rows as f64 + 30.0);
    let mut text = String::new();
    let _ = writeln!(
        text,
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">
<rect width="100%" height="100%" fill="white"/>
<circle cx="70" cy="15" r="4" fill="{SERVICE}"/><text x="80" y="19">attestry, time per request</text>
<circle cx="240" cy="15" r="4" fill="{FLOOR}"/><text x="250" y="19">floor</text>"#
    );
    for (number, panel) in panels.iter().enumerate() {
        let (column, row) = (number % PANELS_IN_A_ROW, number / PANELS_IN_A_ROW);
        let _ =
            writeln!(text, r#"<g transform="translate({} {})">"#, WIDTH * column as f64, HEIGHT * row as f64 + 30.0);
        draw(&mut text, panel);
        text.push_str("</g>\n");
    }
    text.push_str("</svg>\n");
    text
}

/// Powers of ten from below the least to above the greatest, at least one step.
fn decades(values: impl Iterator<Item = f64> + Clone) -> (i32, i32) {
    let low = values.clone().fold(f64::INFINITY, f64::min).log10().floor() as i32;
    let high = values.fold(f64::NEG_INFINITY, f64::max).log10().ceil() as i32;
    (low, high.max(low + 1))
}

fn draw(text: &mut String, panel: &Panel) {
    let mut points = panel.points.clone();
    points.sort_by(|left, right| left.0.total_cmp(&right.0));
    let (size_low, size_high) = decades(points.iter().map(|point| point.0));
    let times: Vec<f64> = points.iter().flat_map(|point| [Some(point.1), point.2]).flatten().collect();
    let (time_low, time_high) = decades(times.iter().copied());
    let x = |size: f64| {
        LEFT + (size.log10() - f64::from(size_low)) / f64::from(size_high - size_low) * (WIDTH - LEFT - RIGHT)
    };
    let y = |time: f64| {
        HEIGHT
            - BOTTOM
            - (time.log10() - f64::from(time_low)) / f64::from(time_high - time_low) * (HEIGHT - TOP - BOTTOM)
    };
    let _ =
        writeln!(text, r#"<text x="{LEFT}" y="22" font-size="13" font-weight="bold">{}</text>"#, escaped(&panel.name));
    for decade in size_low..=size_high {
        let at = x(10_f64.powi(decade));
        let _ = writeln!(
            text,
            r##"<line x1="{at:.1}" x2="{at:.1}" y1="{TOP}" y2="{:.1}" stroke="#d8dee4"/><text x="{at:.1}" y="{:.1}" text-anchor="middle">{}</text>"##,
            HEIGHT - BOTTOM,
            HEIGHT - BOTTOM + 16.0,
            size_label(decade)
        );
    }
    for decade in time_low..=time_high {
        let at = y(10_f64.powi(decade));
        let _ = writeln!(
            text,
            r##"<line x1="{LEFT}" x2="{:.1}" y1="{at:.1}" y2="{at:.1}" stroke="#d8dee4"/><text x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"##,
            WIDTH - RIGHT,
            LEFT - 6.0,
            at + 4.0,
            time_label(decade)
        );
    }
    let floor: Vec<(f64, f64)> = points.iter().filter_map(|point| Some((point.0, point.2?))).collect();
    let service: Vec<(f64, f64)> = points.iter().map(|point| (point.0, point.1)).collect();
    for (line, colour) in [(floor, FLOOR), (service, SERVICE)] {
        let places: Vec<String> = line.iter().map(|(size, time)| format!("{:.1},{:.1}", x(*size), y(*time))).collect();
        let _ = writeln!(
            text,
            r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="2"/>"#,
            places.join(" ")
        );
        for (size, time) in &line {
            let _ = writeln!(
                text,
                r#"<circle cx="{:.1}" cy="{:.1}" r="3.5" fill="{colour}"><title>{size}: {:.1} µs</title></circle>"#,
                x(*size),
                y(*time),
                time * 1e6
            );
        }
    }
    let _ = writeln!(
        text,
        r#"<text x="{:.1}" y="{:.1}" text-anchor="middle">size</text>"#,
        f64::midpoint(LEFT, WIDTH - RIGHT),
        HEIGHT - 10.0
    );
}

fn size_label(decade: i32) -> String {
    let names = ["1", "10", "100", "1 k", "10 k", "100 k", "1 M", "10 M", "100 M"];
    usize::try_from(decade)
        .ok()
        .and_then(|place| names.get(place))
        .map_or_else(|| format!("1e{decade}"), ToString::to_string)
}

fn time_label(decade: i32) -> String {
    match decade {
        -6..=-4 => format!("{} µs", 10_i32.pow((decade + 6).unsigned_abs())),
        -3..=-1 => format!("{} ms", 10_i32.pow((decade + 3).unsigned_abs())),
        0..=4 => format!("{} s", 10_i32.pow(decade.unsigned_abs())),
        _ => format!("1e{decade} s"),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
