//! The head of an instance's answer: its fields, and how the end of its body is told.

use bytes::BytesMut;
use hyper::{
    HeaderMap, Method, StatusCode,
    header::{CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING},
};

/// Fields of a head at most.
const FIELDS: usize = 100;
/// Longest head.
pub(super) const LONGEST: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Head {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub framing: Framing,
    /// Whether the instance lets the connection be used again.
    pub keeps: bool,
}

/// How the end of an answer's body is told (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// Bytes that are still to come.
    Length(u64),
    Chunked,
    /// The end of the connection is the end of the body.
    UntilEnd,
}

/// Where a field lies in what was read.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    name: usize,
    name_end: usize,
    value: usize,
    value_end: usize,
}

/// Takes a head from what was read; absent while it is not complete. `Err` tells what is wrong with it.
pub(super) fn take(received: &mut BytesMut, asked: &Method) -> Result<Option<Head>, &'static str> {
    let mut fields = [const { std::mem::MaybeUninit::uninit() }; FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let length = match config.parse_response_with_uninit_headers(&mut parsed, received, &mut fields) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if received.len() < LONGEST => return Ok(None),
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => return Err("the head of the answer is too long"),
        Err(_) => return Err("the answer is not HTTP/1.1"),
    };
    let status = StatusCode::from_u16(parsed.code.unwrap_or(0)).map_err(|_| "the answer has no valid status")?;
    let is_newest = parsed.version == Some(1);
    let start = received.as_ptr() as usize;
    // Where each field lies, so that its value can share what was read.
    let mut places = [Place::default(); FIELDS];
    let count = parsed.headers.len();
    for (place, field) in places.iter_mut().zip(parsed.headers.iter()) {
        let at = |part: &[u8]| (part.as_ptr() as usize).saturating_sub(start);
        let (name, value) = (at(field.name.as_bytes()), at(field.value));
        // An empty value has no place of its own.
        let value = if field.value.is_empty() { name } else { value };
        *place = Place { name, name_end: name + field.name.len(), value, value_end: value + field.value.len() };
    }
    let bytes = received.split_to(length).freeze();
    let mut headers = HeaderMap::with_capacity(count + 2);
    for place in &places[..count] {
        let name = HeaderName::from_bytes(&bytes[place.name..place.name_end]);
        let name = name.map_err(|_| "a field of the answer has no valid name")?;
        let value = HeaderValue::from_maybe_shared(bytes.slice(place.value..place.value_end));
        let value = value.map_err(|_| "a field of the answer has no valid value")?;
        headers.append(name, value);
    }
    let framing = framing(status, &headers, asked)?;
    let keeps = is_newest && framing != Framing::UntilEnd && !says_close(&headers);
    Ok(Some(Head { status, headers, framing, keeps }))
}

fn framing(status: StatusCode, headers: &HeaderMap, asked: &Method) -> Result<Framing, &'static str> {
    if *asked == Method::HEAD || status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
    {
        return Ok(Framing::Length(0));
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    if let Some(last) = headers.get_all(TRANSFER_ENCODING).iter().next_back() {
        // Two ways to tell the end are how one answer is smuggled within another.
        if lengths.next().is_some() {
            return Err("the answer tells its length in two ways");
        }
        let last = last.as_bytes().rsplit(|b| *b == b',').next().unwrap_or_default();
        let is_chunked = last.trim_ascii().eq_ignore_ascii_case(b"chunked");
        return Ok(if is_chunked { Framing::Chunked } else { Framing::UntilEnd });
    }
    let Some(first) = lengths.next() else { return Ok(Framing::UntilEnd) };
    if lengths.any(|other| other != first) {
        return Err("the answer has two lengths");
    }
    digits(first.as_bytes()).map(Framing::Length).ok_or("the length of the answer is no number")
}

/// A number in digits alone: no sign, no space, no list.
fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn says_close(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONNECTION).iter();
    values.any(|value| value.as_bytes().split(|b| *b == b',').any(|token| token.trim_ascii().eq_ignore_ascii_case(b"close")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Option<Head>, &'static str> {
        take(&mut BytesMut::from(text.as_bytes()), &Method::GET)
    }

    fn framing_of(fields: &str) -> Result<Framing, &'static str> {
        read(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n")).map(|head| head.expect("a whole head").framing)
    }

    #[test]
    fn the_end_of_a_body_is_told_in_one_way() {
        assert_eq!(framing_of("Content-Length: 5\r\n"), Ok(Framing::Length(5)));
        assert_eq!(framing_of("Content-Length: 5\r\nContent-Length: 5\r\n"), Ok(Framing::Length(5)));
        assert_eq!(framing_of("Transfer-Encoding: gzip, Chunked\r\n"), Ok(Framing::Chunked));
        assert_eq!(framing_of("Transfer-Encoding: gzip\r\n"), Ok(Framing::UntilEnd));
        assert_eq!(framing_of(""), Ok(Framing::UntilEnd));
        for odd in [
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "Content-Length: 5, 5\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: -1\r\n",
            "Content-Length: 0x5\r\n",
            "Content-Length: \r\n",
            "Content-Length: 99999999999999999999\r\n",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        ] {
            assert!(framing_of(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn some_answers_have_no_body_whatever_they_say() {
        for status in [204, 304] {
            let head = read(&format!("HTTP/1.1 {status} X\r\nContent-Length: 5\r\n\r\n")).unwrap().unwrap();
            assert_eq!(head.framing, Framing::Length(0));
        }
        let head = take(&mut BytesMut::from("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), &Method::HEAD).unwrap().unwrap();
        assert_eq!((head.framing, head.keeps), (Framing::Length(0), true));
    }

    #[test]
    fn a_connection_is_kept_only_when_the_instance_keeps_it() {
        let keeps = |text: &str| read(text).unwrap().unwrap().keeps;
        assert!(keeps("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"));
        assert!(!keeps("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: x, Close\r\n\r\n"));
        assert!(!keeps("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n"));
        assert!(!keeps("HTTP/1.1 200 OK\r\n\r\n"));
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for odd in
            ["SSH-2.0-OpenSSH_9.2\r\n", "HTTP/2 200\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 200 OK\r\na b: c\r\n\r\n"]
        {
            assert!(read(odd).is_err(), "{odd}");
        }
        assert!(read(&format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(LONGEST))).is_err());
    }

    proptest! {
        #[test]
        fn a_head_cut_anywhere_waits_for_the_rest(cut in 0_usize..60) {
            let text = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nEmpty:\r\nA: b\r\n\r\nabc";
            let mut received = BytesMut::from(&text[..cut.min(text.len())]);
            let whole = text.len() - 3;
            let first = take(&mut received, &Method::GET).unwrap();
            prop_assert_eq!(first.is_some(), cut >= whole);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = take(&mut BytesMut::from(&bytes[..]), &Method::GET);
            let _ = take(&mut BytesMut::from(&[b"HTTP/1.1 200 OK\r\n", &bytes[..]].concat()[..]), &Method::GET);
        }
    }
}
