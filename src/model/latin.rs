//! Text in the letters of ASCII: accents are dropped, letters of their own are written as is usual.

use icu_normalizer::DecomposingNormalizerBorrowed;

/// `text` with Latin letters in lower-case ASCII: `Café Ærø` is `cafe aero`. Other scripts and signs stay.
pub fn ascii(text: &str) -> String {
    let lower = text.chars().flat_map(char::to_lowercase);
    let mut plain = String::with_capacity(text.len());
    for c in DecomposingNormalizerBorrowed::new_nfkd().normalize_iter(lower) {
        match c {
            // Combining marks, such as the accent that was taken off its letter (Unicode 16, block 0300).
            '\u{300}'..='\u{36f}' => {}
            c => match apart(c) {
                Some(letters) => plain.push_str(letters),
                None => plain.push(c.to_ascii_lowercase()),
            },
        }
    }
    plain
}

/// Letters that no accent can be taken off.
fn apart(c: char) -> Option<&'static str> {
    Some(match c {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'þ' => "th",
        'ø' => "o",
        'đ' | 'ð' => "d",
        'ł' => "l",
        'ħ' => "h",
        'ŧ' => "t",
        'ŋ' => "n",
        'ı' => "i",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accents_go_and_letters_stay() {
        for (text, plain) in [
            ("Café", "cafe"),
            ("cafe\u{301}", "cafe"),
            ("Übersicht Straße", "ubersicht strasse"),
            ("smørrebrød", "smorrebrod"),
            ("ŁÓDŹ", "lodz"),
            ("Œuvre Ærø Þing İstanbul", "oeuvre aero thing istanbul"),
            ("Nguyễn", "nguyen"),
            ("ﬁn", "fin"),
            ("店 42", "店 42"),
        ] {
            assert_eq!(ascii(text), plain);
        }
    }
}
