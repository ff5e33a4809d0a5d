//! Whatever the outside world writes: every reader answers, soon and without breaking.
//!
//! Each input is a file of `fixtures/corpus/` that was cut, doubled and salted, or plain noise. More of them at once:
//! `PROPTEST_CASES=20000 cargo nextest run --test fuzz`; `tests/run` draws the same ones each time.
#![allow(clippy::expect_used, clippy::disallowed_types, reason = "helpers of tests fail loudly, and nothing here pauses time")]

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use pilothouse::{
    config::manifest_file,
    deploy::detect::{compose, detect},
    model::{
        dockerfile,
        log::{read_record, safe, turns_direction},
        problem::Problem,
        source::Survey,
    },
};
use proptest::prelude::*;

/// Longest time for one answer, on a busy machine.
const SOON: Duration = Duration::from_secs(5);

/// The files of a folder of the corpus.
fn corpus(kind: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/corpus").join(kind);
    let mut paths: Vec<_> = fs::read_dir(&folder).expect("the corpus").map(|entry| entry.expect("a file").path()).collect();
    paths.sort();
    assert!(paths.len() > 1, "{kind} has a corpus");
    paths.iter().map(|path| fs::read(path).expect("a file")).collect()
}

/// What salts a text: pieces that mean something to one reader or another.
const SALT: &[&str] = &[
    "\n",
    "\r\n",
    "\t",
    " ",
    "\0",
    "\u{feff}",
    "\u{1b}[31m",
    "é",
    "\u{202e}",
    "\"",
    "'",
    "`",
    "\\",
    "$",
    "${",
    "}",
    "{",
    "[",
    "]",
    ":",
    ": ",
    "- ",
    "#",
    "=",
    "&a ",
    "*a",
    "<<: *a",
    "|",
    ">",
    "!!binary ",
    "---\n",
    "99999999999999999999",
    "-1",
    "1e999",
    "null",
    "true",
    "FROM ",
    "RUN <<EOF\n",
    "EXPOSE ",
    "services:\n",
    "[process.web]\n",
    "web: ",
    "\"scripts\":",
    "..",
    "/",
    "\u{0}\u{0}\u{0}",
];

#[derive(Clone, Debug)]
enum Change {
    Cut(usize, usize),
    Double(usize, usize),
    Salt(usize, usize),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        (any::<usize>(), 0_usize..40).prop_map(|(at, length)| Change::Cut(at, length)),
        (any::<usize>(), 0_usize..80).prop_map(|(at, length)| Change::Double(at, length)),
        (any::<usize>(), 0..SALT.len()).prop_map(|(at, which)| Change::Salt(at, which)),
    ];
    proptest::collection::vec(change, 0..12)
}

fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> String {
    for change in changes {
        let size = bytes.len();
        let range = |at: usize, length: usize| {
            let from = at % (size + 1);
            from..(from + length).min(size)
        };
        match change {
            Change::Cut(at, length) => drop(bytes.drain(range(*at, *length))),
            Change::Double(at, length) => {
                let range = range(*at, *length);
                let piece = bytes[range.clone()].to_vec();
                bytes.splice(range.start..range.start, piece);
            }
            Change::Salt(at, which) => {
                let at = at % (size + 1);
                bytes.splice(at..at, SALT[*which].bytes());
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A corpus file with changes, or noise.
fn texts(kind: &str) -> impl Strategy<Value = String> {
    let files = corpus(kind);
    let from_corpus = (0..files.len(), changes()).prop_map(move |(which, changes)| changed(files[which].clone(), &changes));
    prop_oneof![9 => from_corpus, 1 => ".{0,300}"]
}

/// A problem is fit for a person: it has words, no control characters, and comes soon.
fn check<T>(begun: Instant, answer: Result<T, Problem>) -> Result<(), TestCaseError> {
    prop_assert!(begun.elapsed() < SOON, "it took {:?}", begun.elapsed());
    if let Err(problem) = answer {
        let line = problem.to_string();
        prop_assert!(!problem.what.trim().is_empty());
        prop_assert!(!line.contains(|c: char| c.is_control() || turns_direction(c)), "{line:?}");
    }
    Ok(())
}

fn survey(file: &str, text: String) -> Survey {
    let texts = [(file.to_owned(), text)].into();
    Survey { listing: vec![file.to_owned()], texts, ..Survey::default() }
}

/// At least some thousand texts for each reader; no file of failures, as each minimal text is printed whole.
fn cases() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases.max(2_000), failure_persistence: None, ..usual }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn the_manifest_is_read_or_refused(text in texts("manifest")) {
        check(Instant::now(), manifest_file::read(&text, "pilothouse.toml"))?;
    }

    #[test]
    fn a_compose_file_is_read_or_refused(text in texts("compose")) {
        let begun = Instant::now();
        check(begun, compose::read(&survey("compose.yaml", text.clone()), &[("A".to_owned(), "a".to_owned())].into()))?;
        check(begun, detect(&survey("compose.yaml", text)))?;
    }

    #[test]
    fn a_procfile_is_read_or_refused(text in texts("procfile")) {
        check(Instant::now(), detect(&survey("Procfile", text)))?;
    }

    #[test]
    fn a_package_json_is_read_or_refused(text in texts("package_json")) {
        check(Instant::now(), detect(&survey("package.json", text)))?;
    }

    #[test]
    fn a_dockerfile_is_read_or_refused(text in texts("dockerfile")) {
        let begun = Instant::now();
        check(begun, dockerfile::read(&text, "Dockerfile"))?;
        check(begun, detect(&survey("Dockerfile", text)))?;
    }

    #[test]
    fn a_log_line_is_read_and_shown_safely(text in texts("log")) {
        for line in text.lines() {
            let shown = read_record(line).map_or_else(|| safe(line), |(.., line)| safe(line));
            prop_assert!(!shown.contains(|c: char| c.is_control() && c != '\t'), "{shown:?}");
        }
    }
}
