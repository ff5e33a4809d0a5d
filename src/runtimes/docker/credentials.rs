//! Logins to registries, as `docker login` leaves them in `config.json`.

use std::{collections::HashMap, path::PathBuf};

use bollard::auth::DockerCredentials;
use serde::Deserialize;

/// Docker Hub's name in that file.
const HUB: &str = "https://index.docker.io/v1/";

#[derive(Debug, Default, Deserialize)]
struct ConfigFile {
    #[serde(default)]
    auths: HashMap<String, Login>,
}

#[derive(Debug, Default, Deserialize)]
struct Login {
    /// `user:password` in Base64.
    auth: Option<String>,
    identitytoken: Option<String>,
}

/// The host of an image's registry: `docker.io` when it names none.
pub(super) fn registry(reference: &str) -> &str {
    match reference.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        _ => "docker.io",
    }
}

/// The login for an image's registry, if there is one in the file.
// Gap: logins that a credential helper holds (`credsStore`) are not asked for.
pub(super) fn of(reference: &str) -> Option<DockerCredentials> {
    let text = std::fs::read(path()?).ok()?;
    login(&serde_json::from_slice(&text).ok()?, registry(reference))
}

fn path() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("DOCKER_CONFIG") {
        return Some(PathBuf::from(folder).join("config.json"));
    }
    Some(PathBuf::from(std::env::var_os("HOME")?).join(".docker/config.json"))
}

fn login(file: &ConfigFile, registry: &str) -> Option<DockerCredentials> {
    let names =
        if registry == "docker.io" { vec![HUB.to_owned()] } else { vec![registry.to_owned(), format!("https://{registry}")] };
    let (name, login) = names.into_iter().find_map(|name| file.auths.get(&name).map(|login| (name, login)))?;
    let (username, password) = match &login.auth {
        Some(auth) => {
            let plain = String::from_utf8(decode(auth)?).ok()?;
            let (username, password) = plain.split_once(':')?;
            (Some(username.to_owned()), Some(password.trim_end_matches('\0').to_owned()))
        }
        None => (None, None),
    };
    let identitytoken = login.identitytoken.clone();
    Some(DockerCredentials { username, password, identitytoken, serveraddress: Some(name), ..DockerCredentials::default() })
}

/// Base64 (RFC 4648 §4).
fn decode(text: &str) -> Option<Vec<u8>> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    let (mut bits, mut held) = (0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        bits = (bits << 6) | ALPHABET.iter().position(|known| *known == byte)? as u32;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_named_by_the_image() {
        assert_eq!(registry("nginx:1.27"), "docker.io");
        assert_eq!(registry("team/shop"), "docker.io");
        assert_eq!(registry("registry.example/team/shop:v7"), "registry.example");
        assert_eq!(registry("localhost:5000/shop"), "localhost:5000");
    }

    #[test]
    fn a_login_is_read_as_docker_wrote_it() {
        let file = r#"{"auths": {"registry.example": {"auth": "bWU6d29yZA=="}}}"#;
        let found = login(&serde_json::from_str(file).unwrap(), "registry.example").unwrap();
        assert_eq!((found.username.as_deref(), found.password.as_deref()), (Some("me"), Some("word")));
        assert!(login(&serde_json::from_str(file).unwrap(), "docker.io").is_none());
    }
}
