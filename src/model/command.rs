//! Every request an operator or a program can make of the engine, and its answer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    container::{ContainerAct, ContainerId, PruneObject, PrunePlan},
    ids::{AppId, DeploymentId, ReleaseId},
    manifest::Runtime,
    plan::{Env, Plan},
    problem::Problem,
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
    pub port: Option<u16>,
    pub runtime: Option<Runtime>,
    pub replicas: Option<u32>,
    pub env: Env,
}

impl Overrides {
    /// Reads `K=V` pairs.
    pub fn read_env(pairs: &[String]) -> Result<Env, Problem> {
        let mut env = BTreeMap::new();
        for pair in pairs {
            let Some((name, value)) = pair.split_once('=') else {
                return Err(Problem::user(format!("`{pair}` is not NAME=VALUE")).at("--env").hint("write --env LOG_LEVEL=info"));
            };
            let shaped =
                name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.starts_with(|c: char| c.is_ascii_digit());
            if name.is_empty() || !shaped {
                return Err(Problem::user(format!("`{name}` cannot be a variable's name"))
                    .at("--env")
                    .hint("use letters, digits and `_`"));
            }
            env.insert(name.to_owned(), value.to_owned());
        }
        Ok(Env(env))
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
    PrunePlanned(PrunePlan),
    Done {
        what: String,
        next: String,
    },
    Refused(Problem),
}
