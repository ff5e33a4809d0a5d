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
}
