//! Who waits for whom: a circle of those that would wait for ever.

use std::collections::{BTreeMap, BTreeSet};

/// Each name with those that it depends on.
pub type Dependencies<'a> = BTreeMap<&'a str, &'a [String]>;

/// The shortest circle that begins with the first name in one, each name before what it depends on and the first one not
/// repeated; absent when everybody can start. Names that are not there are passed over.
pub fn circle<'a>(of: &Dependencies<'a>) -> Option<Vec<&'a str>> {
    of.keys().find_map(|first| back_to(first, of))
}

fn back_to<'a>(first: &'a str, of: &Dependencies<'a>) -> Option<Vec<&'a str>> {
    let mut seen = BTreeSet::from([first]);
    let mut ways = std::collections::VecDeque::from([vec![first]]);
    while let Some(way) = ways.pop_front() {
        for next in of.get(way.last()?).copied().unwrap_or_default() {
            if next == first {
                return Some(way);
            }
            if of.contains_key(next.as_str()) && seen.insert(next) {
                ways.push_back(way.iter().copied().chain([next.as_str()]).collect());
            }
        }
    }
    None
}

/// What is wrong with a circle, and how it is broken. `kind` is what they are: `service`, `process`.
pub fn told(circle: &[&str], kind: &str) -> (String, String) {
    match circle {
        [only] => (
            format!("{kind} `{only}` depends on itself: it would never start"),
            format!("leave `{only}` out of its own depends_on"),
        ),
        circle => {
            let (first, last) = (circle.first().copied().unwrap_or_default(), circle.last().copied().unwrap_or_default());
            let way = circle.join(" → ");
            (
                format!("they wait for each other: {way} → {first}; none of them would ever start"),
                format!("leave `{first}` out of depends_on of `{last}`, or break the circle elsewhere"),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle_is_named_without_those_that_only_wait_for_it() {
        let found = |pairs: &[(&'static str, &[&str])]| {
            let owned: Vec<(&str, Vec<String>)> =
                pairs.iter().map(|(name, on)| (*name, on.iter().map(|on| (*on).to_owned()).collect())).collect();
            let waits: Dependencies<'_> = owned.iter().map(|(name, on)| (*name, on.as_slice())).collect();
            circle(&waits).map(|found| found.into_iter().map(str::to_owned).collect::<Vec<_>>())
        };
        assert_eq!(found(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"])]), Some(vec!["b".to_owned(), "c".to_owned()]));
        assert_eq!(found(&[("a", &["a"])]), Some(vec!["a".to_owned()]));
        assert_eq!(found(&[("a", &["b", "x"]), ("b", &[])]), None);
    }
}
