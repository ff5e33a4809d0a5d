//! A free TCP port for a program that was not given one.

use std::{fs, io::ErrorKind, net::TcpListener, ops::Range};

use super::clock;

/// Ports that the kernel does not hand out to connections by itself.
const USUAL: Range<u16> = 20_000..32_768;

/// A port that nobody listens on, and that no connection gets by chance; not one of `taken`.
///
/// Absent when all are in use. Nothing reserves it: see `Spec::port_chosen`.
pub fn free(taken: &[u16]) -> Option<u16> {
    let range = range(&fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default());
    let count = range.len();
    // Two who choose at the same moment should not begin at the same place.
    let begin = (clock::micros() as usize).wrapping_mul(7919).wrapping_add(std::process::id() as usize * 104_729) % count;
    let candidates = (0..count).map(|n| range.start + ((begin + n) % count) as u16);
    candidates.into_iter().find(|port| !taken.contains(port) && !is_taken(*port))
}

/// Whether somebody listens on it, on all addresses or on loopback.
pub fn is_taken(port: u16) -> bool {
    // Any other refusal, such as a port for root alone, is for the program to meet.
    matches!(TcpListener::bind(("0.0.0.0", port)), Err(error) if error.kind() == ErrorKind::AddrInUse)
}

/// The usual range without what the kernel gives to connections, from its two limits.
fn range(limits: &str) -> Range<u16> {
    let mut limits = limits.split_ascii_whitespace().filter_map(|limit| limit.parse::<u16>().ok());
    let (Some(low), Some(high)) = (limits.next(), limits.next()) else {
        return USUAL;
    };
    let below = USUAL.start..USUAL.end.min(low);
    let above = high.saturating_add(1)..u16::MAX;
    match (below.len(), above.len()) {
        (1000.., _) => below,
        (_, 1000..) => above,
        // Nowhere is safe: then anywhere.
        _ => USUAL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_of_connections_are_left_to_the_kernel() {
        assert_eq!(range("32768\t60999\n"), 20_000..32_768);
        assert_eq!(range("10000 40000"), 40_001..65_535);
        assert_eq!(range("1024 65535"), USUAL);
    }

    #[test]
    fn a_port_that_is_listened_on_is_not_chosen() {
        let port = free(&[]).unwrap();
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        assert!(is_taken(port));
        assert_ne!(free(&[]).unwrap(), port);
        drop(listener);
    }
}
