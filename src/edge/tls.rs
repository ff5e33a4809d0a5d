//! Certificates: read from files, chosen by the name a client asks for, read again when the files change.

use std::{
    collections::HashMap,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};

use super::{validity::not_after, watch::lock};
use crate::{
    config::{
        clock,
        settings::{CertificateFiles, EdgeSettings},
    },
    model::{problem::Problem, units::many},
};

/// Everything for HTTPS. Connections that are open keep what they began with.
#[derive(Debug)]
pub(super) struct Tls {
    pub config: Arc<ServerConfig>,
    certificates: Arc<Certificates>,
}

impl Tls {
    /// Absent without a listener for HTTPS. A pair of files that cannot be used is left out, and told by `troubles`.
    pub(super) fn new(settings: &EdgeSettings) -> Result<Option<Self>, Problem> {
        if settings.https.is_empty() {
            return Ok(None);
        }
        let provider = Arc::new(ring::default_provider());
        let certificates = Arc::new(Certificates::new(settings.certificates.clone(), Arc::clone(&provider)));
        certificates.read_changed();
        let unusable = |error: rustls::Error| Problem::internal(format!("TLS cannot be set up: {error}"));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(unusable)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&certificates) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.ticketer = ring::Ticketer::new().map_err(unusable)?;
        Ok(Some(Self { config: Arc::new(config), certificates }))
    }

    /// Reads files that have changed. New connections get what was read; a pair that cannot be used leaves the old one.
    pub(super) fn read_changed(&self) {
        self.certificates.read_changed();
    }

    /// Names that certificates are for, wildcards as `*.example.org`.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.certificates.choice.load().by_name.keys().cloned().collect();
        names.sort();
        names
    }

    /// Whether a certificate is for this name.
    pub(super) fn is_for(&self, host: &str) -> bool {
        self.certificates.choice.load().named(host).is_some()
    }

    /// What is wrong with the files, as they were read last.
    pub(super) fn troubles(&self) -> Vec<Problem> {
        let now = clock::now().0 / 1000;
        let pairs = lock(&self.certificates.pairs);
        let mut troubles: Vec<Problem> = pairs.iter().flat_map(|pair| pair.troubles(now)).collect();
        if pairs.is_empty() {
            let what = "edge.https is set, but there is no certificate";
            troubles.push(
                Problem::user(what)
                    .at("edge.certificates")
                    .hint("name the files: edge.certificates = [{ cert = \"…\", key = \"…\" }]"),
            );
        }
        troubles
    }
}

/// The certificates by name.
#[derive(Debug, Default)]
struct Choice {
    by_name: HashMap<String, Arc<CertifiedKey>>,
    /// For names without a certificate, and for clients that say no name.
    first: Option<Arc<CertifiedKey>>,
}

impl Choice {
    /// The certificate of the name itself, else a wildcard that stands for its first label (RFC 9525 §6.3).
    fn named(&self, host: &str) -> Option<&Arc<CertifiedKey>> {
        self.by_name.get(host).or_else(|| {
            let (_, parent) = host.split_once('.')?;
            self.by_name.get(&format!("*.{parent}"))
        })
    }
}

#[derive(Debug)]
struct Certificates {
    provider: Arc<CryptoProvider>,
    choice: ArcSwap<Choice>,
    pairs: Mutex<Vec<Pair>>,
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let choice = self.choice.load();
        let named = hello.server_name().and_then(|name| choice.named(&name.to_ascii_lowercase()));
        named.or(choice.first.as_ref()).cloned()
    }
}

/// A certificate's two files, and what was read of them.
#[derive(Debug)]
struct Pair {
    files: CertificateFiles,
    seen: Option<[Stamp; 2]>,
    key: Option<Arc<CertifiedKey>>,
    /// Seconds since 1970.
    not_after: Option<i64>,
    is_open_to_all: bool,
    trouble: Option<Problem>,
}

/// By which a file that was written or replaced is known.
type Stamp = Option<(u64, i64, i64, u64)>;

fn stamp(path: &Path) -> Stamp {
    let file = std::fs::metadata(path).ok()?;
    Some((file.ino(), file.mtime(), file.mtime_nsec(), file.size()))
}

impl Certificates {
    fn new(files: Vec<CertificateFiles>, provider: Arc<CryptoProvider>) -> Self {
        let pair = |files| Pair { files, seen: None, key: None, not_after: None, is_open_to_all: false, trouble: None };
        let pairs = Mutex::new(files.into_iter().map(pair).collect());
        Self { provider, choice: ArcSwap::default(), pairs }
    }

    fn read_changed(&self) {
        let mut pairs = lock(&self.pairs);
        let mut has_changed = false;
        for pair in pairs.iter_mut() {
            has_changed |= pair.read_changed(&self.provider);
        }
        if has_changed {
            self.choice.store(Arc::new(choose(&pairs)));
        }
    }
}

fn choose(pairs: &[Pair]) -> Choice {
    let mut choice = Choice::default();
    for key in pairs.iter().filter_map(|pair| pair.key.as_ref()) {
        for name in key.cert.first().map(names).unwrap_or_default() {
            choice.by_name.entry(name).or_insert_with(|| Arc::clone(key));
        }
        choice.first.get_or_insert_with(|| Arc::clone(key));
    }
    choice
}

fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let read = webpki::EndEntityCert::try_from(certificate);
    read.map(|read| read.valid_dns_names().map(str::to_ascii_lowercase).collect()).unwrap_or_default()
}

impl Pair {
    /// True when there is another certificate now.
    fn read_changed(&mut self, provider: &CryptoProvider) -> bool {
        // Stamps first: what is written while it is read is read again.
        let seen = [stamp(&self.files.cert), stamp(&self.files.key)];
        if self.seen == Some(seen) {
            return false;
        }
        self.seen = Some(seen);
        self.is_open_to_all = std::fs::metadata(&self.files.key).is_ok_and(|file| file.mode() & 0o004 != 0);
        match read(&self.files, provider) {
            Ok(key) => {
                self.not_after = key.cert.first().and_then(|certificate| not_after(certificate));
                self.key = Some(Arc::new(key));
                self.trouble = None;
                tracing::info!(file = %self.files.cert.display(), "a certificate was read");
                true
            }
            Err(problem) => {
                tracing::warn!(%problem, "a certificate cannot be used");
                let kept = self.key.as_ref().map(|_| "; the one before it is served on");
                self.trouble = Some(Problem { what: problem.what + kept.unwrap_or_default(), ..problem });
                false
            }
        }
    }

    fn troubles(&self, now: i64) -> Vec<Problem> {
        const SOON: i64 = 14 * 24 * 3600;
        let mut troubles: Vec<Problem> = self.trouble.clone().into_iter().collect();
        let at = self.files.cert.display().to_string();
        if let Some(end) = self.not_after {
            let days = many(((end - now).abs() / (24 * 3600)) as usize, "day");
            if end < now {
                troubles.push(Problem::user(format!("the certificate expired {days} ago")).at(at).hint("renew it"));
            } else if end < now + SOON {
                troubles.push(Problem::user(format!("the certificate expires in {days}")).at(at).hint("renew it"));
            }
        }
        if self.is_open_to_all {
            let key = self.files.key.display().to_string();
            let problem = Problem::user("every user of this machine can read the private key");
            troubles.push(problem.hint(format!("chmod 600 {key}")).at(key));
        }
        troubles
    }
}

/// Reads and checks both files; nothing of a key's content stands in the problem.
fn read(files: &CertificateFiles, provider: &CryptoProvider) -> Result<CertifiedKey, Problem> {
    let (cert, key) = (&files.cert, &files.key);
    let chain: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(&text(cert, "certificate")?).collect();
    let chain = chain.map_err(|error| wrong(cert, format!("the certificate's PEM is broken: {error}")))?;
    if chain.is_empty() {
        return Err(
            wrong(cert, "it holds no certificate".to_owned()).hint("it must hold `-----BEGIN CERTIFICATE-----`, its own first")
        );
    }
    let private = PrivateKeyDer::from_pem_slice(&text(key, "private key")?).map_err(|_| {
        wrong(key, "it holds no private key that can be read".to_owned())
            .hint("it must hold `-----BEGIN PRIVATE KEY-----`, without a passphrase")
    })?;
    CertifiedKey::from_der(chain, private, provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => wrong(key, "the private key does not belong to the certificate".to_owned())
            .hint(format!("compare it with {}", cert.display())),
        error => wrong(cert, format!("the certificate or its key cannot be used: {error}")),
    })
}

fn text(path: &PathBuf, what: &str) -> Result<Vec<u8>, Problem> {
    std::fs::read(path).map_err(|error| {
        wrong(path, format!("cannot read the {what}: {error}"))
            .hint("the edge's user must be able to read it; see edge.certificates")
    })
}

fn wrong(path: &Path, what: String) -> Problem {
    Problem::user(what).at(path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn pair(&self, name: &str, hosts: &[&str]) -> CertificateFiles {
            let made =
                rcgen::generate_simple_self_signed(hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>()).unwrap();
            let files = CertificateFiles {
                cert: self.0.path().join(format!("{name}.pem")),
                key: self.0.path().join(format!("{name}.key")),
            };
            std::fs::write(&files.cert, made.cert.pem()).unwrap();
            std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
            files
        }

        fn tls(certificates: Vec<CertificateFiles>) -> Tls {
            let https = vec![std::net::SocketAddr::from(([127, 0, 0, 1], 0))];
            Tls::new(&EdgeSettings { https, certificates, ..EdgeSettings::default() }).unwrap().unwrap()
        }
    }

    fn folder() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    #[test]
    fn the_name_itself_wins_over_a_wildcard_and_the_first_is_for_the_rest() {
        let folder = folder();
        let pairs = vec![folder.pair("wild", &["*.example.org"]), folder.pair("shop", &["shop.example.org"])];
        let tls = Folder::tls(pairs);
        assert_eq!(tls.names(), ["*.example.org", "shop.example.org"]);
        assert!(tls.is_for("shop.example.org") && tls.is_for("other.example.org"));
        assert!(!tls.is_for("a.b.example.org") && !tls.is_for("example.org"));
        let choice = tls.certificates.choice.load();
        assert!(!Arc::ptr_eq(choice.named("shop.example.org").unwrap(), choice.named("x.example.org").unwrap()));
        assert!(Arc::ptr_eq(choice.first.as_ref().unwrap(), choice.named("x.example.org").unwrap()));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_file() {
        let folder = folder();
        let (one, other) = (folder.pair("one", &["a.org"]), folder.pair("other", &["b.org"]));
        let mixed = CertificateFiles { cert: one.cert.clone(), key: other.key.clone() };
        let empty = CertificateFiles { cert: one.key.clone(), key: one.key.clone() };
        let keyless = CertificateFiles { cert: one.cert.clone(), key: one.cert.clone() };
        let absent = CertificateFiles { cert: one.cert.clone(), key: "/nowhere.key".into() };
        for (files, what, file) in [
            (mixed, "does not belong", "other.key"),
            (empty, "no certificate", "one.key"),
            (keyless, "no private key", "one.pem"),
            (absent, "cannot read the private key", "/nowhere.key"),
        ] {
            let tls = Folder::tls(vec![files]);
            let problem = tls.troubles().remove(0);
            assert!(problem.what.contains(what) && problem.at.unwrap_or_default().contains(file), "{what}");
            assert!(tls.names().is_empty());
        }
        assert!(Folder::tls(Vec::new()).troubles()[0].what.contains("no certificate"));
    }

    #[test]
    fn files_that_change_are_read_again_and_broken_ones_change_nothing() {
        let folder = folder();
        let files = folder.pair("shop", &["old.org"]);
        let tls = Folder::tls(vec![files.clone()]);
        folder.pair("shop", &["new.org"]);
        // Two writes within one tick of the file system's clock cannot be told apart by their time.
        let later = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(2_000_000_000);
        std::fs::File::options().write(true).open(&files.cert).unwrap().set_modified(later).unwrap();
        tls.read_changed();
        assert_eq!(tls.names(), ["new.org"]);
        std::fs::write(&files.key, "nothing").unwrap();
        tls.read_changed();
        assert_eq!(tls.names(), ["new.org"]);
        assert!(tls.troubles()[0].what.ends_with("the one before it is served on"));
    }

    #[test]
    fn an_old_certificate_and_an_open_key_are_told() {
        use std::os::unix::fs::PermissionsExt;
        let folder = folder();
        let mut asked = rcgen::CertificateParams::new(vec!["old.org".to_owned()]).unwrap();
        asked.not_after = rcgen::date_time_ymd(2020, 2, 3);
        let key = rcgen::KeyPair::generate().unwrap();
        let files = folder.pair("old", &["old.org"]);
        std::fs::write(&files.cert, asked.self_signed(&key).unwrap().pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        std::fs::set_permissions(&files.key, std::fs::Permissions::from_mode(0o644)).unwrap();
        let told: Vec<String> = Folder::tls(vec![files]).troubles().into_iter().map(|problem| problem.what).collect();
        assert!(told[0].contains("expired") && told[1].contains("can read the private key"), "{told:?}");
    }
}
