//! The network of an app: its containers reach each other by the names of their processes.

use std::collections::HashMap;

use bollard::{
    Docker,
    errors::Error,
    models::{EndpointSettings, NetworkCreateRequest, NetworkingConfig},
    query_parameters::InspectNetworkOptions,
};

use super::{client::is_not_found, labels};
use crate::model::{ids::AppId, instance::InstanceSpec};

/// The app's network, made when it is not there yet; absent for an instance that is in none.
pub(super) async fn of(docker: &Docker, mark: &str, instance: &InstanceSpec) -> Result<Option<String>, Error> {
    if instance.container.as_ref().is_none_or(|plan| plan.aliases.is_empty()) {
        return Ok(None);
    }
    let name = labels::network_name(mark, &instance.app);
    match docker.inspect_network(&name, None::<InspectNetworkOptions>).await {
        Ok(_) => return Ok(Some(name)),
        Err(error) if is_not_found(&error) => {}
        Err(error) => return Err(error),
    }
    let own = [(labels::STATE, mark.to_owned()), (labels::APP, instance.app.to_string())];
    let request = NetworkCreateRequest {
        name: name.clone(),
        driver: Some("bridge".to_owned()),
        labels: Some(own.map(|(name, value)| (name.to_owned(), value)).into()),
        ..NetworkCreateRequest::default()
    };
    match docker.create_network(request).await {
        Ok(_) => Ok(Some(name)),
        // Another instance of the app was quicker.
        Err(Error::DockerResponseServerError { status_code: 409, .. }) => Ok(Some(name)),
        Err(error) => Err(error),
    }
}

/// How an instance is in `network`.
pub(super) fn endpoint(network: &str, aliases: &[String]) -> NetworkingConfig {
    let settings = EndpointSettings { aliases: Some(aliases.to_vec()), ..EndpointSettings::default() };
    NetworkingConfig { endpoints_config: Some(HashMap::from([(network.to_owned(), settings)])) }
}

/// Removes the network of an app that is gone; one that is in use, or not there, stays as it is.
pub async fn remove(docker: &Docker, mark: &str, app: &AppId) {
    if let Err(error) = docker.remove_network(&labels::network_name(mark, app)).await
        && !is_not_found(&error)
    {
        tracing::warn!(%app, %error, "the network of an app stays");
    }
}
