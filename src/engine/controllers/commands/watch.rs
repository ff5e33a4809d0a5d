//! Watched branches: kept with what a deployment of theirs needs, deployed commit by commit, and given up.

use super::{
    super::{
        super::journal::Mark,
        deployments::sealed::{SOURCE_URL, request_blob, source_blob},
    },
    Commands,
    begin::{self, Who},
};
use crate::model::{
    change::Change,
    command::{Answer, DeployRequest},
    deployment::Deployment,
    fleet::App,
    ids::AppId,
    plan::Env,
    problem::Problem,
    source::{Source, Survey, has_password},
    watch::Watch,
};
use crate::secrets::blobs::Blobs;

/// Beginning of the names of the blobs that hold what an app's watch needs.
pub fn watch_blobs(app: &AppId) -> String {
    format!("watch/{app}/")
}

fn env_of(app: &AppId) -> String {
    format!("watch/{app}/env/")
}

fn url_of(app: &AppId) -> String {
    format!("watch/{app}/url/")
}

/// Seals what a watch's deployments will need: the environment, and a URL with a password.
pub async fn keep(blobs: &Blobs, app: &AppId, env: &Env, url: &str) -> Result<(), Problem> {
    blobs.put_env(env_of(app), env).await?;
    if has_password(url) {
        blobs.put_env(url_of(app), &Env([(SOURCE_URL.to_owned(), url.to_owned())].into())).await
    } else {
        blobs.remove(url_of(app)).await
    }
}

impl Commands {
    /// The URL with its password, where it has one.
    pub(in super::super) async fn watched_url(&self, app: &AppId, watch: &Watch) -> Result<String, Problem> {
        let mut kept = self.hub.blobs().env(url_of(app)).await?;
        Ok(kept.0.remove(SOURCE_URL).unwrap_or_else(|| watch.url.clone()))
    }

    /// Begins the deployment of a commit, unless it was begun before or something else has come between. The deployment and
    /// the note that the commit was seen are one record.
    pub(in super::super) async fn deploy_commit(
        &self,
        app: &AppId,
        watch: &Watch,
        url: &str,
        commit: &str,
    ) -> Result<bool, Problem> {
        let key = format!("watch/{app}/{}/{commit}", watch.turn + 1);
        let env = self.hub.blobs().env(env_of(app)).await?;
        self.hub.blobs().put_env(request_blob(&key), &env).await?;
        if has_password(url) {
            let secret = Env([(SOURCE_URL.to_owned(), url.to_owned())].into());
            self.hub.blobs().put_env(source_blob(&key), &secret).await?;
        }
        let mut overrides = watch.overrides.clone();
        overrides.name = Some(app.clone());
        overrides.watch = None;
        let source = Source::Git { url: watch.url.clone(), reference: Some(commit.to_owned()) };
        let wanted = DeployRequest { source, overrides };
        let who = Who { actor: watch.actor.clone(), origin: "watch".to_owned(), key: key.clone() };
        let (of, seen, commit) = (app.clone(), watch.clone(), commit.to_owned());
        let is_begun = self
            .hub
            .commit(Mark::Change, move |fleet| {
                let known = fleet.apps.get(&of).and_then(|entry| entry.watch.as_ref());
                let is_due = known.is_some_and(|known| known.is_of(&seen) && known.seen == seen.seen && known.turn == seen.turn);
                if !is_due || fleet.active_deployment(&of).is_some() {
                    return Ok((Vec::new(), false));
                }
                Ok((begin::deploy(fleet, &who, of, wanted, Some(commit)).0, true))
            })
            .await?;
        if !is_begun {
            self.hub.blobs().remove(request_blob(&key)).await?;
            self.hub.blobs().remove(source_blob(&key)).await?;
        }
        Ok(is_begun)
    }

    pub(super) async fn watch_off(&self, app: AppId) -> Result<Answer, Problem> {
        let of = app.clone();
        let watch = self
            .hub
            .accept(move |fleet| {
                let entry = begin::known_app(fleet, &of)?;
                let watch = entry.watch.clone().ok_or_else(|| {
                    Problem::conflict(format!("no branch is watched for {of}")).hint(format!("pilothouse status {of}"))
                })?;
                Ok((vec![Change::App(App { watch: None, ..entry.clone() })], watch))
            })
            .await?;
        self.hub.blobs().remove(watch_blobs(&app)).await?;
        let next = if watch.by_manifest {
            "leave `watch` out of pilothouse.toml, or the next deploy begins it again".to_owned()
        } else {
            format!("pilothouse deploy {} --watch {} begins it again", watch.url, watch.branch)
        };
        Ok(Answer::Done { what: format!("{} of {app} is not watched any more", watch.branch), next })
    }
}

/// The watch of an app once a deployment is asked for. `commit`: it is one of the watch's own.
pub(super) fn begun(known: Option<&Watch>, who: &Who, wanted: &DeployRequest, commit: Option<String>) -> Option<Box<Watch>> {
    if let (Some(known), Some(commit)) = (known, commit) {
        return Some(Box::new(Watch { seen: Some(commit), turn: known.turn + 1, ..known.clone() }));
    }
    let asked = Watch::asked(wanted, wanted.overrides.watch.as_deref(), false, &who.actor);
    let turn = known.map_or(0, |known| known.turn);
    asked.map(|asked| Watch { turn, ..asked }).or_else(|| known.cloned()).map(Box::new)
}

/// What the manifest of a fetched source says of a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// It cannot be read.
    Unknown,
    Nothing,
    Branch(String),
}

/// What a fetched commit means for the app's watch.
pub enum Noted {
    Unchanged,
    Watch(Box<Watch>),
    Ended,
}

/// The watch of an app once a deployment has fetched its source.
pub fn fetched(app: &App, deployment: &Deployment, survey: &Survey, manifest: &Wanted) -> Noted {
    let Some(request) = &deployment.request else { return Noted::Unchanged };
    let Source::Git { url, reference } = &request.source else { return Noted::Unchanged };
    let known = app.watch.as_deref().filter(|known| known.url == crate::model::source::without_password(url));
    let branch = survey.reference.as_deref();
    let is_own = deployment.origin == "watch";
    let seen = |known: &Watch| Noted::Watch(Box::new(Watch { seen: survey.commit.clone(), ..known.clone() }));
    match (manifest, known) {
        (Wanted::Nothing, Some(known)) if known.by_manifest => Noted::Ended,
        (Wanted::Branch(wanted), Some(known)) if known.by_manifest && known.branch != *wanted => {
            Noted::Watch(Box::new(Watch { branch: wanted.clone(), seen: None, ..known.clone() }))
        }
        (Wanted::Branch(wanted), None) if app.watch.is_none() && branch == Some(wanted) => {
            Watch::asked(request, Some(wanted), true, &deployment.actor).as_ref().map_or(Noted::Unchanged, seen)
        }
        // What was said on the command line holds.
        (_, Some(known)) if !is_own && reference.as_ref() == Some(&known.branch) && branch == Some(&known.branch) => seen(known),
        _ => Noted::Unchanged,
    }
}
