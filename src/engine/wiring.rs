//! What stands behind the ports of `deploy`: until an answer exists, each says plainly that there is none.

use crate::{
    deploy::ports::{Gate, Placer, Ranked, Verdict},
    model::{
        fleet::{Fleet, Release},
        ids::{AppId, HostId},
    },
};

/// No ledger yet: nothing is checked, and nothing claims to be.
#[derive(Clone, Copy, Debug)]
pub struct NoGate;

impl Gate for NoGate {
    fn admit(&self, _release: &Release) -> Verdict {
        Verdict::NotChecked
    }

    fn attest(&self, _release: &Release) -> Verdict {
        Verdict::NotChecked
    }
}

/// One machine: no choice.
#[derive(Clone, Copy, Debug)]
pub struct OnlyHost;

impl Placer for OnlyHost {
    fn rank(&self, fleet: &Fleet, _app: &AppId) -> Vec<Ranked> {
        let name = fleet.hosts.get(&HostId::local()).and_then(|host| host.facts.as_ref()).map(|facts| facts.name.clone());
        let reason = name.map_or("the only host".to_owned(), |name| format!("{name}, the only host"));
        vec![Ranked { host: HostId::local(), reason }]
    }
}
