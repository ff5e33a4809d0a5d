//! Listening sockets from process to process: each with one byte, by SCM_RIGHTS (unix(7)).

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    net::TcpListener,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Sends the sockets; they stay open here.
pub(super) fn send(to: &UnixStream, sockets: &[&TcpListener]) -> io::Result<()> {
    for socket in sockets {
        let one: [BorrowedFd<'_>; 1] = [socket.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !control.push(SendAncillaryMessage::ScmRights(&one)) {
            return Err(io::Error::other("no room for a descriptor"));
        }
        sendmsg(to, &[IoSlice::new(b"s")], &mut control, SendFlags::NOSIGNAL)?;
    }
    Ok(())
}

/// Receives so many sockets.
pub(super) fn receive(from: &UnixStream, count: usize) -> io::Result<Vec<TcpListener>> {
    (0..count).map(|_| receive_one(from)).collect()
}

fn receive_one(from: &UnixStream) -> io::Result<TcpListener> {
    let mut byte = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    recvmsg(from, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let descriptors = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    let descriptor: Option<OwnedFd> = descriptors.flatten().next();
    descriptor.map(TcpListener::from).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_waits_in_a_passed_socket_is_not_lost_with_its_first_owner() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let _client = std::net::TcpStream::connect(address).unwrap();
        send(&ours, &[&socket, &socket]).unwrap();
        drop(socket);
        let passed = receive(&theirs, 2).unwrap();
        assert_eq!(passed[0].local_addr().unwrap(), address);
        assert!(passed[1].accept().is_ok());
    }

    #[test]
    fn an_edge_that_dies_meanwhile_is_an_error() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(ours);
        assert_eq!(receive(&theirs, 1).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
