//! Networks of containers: one of all that run alone, at whose gateway the edge is reached, and one of each app whose
//! processes reach each other by their names.

use std::{collections::HashMap, net::Ipv4Addr};

use bollard::{
    Docker,
    errors::Error,
    models::{EndpointSettings, Ipam, IpamConfig, NetworkCreateRequest, NetworkInspect, NetworkingConfig},
    query_parameters::{InspectNetworkOptions, ListContainersOptions},
};

use super::{DockerRuntime, client::is_not_found, labels};
use crate::model::{ids::AppId, instance::InstanceSpec, problem::Problem};

impl DockerRuntime {
    /// The address of this machine in the network of our containers, which is made when it is not there yet.
    ///
    /// Containers of an app's own network reach it too: it is the machine's, whichever bridge they come by.
    pub async fn gateway(&self) -> Result<Ipv4Addr, Problem> {
        let docker = self.client.docker().await?;
        self.own_network(&docker).await
    }

    async fn own_network(&self, docker: &Docker) -> Result<Ipv4Addr, Problem> {
        let name = labels::own_network_name(&self.mark);
        let subnet = &self.settings.config.docker.subnet;
        let own = [(labels::STATE.to_owned(), self.mark.to_string())];
        let found = self.made_network(docker, &name, own.into(), subnet).await?;
        if found.labels.as_ref().and_then(|labels| labels.get(labels::STATE)).is_none_or(|state| **state != *self.mark) {
            return Err(Problem::conflict(format!("a network named {name} is there already, and it is not ours"))
                .at(name.clone())
                .hint(format!("look at it with docker network inspect {name}; then remove it: docker network rm {name}")));
        }
        gateway(&found).ok_or_else(|| Problem::app(format!("the network {name} has no IPv4 address of this machine")).at(name))
    }

    /// The network that an instance is to be in: its app's, or the one of all.
    pub(super) async fn network_of(&self, docker: &Docker, instance: &InstanceSpec) -> Result<String, Problem> {
        let gateway = self.own_network(docker).await?;
        if instance.peers.iter().filter_map(|peer| peer.address).any(|told| told != gateway) {
            return Err(Problem::unavailable("the network of containers was made anew meanwhile").hint("deploy again"));
        }
        if instance.container.as_ref().is_none_or(|plan| plan.aliases.is_empty()) {
            return Ok(labels::own_network_name(&self.mark));
        }
        let name = labels::network_name(&self.mark, &instance.app);
        let own = [(labels::STATE, self.mark.to_string()), (labels::APP, instance.app.to_string())];
        self.made_network(docker, &name, own.map(|(name, value)| (name.to_owned(), value)).into(), "").await?;
        Ok(name)
    }

    /// The network of that name, which is made when it is not there yet.
    async fn made_network(
        &self,
        docker: &Docker,
        name: &str,
        labels: HashMap<String, String>,
        subnet: &str,
    ) -> Result<NetworkInspect, Problem> {
        if let Some(found) = self.network(docker, name).await? {
            return Ok(found);
        }
        let _alone = self.making.lock().await;
        if let Some(found) = self.network(docker, name).await? {
            return Ok(found);
        }
        self.make_network(docker, name, labels, subnet).await?;
        let made = self.network(docker, name).await?;
        made.ok_or_else(|| Problem::unavailable("the network of containers was removed at once").at(name).hint("try again"))
    }

    async fn network(&self, docker: &Docker, name: &str) -> Result<Option<NetworkInspect>, Problem> {
        self.if_found("look at a network", docker.inspect_network(name, None::<InspectNetworkOptions>).await)
    }

    async fn make_network(
        &self,
        docker: &Docker,
        name: &str,
        labels: HashMap<String, String>,
        subnet: &str,
    ) -> Result<(), Problem> {
        let config = IpamConfig { subnet: Some(subnet.to_owned()), ..IpamConfig::default() };
        let ipam = Ipam { config: Some(vec![config]), ..Ipam::default() };
        let request = NetworkCreateRequest {
            name: name.to_owned(),
            driver: Some("bridge".to_owned()),
            labels: Some(labels),
            ipam: Some(ipam).filter(|_| !subnet.is_empty()),
            ..NetworkCreateRequest::default()
        };
        match docker.create_network(request).await {
            Ok(_) => Ok(()),
            // Another instance was quicker.
            Err(Error::DockerResponseServerError { status_code: 409, .. }) => Ok(()),
            Err(error) => {
                Err(self.problem("make a network of containers", error).at(name.to_owned()).hint(if subnet.is_empty() {
                    "remove networks that nobody needs (docker network prune), or set docker.subnet".to_owned()
                } else {
                    format!("set docker.subnet to a subnet that nothing else uses; it is {subnet}")
                }))
            }
        }
    }

    /// Removes the network of an app that is gone, and the one of all with the last container of ours. What is in use, or
    /// not there, stays as it is.
    pub async fn remove_networks(&self, docker: &Docker, app: &AppId) {
        let _none_starts = self.networks.write().await;
        self.remove_network(docker, &labels::network_name(&self.mark, app)).await;
        let ours = HashMap::from([("label".to_owned(), vec![format!("{}={}", labels::STATE, self.mark)])]);
        let options = ListContainersOptions { all: true, filters: Some(ours), ..ListContainersOptions::default() };
        // One that Docker is about to start again holds no address, and needs the network all the same.
        if docker.list_containers(Some(options)).await.is_ok_and(|left| left.is_empty()) {
            self.remove_network(docker, &labels::own_network_name(&self.mark)).await;
        }
    }

    async fn remove_network(&self, docker: &Docker, name: &str) {
        if let Err(error) = docker.remove_network(name).await
            && !is_not_found(&error)
        {
            tracing::warn!(name, %error, "a network stays");
        }
    }
}

/// What Docker says, or the subnet's first address, which it takes where it was told a subnet alone.
fn gateway(network: &NetworkInspect) -> Option<Ipv4Addr> {
    let configs = network.ipam.as_ref()?.config.as_ref()?;
    let address = |text: &String| text.split('/').next()?.parse::<Ipv4Addr>().ok();
    let told = configs.iter().find_map(|config| config.gateway.as_ref().and_then(address));
    let first =
        || configs.iter().find_map(|config| config.subnet.as_ref().and_then(address)).map(|net| (net.to_bits() + 1).into());
    told.or_else(first)
}

/// How an instance is in `network`.
pub(super) fn endpoint(network: &str, aliases: &[String]) -> NetworkingConfig {
    let aliases = Some(aliases.to_vec()).filter(|aliases| !aliases.is_empty());
    let settings = EndpointSettings { aliases, ..EndpointSettings::default() };
    NetworkingConfig { endpoints_config: Some(HashMap::from([(network.to_owned(), settings)])) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateway_is_read_or_the_first_address() {
        let of = |gateway: Option<&str>| {
            let subnet = Some("198.18.7.0/24".to_owned());
            let config = IpamConfig { subnet, gateway: gateway.map(str::to_owned), ..IpamConfig::default() };
            let ipam = Ipam { config: Some(vec![config]), ..Ipam::default() };
            super::gateway(&NetworkInspect { ipam: Some(ipam), ..NetworkInspect::default() })
        };
        assert_eq!(of(Some("198.18.7.9")), Some(Ipv4Addr::new(198, 18, 7, 9)));
        assert_eq!(of(None), Some(Ipv4Addr::new(198, 18, 7, 1)));
    }
}
