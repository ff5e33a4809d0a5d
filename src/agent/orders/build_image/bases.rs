//! Images that have to be here before others are built on them.

use tokio::time::Instant;

use super::{Build, Wanted, build_failure, failure, output::Output};
use crate::model::{Problem, dockerfile::Dockerfile};

impl Build<'_> {
    /// Has the images here that a Dockerfile stands on: with the engine's own logins, and told how far that is.
    pub(super) async fn bring_bases(
        &self,
        wanted: &Wanted,
        dockerfile: &Dockerfile,
        output: &Output,
        deadline: Instant,
        name: &str,
    ) -> Result<(), Problem> {
        for (image, line) in dockerfile.needed(wanted.build.target.as_deref()) {
            let tell = |said: String| (self.progress)(format!("{name}: {said}"));
            match self.bring(image, deadline, &tell).await {
                Ok(false) => {}
                Ok(true) => output.say(&format!("pulled {image}")),
                Err(problem) => {
                    output.say(&problem.what);
                    return Err(failure::of_base(problem, image, wanted.written.is_none().then_some((&dockerfile.file, line))));
                }
            }
        }
        Ok(())
    }

    /// Whether the frontend that a Dockerfile asks for is here or comes; else Docker's own reads it.
    pub(super) async fn has_frontend(
        &self,
        dockerfile: &Dockerfile,
        output: &Output,
        deadline: Instant,
    ) -> Result<bool, Problem> {
        let Some((image, _)) = &dockerfile.syntax else { return Ok(false) };
        let Err(problem) = self.bring(image, deadline, &|_| ()).await else { return Ok(true) };
        self.check_cancelled()?;
        output.say(&format!("{}: Docker's own frontend reads the Dockerfile", problem.what));
        Ok(false)
    }

    /// Has an image here until `deadline`, unless the build is cancelled. Whether it was pulled.
    async fn bring(&self, image: &str, deadline: Instant, tell: &(dyn Fn(String) + Send + Sync)) -> Result<bool, Problem> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Problem::conflict("cancelled")),
            brought = self.tools.docker.have(image, tell) => brought,
            () = tokio::time::sleep_until(deadline) => Err(build_failure::out_of_time(&self.work.limits)),
        }
    }
}
