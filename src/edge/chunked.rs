//! ◇ Takes the chunks of a body apart (RFC 9112 §7.1).

use bytes::{Bytes, BytesMut};

/// Longest line between chunks, and all trailers together.
const LONGEST: usize = 16 << 10;

/// Where the reading of a chunked body stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunked {
    Size,
    /// Bytes of the chunk that are still to come.
    Data(u64),
    /// The line end after a chunk.
    AfterData,
    /// Bytes of trailers so far.
    Trailers(usize),
    End,
}

/// What a look at what was read gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    Data(Bytes),
    /// More must be read first.
    Missing,
    End,
}

impl Chunked {
    /// Takes the next part of the body; `Err` when it is not chunked as it says.
    pub(super) fn take(&mut self, received: &mut BytesMut) -> Result<Part, &'static str> {
        loop {
            match self {
                Self::Size => {
                    let Some(line) = line(received)? else { return Ok(Part::Missing) };
                    *self = match size(&line)? {
                        0 => Self::Trailers(0),
                        size => Self::Data(size),
                    };
                }
                Self::Data(left) => {
                    if received.is_empty() {
                        return Ok(Part::Missing);
                    }
                    let n = usize::try_from(*left).unwrap_or(usize::MAX).min(received.len());
                    *left -= n as u64;
                    if *left == 0 {
                        *self = Self::AfterData;
                    }
                    return Ok(Part::Data(received.split_to(n).freeze()));
                }
                Self::AfterData => match line(received)? {
                    None => return Ok(Part::Missing),
                    Some(line) if line.is_empty() => *self = Self::Size,
                    Some(_) => return Err("a chunk is longer than it says"),
                },
                Self::Trailers(length) => match line(received)? {
                    None => return Ok(Part::Missing),
                    Some(line) if line.is_empty() => *self = Self::End,
                    Some(line) => {
                        *length += line.len();
                        if *length > LONGEST {
                            return Err("the trailers are too long");
                        }
                    }
                },
                Self::End => return Ok(Part::End),
            }
        }
    }
}

/// A line without its end, once it is there. A bare line feed is none: two readers that differ in it see two bodies.
fn line(received: &mut BytesMut) -> Result<Option<BytesMut>, &'static str> {
    let Some(end) = received.iter().position(|b| *b == b'\n') else {
        return if received.len() > LONGEST { Err("a line between chunks is too long") } else { Ok(None) };
    };
    let mut line = received.split_to(end + 1);
    if end == 0 || line[end - 1] != b'\r' {
        return Err("a line between chunks does not end as it must");
    }
    line.truncate(end - 1);
    if line.contains(&b'\r') {
        return Err("a line between chunks does not end as it must");
    }
    Ok(Some(line))
}

/// The size in hexadecimal digits; what follows a semicolon is of no use to us.
fn size(line: &[u8]) -> Result<u64, &'static str> {
    let digits = line.split(|b| *b == b';').next().unwrap_or_default();
    let digits = digits.trim_ascii_end();
    if digits.is_empty() || digits.len() > 15 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err("the size of a chunk is no number");
    }
    let text = std::str::from_utf8(digits).map_err(|_| "the size of a chunk is no number")?;
    u64::from_str_radix(text, 16).map_err(|_| "the size of a chunk is no number")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A body, and what stands behind it.
    type Parted = (Vec<u8>, Vec<u8>);

    /// Reads a body that comes in pieces: what it says, and what is left over behind it.
    fn read(pieces: &[&[u8]]) -> Result<Option<Parted>, &'static str> {
        let (mut chunked, mut received, mut body) = (Chunked::Size, BytesMut::new(), Vec::new());
        for piece in pieces {
            received.extend_from_slice(piece);
            loop {
                match chunked.take(&mut received)? {
                    Part::Data(data) => body.extend_from_slice(&data),
                    Part::Missing => break,
                    Part::End => return Ok(Some((body, received.to_vec()))),
                }
            }
        }
        Ok(None)
    }

    const BODY: &[u8] = b"5\r\nhello\r\nA;name=value\r\n, world!!!\r\n0\r\nTrailer: x\r\n\r\nHTTP/1.1";

    #[test]
    fn chunks_become_the_body_and_what_follows_is_left() {
        assert_eq!(read(&[BODY]), Ok(Some((b"hello, world!!!".to_vec(), b"HTTP/1.1".to_vec()))));
    }

    #[test]
    fn what_another_reader_could_take_otherwise_is_refused() {
        for odd in [
            &b"5\nhello\r\n0\r\n\r\n"[..],
            b"5\r\nhello!\r\n0\r\n\r\n",
            b"5\r\nhello0\r\n\r\n",
            b"-5\r\nhello\r\n0\r\n\r\n",
            b"+5\r\nhello\r\n0\r\n\r\n",
            b"0x5\r\nhello\r\n0\r\n\r\n",
            b"\r\nhello\r\n0\r\n\r\n",
            b" 5\r\nhello\r\n0\r\n\r\n",
            b"10000000000000005\r\nhello\r\n0\r\n\r\n",
            b"5\r\r\nhello\r\n0\r\n\r\n",
        ] {
            assert!(read(&[odd]).is_err(), "{}", String::from_utf8_lossy(odd));
        }
        assert!(read(&[vec![b'1'; LONGEST + 2].as_slice()]).is_err());
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_the_pieces_end(cuts in proptest::collection::vec(0_usize..BODY.len(), 0..6)) {
            let mut cuts = cuts;
            cuts.push(0);
            cuts.push(BODY.len());
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &BODY[cut[0]..cut[1]]).collect();
            let (body, _) = read(&pieces).unwrap().unwrap();
            prop_assert_eq!(body, b"hello, world!!!");
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = read(&[&bytes]);
        }
    }
}
