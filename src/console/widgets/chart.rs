//! A line chart in braille with a scale, a time axis, markers, and open gaps.

use ratatui::text::Line;

use super::strip::Strip;
use crate::{
    console::theme::{Role, Theme},
    model::text::{fit, width},
};

/// What a chart shows.
#[derive(Clone, Debug)]
pub struct Chart<'a> {
    /// (position in time from 0 at the left to 1 at the right, value), ascending.
    pub points: &'a [(f64, f64)],
    /// Longest way between two points that is still joined.
    pub reach: f64,
    /// Fixed top of the scale; absent: a round number over the largest value.
    pub top: Option<f64>,
    pub show: fn(f64) -> String,
    /// (position in time, label).
    pub markers: &'a [(f64, String)],
    /// (position in time, text) below the axis.
    pub ticks: &'a [(f64, String)],
    pub role: Role,
}

const LABEL: usize = 6;

/// Lines of the chart, `rows` high with its axis, `columns` wide; empty when there is no room for one.
pub fn chart(theme: &Theme, chart: &Chart<'_>, columns: usize, rows: usize) -> Vec<Line<'static>> {
    let plot_wide = columns.saturating_sub(LABEL + 1);
    // An odd number of rows has a middle, whose label is a round half.
    let plot_high = match rows.saturating_sub(2) {
        high if high >= 5 && high.is_multiple_of(2) => high - 1,
        high => high,
    };
    if plot_wide < 8 || plot_high < 2 {
        return Vec::new();
    }
    let largest = chart.points.iter().map(|point| point.1).fold(0.0, f64::max);
    let top = chart.top.unwrap_or_else(|| round_up(largest));
    let dots = plot(chart, top, plot_wide, plot_high);
    let markers: Vec<(usize, &str)> = chart.markers.iter().map(|(at, label)| (column(*at, plot_wide), label.as_str())).collect();
    let mut lines = Vec::with_capacity(rows);
    for (row, cells) in dots.iter().enumerate() {
        let label = scale_label(chart, top, row, plot_high);
        let mut strip = Strip::new(theme).right(&label, LABEL - 1, Role::Muted).gap(1).put("│", Role::Faint);
        let mut x = 0;
        while x < plot_wide {
            if let Some((_, label)) = markers.iter().find(|(at, label)| *at == x && row == label_row(&dots, *at, label)) {
                let text = fit(&format!("╎ {label}"), plot_wide - x).into_owned();
                let free = (x..x + width(&text)).all(|x| cells[x] == 0);
                if free {
                    x += width(&text);
                    strip = strip.put(text, Role::Warn);
                    continue;
                }
            }
            strip = match (cells[x], markers.iter().any(|(at, _)| *at == x)) {
                (0, true) => strip.put("╎", Role::Warn),
                (0, false) => strip.gap(1),
                (bits, _) => strip.put(char::from_u32(0x2800 + u32::from(bits)).unwrap_or(' '), chart.role),
            };
            x += 1;
        }
        lines.push(strip.line());
    }
    lines.push(Strip::new(theme).gap(LABEL).put(format!("└{}", "─".repeat(plot_wide)), Role::Faint).line());
    lines.push(axis(theme, chart.ticks, plot_wide));
    lines
}

/// The first row in which a marker's label hides no dot; past the last one when there is none.
fn label_row(dots: &[Vec<u8>], at: usize, label: &str) -> usize {
    let end = at + width(label) + 2;
    dots.iter().position(|cells| cells.iter().take(end).skip(at).all(|dots| *dots == 0)).unwrap_or(dots.len())
}

fn column(at: f64, wide: usize) -> usize {
    ((at.clamp(0.0, 1.0) * (wide as f64 - 1.0)).round() as usize).min(wide - 1)
}

/// The dots of each cell: braille's eight, two wide and four high.
fn plot(chart: &Chart<'_>, top: f64, wide: usize, high: usize) -> Vec<Vec<u8>> {
    let mut cells = vec![vec![0_u8; wide]; high];
    let (dots_wide, dots_high) = (wide * 2, high * 4);
    let place = |(at, value): (f64, f64)| {
        let x = at * (dots_wide as f64 - 1.0);
        let y = (1.0 - (value / top).clamp(0.0, 1.0)) * (dots_high as f64 - 1.0);
        (x, y)
    };
    let mut dot = |x: f64, y: f64| {
        let (x, y) = ((x.round().max(0.0) as usize).min(dots_wide - 1), (y.round().max(0.0) as usize).min(dots_high - 1));
        // Order of the bits: Unicode 16, chapter 21.1, braille patterns.
        const BITS: [[u8; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
        cells[y / 4][x / 2] |= BITS[x % 2][y % 4];
    };
    let mut before: Option<(f64, f64)> = None;
    for point in chart.points.iter().filter(|point| (0.0..=1.0).contains(&point.0) && point.1.is_finite()) {
        let (x, y) = place(*point);
        match before {
            Some(from) if point.0 - from.0 <= chart.reach => {
                let (from_x, from_y) = place(from);
                let steps = (x - from_x).abs().max((y - from_y).abs()).ceil().max(1.0) as usize;
                for step in 0..=steps {
                    let part = step as f64 / steps as f64;
                    dot(from_x + (x - from_x) * part, from_y + (y - from_y) * part);
                }
            }
            _ => dot(x, y),
        }
        before = Some(*point);
    }
    cells
}

fn scale_label(chart: &Chart<'_>, top: f64, row: usize, high: usize) -> String {
    if row == high - 1 {
        return (chart.show)(0.0);
    }
    let middle = !high.is_multiple_of(2) && high >= 5 && row == high / 2;
    if row != 0 && !middle {
        return String::new();
    }
    (chart.show)(top * (1.0 - row as f64 / (high as f64 - 1.0)))
}

fn axis(theme: &Theme, ticks: &[(f64, String)], wide: usize) -> Line<'static> {
    let mut strip = Strip::new(theme).gap(LABEL + 1);
    for (at, text) in ticks {
        let middle = LABEL + 1 + column(*at, wide);
        let start = middle.saturating_sub(width(text) / 2).min((LABEL + 1 + wide).saturating_sub(width(text)));
        if start > strip.used() || strip.used() == LABEL + 1 && start >= strip.used() {
            let gap = start - strip.used();
            strip = strip.gap(gap).muted(text.clone());
        }
    }
    strip.line()
}

/// The next of 1, 2, 4, 5, 8 times a power of ten.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 4.0, 5.0, 8.0, 10.0].into_iter().map(|step| step * power).find(|top| *top >= value).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::theme::Depth;

    fn shown(points: &[(f64, f64)], reach: f64) -> Vec<String> {
        let chart = Chart {
            points,
            reach,
            top: None,
            show: |value| format!("{value:.0}"),
            markers: &[],
            ticks: &[(1.0, "now".to_owned())],
            role: Role::Accent,
        };
        super::chart(&Theme::dark(Depth::True), &chart, 27, 6).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_rise_goes_from_the_lower_left_to_the_upper_right() {
        let lines = shown(&[(0.0, 0.0), (1.0, 10.0)], 1.0);
        assert!(lines[0].ends_with('⠉') && lines[0].starts_with("   10 │"), "{lines:#?}");
        assert!(lines[3].starts_with("    0 │⣀"), "{lines:#?}");
        assert!(lines[5].ends_with("now"), "{lines:#?}");
    }

    #[test]
    fn a_gap_stays_open() {
        let lines = shown(&[(0.0, 10.0), (0.1, 10.0), (0.9, 10.0), (1.0, 10.0)], 0.2);
        assert!(lines[0].contains("⠉⠁  ") && lines[0].contains("  ⠈⠉"), "{lines:#?}");
    }

    #[test]
    fn odd_figures_draw_nothing_odd() {
        shown(&[], 1.0);
        shown(&[(0.5, f64::NAN), (0.6, f64::INFINITY), (2.0, 1.0)], 1.0);
        assert!(
            super::chart(
                &Theme::dark(Depth::True),
                &Chart {
                    points: &[],
                    reach: 1.0,
                    top: None,
                    show: |_| String::new(),
                    markers: &[],
                    ticks: &[],
                    role: Role::Text,
                },
                3,
                1
            )
            .is_empty()
        );
    }
}
