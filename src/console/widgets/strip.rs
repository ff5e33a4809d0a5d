//! Lines of text built from left to right, cut and padded by what a terminal shows, not by bytes.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Modifier, Style},
    text::{Line, Span},
};
use unicode_truncate::UnicodeTruncateStr;
use unicode_width::UnicodeWidthStr;

use crate::{
    console::theme::{Role, Theme},
    model::text::fit,
};

/// `text` folded at spaces to lines of at most `limit` columns; longer words are cut. At least one line.
pub fn fold(text: &str, limit: usize) -> Vec<String> {
    let limit = limit.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for word in text.split_inclusive(' ') {
        let wide = word.trim_end().width();
        if used > 0 && used + wide > limit {
            lines.push(std::mem::take(&mut line).trim_end().to_owned());
            used = 0;
        }
        let mut rest = word;
        while !rest.is_empty() {
            let (head, wide) = rest.unicode_truncate(limit - used);
            if !head.is_empty() {
                line.push_str(head);
                used += wide;
                rest = &rest[head.len()..];
                continue;
            }
            if rest.trim_end().is_empty() {
                break;
            }
            if used == 0 {
                // What is one sign to a reader and wider than a whole line.
                line.push('…');
                let mut signs = rest.chars();
                signs.next();
                rest = signs.as_str();
            }
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line.trim_end().to_owned());
    }
    lines
}

/// A line under construction.
#[derive(Clone, Debug)]
pub struct Strip<'t> {
    theme: &'t Theme,
    spans: Vec<Span<'static>>,
    used: usize,
}

impl<'t> Strip<'t> {
    pub fn new(theme: &'t Theme) -> Self {
        Self { theme, spans: Vec::new(), used: 0 }
    }

    pub fn used(&self) -> usize {
        self.used
    }

    pub fn styled(mut self, text: impl Into<String>, style: Style) -> Self {
        let text = text.into();
        self.used += text.width();
        if !text.is_empty() {
            self.spans.push(Span::styled(text, style));
        }
        self
    }

    pub fn put(self, text: impl Into<String>, role: Role) -> Self {
        let style = self.theme.style(role);
        self.styled(text, style)
    }

    pub fn text(self, text: impl Into<String>) -> Self {
        self.put(text, Role::Text)
    }

    pub fn muted(self, text: impl Into<String>) -> Self {
        self.put(text, Role::Muted)
    }

    pub fn bold(self, text: impl Into<String>, role: Role) -> Self {
        let style = self.theme.style(role).add_modifier(Modifier::BOLD);
        self.styled(text, style)
    }

    pub fn gap(self, columns: usize) -> Self {
        self.styled(" ".repeat(columns), Style::new())
    }

    /// Blank up to column `column`; one blank at least when something stands there already.
    pub fn tab(self, column: usize) -> Self {
        let columns = column.saturating_sub(self.used).max(usize::from(self.used > 0 && self.used >= column));
        self.gap(columns)
    }

    /// A cell of exactly `columns`, cut with `…`.
    pub fn cell(self, text: &str, columns: usize, role: Role) -> Self {
        let style = self.theme.style(role);
        self.cell_styled(text, columns, style)
    }

    pub fn cell_styled(self, text: &str, columns: usize, style: Style) -> Self {
        let text = fit(text, columns).into_owned();
        let rest = columns - text.width();
        self.styled(text, style).gap(rest)
    }

    /// As `cell`, to the right.
    pub fn right(self, text: &str, columns: usize, role: Role) -> Self {
        let style = self.theme.style(role);
        let text = fit(text, columns).into_owned();
        let rest = columns - text.width();
        self.gap(rest).styled(text, style)
    }

    /// A number with its unit in muted, together to the right of `columns`.
    pub fn figure(self, number: &str, unit: &str, columns: usize, role: Role) -> Self {
        let wide = number.width() + unit.width();
        if wide > columns {
            return self.right(number, columns, role);
        }
        let (number, unit) = (number.to_owned(), unit.to_owned());
        self.gap(columns - wide).put(number, role).muted(unit)
    }

    /// A key with its word, as in the footer.
    pub fn key(self, key: &str, word: &str) -> Self {
        self.bold(key, Role::Accent).gap(1).muted(word)
    }

    /// A status: symbol and word.
    pub fn status(self, symbol: &str, word: &str, role: Role) -> Self {
        self.put(symbol, role).gap(1).put(word, role)
    }

    pub fn line(self) -> Line<'static> {
        Line::from(self.spans)
    }

    /// With `right` at the end of `columns`; what stands left of it is cut when need be. Without room for both, `right` goes.
    pub fn with_right(self, right: Strip<'t>, columns: usize) -> Line<'static> {
        if right.used * 2 > columns && self.used + right.used + 1 > columns {
            return cut(self.line(), columns);
        }
        let left = cut(self.line(), columns.saturating_sub(right.used + 1));
        let gap = columns.saturating_sub(left.width() + right.used);
        let mut spans = left.spans;
        spans.push(Span::raw(" ".repeat(gap)));
        spans.extend(right.spans);
        Line::from(spans)
    }
}

/// `line` in at most `columns`, with `…` where something was cut.
pub fn cut(line: Line<'static>, columns: usize) -> Line<'static> {
    if line.width() <= columns {
        return line;
    }
    let mut spans = Vec::new();
    let mut left = columns;
    for span in line.spans {
        let wide = span.content.width();
        if wide < left {
            left -= wide;
            spans.push(span);
            continue;
        }
        // Something is cut here or right after: the mark takes the last column.
        let text = if left == 0 { String::new() } else { fit(&format!("{}  ", span.content), left).into_owned() };
        spans.push(Span::styled(text, span.style));
        break;
    }
    Line::from(spans)
}

/// A small heading with a hairline to `right`, `columns` wide.
pub fn heading(theme: &Theme, title: &str, right: Strip<'_>, columns: usize) -> Line<'static> {
    let mut strip = Strip::new(theme).bold(title, Role::Muted).gap(1);
    let right_wide = if right.used == 0 { 0 } else { right.used + 1 };
    let rule = columns.saturating_sub(strip.used() + right_wide);
    strip = strip.put("─".repeat(rule), Role::Faint);
    if right.used > 0 {
        strip = strip.gap(1);
        strip.spans.extend(right.spans);
    }
    cut(strip.line(), columns)
}

/// A thin bar: the share `part` of `columns` in `role`, the rest faint.
pub fn bar(strip: Strip<'_>, part: f64, columns: usize, role: Role) -> Strip<'_> {
    let part = if part.is_finite() { part.clamp(0.0, 1.0) } else { 0.0 };
    let mut full = (part * columns as f64).round() as usize;
    if part > 0.0 {
        full = full.max(1);
    }
    let full = full.min(columns);
    strip.put("━".repeat(full), role).put("━".repeat(columns - full), Role::Faint)
}

/// Draws `lines` from the top of `area`, skipping `skip`; what does not fit is left out.
pub fn draw(buf: &mut Buffer, area: Rect, lines: &[Line<'static>], skip: usize) {
    let area = area.intersection(buf.area);
    for (y, line) in (area.y..area.bottom()).zip(lines.iter().skip(skip)) {
        buf.set_line(area.x, y, line, area.width);
    }
}

/// Draws one line at the row `y` of `area`.
pub fn draw_line(buf: &mut Buffer, area: Rect, y: u16, line: &Line<'static>) {
    draw(buf, Rect { y, height: 1, ..area }.intersection(area), std::slice::from_ref(line), 0);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::text::width;

    proptest! {
        #[test]
        fn no_folded_line_is_wider_than_its_room(text in "\\PC{0,60}", limit in 1_usize..40) {
            for line in fold(&text, limit) {
                prop_assert!(width(&line) <= limit, "{line:?}");
            }
        }

        #[test]
        fn folding_loses_no_word(words in prop::collection::vec("[a-z]{1,8}", 0..12), limit in 8_usize..30) {
            let text = words.join(" ");
            let folded: Vec<String> = fold(&text, limit).join(" ").split_whitespace().map(str::to_owned).collect();
            prop_assert_eq!(folded, words);
        }
    }
}
