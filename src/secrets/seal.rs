//! Sealing: values at rest, under a key that lies in a file of its own.
//!
//! A sealed value is `PHS1`, a nonce of 24 random bytes, and the output of XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03,
//! with the AEAD of RFC 8439): the encrypted value and its tag of 16 bytes. Its associated data are `pilothouse 1 ` and the
//! value's name, so that one value cannot be put in another's place. The key is 32 random bytes, in hex in `secrets.key`.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};

use crate::model::problem::Problem;

/// What a sealed value begins with.
const MAGIC: &[u8; 4] = b"PHS1";
const NONCE: usize = 24;
/// The way out when a key is lost.
const LOST: &str = "put it back from where you keep copies; without one, `pilothouse secret set NAME` makes a new key";

/// Seals and opens values. Cheap to clone.
#[derive(Clone)]
pub struct Seal {
    path: PathBuf,
    key: Arc<Mutex<Option<[u8; 32]>>>,
}

impl Seal {
    /// With the key in `path`, which is made at the first use.
    pub fn new(path: PathBuf) -> Self {
        Self { path, key: Arc::default() }
    }

    /// Whether there is no key at all: none was ever made, or it is lost.
    pub fn has_no_key(&self) -> bool {
        let key = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        key.is_none() && matches!(read(&self.path), Err(Unusable::Absent))
    }

    /// Why nothing is sealed with a new key as long as values of a lost one lie here.
    pub fn lost(&self) -> Problem {
        self.refuse("is gone", LOST)
    }

    pub fn is_sealed(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC)
    }

    /// Seals a value under its name.
    pub fn close(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, Problem> {
        let mut nonce = [0; NONCE];
        random(&mut nonce)?;
        let data = associated(name);
        let sealed = self
            .cipher(true)?
            .encrypt(&XNonce::from(nonce), Payload { msg: value, aad: &data })
            .map_err(|_| Problem::internal(format!("`{name}` could not be sealed")))?;
        Ok([&MAGIC[..], &nonce, &sealed].concat())
    }

    /// Opens what was sealed under this name, with this key.
    pub fn open(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>, Problem> {
        let unreadable = || {
            Problem::conflict(format!("`{name}` was sealed with another key, or was damaged"))
                .at(self.path.display().to_string())
                .hint("put the key that belongs to this journal back; without it, set the secrets anew and deploy again")
        };
        let rest = sealed.strip_prefix(MAGIC).filter(|rest| rest.len() > NONCE).ok_or_else(unreadable)?;
        let (nonce, sealed) = rest.split_at(NONCE);
        let nonce: [u8; NONCE] = nonce.try_into().map_err(|_| unreadable())?;
        let data = associated(name);
        self.cipher(false)?.decrypt(&XNonce::from(nonce), Payload { msg: sealed, aad: &data }).map_err(|_| unreadable())
    }

    fn cipher(&self, may_make: bool) -> Result<XChaCha20Poly1305, Problem> {
        let mut key = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        let key = match *key {
            Some(key) => key,
            None => *key.insert(self.load(may_make)?),
        };
        Ok(XChaCha20Poly1305::new(&key.into()))
    }

    fn load(&self, may_make: bool) -> Result<[u8; 32], Problem> {
        match read(&self.path) {
            Ok(key) => Ok(key),
            Err(Unusable::Absent) if may_make => {
                make(&self.path).map_err(|error| self.refuse(&format!("cannot be written: {error}"), "free some space"))?;
                self.load(false)
            }
            Err(Unusable::Absent) => Err(self.lost()),
            Err(Unusable::Open(mode)) => {
                Err(self.refuse(&format!("can be read by others (mode {mode:o})"), &format!("chmod 600 {}", self.path.display())))
            }
            Err(Unusable::Damaged) => Err(self.refuse("is damaged", &format!("{LOST} once the damaged one is away"))),
            Err(Unusable::Error(error)) => Err(self.refuse(&format!("cannot be read: {error}"), "look at its owner and mode")),
        }
    }

    fn refuse(&self, what: &str, next: &str) -> Problem {
        Problem::unavailable(format!("the key of sealed values {what}")).at(self.path.display().to_string()).hint(next)
    }
}

fn associated(name: &str) -> Vec<u8> {
    format!("pilothouse 1 {name}").into_bytes()
}

fn random(bytes: &mut [u8]) -> Result<(), Problem> {
    getrandom::fill(bytes).map_err(|error| Problem::internal(format!("the system gives no random bytes: {error}")))
}

/// Why there is no key.
enum Unusable {
    Absent,
    /// Others than the owner may read it.
    Open(u32),
    Damaged,
    Error(io::Error),
}

fn read(path: &Path) -> Result<[u8; 32], Unusable> {
    let read = || Ok((fs::metadata(path)?.mode() & 0o777, fs::read_to_string(path)?));
    let (mode, text) = match read() {
        Ok(read) => read,
        Err(error) if io::Error::kind(&error) == io::ErrorKind::NotFound => return Err(Unusable::Absent),
        Err(error) => return Err(Unusable::Error(error)),
    };
    if mode & 0o077 != 0 {
        return Err(Unusable::Open(mode));
    }
    let digits = text.trim_end();
    let mut key = [0; 32];
    if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Unusable::Damaged);
    }
    for (index, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[index * 2..index * 2 + 2], 16).map_err(|_| Unusable::Damaged)?;
    }
    Ok(key)
}

/// Makes the key file; one that is there already stays. It outlives a loss of power.
fn make(path: &Path) -> io::Result<()> {
    let mut key = [0; 32];
    random(&mut key).map_err(io::Error::other)?;
    let digits: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let fresh = path.with_extension("new");
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&fresh)?;
    file.write_all(format!("{digits}\n").as_bytes())?;
    file.sync_all()?;
    let made = fs::hard_link(&fresh, path);
    fs::remove_file(&fresh)?;
    match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn seal() -> (tempfile::TempDir, Seal) {
        let folder = tempfile::tempdir().unwrap();
        let seal = Seal::new(folder.path().join("secrets.key"));
        (folder, seal)
    }

    #[test]
    fn what_is_sealed_shows_nothing_and_opens_after_a_new_start() {
        let (folder, seal) = seal();
        let sealed = seal.close("secret/db", b"hunter2-hunter2").unwrap();
        assert!(!sealed.windows(6).any(|part| part == b"hunter"));
        assert_ne!(sealed, seal.close("secret/db", b"hunter2-hunter2").unwrap(), "equal values do not look equal");
        let again = Seal::new(folder.path().join("secrets.key"));
        assert_eq!(again.open("secret/db", &sealed).unwrap(), b"hunter2-hunter2");
        let mode = fs::metadata(folder.path().join("secrets.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_value_in_anothers_place_or_with_a_changed_byte_does_not_open() {
        let (_folder, seal) = seal();
        let mut sealed = seal.close("secret/db", b"hunter2-hunter2").unwrap();
        assert!(seal.open("secret/other", &sealed).is_err());
        for index in 0..sealed.len() {
            sealed[index] ^= 1;
            assert!(seal.open("secret/db", &sealed).is_err(), "byte {index}");
            sealed[index] ^= 1;
        }
        assert!(seal.open("secret/db", &sealed[..20]).is_err());
    }

    #[test]
    fn a_lost_open_or_damaged_key_is_told_with_the_way_out_and_never_replaced() {
        let (folder, seal) = seal();
        let sealed = seal.close("secret/db", b"hunter2-hunter2").unwrap();
        let path = folder.path().join("secrets.key");
        let key = fs::read_to_string(&path).unwrap();
        let told = || Seal::new(path.clone()).open("secret/db", &sealed).unwrap_err().to_string();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(told().contains("chmod 600"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "no key").unwrap();
        assert!(told().contains("damaged"));
        fs::write(&path, key.replace(|c: char| c.is_ascii_digit(), "a")).unwrap();
        assert!(told().contains("another key"));
        fs::remove_file(&path).unwrap();
        assert!(told().contains("is gone") && !path.exists());
    }
}
