//! The line above the lines: what is followed, how fast it comes, and what is looked for.

use ratatui::text::Line;

use super::Logs;
use crate::{
    console::{
        theme::{Ground, Role},
        widgets::strip::Strip,
        words::count,
        world::Scene,
    },
    model::units::many,
};

impl Logs {
    pub(super) fn head(&self, scene: &Scene<'_>, columns: usize) -> Line<'static> {
        let strip = || Strip::new(scene.theme);
        if let Some(field) = &self.finding {
            let left = strip().gap(1).bold("find", Role::Accent).gap(1);
            return field.shown(left, scene.theme, columns.saturating_sub(8).min(60), true).line();
        }
        let (left, all) = (self.shown.len(), self.ring.len());
        let mut begin = strip().gap(1);
        if let Some(app) = &self.query.app {
            let what = match (&self.query.instance, self.query.build) {
                (Some(instance), _) => instance.to_string(),
                (_, Some(release)) => format!("{app} build {release}"),
                _ => app.to_string(),
            };
            begin = begin
                .styled(format!(" {what} "), scene.theme.style(Role::Accent).patch(scene.theme.ground(Ground::Selected)))
                .gap(1);
        }
        let mut begin = match self.filter.line(scene.theme, left, all, "lines", columns) {
            Some(line) => {
                let mut with = begin;
                for span in line.spans.into_iter().skip(1) {
                    with = with.styled(span.content.into_owned(), span.style);
                }
                with
            }
            None => begin.muted(many(all, "line")),
        };
        if !self.needle.is_empty() {
            begin = begin.gap(3).muted("find ").put(self.needle.clone(), Role::Warn);
        }
        let mut right = match (&self.ended, self.cursor) {
            (_, Some(_)) => strip().status("○", "held", Role::Warn).muted(format!("  {} below", self.behind_now())),
            (Some(Some(_)), None) => strip().status("▲", "broke off", Role::Warn),
            (Some(None), None) => strip().status("○", "complete", Role::Muted),
            (None, None) => strip().status("●", "live", Role::Ok),
        };
        if self.ring.dropped() > 0 || columns >= 100 {
            right = right.gap(3).muted(format!("{} dropped", self.ring.dropped()));
        }
        if columns >= 60 {
            let rate = self.pulse.rate(scene.now());
            right = right.gap(3).muted(format!("{} lines/s", count(rate)));
        }
        begin.with_right(right.gap(1), columns)
    }
}
