//! Why: what is wrong with an app, the evidence, and what helps.

use ratatui::text::Line;

use super::{Turn, foot, problem_lines};
use crate::{
    console::{
        keymap::Key,
        marks,
        needs::needs,
        panes::deployments::step_lines,
        theme::Role,
        widgets::strip::{Strip, cut, fold},
        words::span,
        world::Scene,
    },
    model::{ids::AppId, verbs::Verb},
};

#[derive(Clone, Debug)]
pub struct Why {
    pub title: String,
    app: AppId,
    scroll: usize,
}

impl Why {
    pub fn of(app: AppId) -> Self {
        Self { title: format!("Why: {app}"), app, scroll: 0 }
    }

    pub fn key(&mut self, key: Key) -> Turn {
        match key {
            Key::Up | Key::Char('k') => self.scroll = self.scroll.saturating_sub(1),
            Key::Down | Key::Char('j') => self.scroll += 1,
            Key::Char('l') => return Turn::Do(Verb::AppLogs),
            Key::Char('R') => return Turn::Do(Verb::Rollback),
            Key::Char('b') => return Turn::Do(Verb::BuildLog),
            Key::Esc | Key::Enter | Key::Char('q' | 'w') => return Turn::Close,
            _ => {}
        }
        Turn::Stay
    }

    pub fn lines(&self, scene: &Scene<'_>, columns: usize, rows: usize) -> (Vec<Line<'static>>, Line<'static>) {
        let strip = || Strip::new(scene.theme);
        let fleet = scene.fleet();
        let mark = marks::app(fleet.app_status(&self.app));
        let mut all = vec![
            strip()
                .put(mark.symbol, mark.role)
                .gap(1)
                .bold(self.app.as_str(), Role::Text)
                .gap(2)
                .put(mark.word, mark.role)
                .line(),
        ];
        let found: Vec<_> = needs(scene.world).into_iter().filter(|need| need.app() == Some(&self.app)).collect();
        if found.is_empty() {
            all.push(strip().muted("nothing is wrong with it as far as is known").line());
        }
        for need in &found {
            all.push(Line::default());
            all.extend(fold(&need.what, columns).into_iter().map(|line| strip().text(line).line()));
            if let Some(since) = need.since {
                all.push(strip().muted(format!("for {}, since {}", span(since, scene.now()), scene.clock(since))).line());
            }
            all.extend(need.before.iter().map(|before| strip().put(before.clone(), Role::Warn).line()));
        }
        for instance in fleet.instances_of(&self.app).filter(|it| it.wanted) {
            if let Some(exit) = &instance.last_exit {
                let mark = marks::instance(instance);
                let text = format!("{} {}, {} {} ago", instance.id, mark.word, exit.words(), span(exit.at, scene.now()));
                all.push(cut(strip().put(mark.symbol, mark.role).gap(1).muted(text).line(), columns));
            }
        }
        if let Some(last) = fleet.last_deployment(&self.app) {
            let mark = marks::deployment(last);
            all.push(Line::default());
            let what = format!("{} of release {}, {} ago", last.aim.word(), last.release, span(last.asked_at, scene.now()));
            all.push(
                strip().bold("LAST DEPLOYMENT ", Role::Muted).status(mark.symbol, mark.word, mark.role).gap(2).muted(what).line(),
            );
            if let Some(cause) = &last.cause {
                all.extend(problem_lines(scene.theme, cause, columns));
            } else {
                all.extend(step_lines(scene, last, columns));
            }
            if last.is_over() && last.cause.is_some() {
                all.push(cut(strip().gap(2).muted("next: ").put(last.next(), Role::Info).line(), columns));
            }
        }
        let skip = self.scroll.min(all.len().saturating_sub(rows));
        let lines = all.into_iter().skip(skip).take(rows).collect();
        (lines, foot(scene.theme, &[("l", "logs"), ("b", "build log"), ("R", "roll back"), ("Esc", "back")]))
    }
}
