//! The last step: what the deployment does now, its build as it is printed, and how it ended.

use ratatui::text::Line;

use super::{Deploy, Question};
use crate::{
    console::{
        marks,
        overlays::{foot, problem_lines},
        panes::{deployments::step_lines, log_ring::LogRing, overview_tiles::progress},
        theme::Role,
        widgets::strip::{Strip, bar, cut, fold, heading},
        world::Scene,
    },
    model::deployment::{Deployment, Phase},
};

/// Steps that are shown while there is also a build to see.
const STEPS: usize = 6;

impl Deploy {
    pub(super) fn live(
        &self,
        scene: &Scene<'_>,
        build: &LogRing,
        columns: usize,
        rows: usize,
    ) -> (Vec<Line<'static>>, Line<'static>) {
        let strip = || Strip::new(scene.theme);
        let Some(it) = self.running.and_then(|id| scene.fleet().deployments.get(&id)) else {
            let line = strip().status("◐", "accepted; waiting to hear of it", Role::Accent).line();
            return (vec![line], foot(scene.theme, &[("Esc", "close, it goes on")]));
        };
        let mark = marks::deployment(it);
        let title = strip().put(mark.symbol, mark.role).gap(1).bold(it.app.as_str(), Role::Text).gap(2);
        let title = title.muted(format!("release {}", it.release)).gap(2).put(mark.word, mark.role);
        let took = strip().muted(if it.is_over() { "took " } else { "for " }).text(it.took(scene.now()).to_string());
        let mut lines = vec![title.with_right(took, columns)];
        if !it.is_over() {
            lines.push(
                bar(strip(), progress(it), columns.saturating_sub(18).min(40), Role::Accent)
                    .gap(2)
                    .put(it.phase.word(), Role::Accent)
                    .line(),
            );
        }
        lines.push(Line::default());
        lines.extend(Self::end(scene, it, columns));
        let steps = step_lines(scene, it, columns);
        let skip = if it.is_over() { 0 } else { steps.len().saturating_sub(STEPS) };
        lines.extend(steps.into_iter().skip(skip));
        if it.has_build_log() && it.phase != Phase::Live && !build.is_empty() {
            lines.push(Line::default());
            lines.push(heading(scene.theme, "BUILD", strip().muted(if it.is_over() { "" } else { "live" }), columns));
            for entry in build.tail(rows.saturating_sub(lines.len()).max(3)) {
                let role = if entry.level >= Some(3) { Role::Danger } else { Role::Muted };
                lines.push(cut(strip().put(entry.text.to_string(), role).line(), columns));
            }
        }
        if let Some(problem) = &self.problem {
            lines.push(Line::default());
            lines.extend(problem_lines(scene.theme, problem, columns));
        }
        (lines, self.live_foot(scene, it))
    }

    /// How it ended, before everything else.
    fn end(scene: &Scene<'_>, it: &Deployment, columns: usize) -> Vec<Line<'static>> {
        let strip = || Strip::new(scene.theme);
        if it.phase == Phase::Live {
            let url = scene.fleet().apps.get(&it.app).and_then(|app| app.url.clone());
            let url = url.unwrap_or_else(|| "it runs; it has no route".to_owned());
            let mut lines = vec![strip().bold(url, Role::Accent).line()];
            let what = format!("✓ answered by release {} through the edge, and proved so", it.release);
            lines.push(strip().put(what, Role::Ok).line());
            lines.push(Line::default());
            return lines;
        }
        let Some(cause) = it.cause.as_ref().filter(|_| it.is_over()) else { return Vec::new() };
        let mut lines = problem_lines(scene.theme, cause, columns);
        let serving = scene.fleet().apps.get(&it.app).and_then(|app| app.serving);
        if let Some(serving) = serving {
            lines.push(strip().gap(2).put(format!("release {} serves on", serving.release), Role::Ok).line());
        }
        if cause.next.is_none() {
            let next = fold(&it.next(), columns.saturating_sub(7)).into_iter();
            lines.extend(next.map(|text| strip().gap(2).muted("next ").put(text, Role::Info).line()));
        }
        lines.push(Line::default());
        lines
    }

    fn live_foot(&self, scene: &Scene<'_>, it: &Deployment) -> Line<'static> {
        if self.sure {
            return foot(scene.theme, &[("C", "cancel it: what it began is undone"), ("Esc", "close, it goes on")]);
        }
        if self.asking.is_some_and(|(question, _, _)| question == Question::Cancel) {
            return Strip::new(scene.theme).status("◐", "cancelling", Role::Accent).line();
        }
        match it.phase {
            Phase::Live => foot(scene.theme, &[("Enter", "the app"), ("y", "copy the URL"), ("l", "logs"), ("Esc", "close")]),
            phase if phase.is_over() => {
                foot(scene.theme, &[("Esc", "back, mend it"), ("Enter", "its details"), ("l", "build log"), ("q", "close")])
            }
            _ => foot(scene.theme, &[("Esc", "close, it goes on"), ("Enter", "its details"), ("C", "cancel")]),
        }
    }
}
