//! Every request an operator or a program can make of the engine, and its answer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    container::{ContainerAct, ContainerId, PruneObject, PrunePlan},
    ids::{AppId, DeploymentId, ReleaseId},
    manifest::{Runtime, Strategy},
    plan::{Env, Plan},
    problem::Problem,
    secret::{Reference, Secret, StoredSecret, is_variable},
    source::Source,
};

/// A command with who sends it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Name of the person or program: the login name by default.
    pub actor: String,
    /// `cli`, `console`, `api`.
    pub origin: String,
    /// The same key is the same request: a second one gets the first one's answer.
    pub idempotency_key: String,
    pub command: Command,
}

/// The commands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Command {
    Deploy(DeployRequest),
    /// What `Deploy` would do; changes nothing.
    Plan(DeployRequest),
    /// `release` absent: the one that served before the present one.
    Rollback {
        app: AppId,
        release: Option<ReleaseId>,
    },
    Restart {
        app: AppId,
    },
    Stop {
        app: AppId,
    },
    Start {
        app: AppId,
    },
    Scale {
        app: AppId,
        replicas: u32,
    },
    Remove {
        app: AppId,
    },
    Cancel {
        deployment: DeploymentId,
    },
    /// One container of Docker, ours or foreign.
    Container {
        id: ContainerId,
        act: ContainerAct,
    },
    /// What `PruneDocker` could remove: only what is ours and not needed; volumes with data only when `volumes`.
    PlanPrune {
        volumes: bool,
    },
    /// Remove exactly these, as far as they still are ours and not needed.
    PruneDocker {
        objects: Vec<PruneObject>,
    },
    /// Keeps a value under a name, sealed. It travels in this command and stands in no record.
    SecretSet {
        name: String,
        value: Secret,
    },
    SecretList,
    /// Refused when an app uses it, unless `used_too`.
    SecretRemove {
        name: String,
        #[serde(default)]
        used_too: bool,
    },
    /// No commit of an app's branch is deployed by itself any more.
    WatchOff {
        app: AppId,
    },
    /// Put a new edge in the place of the one that serves, without closing its ports.
    ReplaceEdge,
    /// End the engine. Apps and the edge go on, unless `everything`: then all instances and the edge end first.
    StopEngine {
        everything: bool,
    },
}

/// What to deploy. What is absent comes from the manifest, then from detection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployRequest {
    pub source: Source,
    #[serde(default)]
    pub overrides: Overrides,
}

/// What the command line or the console says over manifest and detection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Overrides {
    pub name: Option<AppId>,
    pub install: Option<String>,
    pub build: Option<String>,
    pub start: Option<String>,
    pub output: Option<String>,
    /// Path of the Dockerfile; it asks for the runtime `docker` as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dockerfile: Option<String>,
    pub port: Option<u16>,
    pub runtime: Option<Runtime>,
    pub replicas: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    pub env: Env,
    /// References to secrets, by variable.
    pub secrets: BTreeMap<String, String>,
    /// Branch whose new commits are to be deployed from now on.
    pub watch: Option<String>,
}

impl Overrides {
    /// Reads `NAME=REFERENCE`. Nothing of a pair that is not one is shown: it may be a value.
    pub fn read_secret(pair: &str) -> Result<(String, String), Problem> {
        let next = "write --secret DATABASE_URL=store:shop-db";
        let Some((name, reference)) = pair.split_once('=').filter(|(name, _)| is_variable(name)) else {
            return Err(Problem::user("a secret is not written as NAME=REFERENCE").at("--secret").hint(next));
        };
        let reference = Reference::parse(reference).map_err(|problem| problem.at(format!("--secret {name}")))?;
        Ok((name.to_owned(), reference.to_string()))
    }

    /// Reads `NAME=VALUE`.
    pub fn read_variable(pair: &str) -> Result<(String, String), Problem> {
        let Some((name, value)) = pair.split_once('=') else {
            return Err(Problem::user(format!("`{pair}` is not NAME=VALUE")).at("--env").hint("write --env LOG_LEVEL=info"));
        };
        if !is_variable(name) {
            return Err(Problem::user(format!("`{name}` cannot be a variable's name"))
                .at("--env")
                .hint("use letters, digits and `_`, such as --env LOG_LEVEL=info"));
        }
        if name == "PORT" {
            return Err(Problem::user("PORT is given to each instance, and cannot be set")
                .at("--env PORT")
                .hint("--port N for a fixed one; the app listens on $PORT"));
        }
        Ok((name.to_owned(), value.to_owned()))
    }
}

/// What the engine says at once; what lasts longer goes on as a deployment. A refusal is a `Problem` instead.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// Journaled and on its way.
    Accepted {
        deployment: DeploymentId,
        app: AppId,
    },
    Planned(Box<Plan>),
    Secrets {
        secrets: Vec<StoredSecret>,
    },
    PrunePlanned(PrunePlan),
    Done {
        what: String,
        next: String,
    },
    Refused(Problem),
}
