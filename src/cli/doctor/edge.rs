//! The edge: whether its listeners can be opened, and what is wrong with its certificates.

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpListener},
};

use super::Finding;
use crate::{
    config::{
        settings::{CertificateFiles, EdgeSettings},
        sockets,
    },
    model::{edge::EdgeStatus, problem::Problem},
};

/// `edge` is absent when none can be asked.
pub(super) fn look(settings: &EdgeSettings, edge: Option<&EdgeStatus>) -> Vec<Finding> {
    let open: Vec<SocketAddr> = edge.iter().flat_map(|edge| edge.http.iter().chain(&edge.https)).copied().collect();
    let troubles: Vec<&Problem> = edge.iter().flat_map(|edge| &edge.troubles).collect();
    let is_told = |address: &SocketAddr| troubles.iter().any(|trouble| trouble.at == Some(address.to_string()));
    let asked = settings.http.iter().chain(&settings.https).filter(|address| address.port() != 0 && !is_told(address));
    let mut findings: Vec<Finding> =
        asked.map(|address| if open.contains(address) { serving(*address) } else { listener(*address) }).collect();
    findings.extend(troubles.into_iter().map(|trouble| {
        let place = trouble.at.as_deref().map(|at| format!("{at}: ")).unwrap_or_default();
        let mend = trouble.next.clone().unwrap_or_else(|| "look at the file".to_owned());
        let is_of_certificate = |pair: &CertificateFiles| {
            [&pair.cert, &pair.key]
                .into_iter()
                .any(|file| trouble.at.as_deref().is_some_and(|at| at == file.display().to_string()))
        };
        let name = if settings.certificates.iter().any(is_of_certificate) { "certificate" } else { "edge" };
        Finding::bad(name, format!("{place}{}", trouble.what), mend)
    }));
    findings
}

fn serving(address: SocketAddr) -> Finding {
    Finding::good("edge listener", format!("{address} is this engine's edge"))
}

fn listener(address: SocketAddr) -> Finding {
    let port = address.port();
    match TcpListener::bind(address) {
        Ok(_) => Finding::good("edge listener", format!("{address} can be opened")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Finding::bad(
            "edge listener",
            format!("{address} is taken by {}", sockets::taken_by(address)),
            format!("end that program (ss -ltnp 'sport = :{port}' shows it), or set edge.http and edge.https to other ports"),
        ),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Finding::bad(
            "edge listener",
            format!("{address} needs rights that this user lacks"),
            "grant them: sudo setcap cap_net_bind_service=+ep $(command -v pilothouse); or set a port from 1024 on",
        ),
        Err(error) => Finding::bad("edge listener", format!("{address}: {error}"), "set it to an address of this machine"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_and_a_bad_certificate_come_with_what_mends_them() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let settings = EdgeSettings { http: vec![address], ..EdgeSettings::default() };
        let found = look(&settings, None).remove(0);
        assert!(!found.usable && found.note.contains("taken") && found.mend.unwrap().contains("ss -ltnp"));
        let trouble = Problem::user("the certificate expired 3 days ago").at("/a.pem").hint("renew it");
        let edge = EdgeStatus { http: vec![address], troubles: vec![trouble], ..EdgeStatus::default() };
        let found = look(&settings, Some(&edge));
        assert!(found[0].usable && found[1].note == "/a.pem: the certificate expired 3 days ago");
    }
}
