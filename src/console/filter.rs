//! Filters of rows: words, `-words`, `field:value`, `field>number`; all must hold.

use ratatui::text::Line;

use super::{
    keymap::Key,
    theme::{Ground, Role, Theme},
    widgets::{form::Field, strip::Strip},
};

/// What a row says of a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Text(String),
    Number(f64),
}

/// A filter and the prompt in which it is written.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    field: Field,
    pub editing: bool,
    /// To return to on Esc.
    before: String,
    tokens: Vec<Token>,
}

#[derive(Clone, Debug, PartialEq)]
struct Token {
    not: bool,
    test: Test,
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    Word(String),
    Is(String, Vec<String>),
    Compare(String, Comparison, f64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Comparison {
    Over,
    AtLeast,
    Under,
    AtMost,
}

impl Filter {
    pub fn text(&self) -> &str {
        self.field.text()
    }

    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Replaces the text as if it had been written.
    pub fn set(&mut self, text: &str) {
        self.field = Field::with(text);
        self.tokens = read(text);
    }

    pub fn edit(&mut self) {
        self.before = self.text().to_owned();
        self.editing = true;
    }

    pub fn paste(&mut self, text: &str) {
        self.field.paste(text);
        self.tokens = read(self.field.text());
    }

    /// A key while editing. Enter keeps, Esc returns to what was before.
    pub fn key(&mut self, key: Key) {
        match key {
            Key::Enter => self.editing = false,
            Key::Esc => {
                let before = std::mem::take(&mut self.before);
                self.set(&before);
                self.editing = false;
            }
            key => {
                self.field.key(key);
                self.tokens = read(self.field.text());
            }
        }
    }

    /// Whether a row passes: `text` is all of it, `field` gives its parts by name.
    pub fn passes(&self, text: &str, field: &dyn Fn(&str) -> Option<Value>) -> bool {
        self.tokens.is_empty() || {
            let text = text.to_lowercase();
            self.tokens.iter().all(|token| token.holds(&text, field) != token.not)
        }
    }

    /// The chips with the count that is left; the prompt while editing. Absent without a filter.
    pub fn line(&self, theme: &Theme, left: usize, all: usize, what: &str, columns: usize) -> Option<Line<'static>> {
        if self.tokens.is_empty() && !self.editing {
            return None;
        }
        let mut strip = Strip::new(theme).gap(1).bold("/", Role::Accent).gap(1);
        if self.editing {
            strip = self.field.shown(strip, theme, (columns / 2).clamp(8, 60), true).gap(1);
        } else {
            for chip in self.text().split_whitespace() {
                let style = theme.style(Role::Text).patch(theme.ground(Ground::Selected));
                strip = strip.styled(chip.to_owned(), style).gap(1);
            }
        }
        let count = format!("{left} of {all} {what}");
        strip = strip.put(count, if left == 0 && all > 0 { Role::Warn } else { Role::Muted });
        if self.editing && columns >= 100 {
            strip = strip.gap(3).muted("words  -words  field:value  field>number");
        }
        Some(strip.line())
    }
}

fn read(text: &str) -> Vec<Token> {
    text.split_whitespace()
        .filter_map(|part| {
            let (not, part) = match part.strip_prefix('-') {
                Some("") => return None,
                Some(rest) => (true, rest),
                None => (false, part),
            };
            Some(Token { not, test: test(part) })
        })
        .collect()
}

fn test(part: &str) -> Test {
    let compare = [(">=", Comparison::AtLeast), ("<=", Comparison::AtMost), (">", Comparison::Over), ("<", Comparison::Under)];
    for (sign, comparison) in compare {
        if let Some((name, value)) = part.split_once(sign)
            && let Some(value) = number(value)
        {
            return Test::Compare(name.to_lowercase(), comparison, value);
        }
    }
    match part.split_once(':') {
        Some((name, values)) if !name.is_empty() && name.chars().all(char::is_alphanumeric) => {
            Test::Is(name.to_lowercase(), values.split(',').map(str::to_lowercase).collect())
        }
        _ => Test::Word(part.to_lowercase()),
    }
}

/// Also the names of log levels, by rank.
fn number(text: &str) -> Option<f64> {
    match text.to_lowercase().as_str() {
        "debug" => Some(0.0),
        "info" => Some(1.0),
        "warn" => Some(2.0),
        "error" => Some(3.0),
        other => other.trim_end_matches('%').parse().ok(),
    }
}

impl Token {
    /// A field that no row has is looked for as a word.
    fn holds(&self, text: &str, field: &dyn Fn(&str) -> Option<Value>) -> bool {
        match &self.test {
            Test::Word(word) => text.contains(word),
            Test::Is(name, values) => match field(name) {
                Some(Value::Text(value)) => {
                    let value = value.to_lowercase();
                    values.iter().any(|wanted| value.contains(wanted))
                }
                Some(Value::Number(value)) => {
                    values.iter().filter_map(|wanted| number(wanted)).any(|wanted| (wanted - value).abs() < 1e-9)
                }
                None => values.iter().any(|value| text.contains(&format!("{name}:{value}"))),
            },
            Test::Compare(name, comparison, limit) => match field(name) {
                Some(Value::Number(value)) => match comparison {
                    Comparison::Over => value > *limit,
                    Comparison::AtLeast => value >= *limit,
                    Comparison::Under => value < *limit,
                    Comparison::AtMost => value <= *limit,
                },
                _ => false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(filter: &str) -> bool {
        let mut it = Filter::default();
        it.set(filter);
        it.passes("shop-search down http://shop.localhost", &|name| match name {
            "state" => Some(Value::Text("down".to_owned())),
            "p95" => Some(Value::Number(412.0)),
            "level" => Some(Value::Number(2.0)),
            _ => None,
        })
    }

    #[test]
    fn words_fields_numbers_and_their_opposites() {
        for filter in
            ["", "SHOP down", "-tweet", "state:serving,down", "p95>400", "p95>=412 p95<413", "level>=warn", "http://shop", "-"]
        {
            assert!(passes(filter), "{filter}");
        }
        for filter in ["tweet", "-shop", "state:serving", "p95<400", "level>=error", "cpu>1"] {
            assert!(!passes(filter), "{filter}");
        }
    }

    #[test]
    fn esc_returns_to_the_filter_before() {
        let mut filter = Filter::default();
        filter.set("shop");
        filter.edit();
        filter.key(Key::Char('x'));
        assert_eq!(filter.text(), "shopx");
        filter.key(Key::Esc);
        assert_eq!((filter.text(), filter.editing), ("shop", false));
    }
}
