//! How many bytes of a connection the other side's kernel has acknowledged.

use std::os::fd::{AsRawFd, BorrowedFd};

/// Bytes acknowledged since the connection was made, by `tcpi_bytes_acked` of `TCP_INFO` (tcp(7), `linux/tcp.h`), which
/// also counts the SYN; absent where the system does not tell.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "no safe wrapper of TCP_INFO exists in the crates used; proof below")]
pub(super) fn acked(socket: BorrowedFd<'_>) -> Option<u64> {
    /// `tcpi_bytes_acked` lies at offset 120 of `struct tcp_info`.
    const PLACE: usize = 120 / size_of::<u64>();
    let mut info = [0_u64; 32];
    let mut length = size_of_val(&info) as libc::socklen_t;
    // SAFETY: `socket` is borrowed, so its descriptor is open during the call; the kernel writes at most `length` bytes to
    // `info`, which is that long, initialised, and valid for any bytes; both pointers outlive the call.
    let done = unsafe {
        libc::getsockopt(socket.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, info.as_mut_ptr().cast(), &raw mut length)
    };
    (done == 0 && length as usize >= (PLACE + 1) * size_of::<u64>()).then(|| info[PLACE].saturating_sub(1))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn acked(_socket: BorrowedFd<'_>) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::{TcpListener, TcpStream},
        os::fd::AsFd,
    };

    use super::*;

    #[test]
    fn what_was_read_is_acknowledged() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        assert_eq!(acked(near.as_fd()), Some(0));
        near.write_all(b"hello").unwrap();
        far.read_exact(&mut [0; 5]).unwrap();
        // An answer carries the acknowledgement.
        far.write_all(b"!").unwrap();
        near.read_exact(&mut [0; 1]).unwrap();
        assert_eq!(acked(near.as_fd()), Some(5));
    }
}
