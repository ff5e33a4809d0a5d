//! From an instance's spec to what Docker is asked to make.

use std::{collections::HashMap, path::Path};

use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, HostConfigLogConfig, ImageConfig, Mount, MountType, MountVolumeOptions,
    PortBinding, RestartPolicy, RestartPolicyNameEnum,
};

use super::{labels, network};
use crate::{
    config::settings::LogSettings,
    model::{
        container_plan::HealthCheck,
        instance::InstanceSpec,
        mount::{self, MountFrom},
        peer::Peer,
        route::internal_host,
        units::Millis,
    },
};

/// Port inside of an image that exposes none.
const USUAL_PORT: u16 = 8080;

/// What a container is made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) mark: &'a str,
    pub(super) instance: &'a InstanceSpec,
    pub(super) image: &'a str,
    /// Digest of the spec.
    pub(super) spec: &'a str,
    pub(super) inside: u16,
    pub(super) outside: u16,
    pub(super) logs: &'a LogSettings,
    pub(super) network: &'a str,
}

/// The port that a container is to listen on: asked for, told by PORT, exposed by its image, or the usual one.
pub(super) fn port_inside(instance: &InstanceSpec, image: Option<&ImageConfig>) -> u16 {
    let told = || instance.env.0.get("PORT")?.parse().ok();
    let exposed = || exposed(image?).first().copied();
    instance.port.or_else(told).or_else(exposed).unwrap_or(USUAL_PORT)
}

/// TCP ports that an image exposes, lowest first.
pub(super) fn exposed(image: &ImageConfig) -> Vec<u16> {
    let ports = image.exposed_ports.iter().flatten();
    let mut ports: Vec<u16> = ports
        .filter_map(|port| match port.split_once('/') {
            Some((port, "tcp")) => port.parse().ok(),
            Some(_) => None,
            None => port.parse().ok(),
        })
        .collect();
    ports.sort_unstable();
    ports
}

/// What Docker is asked to make.
pub(super) fn body(asked: &Asked<'_>) -> ContainerCreateBody {
    let instance = asked.instance;
    let port = format!("{}/tcp", asked.inside);
    let binding = PortBinding { host_ip: Some("127.0.0.1".to_owned()), host_port: Some(asked.outside.to_string()) };
    let memory = instance.memory.map(|limit| limit.0 as i64);
    let plan = instance.container.clone().unwrap_or_default();
    ContainerCreateBody {
        image: Some(asked.image.to_owned()),
        cmd: words(&instance.command).or(Some(plan.arguments).filter(|words| !words.is_empty())),
        entrypoint: Some(plan.entrypoint).filter(|words| !words.is_empty()),
        user: plan.user,
        working_dir: plan.working_dir,
        healthcheck: plan.health.map(health),
        networking_config: Some(network::endpoint(asked.network, &plan.aliases)),
        env: Some(env(asked)),
        labels: Some(labels::of_instance(asked.mark, instance, asked.spec)),
        exposed_ports: Some(vec![port.clone()]),
        stop_timeout: Some(seconds(instance.kill_after.0)),
        host_config: Some(HostConfig {
            port_bindings: Some(HashMap::from([(port, Some(vec![binding]))])),
            // Docker's own: it holds while no engine runs, over its restarts and the host's.
            restart_policy: Some(RestartPolicy { name: Some(RestartPolicyNameEnum::UNLESS_STOPPED), maximum_retry_count: None }),
            extra_hosts: Some(hosts(instance)).filter(|hosts| !hosts.is_empty()),
            network_mode: Some(asked.network.to_owned()),
            memory,
            // No swap beside it: the limit is the limit.
            memory_swap: memory,
            mounts: Some(instance.volumes.iter().map(|volume| mount(asked, volume)).collect()),
            // Docker's copy is bounded as ours is.
            log_config: Some(HostConfigLogConfig {
                typ: Some("json-file".to_owned()),
                config: Some(HashMap::from([
                    ("max-size".to_owned(), asked.logs.rotate_at.0.max(4096).to_string()),
                    ("max-file".to_owned(), (asked.logs.keep + 1).to_string()),
                ])),
            }),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

/// The check as Docker takes it: spans in nanoseconds, 0 for its own.
fn health(check: HealthCheck) -> HealthConfig {
    let nanos = |span: Option<Millis>| span.map(|span| (span.0 * 1_000_000) as i64);
    HealthConfig {
        test: Some(check.test),
        interval: nanos(check.every),
        timeout: nanos(check.within),
        retries: check.retries.map(i64::from),
        start_period: nanos(check.grace),
        ..HealthConfig::default()
    }
}

/// Whole seconds, at least one: Docker counts no smaller.
pub(super) fn seconds(millis: u64) -> i64 {
    millis.div_ceil(1000).max(1) as i64
}

fn env(asked: &Asked<'_>) -> Vec<String> {
    let mut env = asked.instance.environment().0;
    env.entry("PORT".to_owned()).or_insert_with(|| asked.inside.to_string());
    env.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
}

/// Names of other apps, which only `/etc/hosts` knows: `shop.pilothouse.internal:198.18.1.1`.
fn hosts(instance: &InstanceSpec) -> Vec<String> {
    let host = |peer: &Peer| Some(format!("{}:{}", internal_host(&peer.app), peer.address?));
    instance.peers.iter().filter_map(host).collect()
}

fn mount(asked: &Asked<'_>, wanted: &mount::Mount) -> Mount {
    let (typ, source, options) = match &wanted.from {
        MountFrom::Volume(name) => {
            let labels = HashMap::from([
                (labels::STATE.to_owned(), asked.mark.to_owned()),
                (labels::APP.to_owned(), asked.instance.app.to_string()),
            ]);
            let options = MountVolumeOptions { labels: Some(labels), ..MountVolumeOptions::default() };
            (MountType::VOLUME, labels::volume_name(asked.mark, &asked.instance.app, name), Some(options))
        }
        MountFrom::Path(path) => (MountType::BIND, absolute(&asked.instance.folder, path), None),
    };
    Mount {
        target: Some(wanted.to.clone()),
        source: Some(source),
        typ: Some(typ),
        read_only: Some(wanted.read_only),
        volume_options: options,
        ..Mount::default()
    }
}

/// A path of the source is below the release's folder.
fn absolute(folder: &Path, path: &str) -> String {
    folder.join(path.trim_start_matches("./")).display().to_string()
}

/// The command in words, as Docker wants it: in place of the image's command, behind its entry point. A line that needs a
/// shell gets one; absent: the image's own.
fn words(line: &str) -> Option<Vec<String>> {
    let line = line.trim();
    if line.is_empty() {
        return None;
    }
    if line.chars().all(|c| c.is_alphanumeric() || " _-./:,=@%+^".contains(c)) && !begins_with_setting(line) {
        // Without a shell there is nothing to be replaced.
        let line = line.strip_prefix("exec ").unwrap_or(line);
        return Some(line.split_ascii_whitespace().map(str::to_owned).collect());
    }
    Some(["/bin/sh", "-c", line].map(str::to_owned).into())
}

/// `NAME=value command` is a shell's way.
fn begins_with_setting(line: &str) -> bool {
    line.split_ascii_whitespace().next().is_some_and(|first| first.contains('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_command_needs_no_shell_in_the_image() {
        assert_eq!(words("httpd -f -p 80").unwrap(), ["httpd", "-f", "-p", "80"]);
        assert_eq!(words("httpd -p $PORT").unwrap(), ["/bin/sh", "-c", "httpd -p $PORT"]);
        assert_eq!(words("A=1 run").unwrap()[0], "/bin/sh");
        assert_eq!(words("  "), None);
    }

    #[test]
    fn the_lowest_exposed_port_is_the_one() {
        let ports = ["443/tcp", "80/tcp", "53/udp"].map(str::to_owned).to_vec();
        let image = ImageConfig { exposed_ports: Some(ports), ..ImageConfig::default() };
        assert_eq!(exposed(&image), [80, 443]);
    }

    #[test]
    fn docker_counts_whole_seconds() {
        assert_eq!([0, 1, 500, 1000, 1001].map(seconds), [1, 1, 1, 1, 2]);
    }
}
