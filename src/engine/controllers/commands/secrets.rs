//! Commands on stored secrets: set, listed, removed; no value of them goes back.

use super::{Commands, begin::Who};
use crate::model::{
    command::Answer,
    fleet::{Fleet, Level},
    ids::AppId,
    problem::Problem,
    secret::{Secret, StoredSecret, store_name},
};

/// What a new key means.
const SHUT: &str = "what the old one sealed stays shut; set the other secrets anew, too, and deploy each app again";

impl Commands {
    pub(super) async fn set_secret(&self, who: &Who, name: String, value: Secret) -> Result<Answer, Problem> {
        let is_key_new = self.hub.secrets().set(&name, value, &who.actor).await?;
        self.hub.event(format!("secret {name}"), Level::Plain, format!("set by {}", who.actor)).await;
        if is_key_new {
            self.hub.event("secrets", Level::Danger, format!("a new key was made: {SHUT}")).await;
        }
        let apps = self.users(&name).await;
        let next = match apps.first() {
            Some(app) => format!("pilothouse restart {app}"),
            None => format!("pilothouse deploy --secret NAME=store:{name}"),
        };
        let follow = match apps.as_slice() {
            [] => String::new(),
            [app] => format!("; {app} gets it when it is restarted"),
            _ => format!("; {} get it when they are restarted", words(&apps)),
        };
        let key = if is_key_new { format!(". The key was lost and a new one was made: {SHUT}") } else { String::new() };
        Ok(Answer::Done { what: format!("the secret {name} is set{follow}{key}"), next })
    }

    pub(super) async fn list_secrets(&self) -> Result<Answer, Problem> {
        let mut secrets = Vec::new();
        for secret in self.hub.secrets().list().await? {
            secrets.push(StoredSecret { used_by: self.users(&secret.name).await, ..secret });
        }
        Ok(Answer::Secrets { secrets })
    }

    pub(super) async fn remove_secret(&self, who: &Who, name: String, used_too: bool) -> Result<Answer, Problem> {
        store_name(&name)?;
        let stored = self.hub.secrets().list().await?;
        if !stored.iter().any(|known| known.name == name) {
            return Err(Problem::not_found(format!("there is no secret `{name}`")).hint("pilothouse secret list"));
        }
        let apps = self.users(&name).await;
        if !used_too && !apps.is_empty() {
            return Err(Problem::conflict(format!("the secret {name} is used by {}", words(&apps)))
                .hint(format!("deploy without it first, or pilothouse secret remove {name} --yes")));
        }
        self.hub.secrets().remove(&name).await?;
        self.hub.event(format!("secret {name}"), Level::Warn, format!("removed by {}", who.actor)).await;
        Ok(Answer::Done { what: format!("the secret {name} is gone"), next: "pilothouse secret list".to_owned() })
    }

    /// Apps with a kept release, or a deployment under way, that names the secret.
    async fn users(&self, name: &str) -> Vec<AppId> {
        let reference = format!("store:{name}");
        self.hub.look(move |fleet| users(fleet, &reference)).await
    }
}

fn users(fleet: &Fleet, reference: &str) -> Vec<AppId> {
    let is_used = |app: &AppId| {
        let released = fleet.releases.get(app).into_iter().flat_map(|releases| releases.values());
        let kept = released.flat_map(|release| release.blueprint.secrets.values());
        let coming = fleet.active_deployment(app).and_then(|deployment| deployment.request.as_ref());
        let watched = fleet.apps.get(app).and_then(|app| app.watch.as_ref()).map(|watch| &watch.overrides);
        let asked = coming.map(|request| &request.overrides).into_iter().chain(watched);
        kept.chain(asked.flat_map(|overrides| overrides.secrets.values())).any(|used| used == reference)
    };
    fleet.apps.keys().filter(|app| is_used(app)).cloned().collect()
}

fn words(apps: &[AppId]) -> String {
    apps.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
