//! An image: it has no files that could be fetched; the agent has Docker pull it instead.

use std::path::Path;

use async_trait::async_trait;

use super::{Source, Visit};
use crate::model::{problem::Problem, source::Survey};

pub(super) struct Image {
    pub(super) reference: String,
}

impl Image {
    fn problem(&self) -> Problem {
        Problem::conflict(format!("this version does not pull images yet, {} neither", self.reference))
    }
}

#[async_trait]
impl Source for Image {
    async fn survey(&self, _: &Visit) -> Result<Survey, Problem> {
        Err(self.problem())
    }

    async fn fetch(&self, _: &Path, _: &Visit) -> Result<Survey, Problem> {
        Err(self.problem())
    }
}
