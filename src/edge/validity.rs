//! ◇ Until when a certificate is valid, from its bytes (X.509, RFC 5280 §4.1, in DER).

use chrono::NaiveDateTime;

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERAL_TIME: u8 = 0x18;

/// The end of a certificate's validity in seconds since 1970; absent when it is not read so far.
pub(super) fn not_after(certificate: &[u8]) -> Option<i64> {
    let (body, _) = part(certificate, SEQUENCE)?;
    let (mut rest, _) = part(body, SEQUENCE)?;
    if rest.first() == Some(&VERSION) {
        rest = part(rest, VERSION)?.1;
    }
    // Serial number, algorithm, issuer.
    for _ in 0..3 {
        rest = any(rest)?.2;
    }
    let (validity, _) = part(rest, SEQUENCE)?;
    let (_, _, end) = any(validity)?;
    let (tag, text, _) = any(end)?;
    let text = std::str::from_utf8(text).ok()?;
    let text = match tag {
        // Two digits of the year: from 1950 to 2049 (§4.1.2.5.1).
        UTC_TIME => format!("{}{text}", if text.get(..2)? < "50" { "20" } else { "19" }),
        GENERAL_TIME => text.to_owned(),
        _ => return None,
    };
    NaiveDateTime::parse_from_str(&text, "%Y%m%d%H%M%SZ").ok().map(|time| time.and_utc().timestamp())
}

/// The content of the first element, which must have this tag, and what follows it.
fn part(input: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    any(input).filter(|(found, ..)| *found == tag).map(|(_, content, rest)| (content, rest))
}

/// The first element's tag, its content, and what follows it.
fn any(input: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = input.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match *first {
        short if short < 0x80 => (usize::from(short), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |length, digit| (length << 8) | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn made(year: i32) -> Vec<u8> {
        let mut asked = rcgen::CertificateParams::new(vec!["shop.example.org".to_owned()]).unwrap();
        asked.not_after = rcgen::date_time_ymd(year, 2, 3);
        asked.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn the_end_is_read_in_both_ways_of_writing_it() {
        assert_eq!(not_after(&made(2031)), Some(1_927_843_200));
        assert_eq!(not_after(&made(2062)), Some(2_906_150_400));
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(bytes: Vec<u8>, cut in 0_usize..400) {
            let _ = not_after(&bytes);
            let whole = made(2031);
            prop_assert!(not_after(&whole[..cut.min(80)]).is_none());
        }
    }
}
