//! The steps of a deploy, and what each asks.

use super::draft::{Draft, Input, Kind};

/// The questions in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    #[default]
    Source,
    WhatItIs,
    Run,
    Environment,
    Strategy,
    Plan,
    Deploy,
}

impl Step {
    pub const ALL: [Self; 7] =
        [Self::Source, Self::WhatItIs, Self::Run, Self::Environment, Self::Strategy, Self::Plan, Self::Deploy];

    pub fn word(self) -> &'static str {
        match self {
            Self::Source => "Source",
            Self::WhatItIs => "What it is",
            Self::Run => "Run",
            Self::Environment => "Secrets",
            Self::Strategy => "Strategy",
            Self::Plan => "Plan",
            Self::Deploy => "Deploy",
        }
    }

    /// The one after it, or before it.
    pub fn neighbour(self, forward: bool) -> Self {
        let at = self as usize;
        if forward { Self::ALL[(at + 1).min(Self::ALL.len() - 1)] } else { Self::ALL[at.saturating_sub(1)] }
    }

    /// What is asked in this step.
    pub fn inputs(self, draft: &Draft) -> Vec<Input> {
        let kind = draft.kind();
        match self {
            Self::Source if kind == Kind::Image => vec![Input::Source, Input::Kind],
            Self::Source => vec![Input::Source, Input::Reference, Input::Kind],
            Self::WhatItIs => vec![Input::Name],
            Self::Run if kind == Kind::Image => vec![Input::Start, Input::Port],
            Self::Run => vec![Input::Install, Input::Build, Input::Start, Input::Output, Input::Port, Input::Runtime],
            Self::Environment => vec![Input::Variable],
            Self::Strategy if kind == Kind::Git => vec![Input::Replicas, Input::Strategy, Input::Watch],
            Self::Strategy => vec![Input::Replicas, Input::Strategy],
            Self::Plan | Self::Deploy => Vec::new(),
        }
    }
}
