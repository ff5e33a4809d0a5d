//! Docker: whether it is found, its version and API, whether this user may use it.

use std::{os::unix::net::UnixStream, path::PathBuf, time::Duration};

use hyper::Method;
use serde::Deserialize;

use super::Finding;
use crate::{cli::context::Context, wire::http::Client};

const NAME: &str = "docker";
/// Where it listens when nobody says otherwise.
const DEFAULT: &str = "unix:///var/run/docker.sock";
/// Oldest API with all that containers need: Docker 20.10.
const OLDEST: (u32, u32) = (1, 41);
const LIMIT: Duration = Duration::from_secs(3);
const WHAT_FOR: &str = "only needed when used: runs containers";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    version: String,
    api_version: String,
}

pub(super) async fn look(context: &Context<'_>) -> Finding {
    let asked = context.settings.config.docker.host.trim();
    let address = if asked.is_empty() { DEFAULT } else { asked };
    let Some(path) = address.strip_prefix("unix://").map(PathBuf::from) else {
        return Finding::good(NAME, format!("{address}, which only the engine asks: see pilothouse containers"));
    };
    match UnixStream::connect(&path) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            let mend = "sudo usermod -aG docker $USER, then log in again";
            return Finding::bad(NAME, format!("this user may not use {}", path.display()), mend);
        }
        Err(_) if !path.exists() => {
            let mend = "apt install docker.io, or https://docs.docker.com/engine/install; elsewhere: set DOCKER_HOST";
            return Finding::absent(NAME, format!("{WHAT_FOR}; no {}", path.display()), mend);
        }
        Err(error) => return Finding::bad(NAME, format!("{}: {error}", path.display()), "sudo systemctl start docker"),
    }
    match Client::new(path, "Docker").call::<(), Version>(Method::GET, "/version", None, LIMIT).await {
        Ok(version) => judge(&version, address),
        Err(problem) => Finding::bad(NAME, problem.what, "sudo systemctl restart docker"),
    }
}

fn judge(version: &Version, address: &str) -> Finding {
    let found = if is_old(&version.api_version) {
        let note = format!("API {} at {address}, which is too old for containers", version.api_version);
        Finding::bad(NAME, note, "install Docker 20.10 or newer")
    } else {
        Finding::good(NAME, format!("API {} at {address}", version.api_version))
    };
    found.version(version.version.clone())
}

fn is_old(api: &str) -> bool {
    let mut parts = api.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) < OLDEST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_api_is_told() {
        assert!(is_old("1.40") && !is_old("1.41") && !is_old("2.0"));
    }
}
