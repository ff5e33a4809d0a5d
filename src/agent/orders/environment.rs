//! What a build sees of this machine: a clean environment, caches of its own, and the way to registries.

use std::{collections::BTreeMap, path::Path};

use crate::model::plan::Env;

/// Variables that a build takes over from the engine's environment, and no others: how to reach registries, whom to trust,
/// and where version managers keep their tools. `docs/operations.md` lists them.
pub const TAKEN_OVER: &[&str] = &[
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "NODE_EXTRA_CA_CERTS",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "NIX_SSL_CERT_FILE",
    "npm_config_registry",
    "NPM_CONFIG_REGISTRY",
    "npm_config_userconfig",
    "NPM_CONFIG_USERCONFIG",
    "npm_config_cafile",
    "NPM_CONFIG_CAFILE",
    "npm_config_nodedir",
    "YARN_REGISTRY",
    "YARN_NPM_REGISTRY_SERVER",
    "COREPACK_NPM_REGISTRY",
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
    "PIP_TRUSTED_HOST",
    "PIP_CERT",
    "PIP_CONFIG_FILE",
    "PIP_DEFAULT_TIMEOUT",
    "UV_INDEX",
    "UV_DEFAULT_INDEX",
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_CONFIG_FILE",
    "UV_NATIVE_TLS",
    "UV_SYSTEM_CERTS",
    "GOPROXY",
    "GONOSUMDB",
    "GOSUMDB",
    "CARGO_REGISTRIES_CRATES_IO_PROTOCOL",
    "PYENV_ROOT",
    "NVM_DIR",
    "VOLTA_HOME",
    "ASDF_DIR",
    "ASDF_DATA_DIR",
    "MISE_DATA_DIR",
    "FNM_DIR",
    "RBENV_ROOT",
    "RUSTUP_HOME",
    "TZ",
];

/// Files of the user that say which registry to use: (variable, other spelling, path below the home folder).
const USERS_FILES: &[(&str, &str, &str)] = &[
    ("npm_config_userconfig", "NPM_CONFIG_USERCONFIG", ".npmrc"),
    ("PIP_CONFIG_FILE", "PIP_CONFIG_FILE", ".config/pip/pip.conf"),
    ("PIP_CONFIG_FILE", "PIP_CONFIG_FILE", ".pip/pip.conf"),
    ("UV_CONFIG_FILE", "UV_CONFIG_FILE", ".config/uv/uv.toml"),
];

/// Folders of a build.
pub(super) struct Folders<'a> {
    pub(super) tree: &'a Path,
    pub(super) scratch: &'a Path,
    pub(super) cache: &'a Path,
}

/// The whole environment of one build command. `own` is the app's; it wins, but for where files go.
///
/// While dependencies are installed `NODE_ENV` is absent: with `production` the tools of the build would be left out.
pub(super) fn environment(host: &BTreeMap<String, String>, folders: &Folders<'_>, own: &Env, is_install: bool) -> Env {
    let mut env = BTreeMap::new();
    let mut set = |name: &str, value: String| env.insert(name.to_owned(), value);
    for name in TAKEN_OVER {
        if let Some(value) = host.get(*name) {
            set(name, value.clone());
        }
    }
    let home = host.get("HOME").map(Path::new);
    for (name, other, file) in USERS_FILES.iter().rev() {
        let file = home.map(|home| home.join(file)).filter(|file| file.is_file());
        if let Some(file) = file.filter(|_| !host.contains_key(*name) && !host.contains_key(*other)) {
            set(name, file.display().to_string());
        }
    }
    // Where rustup keeps its compilers, unless it was told another place.
    let compilers = home.map(|home| home.join(".rustup")).filter(|folder| folder.is_dir());
    if let Some(folder) = compilers.filter(|_| !host.contains_key("RUSTUP_HOME")) {
        set("RUSTUP_HOME", folder.display().to_string());
    }
    set("LANG", "C.UTF-8".to_owned());
    set("CI", "1".to_owned());
    // Nothing asks, nothing phones home, nothing looks for newer versions of itself.
    for (name, value) in [
        ("GIT_TERMINAL_PROMPT", "0"),
        ("PIP_NO_INPUT", "1"),
        ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
        ("npm_config_update_notifier", "false"),
        ("npm_config_fund", "false"),
        ("npm_config_audit", "false"),
        ("COREPACK_ENABLE_DOWNLOAD_PROMPT", "0"),
        ("NEXT_TELEMETRY_DISABLED", "1"),
        ("ASTRO_TELEMETRY_DISABLED", "1"),
    ] {
        set(name, value.to_owned());
    }
    // Files of the cache must not change with the app's, so that nothing is linked to it.
    set("UV_LINK_MODE", "copy".to_owned());
    for (name, value) in &own.0 {
        set(name, value.clone());
    }
    let path = host.get("PATH").map_or("/usr/local/bin:/usr/bin:/bin", String::as_str);
    let tree = folders.tree.display();
    set("PATH", format!("{tree}/node_modules/.bin:{tree}/.venv/bin:{path}"));
    set("HOME", folders.scratch.join("home").display().to_string());
    set("TMPDIR", folders.scratch.join("tmp").display().to_string());
    for (name, folder) in [
        ("XDG_CACHE_HOME", "xdg"),
        ("npm_config_cache", "npm"),
        ("YARN_CACHE_FOLDER", "yarn"),
        ("BUN_INSTALL_CACHE_DIR", "bun"),
        ("COREPACK_HOME", "corepack"),
        ("PIP_CACHE_DIR", "pip"),
        ("UV_CACHE_DIR", "uv"),
        // An interpreter that uv downloads is part of the app for as long as it lives.
        ("UV_PYTHON_INSTALL_DIR", "uv-python"),
        ("GOCACHE", "go-build"),
        ("GOMODCACHE", "go-mod"),
        ("CARGO_HOME", "cargo"),
    ] {
        set(name, folders.cache.join(folder).display().to_string());
    }
    if folders.tree.join("pnpm-lock.yaml").is_file() {
        let store = folders.cache.join("pnpm").display().to_string();
        set("npm_config_store_dir", store.clone());
        // From version 12 on pnpm reads no setting under npm's name.
        set("PNPM_CONFIG_STORE_DIR", store);
    }
    if is_install {
        env.remove("NODE_ENV");
    }
    Env(env)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn seen(host: &BTreeMap<String, String>, own: &[(&str, &str)], is_install: bool) -> BTreeMap<String, String> {
        let folders = Folders { tree: Path::new("/t"), scratch: Path::new("/s"), cache: Path::new("/c") };
        let own = own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        environment(host, &folders, &Env(own), is_install).0
    }

    #[test]
    fn secrets_of_the_engine_stay_outside_and_proxies_come_along() {
        let env =
            seen(&host(&[("AWS_SECRET_ACCESS_KEY", "x"), ("HTTPS_PROXY", "p"), ("PATH", "/bin"), ("HOME", "/none")]), &[], true);
        assert!(!env.contains_key("AWS_SECRET_ACCESS_KEY"));
        assert_eq!(
            (env["HTTPS_PROXY"].as_str(), env["HOME"].as_str(), env["npm_config_cache"].as_str()),
            ("p", "/s/home", "/c/npm")
        );
        assert!(env["PATH"].ends_with(":/bin"));
    }

    #[test]
    fn tools_of_the_build_are_installed_also_for_production() {
        let own = [("NODE_ENV", "production"), ("HOME", "/mine"), ("API", "x")];
        assert!(!seen(&host(&[]), &own, true).contains_key("NODE_ENV"));
        let built = seen(&host(&[]), &own, false);
        assert_eq!((built["NODE_ENV"].as_str(), built["API"].as_str(), built["HOME"].as_str()), ("production", "x", "/s/home"));
    }

    #[test]
    fn the_users_compilers_are_found() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".rustup")).unwrap();
        let at = home.path().display().to_string();
        assert_eq!(seen(&host(&[("HOME", &at)]), &[], false)["RUSTUP_HOME"], format!("{at}/.rustup"));
        assert_eq!(seen(&host(&[("HOME", &at), ("RUSTUP_HOME", "/x")]), &[], false)["RUSTUP_HOME"], "/x");
    }

    #[test]
    fn the_users_registry_is_used_unless_another_is_named() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join(".npmrc"), "").unwrap();
        let at = home.path().display().to_string();
        assert_eq!(seen(&host(&[("HOME", &at)]), &[], true)["npm_config_userconfig"], format!("{at}/.npmrc"));
        let named = seen(&host(&[("HOME", &at), ("NPM_CONFIG_USERCONFIG", "/x")]), &[], true);
        assert!(!named.contains_key("npm_config_userconfig") && named["NPM_CONFIG_USERCONFIG"] == "/x");
    }
}
