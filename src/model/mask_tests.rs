use proptest::prelude::*;

use super::*;

const VALUE: &str = "p/a ss&w\"ord-7f3e";

fn masked(values: &[&str], text: &str) -> String {
    Masker::new(values.iter().copied()).mask(text).into_owned()
}

fn streamed(values: &[&str], pieces: &[&str]) -> String {
    let mut masking = Masking::new(Masker::new(values.iter().copied()));
    let mut shown = Vec::new();
    for piece in pieces {
        masking.push(piece.as_bytes(), |bytes| shown.extend_from_slice(bytes));
    }
    masking.finish(|bytes| shown.extend_from_slice(bytes));
    String::from_utf8(shown).unwrap()
}

#[test]
fn a_value_is_masked_in_every_way_that_programs_write_it() {
    let json = serde_json::to_string(VALUE).unwrap();
    for written in [
        VALUE,
        json.trim_matches('"'),
        "p%2Fa%20ss%26w%22ord-7f3e",
        "p%2fa%20ss%26w%22ord-7f3e",
        "p/a%20ss%26w%22ord-7f3e",
        "p%2Fa+ss%26w%22ord-7f3e",
        "p/a ss\\u0026w\\\"ord-7f3e",
        "702f612073732677226f72642d37663365",
    ] {
        assert_eq!(masked(&[VALUE], &format!("a {written} b")), "a *** b", "{written}");
    }
}

#[test]
fn a_value_inside_of_base64_is_masked_wherever_it_begins() {
    // `Authorization: Basic` over `me:`, `you:` and `they:` and the value.
    for text in ["bWU6aHVudGVyMi1odW50ZXIy", "eW91Omh1bnRlcjItaHVudGVyMg==", "dGhleTpodW50ZXIyLWh1bnRlcjI="] {
        let shown = masked(&["hunter2-hunter2"], text);
        assert!(shown.contains(MASK) && shown.len() < 14, "{shown}");
    }
}

#[test]
fn the_password_of_a_url_is_masked_alone_too() {
    assert_eq!(masked(&["postgres://me:hunter2hunter2@db/x"], "connects as me with hunter2hunter2"), "connects as me with ***");
}

#[test]
fn a_key_of_several_lines_is_masked_line_by_line() {
    let key = "-----BEGIN KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\n-----END KEY-----";
    let shown = masked(&[key], &format!("key:\n{key}\n"));
    assert_eq!(shown, "key:\n-----BEGIN KEY-----\n***\n***\n-----END KEY-----\n");
}

#[test]
fn values_that_overlap_are_masked_as_a_whole() {
    assert_eq!(masked(&["abcdef", "abcdefgh", "efghijkl"], "x abcdefghijkl y"), "x *** y");
    assert_eq!(streamed(&["abcdef", "abcdefgh"], &["abcdef", "gh."]), "***.");
}

#[test]
fn a_short_value_and_no_value_change_nothing() {
    assert_eq!(masked(&["abc", ""], "abc"), "abc");
    assert!(Masker::new([]).is_empty() && Masker::new(["abc"]).is_empty());
}

#[test]
fn a_very_long_value_leaves_nothing_of_it() {
    let long: String = (0..3000).map(|n| format!("{n:x}")).collect();
    assert_eq!(masked(&[&long], &format!("<{long}>")), "<***>");
    assert_eq!(streamed(&[&long], &["<", &long[..5000], &long[5000..], ">"]), "<***>");
}

#[test]
fn what_looks_like_a_beginning_is_shown_when_it_is_none() {
    assert_eq!(streamed(&["hunter2-x"], &["hunt", "er\n", "hunte"]), "hunter\nhunte");
}

#[test]
fn most_of_a_value_that_was_cut_off_is_masked_at_the_end() {
    assert_eq!(streamed(&["hunter2-hunter2"], &["a hunter2-h"]), "a ***");
}

#[test]
fn the_masker_does_not_tell_what_it_looks_for() {
    assert!(!format!("{:?}", Masking::new(Masker::new(["hunter2-hunter2"]))).contains("hunter"));
}

#[test]
fn a_value_with_what_shows_nothing_in_it_is_masked_as_a_whole() {
    for cut in [
        "\u{1b}[1m",
        "\u{1b}[01;31m\u{1b}[K",
        "\r",
        "\u{202e}",
        "\u{1b}]0;title\u{7}",
        "\u{1b}]8;;u\u{1b}\\",
        "\u{1b}(B",
        "\u{1b}7",
        "\0",
        "\u{85}",
        "\u{1b}[3\u{1b}[m",
        "\\u001b[1m",
        "\\u001B[0m",
        "\\r",
        "\\u202e",
    ] {
        let text = format!("a hunter2{cut}-hunter2 b");
        assert_eq!(masked(&["hunter2-hunter2"], &text), "a *** b", "{cut:?}");
        assert!(Masker::new(["hunter2-hunter2"]).is_in(&text), "{cut:?}");
    }
    assert_eq!(masked(&["hun\u{1b}[1mter2\r-x"], "hunter2-x hun\u{1b}[1mter2\r-x hu\u{1b}[mnter2-x"), "*** *** ***");
    assert_eq!(masked(&["C:\\repos-x"], "C:\\re\u{1b}[mpos-x {\"a\":\"C:\\\\repo\\u001b[1ms-x\"}"), "*** {\"a\":\"***\"}");
    assert_eq!(masked(&["rocket-x"], "C:\\rock\u{1b}[met-x"), "C:\\***");
}

#[test]
fn a_value_inside_of_what_shows_nothing_is_masked_with_it() {
    assert_eq!(masked(&["hunter2-x"], "a\u{1b}]8;;https://u/?k=hunter2-x\u{1b}\\link"), "a***link");
    assert_eq!(streamed(&["hunter2-x"], &["a\u{1b}]8;;u/?k=hun", "ter2-x", "&b\u{7}link"]), "a***link");
    // What is left must be taken apart as before.
    assert_eq!(masked(&["31mred!"], "\u{1b}[31mred! x"), "*** x");
}

#[test]
fn what_shows_nothing_stays_where_no_value_is() {
    let text = "\u{1b}[31mhunt\u{1b}[0mer \u{1b}]0;a long title of a window\u{7} 12%\r13%\r \\u001b[1m C:\\run";
    assert_eq!(masked(&["hunter2-x"], text), text);
    assert_eq!(streamed(&["hunter2-x"], &[text, "\u{1b}]0;unfinished"]), format!("{text}\u{1b}]0;unfinished"));
    assert_eq!(streamed(&["hunter2-hunter2"], &["a hunter\u{1b}[1m2-h"]), "a ***", "most of one, at the end");
}

#[test]
fn what_shows_nothing_for_ever_is_not_held_for_ever() {
    let mut masking = Masking::new(Masker::new(["hunter2-x"]));
    let mut shown = 0;
    for piece in [b"hunt".to_vec(), vec![0; 1 << 20], b"\x1b]".to_vec(), vec![b'x'; 1 << 20]] {
        masking.push(&piece, |bytes| shown += bytes.len());
        assert!(masking.held.len() <= HELD, "{}", masking.held.len());
    }
    assert!(shown > 2 << 20);
}

/// Where and with what a value is cut.
fn cuts() -> impl Strategy<Value = Vec<(usize, String)>> {
    let unseen = prop_oneof![
        "\u{1b}\\[[0-9;]{0,4}m",
        "\u{1b}\\][0-2];[a-c]{0,3}(\u{7}|\u{1b}\\\\|\u{1b}\\[m)",
        "\u{1b}[(7 ]?[B0]?",
        "[\r\u{0}\u{8}\u{85}\u{202e}\u{61c}\u{2066}]{1,3}",
        "\\\\(u001b\\[[0-9;]{0,3}m?|r|u202E|u00|\\\\)",
    ];
    prop::collection::vec((0_usize..40, unseen), 0..6)
}

fn with_cuts(text: &str, mut cuts: Vec<(usize, String)>) -> String {
    let (length, mut text) = (text.len(), text.to_owned());
    cuts.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    for (at, cut) in &cuts {
        text.insert_str((*at).min(length), cut);
    }
    text
}

proptest! {
    #[test]
    fn however_a_stream_is_cut_the_same_is_shown(text in "[ab\n]{0,60}", cuts in prop::collection::vec(0_usize..60, 0..6)) {
        let values = ["abaaba", "aabbaabb", "bbbbbb"];
        // An end inside of what may be a value is another matter: see above.
        let text = format!("{text}\n");
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
        cuts.sort_unstable();
        let ends: Vec<usize> = cuts.iter().copied().chain([text.len()]).collect();
        let mut from = 0;
        let pieces: Vec<&str> = ends.iter().map(|end| { let piece = &text[from..*end]; from = *end; piece }).collect();
        let shown = streamed(&values, &pieces);
        prop_assert_eq!(&shown, &masked(&values, &text));
        prop_assert!(values.iter().all(|value| !shown.contains(value)));
    }
    #[test]
    fn a_value_that_is_cut_by_what_shows_nothing_is_not_joined_by_a_view(cuts in cuts()) {
        for value in ["p/ass\"word-7f3e", "1mabcdef", "rocket\\repo"] {
            let text = with_cuts(&format!("a {value} b"), cuts.clone());
            let shown = crate::model::log::safe(&masked(&[value], &text));
            prop_assert!(!shown.contains(value), "{:?} shows {:?}", text, shown);
        }
    }

    #[test]
    fn however_a_stream_with_escapes_is_cut_the_same_is_shown(
        text in "[ab\n]{0,40}", unseen in cuts(), ends in prop::collection::vec(0_usize..80, 0..6),
    ) {
        let values = ["abaaba", "aabbaabb", "bbbbbb", "1mabab"];
        let text = format!("{}\n", with_cuts(&text, unseen));
        let mut ends: Vec<usize> = ends.into_iter().map(|end| end.min(text.len())).filter(|end| text.is_char_boundary(*end)).collect();
        ends.push(text.len());
        ends.sort_unstable();
        let mut from = 0;
        let pieces: Vec<&str> = ends.iter().map(|end| { let piece = &text[from..*end]; from = *end; piece }).collect();
        let shown = streamed(&values, &pieces);
        prop_assert_eq!(&shown, &masked(&values, &text));
        let seen: Vec<String> = shown.lines().map(crate::model::log::safe).collect();
        prop_assert!(values.iter().all(|value| !seen.iter().any(|line| line.contains(value))), "{:?} shows {:?}", text, seen);
    }
}
