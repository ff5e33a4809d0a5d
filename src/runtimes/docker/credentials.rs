//! Logins to registries, as `docker login` leaves them in `config.json`, or with the credential helper that stands there.

use std::{collections::HashMap, path::PathBuf};

use base64::{
    Engine,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bollard::auth::DockerCredentials;
use serde::Deserialize;

use crate::{
    hosts::local,
    model::{problem::Problem, units::Millis},
};

/// Docker Hub's name in that file.
const HUB: &str = "https://index.docker.io/v1/";
/// Longest wait for a credential helper.
const PATIENCE: Millis = Millis::seconds(10);

/// RFC 4648 §4, with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[derive(Debug, Default, Deserialize)]
struct ConfigFile {
    #[serde(default)]
    auths: HashMap<String, Login>,
    /// Helper for every registry that has none of its own.
    #[serde(rename = "credsStore")]
    store: Option<String>,
    #[serde(default, rename = "credHelpers")]
    helpers: HashMap<String, String>,
}

/// A helper's answer to `get` (github.com/docker/docker-credential-helpers).
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
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

/// The login for an image's registry, if there is one. A helper is given ten seconds; one that fails has none.
pub(super) async fn of(reference: &str) -> Option<DockerCredentials> {
    let text = std::fs::read(path()?).ok()?;
    let file: ConfigFile = serde_json::from_slice(&text).ok()?;
    let registry = registry(reference);
    if let Some(helper) = helper(&file, registry) {
        match ask(&format!("docker-credential-{helper}"), server(registry), PATIENCE).await {
            Ok(Some(found)) => return Some(found),
            Ok(None) => {}
            // An image that is public needs none; a refusal says that a login is missing.
            Err(problem) => tracing::warn!(%problem, registry, "a credential helper gives no login"),
        }
    }
    login(&file, registry)
}

/// The name of the helper that is asked for a registry; one that is no plain name is none.
fn helper<'a>(file: &'a ConfigFile, registry: &str) -> Option<&'a str> {
    let names = if registry == "docker.io" { &[HUB, "docker.io", "index.docker.io"][..] } else { &[registry] };
    let own = names.iter().find_map(|name| file.helpers.get(*name));
    let is_plain = |name: &&str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    own.or(file.store.as_ref()).map(String::as_str).filter(is_plain)
}

/// A registry as helpers know it.
fn server(registry: &str) -> &str {
    if registry == "docker.io" { HUB } else { registry }
}

/// Asks a helper: the server's name to its input, a document from its output. Absent: it knows of no login.
///
/// What it said is never told: a secret may stand in it.
async fn ask(program: &str, server: &str, limit: Millis) -> Result<Option<DockerCredentials>, Problem> {
    let ran = local::ask(&[program.to_owned(), "get".to_owned()], server.as_bytes(), limit).await?;
    if ran.code != Some(0) {
        if ran.out.contains("credentials not found") {
            return Ok(None);
        }
        let code = ran.code.map_or("a signal".to_owned(), |code| code.to_string());
        return Err(Problem::unavailable(format!("{program} get ended with {code}"))
            .hint(format!("try it: echo {server} | {program} get")));
    }
    let answer: Answer = serde_json::from_str(&ran.out)
        .map_err(|_| Problem::unavailable(format!("{program} get did not answer as credential helpers do")))?;
    let base = DockerCredentials { serveraddress: Some(server.to_owned()), ..DockerCredentials::default() };
    Ok(Some(if answer.username == "<token>" {
        DockerCredentials { identitytoken: Some(answer.secret), ..base }
    } else {
        DockerCredentials { username: Some(answer.username), password: Some(answer.secret), ..base }
    }))
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
            let plain = String::from_utf8(BASE64.decode(auth).ok()?).ok()?;
            let (username, password) = plain.split_once(':')?;
            (Some(username.to_owned()), Some(password.trim_end_matches('\0').to_owned()))
        }
        None => (None, None),
    };
    let identitytoken = login.identitytoken.clone();
    Some(DockerCredentials { username, password, identitytoken, serveraddress: Some(name), ..DockerCredentials::default() })
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

    #[test]
    fn the_registrys_own_helper_goes_first_and_only_a_name_is_one() {
        let file = |text: &str| serde_json::from_str::<ConfigFile>(text).unwrap();
        let both = file(r#"{"credsStore": "desktop", "credHelpers": {"eu.example": "cloud", "docker.io": "hub"}}"#);
        assert_eq!(helper(&both, "eu.example"), Some("cloud"));
        assert_eq!(helper(&both, "other.example"), Some("desktop"));
        assert_eq!(helper(&both, "docker.io"), Some("hub"));
        assert_eq!(helper(&file(r#"{"credsStore": "../../evil"}"#), "eu.example"), None);
    }

    /// A helper that does what `script` says.
    fn fake(script: &str) -> (tempfile::TempDir, String) {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("docker-credential-fake");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        (folder, program.display().to_string())
    }

    #[tokio::test]
    async fn a_helper_is_asked_as_docker_asks_it() {
        let (_folder, program) = fake(
            r#"[ "$1" = get ] && read server; printf '{"ServerURL":"%s","Username":"me","Secret":"of %s"}' "$server" "$server""#,
        );
        let found = ask(&program, "eu.example", PATIENCE).await.unwrap().unwrap();
        assert_eq!((found.username.as_deref(), found.password.as_deref()), (Some("me"), Some("of eu.example")));
        let (_folder, program) = fake(r#"echo '{"Username":"<token>","Secret":"t"}'"#);
        let found = ask(&program, "eu.example", PATIENCE).await.unwrap().unwrap();
        assert_eq!((found.identitytoken.as_deref(), found.username), (Some("t"), None));
    }

    #[tokio::test]
    async fn a_helper_that_knows_none_hangs_or_babbles_gives_no_login_and_no_secret() {
        let (_folder, program) = fake("echo credentials not found in native keychain; exit 1");
        assert!(ask(&program, "eu.example", PATIENCE).await.unwrap().is_none());
        let (_folder, program) = fake("exec sleep 60");
        let problem = ask(&program, "eu.example", Millis(100)).await.unwrap_err();
        assert!(problem.what.contains("has not ended within"), "{problem}");
        for script in ["echo my-secret; exit 3", "echo my-secret"] {
            let (_folder, program) = fake(script);
            let problem = ask(&program, "eu.example", PATIENCE).await.unwrap_err();
            assert!(!format!("{problem:?}").contains("my-secret"), "{problem:?}");
        }
    }
}
