//! Rows of the table of `docs/performance.md`.

/// Prints a row: what, bar, measured, peer, and whether the bar is met, which it gives back.
pub fn row(what: &str, bar: &str, measured: &str, peer: &str, is_met: bool) -> bool {
    println!("| {what} | {bar} | {measured} | {peer} | {} |", if is_met { "met" } else { "**MISSED**" });
    is_met
}

/// The one in the middle of what was measured; not a number of nothing.
pub fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
