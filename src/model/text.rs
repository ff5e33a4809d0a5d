//! Text as a terminal shows it: by columns and by what a reader takes for one sign (UAX #11 and #29), not by bytes.

use std::borrow::Cow;

use unicode_truncate::UnicodeTruncateStr;
use unicode_width::UnicodeWidthStr;

/// Columns that `text` takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// `text` in at most `limit` columns; what is cut ends in `…`.
pub fn fit(text: &str, limit: usize) -> Cow<'_, str> {
    if text.width() <= limit {
        return Cow::Borrowed(text);
    }
    if limit == 0 {
        return Cow::Borrowed("");
    }
    let (head, _) = text.unicode_truncate(limit - 1);
    Cow::Owned(format!("{head}…"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_cut_ends_in_a_mark() {
        assert_eq!(fit("größere Sache", 6), "größe…");
        assert_eq!(fit("short", 6), "short");
        assert_eq!(fit("*\u{fe0f}*\u{fe0f}", 3), "*\u{fe0f}…", "a sign and what belongs to it stay together");
    }

    proptest! {
        #[test]
        fn nothing_is_wider_than_its_room(text in "\\PC{0,60}", limit in 0_usize..40) {
            prop_assert!(width(&fit(&text, limit)) <= limit);
        }
    }
}
