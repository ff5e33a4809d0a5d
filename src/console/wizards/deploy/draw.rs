//! How the deploy card looks: its path of steps, the fields of a step with what is wrong or known of each, and the plan.

use ratatui::text::Line;

use super::{
    Deploy, Question, Step,
    draft::{Input, Kind},
};
use crate::{
    console::{
        overlays::{command_line, foot, plan_lines, problem_lines},
        panes::log_ring::LogRing,
        theme::Role,
        widgets::strip::{Strip, cut, fold},
        words::{count, span},
        world::Scene,
    },
    model::{
        manifest::{Runtime, Strategy},
        plan::Plan,
        route::Match,
        secret::Reference,
        text::width,
        units::many,
    },
};

/// Columns of a field's label.
const LABEL: usize = 10;

impl Deploy {
    /// The card's lines and its foot, in `columns` and at most `rows`.
    pub fn lines(&self, scene: &Scene<'_>, build: &LogRing, columns: usize, rows: usize) -> (Vec<Line<'static>>, Line<'static>) {
        let mut lines = vec![self.path(scene, columns), Line::default()];
        let (body, bottom) = if self.manifest {
            (
                self.manifest_lines(scene, columns),
                foot(scene.theme, &[("y", "copy manifest"), ("Y", "copy command"), ("Esc", "back")]),
            )
        } else {
            self.body(scene, build, columns, rows.saturating_sub(lines.len()))
        };
        let room = rows.saturating_sub(lines.len()).max(1);
        let hidden = body.len().saturating_sub(room);
        let skip = self.scroll.min(hidden);
        let left = hidden - skip;
        lines.extend(body.into_iter().skip(skip));
        let bottom = if left > 0 && (self.manifest || self.step == Step::Plan) {
            // Before the keys: where these do not all fit, it is still seen.
            let mut spans = Strip::new(scene.theme).muted(format!("↓ {left} more")).gap(3).line().spans;
            spans.extend(bottom.spans);
            Line::from(spans)
        } else {
            bottom
        };
        (lines, cut(bottom, columns))
    }

    fn body(&self, scene: &Scene<'_>, build: &LogRing, columns: usize, rows: usize) -> (Vec<Line<'static>>, Line<'static>) {
        let (mut lines, mut bottom) = match self.step {
            Step::Deploy => return self.live(scene, build, columns, rows),
            Step::Plan => (
                self.plan.as_ref().map(|plan| plan_shown(scene, plan, columns)).unwrap_or_default(),
                foot(scene.theme, &[("Enter", "deploy"), ("Ctrl-g", "manifest, command"), ("Esc", "back")]),
            ),
            _ => (self.form(scene, columns), self.form_foot(scene)),
        };
        if let Some((question, _, since)) = self.asking {
            let doing = match question {
                Question::Look => "looking at the source",
                Question::Plan => "making the plan",
                Question::Deploy | Question::Cancel => "asking the engine",
            };
            let text = format!("{doing}, {}", span(since, scene.now()));
            lines.push(Line::default());
            lines.push(Strip::new(scene.theme).status("◐", &text, Role::Accent).line());
            bottom = foot(scene.theme, &[("Esc", "let it go, nothing is lost")]);
        }
        if let Some(problem) = &self.problem {
            lines.push(Line::default());
            lines.extend(problem_lines(scene.theme, problem, columns));
        }
        (lines, bottom)
    }

    /// The steps: done, here, to come; with less air where there are few columns.
    fn path(&self, scene: &Scene<'_>, columns: usize) -> Line<'static> {
        let wide = |between: &str| {
            Step::ALL.iter().map(|step| 2 + width(step.word())).sum::<usize>() + width(between) * (Step::ALL.len() - 1)
        };
        let between = [" ── ", " ─ ", " "].into_iter().find(|between| wide(between) <= columns).unwrap_or(" ");
        let mut strip = Strip::new(scene.theme);
        for (index, step) in Step::ALL.into_iter().enumerate() {
            if index > 0 {
                strip = strip.put(between, Role::Faint);
            }
            strip = match step.cmp(&self.step) {
                std::cmp::Ordering::Less => strip.put("✓ ", Role::Ok).text(step.word()),
                std::cmp::Ordering::Equal => strip.put("● ", Role::Accent).bold(step.word(), Role::Text),
                std::cmp::Ordering::Greater => strip.muted("○ ").muted(step.word()),
            };
        }
        cut(strip.line(), columns)
    }

    fn form_foot(&self, scene: &Scene<'_>) -> Line<'static> {
        let mut keys = vec![match (self.step, &self.problem) {
            (Step::Source, Some(_)) if self.unrecognised.is_some() => ("Enter", "say it by hand"),
            (Step::Source, _) => ("Enter", "look at it"),
            (Step::Environment, _) if !self.draft.variable.is_empty() => ("Enter", "add"),
            _ => ("Enter", "next"),
        }];
        if self.step.inputs(&self.draft).len() > 1 {
            keys.push(("Tab", "field"));
        }
        if self.input().is_some_and(Input::is_choice) {
            keys.push(("← →", "choose"));
        }
        keys.push(("Esc", if self.step == Step::Source { "close" } else { "back" }));
        if self.step > Step::Source {
            keys.push(("Ctrl-p", "plan"));
        }
        keys.push(("Ctrl-g", "manifest"));
        foot(scene.theme, &keys)
    }

    fn form(&self, scene: &Scene<'_>, columns: usize) -> Vec<Line<'static>> {
        let strip = || Strip::new(scene.theme);
        let mut lines = match self.step {
            Step::WhatItIs => self.findings(scene, columns),
            Step::Environment => self.variables(scene, columns),
            _ => Vec::new(),
        };
        // Where there are many, the word below stands only by the one that is written.
        let inputs = self.step.inputs(&self.draft);
        let crowded = inputs.len() > 3;
        for (index, input) in inputs.iter().enumerate() {
            let active = index == self.focus && self.asking.is_none();
            lines.push(self.field_line(scene, *input, columns, active));
            match self.draft.trouble(*input) {
                Some(trouble) => lines.push(cut(strip().gap(LABEL).put(format!("▲ {trouble}"), Role::Warn).line(), columns)),
                None if crowded && !active => {}
                None => lines.extend(
                    fold(&self.word_below(scene, *input), columns.saturating_sub(LABEL))
                        .into_iter()
                        .map(|text| strip().gap(LABEL).muted(text).line()),
                ),
            }
            if !crowded && index + 1 < inputs.len() {
                lines.push(Line::default());
            }
        }
        lines
    }

    fn field_line(&self, scene: &Scene<'_>, input: Input, columns: usize, active: bool) -> Line<'static> {
        if let Some(field) = self.draft.shown(input) {
            return field.line(scene.theme, input.label(), LABEL, columns, active);
        }
        let chosen = match input {
            Input::Kind if self.draft.kind == Kind::AsItLooks && !self.draft.source.is_empty() => {
                format!("{}: {}", Kind::AsItLooks.word(), self.draft.kind().word())
            }
            Input::Kind => self.draft.kind.word().to_owned(),
            Input::Runtime if self.draft.is_static() => "none: static files".to_owned(),
            Input::Runtime => self.draft.runtime().word().to_owned(),
            Input::Strategy => self.draft.strategy().word().to_owned(),
            _ => String::new(),
        };
        let role = if active { Role::Accent } else { Role::Muted };
        let strip = Strip::new(scene.theme).cell(input.label(), LABEL, role);
        let strip =
            if active { strip.put("‹ ", Role::Accent).text(chosen).put(" ›", Role::Accent) } else { strip.text(chosen) };
        strip.line()
    }

    /// What is known of an input, below it.
    fn word_below(&self, scene: &Scene<'_>, input: Input) -> String {
        match input {
            Input::Source if self.draft.source.is_empty() => {
                format!("a folder, a git URL, or an image such as nginx:1.27; empty: {}", self.folder.display())
            }
            Input::Source => "a folder, a git URL, or an image; no manifest is needed".to_owned(),
            Input::Reference => "branch, tag or commit; empty: what is checked out, or the remote's default".to_owned(),
            Input::Kind => "how the source is taken; ← and → say it by hand".to_owned(),
            Input::Name => self.address(scene),
            Input::Install => "fetches dependencies; empty: nothing to fetch".to_owned(),
            Input::Build => "makes what is run or served; empty: nothing to make".to_owned(),
            Input::Start => "starts the app, which must listen on $PORT; empty: static files".to_owned(),
            Input::Output => "folder of static files that the edge serves; empty: none".to_owned(),
            Input::Port => "a fixed port; empty: a free one, told by PORT".to_owned(),
            Input::Runtime if self.draft.is_static() => "the edge serves them; ← and → have them run".to_owned(),
            Input::Runtime => match self.draft.runtime() {
                Runtime::Process => "a process of this machine under a keeper".to_owned(),
                Runtime::Docker => docker_word(scene),
            },
            Input::Variable => "NAME=VALUE; a secret by its reference: NAME=store:KEY, NAME=env:NAME, NAME=file:/PATH".to_owned(),
            Input::Replicas => "instances of the routed process; traffic is spread over them".to_owned(),
            Input::Strategy => match self.draft.strategy() {
                Strategy::Rolling => {
                    "all new instances are started and proved, traffic is switched once, the old release stays warm"
                }
                Strategy::Recreate => {
                    "the old release stops first, nothing serves meanwhile; it comes back when the new one fails"
                }
            }
            .to_owned(),
            Input::Watch => "branch whose new commits are deployed by themselves from now on; empty: none".to_owned(),
        }
    }

    /// Where the app will be, and what is there now.
    fn address(&self, scene: &Scene<'_>) -> String {
        let name = self.draft.name.text().trim();
        let Some((_, plan)) = &self.draft.found else {
            return "lower-case letters, digits and `-`; it becomes NAME.localhost".to_owned();
        };
        let fleet = scene.fleet();
        let host = match plan.blueprint.routes.first() {
            Some(_) if plan.app.as_str() != name => Match::below(format!("{name}.localhost"), "", false),
            Some(route) => route.at.clone(),
            None => return "it has no route: nothing of it is served".to_owned(),
        };
        let url = fleet.edge.url(&host).unwrap_or_else(|| format!("http://{host}"));
        let known = crate::model::ids::AppId::parse(name).ok().and_then(|app| fleet.apps.get(&app));
        match known.map(|app| (app.serving, app.next_release)) {
            Some((Some(serving), next)) => format!("{url}   release {next}; release {} serves now", serving.release),
            Some((None, next)) => format!("{url}   release {next}; nothing of it serves now"),
            None => format!("{url}   a new app"),
        }
    }

    /// What was found in the source, with the files that prove it.
    fn findings(&self, scene: &Scene<'_>, columns: usize) -> Vec<Line<'static>> {
        let strip = || Strip::new(scene.theme);
        let Some((source, plan)) = &self.draft.found else {
            let text = "nothing was recognised: the next step asks how it is built and started";
            let mut lines: Vec<_> = fold(text, columns).into_iter().map(|text| strip().put(text, Role::Warn).line()).collect();
            lines.push(Line::default());
            return lines;
        };
        let mut lines = vec![cut(strip().bold(kinds(plan), Role::Text).line(), columns)];
        lines.push(cut(strip().muted(format!("{} of {source}", plan.version)).line(), columns));
        for proof in plan.blueprint.recipe.proof.iter().take(5) {
            lines.push(cut(strip().put("✓ ", Role::Ok).text(proof.file.clone()).gap(2).muted(proof.why.clone()).line(), columns));
        }
        lines.push(Line::default());
        lines
    }

    fn variables(&self, scene: &Scene<'_>, columns: usize) -> Vec<Line<'static>> {
        let strip = || Strip::new(scene.theme);
        let name_wide = self.draft.variables.iter().map(|(name, _)| width(name)).max().unwrap_or(0).min(30);
        let mut lines: Vec<Line<'static>> = self
            .draft
            .variables
            .iter()
            .map(|(name, value)| {
                let line = strip()
                    .gap(LABEL)
                    .cell(name, name_wide, Role::Text)
                    .gap(2)
                    .muted(value.clone())
                    .gap(2)
                    .put(if Reference::parse(value).is_ok() { "secret" } else { "" }, Role::Info);
                cut(line.line(), columns)
            })
            .collect();
        if lines.is_empty() {
            lines.push(strip().muted("environment and secrets; none is needed, Enter goes on").line());
        } else {
            lines.push(strip().gap(LABEL).muted("Backspace takes the last one back").line());
        }
        lines.push(Line::default());
        lines
    }

    fn manifest_lines(&self, scene: &Scene<'_>, columns: usize) -> Vec<Line<'static>> {
        let strip = || Strip::new(scene.theme);
        let mut lines = vec![strip().muted("pilothouse.toml that says the same").line()];
        let text = self.draft.manifest();
        let shown = if text.trim().is_empty() { "# nothing to say: everything is detected" } else { text.trim_end() };
        lines.extend(shown.lines().flat_map(|line| command_line(scene.theme, line, columns)));
        if let Some(plan) = self.known_plan() {
            lines.push(Line::default());
            lines.push(strip().muted("same by command").line());
            lines.extend(command_line(scene.theme, &plan.command, columns));
        }
        lines
    }
}

/// Whether Docker can be used, in a line.
fn docker_word(scene: &Scene<'_>) -> String {
    match scene.fleet().docker.as_ref() {
        Some(docker) if docker.up => {
            format!("a container of Docker {}", docker.version.clone().unwrap_or_default())
        }
        Some(docker) => {
            let why = docker.problem.as_ref().map_or("it does not answer".to_owned(), |problem| problem.what.clone());
            format!("Docker cannot be used now: {why}")
        }
        None => "a container; no Docker was found on this machine yet".to_owned(),
    }
}

/// `node, express, npm`.
fn kinds(plan: &Plan) -> String {
    let recipe = &plan.blueprint.recipe;
    let words = [Some(recipe.language.clone()), recipe.framework.clone(), recipe.package_manager.clone()];
    words.into_iter().flatten().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", ")
}

fn plan_shown(scene: &Scene<'_>, plan: &Plan, columns: usize) -> Vec<Line<'static>> {
    let strip = || Strip::new(scene.theme);
    let from = plan.from.map_or("the first release".to_owned(), |from| format!("release {from} serves now"));
    let title = strip().bold(plan.app.as_str(), Role::Text).gap(2);
    let mut lines = vec![cut(title.muted(format!("release {} of {}, {from}", plan.release, plan.version)).line(), columns)];
    let commands = plan.blueprint.build.iter().map(|(_, command)| command.clone());
    let mut about = vec![kinds(plan)];
    about.extend(commands.chain(plan.blueprint.processes.iter().map(|process| process.command.clone())));
    about.retain(|word| !word.is_empty());
    lines.extend(fold(&about.join(" · "), columns).into_iter().map(|line| strip().muted(line).line()));
    lines.push(Line::default());
    lines.extend(plan_lines(scene.theme, &plan.lines, columns));
    lines.push(Line::default());
    let hosts: Vec<String> = plan.hosts.iter().map(ToString::to_string).collect();
    let traffic = scene.world.app_sample(&plan.app).map(|sample| format!(", {} req/s now", count(sample.requests_per_s)));
    let names = if hosts.is_empty() { String::new() } else { format!(" ({})", hosts.join(", ")) };
    let mut say = |label: &str, value: &str, role: Role| {
        for (at, text) in fold(value, columns.saturating_sub(LABEL)).into_iter().enumerate() {
            lines.push(strip().cell(if at == 0 { label } else { "" }, LABEL, Role::Muted).put(text, role).line());
        }
    };
    say("touches", &format!("{}{names}{}", many(hosts.len(), "host"), traffic.unwrap_or_default()), Role::Text);
    say("undo", &plan.undo, Role::Text);
    say("checks", if plan.checks.is_empty() { "not checked" } else { &plan.checks }, Role::Warn);
    lines.push(Line::default());
    lines.push(strip().muted("same by command").line());
    lines.extend(command_line(scene.theme, &plan.command, columns));
    lines
}
