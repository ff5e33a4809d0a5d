//! Secrets out of what the engine records and shows: every free text of a change, before it is journaled or sent.

use crate::model::{
    change::Change,
    deployment::Deployment,
    fleet::{EngineStatus, Event, Task},
    mask::Masker,
    problem::Problem,
};

/// `change` without known values. Names and states are never touched: a value may happen to be one of them.
pub fn change(change: Change, masker: &Masker) -> Change {
    if masker.is_empty() {
        return change;
    }
    match change {
        Change::Event(event) => Change::Event(Event { what: text(&event.what, masker), ..event }),
        Change::Deployment(deployment) => Change::Deployment(Box::new(of_deployment(*deployment, masker))),
        Change::Task(task) => Change::Task(Task {
            reason: text(&task.reason, masker),
            note: text(&task.note, masker),
            last_error: task.last_error.as_ref().map(|told| problem(told, masker)),
            ..task
        }),
        Change::Engine(engine) => {
            let degraded = engine.degraded.as_ref().map(|told| problem(told, masker));
            let mut shut = engine.shut;
            for shut in shut.values_mut() {
                shut.cause = problem(&shut.cause, masker);
            }
            Change::Engine(EngineStatus { degraded, shut, ..engine })
        }
        Change::App(mut app) => {
            if let Some(watch) = &mut app.watch {
                watch.error = watch.error.as_ref().map(|told| problem(told, masker));
            }
            Change::App(app)
        }
        other => other,
    }
}

/// A problem without known values.
pub fn problem(told: &Problem, masker: &Masker) -> Problem {
    Problem {
        kind: told.kind,
        what: text(&told.what, masker),
        at: told.at.as_ref().map(|at| text(at, masker)),
        next: told.next.as_ref().map(|next| text(next, masker)),
        evidence: told.evidence.iter().map(|line| text(line, masker)).collect(),
    }
}

fn of_deployment(mut deployment: Deployment, masker: &Masker) -> Deployment {
    for step in &mut deployment.steps {
        step.note = text(&step.note, masker);
    }
    deployment.cause = deployment.cause.as_ref().map(|cause| problem(cause, masker));
    deployment
}

fn text(text: &str, masker: &Masker) -> String {
    masker.mask(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{fleet::Level, units::Timestamp};

    #[test]
    fn an_event_is_told_without_the_value_and_with_its_subject() {
        let masker = Masker::new(["hunter2"]);
        let event = Event { at: Timestamp(0), subject: "hunter2".into(), what: "printed hunter2".into(), level: Level::Warn };
        let Change::Event(masked) = change(Change::Event(event), &masker) else { panic!("another change") };
        assert_eq!((masked.subject.as_str(), masked.what.as_str()), ("hunter2", "printed ***"));
    }

    #[test]
    fn a_problem_is_masked_in_all_its_parts() {
        let told = Problem::app("a hunter2").at("b hunter2").hint("c hunter2").evidence(["d hunter2".to_owned()]);
        let masked = problem(&told, &Masker::new(["hunter2"]));
        assert!(!format!("{masked:?}").contains("hunter2") && masked.evidence == ["d ***"]);
    }
}
