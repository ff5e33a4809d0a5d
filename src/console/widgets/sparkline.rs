//! Sparklines: seven steps, so that none touches the row above; gaps stay open.

/// `values` over `columns`, condensed when there are more, scaled from 0 to their largest; absent values are blank.
pub fn sparkline(values: impl DoubleEndedIterator<Item = Option<f64>>, columns: usize) -> String {
    let newest = condensed(values, columns);
    let top = newest.iter().flatten().copied().fold(0.0, f64::max);
    draw(&newest, top, columns)
}

fn draw(newest: &[Option<f64>], top: f64, columns: usize) -> String {
    const STEPS: [char; 7] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇'];
    let mut text = " ".repeat(columns - newest.len());
    for value in newest {
        text.push(match *value {
            Some(value) if top > 0.0 && value.is_finite() => STEPS[((value.max(0.0) / top * 6.0).round() as usize).min(6)],
            Some(_) => STEPS[0],
            None => ' ',
        });
    }
    text
}

/// At most `columns` values, each the mean of equally many neighbours, the last ones always among them.
fn condensed(values: impl DoubleEndedIterator<Item = Option<f64>>, columns: usize) -> Vec<Option<f64>> {
    let all: Vec<Option<f64>> = values.collect();
    if columns == 0 {
        return Vec::new();
    }
    let each = all.len().div_ceil(columns).max(1);
    // Counted from the newest, so that a new value moves the old ones and changes none of them half.
    let mut means: Vec<Option<f64>> = all
        .rchunks(each)
        .map(|part| {
            let known: Vec<f64> = part.iter().flatten().copied().filter(|value| value.is_finite()).collect();
            (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
        })
        .collect();
    means.reverse();
    means
}

/// As `sparkline`, but on a fixed scale: a percentage looks the same on every host.
pub fn sparkline_of(values: impl DoubleEndedIterator<Item = Option<f64>>, top: f64, columns: usize) -> String {
    let scaled = values.map(|value| value.map(|value| value.clamp(0.0, top)));
    draw(&condensed(scaled, columns), top, columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_values_stand_to_the_right_and_gaps_stay_open() {
        assert_eq!(sparkline([Some(0.0), None, Some(6.0)].into_iter(), 5), "  ▁ ▇");
        assert_eq!(sparkline((0..9).map(|n| Some(f64::from(n))), 3), "▂▄▇");
        assert_eq!(sparkline([Some(0.0)].into_iter(), 1), "▁");
        assert_eq!(sparkline([Some(f64::NAN)].into_iter(), 1), " ");
    }

    #[test]
    fn a_fixed_scale_does_not_follow_the_values() {
        assert_eq!(sparkline_of([Some(0.0), Some(50.0), Some(100.0)].into_iter(), 100.0, 4), " ▁▄▇");
    }
}
