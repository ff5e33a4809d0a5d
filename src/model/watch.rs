//! A watched branch: its new commits are deployed by themselves, each once.

use serde::{Deserialize, Serialize};

use super::{
    command::{DeployRequest, Overrides},
    problem::Problem,
    source::Source,
    units::Timestamp,
};

/// What is watched for an app, how far it is, and what was seen last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    /// Without a password; where one is needed it is kept elsewhere.
    pub url: String,
    pub branch: String,
    /// Of the deployment that began it; values of the environment are kept elsewhere.
    pub overrides: Overrides,
    /// Who began it.
    pub actor: String,
    /// It comes from `watch` in `pilothouse.toml`, and ends when a commit leaves that out.
    pub by_manifest: bool,
    /// The commit that was deployed last, or tried.
    pub seen: Option<String>,
    /// Deployments that it began.
    #[serde(default)]
    pub turn: u64,
    /// When the repository was asked last.
    #[serde(default)]
    pub checked_at: Option<Timestamp>,
    #[serde(default)]
    pub next_at: Option<Timestamp>,
    /// Why the last look gave nothing.
    #[serde(default)]
    pub error: Option<Problem>,
}

fn has_no_branch(source: &Source) -> Problem {
    match source {
        Source::Folder { path } => Problem::user("a folder has no commits that could be watched for")
            .hint(format!("give the repository by its URL: pilothouse deploy file://{}", path.display())),
        Source::Git { .. } | Source::Image { .. } => {
            Problem::user("an image has no branch that could be watched").hint("give a git repository by its URL")
        }
    }
}

impl Watch {
    /// The watch that a deployment asks for; absent when it asks for none.
    pub fn asked(request: &DeployRequest, branch: Option<&str>, by_manifest: bool, actor: &str) -> Option<Self> {
        let (Source::Git { url, .. }, Some(branch)) = (&request.source, branch) else { return None };
        Some(Self {
            url: super::source::without_password(url),
            branch: branch.to_owned(),
            overrides: request.overrides.clone(),
            actor: actor.to_owned(),
            by_manifest,
            seen: None,
            turn: 0,
            checked_at: None,
            next_at: None,
            error: None,
        })
    }

    /// Makes a request of `--watch` whole: what is deployed is the branch that is watched. Refused for what has no branches.
    pub fn settle(request: &mut DeployRequest) -> Result<(), Problem> {
        let Some(branch) = &request.overrides.watch else { return Ok(()) };
        match &mut request.source {
            Source::Git { reference, .. } if reference.as_ref().is_none_or(|asked| asked == branch) => {
                *reference = Some(branch.clone());
                Ok(())
            }
            Source::Git { reference, .. } => {
                let asked = reference.clone().unwrap_or_default();
                Err(Problem::user(format!("`{asked}` is to be deployed and `{branch}` to be watched"))
                    .at("--ref, --watch")
                    .hint("leave --ref out: the watched branch is deployed"))
            }
            other => Err(has_no_branch(other).at("--watch")),
        }
    }

    /// Why the branch that a manifest wants watched is not, when a source has none: its author deploys a working tree.
    pub fn unused(source: &Source) -> Option<String> {
        let next = |problem: Problem| format!("{}; {}", problem.what, problem.next.unwrap_or_default());
        (!matches!(source, Source::Git { .. })).then(|| next(has_no_branch(source)))
    }

    /// The same place, whatever was seen there.
    pub fn is_of(&self, other: &Self) -> bool {
        self.url == other.url && self.branch == other.branch
    }

    /// `main at 9c1f02e`.
    pub fn words(&self) -> String {
        match &self.seen {
            Some(commit) => format!("{} at {}", self.branch, commit.chars().take(7).collect::<String>()),
            None => format!("{}, no commit yet", self.branch),
        }
    }
}
