//! ◇ Which part of a file is asked for (RFC 9110 §14).

/// What a Range field asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// All of it; also for several ranges and other units, which may be ignored.
    Whole,
    /// `length` is at least 1 and within the file.
    Part { start: u64, length: u64 },
    /// Nothing of the file.
    Outside,
}

/// Reads `bytes=0-99`, `bytes=100-` and `bytes=-100` for a file of `size` bytes.
pub(super) fn parse(field: &str, size: u64) -> Asked {
    let Some((first, last)) = field.strip_prefix("bytes=").and_then(|range| range.trim().split_once('-')) else {
        return Asked::Whole;
    };
    match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(first), Ok(last)) if first > last => Asked::Whole,
        (Ok(first), _) if first >= size => Asked::Outside,
        (Ok(first), Ok(last)) => Asked::Part { start: first, length: last.min(size - 1) - first + 1 },
        (Ok(first), Err(_)) if last.trim().is_empty() => Asked::Part { start: first, length: size - first },
        (Err(_), Ok(0)) if first.trim().is_empty() => Asked::Outside,
        (Err(_), Ok(_)) if first.trim().is_empty() && size == 0 => Asked::Outside,
        (Err(_), Ok(length)) if first.trim().is_empty() => {
            let length = length.min(size);
            Asked::Part { start: size - length, length }
        }
        _ => Asked::Whole,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Asked, parse};

    #[test]
    fn parts_are_cut_to_the_file() {
        assert_eq!(parse("bytes=0-1", 10), Asked::Part { start: 0, length: 2 });
        assert_eq!(parse("bytes=8-99", 10), Asked::Part { start: 8, length: 2 });
        assert_eq!(parse("bytes=8-", 10), Asked::Part { start: 8, length: 2 });
        assert_eq!(parse("bytes=-3", 10), Asked::Part { start: 7, length: 3 });
        assert_eq!(parse("bytes=10-", 10), Asked::Outside);
        for odd in ["bytes=5-2", "bytes=0-1,4-5", "items=0-1", "bytes=a-b"] {
            assert_eq!(parse(odd, 10), Asked::Whole, "{odd}");
        }
    }

    proptest! {
        #[test]
        fn a_part_lies_within_the_file(field in "(bytes=)?[0-9]{0,21}-[0-9]{0,21}", size: u64) {
            if let Asked::Part { start, length } = parse(&field, size) {
                prop_assert!(length >= 1 && start.checked_add(length).is_some_and(|end| end <= size));
            }
        }
    }
}
