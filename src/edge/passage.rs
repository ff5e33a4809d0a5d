//! One request from its head to the end of its answer: counted, logged, and noted for proofs.

use std::{net::IpAddr, sync::Arc};

use hyper::{Method, header::HeaderValue};

use super::{
    access::Line,
    backend::Backend,
    served::{App, Served},
    watch::Watch,
    worker::Worker,
};
/// Status in the access log of a request whose client went away first.
const CLIENT_GONE: u16 = 499;

/// Counts and logs a request when dropped.
#[derive(Debug)]
pub(super) struct Passage {
    pub worker: Arc<Worker>,
    pub client: Arc<Watch>,
    pub address: IpAddr,
    pub started: u64,
    pub id: HeaderValue,
    pub method: Method,
    pub host: HeaderValue,
    pub path: Box<str>,
    pub app: Option<Arc<App>>,
    pub served: Option<Arc<Served>>,
    /// The instance that was asked last.
    pub backend: Option<Arc<Backend>>,
    /// 0 until an answer was chosen.
    pub status: u16,
    pub is_proof: bool,
    bytes: u64,
    cut: Option<String>,
}

impl Passage {
    pub(super) fn new(
        worker: &Arc<Worker>,
        client: &Arc<Watch>,
        address: IpAddr,
        id: HeaderValue,
        method: Method,
        host: HeaderValue,
        path: &str,
    ) -> Self {
        Self {
            worker: Arc::clone(worker),
            client: Arc::clone(client),
            address,
            started: worker.edge.clock.now(),
            id,
            method,
            host,
            path: path.into(),
            app: None,
            served: None,
            backend: None,
            status: 0,
            is_proof: false,
            bytes: 0,
            cut: None,
        }
    }

    pub(super) fn sent(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// The answer broke off: not the client's doing.
    pub(super) fn cut(&mut self, error: &std::io::Error) {
        self.cut = Some(error.to_string());
    }

    /// The body was dropped before its end.
    pub(super) fn abandoned(&mut self) {
        if self.cut.is_none() {
            self.cut = Some("the client went away".to_owned());
        }
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        let worker = &self.worker;
        let now = worker.edge.clock.now();
        // From now on the client may be silent, up to the idle limit.
        self.client.between_requests(now + worker.edge.limits.idle_us);
        if self.is_proof {
            return;
        }
        let status = if self.status == 0 { CLIENT_GONE } else { self.status };
        let us = now.saturating_sub(self.started);
        match &self.served {
            Some(served) if self.status != 0 => served.counters.record(worker.index, status, us),
            Some(_) => {}
            None if self.app.is_none() => worker.edge.count_unrouted(),
            None => {}
        }
        worker.log.write(&Line {
            id: self.id.as_bytes(),
            client: self.address,
            app: self.app.as_ref().map(|app| app.id.as_str()),
            release: self.served.as_ref().map(|served| served.release),
            instance: self.backend.as_ref().map(|backend| backend.instance.0.as_str()),
            method: self.method.as_str(),
            host: self.host.as_bytes(),
            path: &self.path,
            status,
            us,
            bytes: self.bytes,
            cut: self.cut.as_deref(),
        });
    }
}
