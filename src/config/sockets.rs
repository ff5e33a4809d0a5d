//! Who listens where on this machine, as `/proc/net/tcp` and `/proc/PID/fd` tell it (proc_pid_net(5)).

use std::{
    collections::HashSet,
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use crate::model::log::safe;

/// A listening TCP socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    pub address: SocketAddr,
    pub inode: u64,
}

/// All listening sockets in the network namespace of a process; empty when they cannot be seen.
pub fn listeners(pid: u32) -> Vec<Listener> {
    let mut all = Vec::new();
    for table in ["tcp", "tcp6"] {
        let text = fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        all.extend(text.lines().skip(1).filter_map(listener));
    }
    all
}

/// One line of the table, when it is of a listening socket.
fn listener(line: &str) -> Option<Listener> {
    const LISTEN: &str = "0A";
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    if *fields.get(3)? != LISTEN {
        return None;
    }
    let (ip, port) = fields.get(1)?.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some(Listener { address: SocketAddr::new(address(ip)?, port), inode: fields.get(9)?.parse().ok()? })
}

/// Words of 32 bits in hexadecimal, each as it lies in memory.
fn address(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| Some(u32::from_str_radix(hex.get(at * 8..at * 8 + 8)?, 16).ok()?.to_ne_bytes());
    if hex.len() == 8 {
        return Some(Ipv4Addr::from(word(0)?).into());
    }
    let bytes: [u8; 16] = [word(0)?, word(1)?, word(2)?, word(3)?].concat().try_into().ok()?;
    Some(Ipv6Addr::from(bytes).to_canonical())
}

/// Inodes of the sockets that a process has open: none of one that is gone; an error when they are not shown to us.
pub fn inodes_of(pid: u32) -> io::Result<HashSet<u64>> {
    let open = match fs::read_dir(format!("/proc/{pid}/fd")) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(error),
        open => open.into_iter().flatten().flatten(),
    };
    let inode = |entry: fs::DirEntry| {
        let target = fs::read_link(entry.path()).ok()?;
        target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    };
    Ok(open.filter_map(inode).collect())
}

/// The process that has a socket open, if it can be seen. Looks at every process of the machine.
pub fn holder(inode: u64) -> Option<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.find(|pid| inodes_of(*pid).is_ok_and(|inodes| inodes.contains(&inode)))
}

/// Who keeps others from listening at `address`, in words: `python3 (pid 4711)`, or as much as can be seen of it.
pub fn taken_by(address: SocketAddr) -> String {
    let is_in_the_way = |found: &Listener| {
        let overlaps = found.address.ip() == address.ip() || found.address.ip().is_unspecified() || address.ip().is_unspecified();
        found.address.port() == address.port() && overlaps
    };
    let found: Vec<Listener> = listeners(std::process::id()).into_iter().filter(is_in_the_way).collect();
    match found.iter().find_map(|listener| holder(listener.inode)) {
        Some(pid) => {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            format!("{} (pid {pid})", safe(name.trim_end()))
        }
        None if found.is_empty() => "another program".to_owned(),
        None => "a program of another user".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_tables_are_read() {
        let four = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0  0 4711 1 0 100 0 0 10 0";
        assert_eq!(listener(four), Some(Listener { address: "127.0.0.1:8080".parse().unwrap(), inode: 4711 }));
        let six = "   1: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 7 1 0";
        assert_eq!(listener(six).map(|found| found.address), "[::1]:80".parse().ok());
        assert_eq!(listener(&four.replace(" 0A ", " 01 ")), None);
    }

    #[test]
    fn this_process_is_found_by_its_socket() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let me = std::process::id();
        let found = listeners(me).into_iter().find(|listener| listener.address == address).unwrap();
        assert!(inodes_of(me).unwrap().contains(&found.inode));
        assert_eq!(holder(found.inode), Some(me));
        let everywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
        for wanted in [address, everywhere] {
            assert!(taken_by(wanted).ends_with(&format!("(pid {me})")), "{}", taken_by(wanted));
        }
        drop(socket);
        assert_eq!(taken_by(address), "another program");
    }
}
