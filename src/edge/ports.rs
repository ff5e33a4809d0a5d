//! Which addresses are listened on: those of the settings, with the sockets of the edge before where it has them.

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use socket2::{Domain, Protocol, Socket, Type};

use super::table;
use crate::{
    config::{settings::EdgeSettings, sockets},
    model::problem::Problem,
};

/// First port that is tried when none is set.
const FIRST_PORT: u16 = 8080;
/// Ports that are tried after it.
const PORTS: u16 = 1000;
/// Connections that the system may hold before they are accepted.
const BACKLOG: i32 = 4096;

/// Listening sockets that another edge has handed over, by address.
#[derive(Debug, Default)]
pub(super) struct Handed(HashMap<SocketAddr, Vec<TcpListener>>);

impl Handed {
    /// A socket that tells no address is not used.
    pub(super) fn add(&mut self, socket: TcpListener) {
        if let Ok(address) = socket.local_addr() {
            self.0.entry(address).or_default().push(socket);
        }
    }

    /// Whether an address with this port is this user's already.
    fn has_port(&self, port: u16) -> bool {
        self.0.keys().any(|address| address.port() == port)
    }

    /// The same sockets once more: a try that fails must not close them.
    fn at(&self, address: SocketAddr) -> io::Result<Vec<TcpListener>> {
        self.0.get(&address).into_iter().flatten().map(TcpListener::try_clone).collect()
    }
}

/// `STATE/edge/ports.json`: which ports were chosen, so that URLs outlive a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Chosen {
    asked: Vec<SocketAddr>,
    http: Vec<SocketAddr>,
    /// Port from which it moved here.
    #[serde(default)]
    moved_from: Option<u16>,
}

/// Listening sockets of one kind: of each address at least one per thread.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    pub addresses: Vec<SocketAddr>,
    pub per_thread: Vec<Vec<TcpListener>>,
    /// Why the port is another one since this start.
    pub moved: Option<Problem>,
    /// The port of before, which another program had at this start or an earlier one.
    pub moved_from: Option<u16>,
    asked: Vec<SocketAddr>,
    file: PathBuf,
}

/// Opens the listeners for plain HTTP and for HTTPS; of these there may be none.
///
/// A conflict means that an address is taken: it may be free later. With `may_move` a port that nobody asked for is then
/// another one than before.
pub(super) fn open(
    config: &EdgeSettings,
    threads: usize,
    folder: &Path,
    handed: &Handed,
    may_move: bool,
) -> Result<(Listeners, Listeners), Problem> {
    let plain = open_known(&config.http, threads, folder.join("ports.json"), handed, may_move)?;
    if config.https.is_empty() {
        return Ok((plain, Listeners::default()));
    }
    if let Some(twice) = config.https.iter().find(|address| plain.addresses.contains(address)) {
        return Err(Problem::user(format!("{twice} is asked for by edge.http and by edge.https"))
            .at("edge.https")
            .hint("give each an address of its own"));
    }
    let secure = open_known(&config.https, threads, folder.join("ports-https.json"), handed, false)?;
    Ok((plain, secure))
}

/// Those that were chosen at the last start with the same settings, else new ones.
fn open_known(
    asked: &[SocketAddr],
    threads: usize,
    file: PathBuf,
    handed: &Handed,
    may_move: bool,
) -> Result<Listeners, Problem> {
    let known: Option<Chosen> = std::fs::read(&file).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let opened = match known.filter(|known| known.asked == asked && !known.http.is_empty()) {
        Some(known) => match listen_all(&known.http, threads, handed) {
            Err((address, error)) if asked.is_empty() && (may_move || error.kind() != io::ErrorKind::AddrInUse) => {
                let free = first_free(threads, handed)?;
                let moved = Some(moved(address, &error, &free));
                return Ok(Listeners { file, moved, moved_from: Some(address.port()), ..free });
            }
            opened => opened.map(|opened| Listeners { moved_from: known.moved_from, ..opened }),
        },
        None if asked.is_empty() => return Ok(Listeners { file, ..first_free(threads, handed)? }),
        None => listen_all(asked, threads, handed),
    };
    let listeners = opened.map_err(|(address, error)| refused(address, &error))?;
    Ok(Listeners { asked: asked.to_vec(), file, ..listeners })
}

impl Listeners {
    /// Keeps the choice for the next start.
    pub(super) fn remember(&self) -> Result<(), Problem> {
        if self.addresses.is_empty() {
            return Ok(());
        }
        let chosen = Chosen { asked: self.asked.clone(), http: self.addresses.clone(), moved_from: self.moved_from };
        let text = serde_json::to_vec_pretty(&chosen).unwrap_or_default();
        table::replace(&self.file, &text).map_err(|error| {
            Problem::unavailable(format!("cannot keep the edge's ports: {error}")).at(self.file.display().to_string())
        })
    }

    /// The same sockets once more, to hand over.
    pub(super) fn copies(&self) -> io::Result<Vec<TcpListener>> {
        self.per_thread.iter().flatten().map(TcpListener::try_clone).collect()
    }
}

/// The first port from 8080 that is free on 127.0.0.1 and, where there is one, on `[::1]`.
fn first_free(threads: usize, handed: &Handed) -> Result<Listeners, Problem> {
    for port in FIRST_PORT..FIRST_PORT + PORTS {
        let four = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let six = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
        match listen_all(&[four, six], threads, handed) {
            Ok(listeners) => return Ok(listeners),
            Err((_, error)) if error.kind() == io::ErrorKind::AddrInUse => {}
            // Names such as `shop.localhost` lead to [::1] first, so it is wanted; but not every machine has it.
            Err((address, _)) if address == six => {
                if let Ok(listeners) = listen_all(&[four], threads, handed) {
                    return Ok(listeners);
                }
            }
            Err((address, error)) => return Err(refused(address, &error)),
        }
    }
    Err(Problem::conflict(format!("no port from {FIRST_PORT} to {} is free", FIRST_PORT + PORTS - 1)).hint("set edge.http"))
}

/// Tells that the port is another one than before.
fn moved(from: SocketAddr, error: &io::Error, to: &Listeners) -> Problem {
    let port = to.addresses.first().map_or(0, SocketAddr::port);
    let why = refused(from, error);
    Problem { what: format!("{}: the edge listens on port {port} now", why.what), ..why }.hint(format!(
        "see the new addresses of apps with `pilothouse apps`; for a port that stays set edge.http, such as 127.0.0.1:{port}"
    ))
}

fn refused(address: SocketAddr, error: &io::Error) -> Problem {
    let port = address.port();
    match error.kind() {
        io::ErrorKind::AddrInUse => Problem::conflict(format!("port {port} is taken by {}", sockets::taken_by(address)))
            .hint(format!("end that program (`ss -ltnp 'sport = :{port}'` shows it), or set edge.http to another port")),
        io::ErrorKind::PermissionDenied => Problem::user(format!("port {port} needs rights that this user lacks"))
            .hint("set edge.http to a port from 1024 on, or grant CAP_NET_BIND_SERVICE"),
        _ => Problem::user(format!("cannot listen on {address}: {error}")).hint("set edge.http to an address of this machine"),
    }
    .at(address.to_string())
}

fn listen_all(asked: &[SocketAddr], threads: usize, handed: &Handed) -> Result<Listeners, (SocketAddr, io::Error)> {
    let mut listeners = Listeners { per_thread: spread(Vec::new(), threads), ..Listeners::default() };
    for address in asked {
        let (bound, sockets) = listen_at(*address, threads, handed, false).map_err(|error| (*address, error))?;
        let per_thread = spread(sockets, threads);
        listeners.per_thread.iter_mut().zip(per_thread).for_each(|(thread, sockets)| thread.extend(sockets));
        listeners.addresses.push(bound);
    }
    Ok(listeners)
}

/// Sockets of one address: all that were handed over, since closing one would reset what waits in it, and new ones for
/// threads that would have none. Gives the address too: port 0 becomes one of the system's choice. `any`: the address may
/// become this machine's later (IP_FREEBIND of ip(7)).
pub(super) fn listen_at(
    asked: SocketAddr,
    threads: usize,
    handed: &Handed,
    any: bool,
) -> io::Result<(SocketAddr, Vec<TcpListener>)> {
    let mut sockets = handed.at(asked)?;
    if sockets.is_empty() {
        // The first one must not share its port with an edge that has not handed it over: it shares only once it has it.
        sockets.push(listen(asked, handed.has_port(asked.port()), any)?);
    }
    let address = sockets[0].local_addr()?;
    while sockets.len() < threads {
        sockets.push(listen(address, true, any)?);
    }
    Ok((address, sockets))
}

/// The sockets in turn to each thread.
pub(super) fn spread(sockets: Vec<TcpListener>, threads: usize) -> Vec<Vec<TcpListener>> {
    let mut per_thread: Vec<Vec<TcpListener>> = (0..threads).map(|_| Vec::new()).collect();
    for (number, socket) in sockets.into_iter().enumerate() {
        per_thread[number % threads].push(socket);
    }
    per_thread
}

fn listen(address: SocketAddr, is_shared: bool, any: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if any && address.is_ipv4() {
        socket.set_freebind_v4(true)?;
    }
    if is_shared {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    socket.set_reuse_port(true)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    #[test]
    fn another_edge_of_the_same_user_does_not_share_the_port() {
        let none = Handed::default();
        let ours = listen_all(&[ANY], 3, &none).unwrap();
        assert_eq!(ours.per_thread.len(), 3);
        let (_, error) = listen_all(&ours.addresses, 3, &none).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn two_edges_choose_two_ports() {
        let none = Handed::default();
        let (one, other) = (first_free(2, &none).unwrap(), first_free(2, &none).unwrap());
        assert_ne!(one.addresses[0].port(), other.addresses[0].port());
    }

    #[test]
    fn the_port_stays_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let config = EdgeSettings { http: vec![ANY], ..EdgeSettings::default() };
        let first = open(&config, 1, folder.path(), &Handed::default(), false).unwrap().0;
        first.remember().unwrap();
        let addresses = first.addresses.clone();
        drop(first);
        assert_eq!(open(&config, 1, folder.path(), &Handed::default(), false).unwrap().0.addresses, addresses);
    }

    #[test]
    fn a_port_that_moved_is_remembered_with_the_one_of_before() {
        let folder = tempfile::tempdir().unwrap();
        let opened = || {
            let (opened, _) = open(&EdgeSettings::default(), 1, folder.path(), &Handed::default(), true).unwrap();
            opened.remember().unwrap();
            (opened.addresses[0].port(), opened.moved_from, opened.moved.is_some())
        };
        let held = TcpListener::bind(ANY).unwrap();
        let before = held.local_addr().unwrap();
        let chosen = Chosen { asked: Vec::new(), http: vec![before], moved_from: None };
        std::fs::write(folder.path().join("ports.json"), serde_json::to_vec(&chosen).unwrap()).unwrap();
        let (port, from, is_news) = opened();
        assert_eq!((from, is_news), (Some(before.port()), true));
        assert_eq!(opened(), (port, Some(before.port()), false), "it is known after the next start, and no news");
    }

    #[test]
    fn sockets_that_were_handed_over_are_all_used_whatever_the_number_of_threads() {
        let before = listen_all(&[ANY], 3, &Handed::default()).unwrap();
        for threads in [1, 2, 5] {
            let mut handed = Handed::default();
            before.copies().unwrap().into_iter().for_each(|socket| handed.add(socket));
            let after = listen_all(&before.addresses, threads, &handed).unwrap();
            assert_eq!(after.addresses, before.addresses);
            assert_eq!(after.per_thread.iter().flatten().count(), threads.max(3));
            assert!(after.per_thread.iter().all(|sockets| !sockets.is_empty()));
        }
    }
}
