//! The console without a terminal: what an operator sees and what his keys cause.

#![allow(clippy::expect_used)]

#[path = "console/bounds.rs"]
mod bounds;
#[path = "support/worlds.rs"]
mod worlds;

use pilothouse::{
    console::{
        action::{Action, Effect, Left, Mouse, Slot},
        keymap::Key,
        script::{Script, read_keys},
        state::{Mode, Tab},
        theme::{Depth, Role, Theme},
    },
    model::{
        Problem,
        change::{Change, Numbered},
        command::{Answer, Command, Overrides},
        container::ContainerAct,
        fleet::Shut,
        ids::{DeploymentId, ReleaseId, Seq},
        instance::InstanceState,
        source::Source,
        units::{Millis, Timestamp},
    },
};
use proptest::prelude::*;

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

fn console(world: &str, (wide, high): (u16, u16)) -> Script {
    Script::sized(wide, high).fleet(worlds::world(world), worlds::NOW)
}

/// As if the engine sent lines to whatever is followed.
fn with_lines(script: Script, count: usize) -> Script {
    let logs = script.state.generations[Slot::Logs as usize];
    let build = script.state.generations[Slot::Build as usize];
    let script = script.then(Action::Lines(Slot::Logs, logs, worlds::lines(count)));
    script.then(Action::Lines(Slot::Build, build, worlds::lines(count.min(30))))
}

fn commands(script: &Script) -> Vec<Command> {
    let sent = script.effects.iter().filter_map(|effect| match effect {
        Effect::Send { request, .. } => Some(request.command.clone()),
        _ => None,
    });
    sent.collect()
}

fn ticket(script: &Script) -> u64 {
    script.state.next_ticket - 1
}

#[test]
fn every_pane_empty_full_and_failing_in_three_sizes() {
    let panes = [
        ('1', "overview"),
        ('2', "apps"),
        ('5', "containers"),
        ('6', "hosts"),
        ('7', "deployments"),
        ('8', "logs"),
        ('0', "tasks"),
    ];
    for (digit, pane) in panes {
        for world in ["empty", "one-failing", "full"] {
            for size in SIZES {
                let mut script = console(world, size);
                script.happen(Action::Key(Key::Char(digit)));
                if world != "empty" {
                    script = with_lines(script, 500);
                }
                insta::assert_snapshot!(format!("{pane}-{world}-{}x{}", size.0, size.1), script.screen());
            }
        }
    }
}

#[test]
fn every_card_as_it_is_shown() {
    let cards = [
        ("help", "one-failing", "?"),
        ("help-searched", "one-failing", "? \"roll\""),
        ("palette", "one-failing", ": \"rst\""),
        ("why", "one-failing", "w"),
        ("rollback", "calm", "2 R"),
        ("scale", "calm", "2 S + +"),
        ("stop-marked", "calm", "2 Space Space X"),
        ("remove", "calm", "2 D \"sho\""),
        ("deploy", "calm", "n \"https://code.example/social/tweet.git\" Tab \"main\""),
        ("details-80", "one-failing", "2 Enter"),
        ("filtered", "full", "2 / \"search state:serving\" Enter"),
        ("deploying", "deploying", "1"),
        ("stopped", "stopped", "2"),
        ("container-restart-ours", "calm", "5 / \"shop-41\" Enter T"),
        ("container-remove-foreign", "calm", "5 / \"db-1\" Enter D \"soc\""),
        ("container-details-80", "calm", "5 / \"db-1\" Enter Enter"),
        ("container-images", "calm", "5 v"),
        ("container-volumes", "calm", "5 v v"),
        ("containers-none", "docker-empty", "5"),
        ("docker-down", "docker-down", "5"),
        ("welcome", "docker-empty", "1"),
        ("welcome-without-docker", "docker-down", "1"),
    ];
    for (name, world, keys) in cards {
        insta::assert_snapshot!(format!("card-{name}"), console(world, (80, 24)).keys(keys).screen());
    }
    insta::assert_snapshot!("card-leave", console("calm", (80, 24)).mode(Mode::Demo).keys("q").screen());
    let removed = Action::Removed(Problem::unavailable("the engine ended"));
    insta::assert_snapshot!("card-demo-removed", console("calm", (80, 24)).mode(Mode::Demo).then(removed).screen());
    insta::assert_snapshot!("card-scale-too-many", console("calm", (80, 24)).keys("2 S \"999\"").screen());
}

#[test]
fn without_colours_the_words_still_say_it() {
    let screens = [Depth::None, Depth::Sixteen, Depth::Indexed, Depth::True].map(|depth| {
        console("one-failing", (120, 40)).theme(Theme::built_in("pilot-dark", depth).expect("a theme")).keys("2").screen()
    });
    assert!(screens.windows(2).all(|pair| pair[0] == pair[1]));
    for said in ["✖ down", "● serving", "✖ 3 alerts"] {
        assert!(screens[0].contains(said), "{said} is missing in\n{}", screens[0]);
    }
    let buffer = console("one-failing", (80, 24)).theme(Theme::built_in("pilot-dark", Depth::None).expect("a theme")).buffer();
    let reset = ratatui::style::Color::Reset;
    let coloured = buffer.content.iter().find(|cell| cell.fg != reset || cell.bg != reset);
    assert_eq!(coloured, None);
}

#[test]
fn a_roll_back_is_shown_first_and_then_sent() {
    let script = console("one-failing", (80, 24)).keys("R");
    assert!(script.screen().contains("release 41 → release 40"), "{}", script.screen());
    assert!(commands(&script).is_empty());
    let script = script.keys("Enter");
    let wanted = Command::Rollback { app: worlds::app("shop"), release: Some(ReleaseId(40)) };
    assert_eq!(commands(&script), [wanted]);
    let accepted = Answer::Accepted { deployment: DeploymentId(13), app: worlds::app("shop") };
    let ticket = ticket(&script);
    let script = script.then(Action::Answered(ticket, Ok(accepted)));
    assert_eq!(script.state.tab, Tab::Deployments);
    assert!(script.state.overlays.is_empty());
}

/// A deploy card whose source was looked at.
fn looked_at(size: (u16, u16)) -> Script {
    let script = console("calm", size).keys("n \"tweet\" Enter");
    let planned = Answer::Planned(Box::new(worlds::plan("tweet", 9, Some(8))));
    script.clone().then(Action::Answered(ticket(&script), Ok(planned)))
}

/// A deploy card with its plan.
fn planned(size: (u16, u16)) -> Script {
    let script = looked_at(size).keys("ctrl-p");
    let planned = Answer::Planned(Box::new(worlds::plan("tweet", 9, Some(8))));
    script.clone().then(Action::Answered(ticket(&script), Ok(planned)))
}

#[test]
fn a_deploy_goes_from_source_to_plan_to_its_steps() {
    let script = console("calm", (120, 40)).keys("n \"tweet\" Enter");
    let Some(Command::Plan(request)) = commands(&script).pop() else { panic!("no plan is asked for") };
    assert_eq!(request.source, Source::Folder { path: "/home/ops-1/tweet".into() });
    assert_eq!(request.overrides, Overrides::default(), "it is only looked at");
    let script = looked_at((120, 40));
    assert!(script.screen().contains("● What it is"), "{}", script.screen());
    let script = script.keys("Enter");
    assert!(script.screen().contains("● Run"), "{}", script.screen());
    let script = script.keys("Enter \"LOG_LEVEL=debug\" Enter Enter");
    assert!(script.screen().contains("● Strategy"), "{}", script.screen());
    let script = script.keys("ctrl-u 3 Enter");
    let Some(Command::Plan(request)) = commands(&script).pop() else { panic!("no plan is asked for") };
    assert_eq!((request.overrides.replicas, request.overrides.install), (Some(3), None), "only what was changed is said");
    assert_eq!(request.overrides.env.0["LOG_LEVEL"], "debug");
    let planned = Answer::Planned(Box::new(worlds::plan("tweet", 9, Some(8))));
    let script = script.clone().then(Action::Answered(ticket(&script), Ok(planned)));
    let screen = script.screen();
    for said in ["+  build", "−  2 instances", "not checked", "same by command", "pilothouse deploy https://"] {
        assert!(screen.contains(said), "{said} is missing in\n{screen}");
    }
    let script = script.keys("Enter");
    assert!(matches!(commands(&script).last(), Some(Command::Deploy(_))));
}

#[test]
fn a_renamed_app_gets_the_replicas_that_are_shown() {
    let mut plan = worlds::plan("tweet", 9, Some(8));
    plan.blueprint.processes[0].replicas = 2;
    let script = console("calm", (120, 40)).keys("n \"tweet\" Enter");
    let script = script.clone().then(Action::Answered(ticket(&script), Ok(Answer::Planned(Box::new(plan)))));
    let script = script.keys("Enter Esc ctrl-u \"wizapp\" Enter Enter Enter");
    assert!(script.screen().contains("replicas  2"), "{}", script.screen());
    let script = script.keys("Enter");
    let Some(Command::Plan(request)) = commands(&script).pop() else { panic!("no plan is asked for") };
    assert_eq!(
        (request.overrides.name.map(|name| name.to_string()).as_deref(), request.overrides.replicas),
        (Some("wizapp"), Some(2))
    );
}

#[test]
fn a_name_that_was_not_written_goes_with_its_source() {
    let script = looked_at((120, 40)).keys("Esc ctrl-u \"shop\" Enter");
    let Some(Command::Plan(request)) = commands(&script).pop() else { panic!("no plan is asked for") };
    assert_eq!(request.overrides.name, None, "the name of the first source is not said of the second");
    let planned = Answer::Planned(Box::new(worlds::plan("shop", 42, Some(41))));
    let script = script.clone().then(Action::Answered(ticket(&script), Ok(planned)));
    assert!(script.screen().contains("name      shop"), "{}", script.screen());
    // What was written by hand stays.
    let script = script.keys("ctrl-u \"mine\" Esc ctrl-u \"other\" Enter");
    let Some(Command::Plan(request)) = commands(&script).pop() else { panic!("no plan is asked for") };
    assert_eq!(request.overrides.name, Some(worlds::app("mine")));
}

#[test]
fn an_app_whose_environment_cannot_be_opened_says_so() {
    let (mut fleet, shop) = (worlds::world("calm"), worlds::app("shop"));
    for instance in fleet.instances.values_mut().filter(|instance| instance.app == shop) {
        instance.state = InstanceState::Lost;
    }
    fleet.apps.get_mut(&shop).expect("an app").serving = None;
    let cause = Problem::conflict("the environment of release 41 of shop cannot be opened: it was sealed with another key");
    fleet.engine.shut.insert(shop, Shut { release: ReleaseId(41), cause });
    let screen = Script::sized(160, 45).fleet(fleet, worlds::NOW).screen();
    assert!(screen.contains("the environment of release 41 of shop cannot be opened"), "{screen}");
}

#[test]
fn no_heading_stands_alone_at_the_bottom_of_home() {
    let is_heading = |line: &str| line.trim_end().ends_with("──") || line.contains(" ──────");
    for world in ["one-failing", "full", "calm"] {
        for high in 10..40 {
            let screen = console(world, (80, high)).screen();
            let lines: Vec<&str> = screen.lines().collect();
            // Above the footer; the frame's own line is drawn without words.
            let last = lines[lines.len() - 2];
            assert!(!is_heading(last), "{world} at {high} lines:\n{screen}");
        }
    }
}

#[test]
fn every_step_of_a_deploy_as_it_is_shown() {
    for size in [(80, 24), (120, 40)] {
        let name = |step: &str| format!("deploy-{step}-{}x{}", size.0, size.1);
        insta::assert_snapshot!(name("found"), looked_at(size).screen());
        insta::assert_snapshot!(name("run"), looked_at(size).keys("Enter Tab Tab Tab Tab \"99999\"").screen());
        insta::assert_snapshot!(
            name("environment"),
            looked_at(size).keys("Enter Enter \"LOG_LEVEL=info\" Enter \"DB=store:shop-db\" Enter \"KEY\"").screen()
        );
        insta::assert_snapshot!(name("strategy"), looked_at(size).keys("Enter Enter Enter").screen());
        insta::assert_snapshot!(name("plan"), planned(size).screen());
        insta::assert_snapshot!(name("manifest"), planned(size).keys("ctrl-g").screen());
    }
}

#[test]
fn a_deploy_is_followed_to_its_end_in_its_card() {
    for (world, name) in [("deploying", "under-way"), ("one-failing", "failed"), ("calm", "live")] {
        for size in [(80, 24), (120, 40)] {
            let fleet = worlds::world(world);
            let newest = fleet.deployments.keys().next_back().copied().expect("a deployment");
            let app = fleet.deployments[&newest].app.clone();
            let script = planned(size).keys("Enter");
            let accepted = Answer::Accepted { deployment: newest, app };
            let script = script.clone().then(Action::Answered(ticket(&script), Ok(accepted)));
            let script = with_lines(script.then(Action::Snapshot(Box::new(fleet), Millis(3))), 30);
            insta::assert_snapshot!(format!("deploy-{name}-{}x{}", size.0, size.1), script.screen());
            let again = script.keys("q n").screen();
            let kept = again.contains("source    tweet");
            assert_eq!(kept, name == "failed", "what was written is kept for another try, and only then:\n{again}");
        }
    }
}

#[test]
fn a_deploy_is_cancelled_by_asking_twice() {
    let fleet = worlds::world("deploying");
    let newest = fleet.deployments.iter().find(|(_, it)| !it.is_over()).map(|(id, _)| *id).expect("one under way");
    let script = planned((80, 24)).keys("Enter");
    let accepted = Answer::Accepted { deployment: newest, app: worlds::app("shop") };
    let script = script.clone().then(Action::Answered(ticket(&script), Ok(accepted)));
    let script = script.then(Action::Snapshot(Box::new(fleet), Millis(3))).keys("C");
    assert!(!matches!(commands(&script).last(), Some(Command::Cancel { .. })));
    assert_eq!(commands(&script.keys("C")).last(), Some(&Command::Cancel { deployment: newest }));
}

#[test]
fn a_refused_plan_stays_in_the_card_with_what_was_typed() {
    let script = console("calm", (80, 24)).keys("n \"nowhere\" Enter");
    let refused = Problem::not_found("there is no folder /home/ops-1/nowhere").hint("check the path");
    let script = script.clone().then(Action::Answered(ticket(&script), Err(refused)));
    let screen = script.screen();
    assert!(
        screen.contains("✖ there is no folder") && screen.contains("try: check the path") && screen.contains("nowhere"),
        "{screen}"
    );
    let again = script.keys("Esc n").screen();
    assert!(again.contains("source    nowhere"), "{again}");
}

#[test]
fn a_lost_engine_leaves_the_last_state_with_its_age_and_comes_back() {
    let later = Timestamp(worlds::NOW.0 + 12_000);
    let script = console("calm", (120, 40)).then(Action::Lost(Problem::unavailable("gone"))).then(Action::Tick(later));
    let screen = script.screen();
    assert!(screen.contains("✖ no answer 12 s") && screen.contains("shop"), "{screen}");
    let dead = Problem::unavailable("the engine does not run").hint("pilothouse engine start");
    let home = script.clone().then(Action::Lost(dead)).screen();
    assert!(home.contains("the engine does not run; try: pilothouse engine start"), "{home}");
    let back = script.then(Action::Snapshot(Box::new(worlds::world("calm")), Millis(2)));
    assert!(back.screen().contains("engine 2 ms"));
}

#[test]
fn what_changes_its_state_flashes_once_and_not_under_reduced_motion() {
    let raised = |script: &Script| {
        let row = script.screen().lines().position(|line| line.contains("tweet")).expect("a row of tweet");
        script.buffer()[(30, u16::try_from(row).expect("a row"))].modifier.contains(ratatui::style::Modifier::BOLD)
    };
    let mut app = worlds::world("calm").apps[&worlds::app("tweet")].clone();
    app.serving = None;
    let change = Numbered { seq: Seq(9), at: worlds::NOW, change: Change::App(app) };
    let mut script = console("calm", (80, 24)).keys("2");
    script.state.reduced_motion = false;
    assert!(!raised(&script));
    script.happen(Action::Changed(vec![change.clone()]));
    assert!(raised(&script), "{}", script.screen());
    script.happen(Action::Changed(vec![change.clone()]));
    script.happen(Action::Tick(Timestamp(worlds::NOW.0 + 301)));
    assert!(!raised(&script), "{}", script.screen());
    let still = console("calm", (80, 24)).keys("2").then(Action::Changed(vec![change]));
    assert!(!raised(&still), "{}", still.screen());
}

#[test]
fn given_keys_are_heard_and_shown() {
    let mut script = console("one-failing", (80, 24));
    let asked = std::collections::BTreeMap::from([("roll-back".to_owned(), vec!["B".to_owned()])]);
    script.state.keys = pilothouse::console::keymap::Keymap::with(&asked).expect("keys");
    script.happen(Action::Tick(worlds::NOW));
    let screen = script.screen();
    assert!(screen.contains("B roll back") && !screen.contains("R roll back"), "{screen}");
    assert!(script.keys("B").screen().contains("release 41 → release 40"));
}

#[test]
fn a_change_that_was_seen_is_on_the_screen() {
    let mut app = worlds::world("calm").apps[&worlds::app("tweet")].clone();
    app.serving = None;
    let change = Numbered { seq: Seq(9), at: worlds::NOW, change: Change::App(app) };
    let script = console("calm", (80, 24)).then(Action::Changed(vec![change]));
    assert!(script.screen().contains("NEEDS YOU"), "{}", script.screen());
}

#[test]
fn leaving_a_demo_asks_and_leaving_ones_own_engine_does_not() {
    assert_eq!(console("calm", (80, 24)).keys("q").effects.last(), Some(&Effect::Quit(Left::Quit)));
    let demo = console("calm", (80, 24)).mode(Mode::Demo).keys("q");
    assert!(!demo.effects.iter().any(|effect| matches!(effect, Effect::Quit(_))));
    assert_eq!(demo.clone().keys("R").effects.last(), Some(&Effect::Quit(Left::RemoveDemo)));
    assert_eq!(demo.keys("k").effects.last(), Some(&Effect::Quit(Left::KeepDemo)));
}

#[test]
fn enter_and_esc_go_into_and_back_the_same_way() {
    let inside = console("one-failing", (80, 24)).keys("Enter");
    assert!(inside.screen().contains("ASKED · RUNNING · SERVING"));
    let back = inside.keys("Esc Esc");
    assert_eq!(back.state.tab, Tab::Overview);
    assert!(!back.keys("Esc Esc Esc").effects.iter().any(|effect| matches!(effect, Effect::Quit(_))), "Esc never quits");
}

#[test]
fn held_lines_stay_while_new_ones_arrive_and_live_is_one_key() {
    let script = with_lines(console("calm", (80, 24)).keys("8"), 300).keys("k k k");
    let held = script.screen().lines().skip(6).take(15).collect::<Vec<_>>().join("\n");
    let script = with_lines(script, 2_000);
    let after = script.screen().lines().skip(6).take(15).collect::<Vec<_>>().join("\n");
    assert_eq!(held, after);
    let live = script.keys("G").screen();
    assert!(live.contains("● live"), "{live}");
    assert!(!live.contains("evil title") && live.contains("nothing hidden"), "{live}");
}

#[test]
fn lines_are_filtered_and_searched() {
    let script = with_lines(console("calm", (120, 40)).keys("8"), 700).keys("/ \"level>=warn -slow\" Enter");
    let screen = script.screen();
    assert!(
        screen.contains("connection reset") && !screen.contains("order paid") && !screen.contains("slow upstream"),
        "{screen}"
    );
    assert!(screen.contains("of 700 lines"), "{screen}");
    let found = script.keys("Esc f \"timeline\" Enter").screen();
    assert!(found.contains("○ held") && found.lines().any(|line| line.starts_with(" ▎") && line.contains("timeline")), "{found}");
}

#[test]
fn a_foreign_container_is_touched_only_by_its_name() {
    let script = console("calm", (80, 24)).keys("5 / \"db-1\" Enter X");
    let screen = script.screen();
    for said in [
        "Stop container social-db-1",
        "no answer at 0.0.0.0:5432",
        "foreign",
        "type social-db-1",
        "pilothouse container stop social-db-1",
    ] {
        assert!(screen.contains(said), "{said} is missing in\n{screen}");
    }
    assert!(commands(&script.clone().keys("Enter")).is_empty(), "its name was not typed");
    let sent = commands(&script.keys("\"social-db-1\" Enter"));
    assert!(matches!(&sent[..], [Command::Container { act: ContainerAct::Stop, .. }]), "{sent:?}");
}

#[test]
fn a_prune_is_a_plan_first_and_removes_exactly_that() {
    let script = console("calm", (80, 24)).keys("5 P");
    assert_eq!(commands(&script), [Command::PlanPrune { volumes: false }]);
    let ticket_of_plan = ticket(&script);
    let script = script.then(Action::Answered(ticket_of_plan, Ok(Answer::PrunePlanned(worlds::prune_plan()))));
    insta::assert_snapshot!("card-prune", script.screen());
    let script = script.keys("Enter");
    assert_eq!(commands(&script).last(), Some(&Command::PruneDocker { objects: worlds::prune_plan().objects }));
    let volumes = console("calm", (80, 24)).keys("5 P");
    let ticket_of_plan = ticket(&volumes);
    let volumes = volumes.then(Action::Answered(ticket_of_plan, Ok(Answer::PrunePlanned(worlds::prune_plan())))).keys("v");
    assert_eq!(commands(&volumes).last(), Some(&Command::PlanPrune { volumes: true }));
}

#[test]
fn a_shell_and_foreign_logs_get_the_terminal_and_ours_are_in_the_logs_pane() {
    let handed = |script: &Script| match script.effects.last() {
        Some(Effect::HandOver { argv, .. }) => argv.join(" "),
        other => panic!("{other:?}"),
    };
    let shell = handed(&console("calm", (80, 24)).keys("5 / \"db-1\" Enter s"));
    assert!(shell.starts_with("pilothouse container exec "), "{shell}");
    let logs = handed(&console("calm", (80, 24)).keys("5 / \"db-1\" Enter l"));
    assert!(logs.starts_with("pilothouse container logs --follow --tail 200 "), "without any docker command: {logs}");
    let ours = console("calm", (80, 24)).keys("5 / \"shop-41\" Enter l");
    assert_eq!(ours.state.tab, Tab::Logs);
    let wanted = console("calm", (120, 40)).keys("5 / \"shop-41\" Enter X").screen();
    assert!(wanted.contains("shop wants it and would bring it back"), "{wanted}");
    let refused = console("calm", (80, 24)).keys("5 / \"wozniak\" Enter s").screen();
    assert!(refused.contains("kind_wozniak: it does not run; U starts it"), "{refused}");
}

#[test]
fn a_docker_that_is_away_needs_a_person_and_nothing_of_it_is_green() {
    use pilothouse::model::{
        instance::{Health, InstanceState},
        manifest::Runtime,
    };
    let mut fleet = worlds::world("calm");
    let shop = worlds::app("shop");
    for instance in fleet.instances.values_mut().filter(|instance| instance.app == shop) {
        (instance.runtime, instance.state, instance.health) = (Runtime::Docker, InstanceState::Unknown, Health::Failing);
    }
    fleet.apps.get_mut(&shop).expect("shop").serving = None;
    fleet.docker = worlds::world("docker-down").docker;
    let script = |keys: &str| Script::sized(120, 40).fleet(fleet.clone(), worlds::NOW).keys(keys).screen();
    let overview = script("1");
    assert!(overview.contains("no Docker engine answers") && overview.contains("try: install and start"), "{overview}");
    assert!(overview.contains("nothing of it answers through the edge, and Docker does"), "{overview}");
    let details = script("2 / shop Enter Enter");
    assert!(details.contains("not known: Docker does not answer") && details.contains("unknown"), "{details}");
    assert!(details.contains("nothing answers through the edge"), "{details}");
}

#[test]
fn a_url_is_copied() {
    let script = console("calm", (80, 24)).keys("2 y");
    assert_eq!(script.effects.last(), Some(&Effect::Copy("http://shop.localhost:8080".to_owned())));
    assert!(script.screen().contains("copied the URL"));
}

#[test]
fn what_cannot_be_done_says_why() {
    let screen = console("calm", (80, 24)).keys("7 X").screen();
    assert!(screen.contains("it is over: live"), "{screen}");
    let screen = console("calm", (80, 24)).keys("2 U").screen();
    assert!(screen.contains("shop: it is not stopped"), "{screen}");
}

#[test]
fn a_tab_and_a_row_are_pressed_with_the_mouse() {
    let script = console("full", (120, 40)).then(Action::Mouse(Mouse::Press(20, 1)));
    assert_eq!(script.state.tab, Tab::Apps);
    let script = script.then(Action::Mouse(Mouse::Press(10, 9)));
    let row = script.screen().lines().nth(9).map(str::to_owned).unwrap_or_default();
    assert!(row.contains('▎'), "{row}");
}

#[test]
fn a_terminal_too_small_says_so_and_what_matters() {
    let screen = console("one-failing", (20, 5)).screen();
    assert!(screen.contains("pilothouse") && screen.contains("✖ shop"), "{screen}");
    for wide in 0..6 {
        for high in 0..4 {
            console("one-failing", (wide, high)).keys("2 Enter ? Esc n").screen();
        }
    }
}

/// Scripts of keys: lines of `press KEYS`, `see TEXT`, `miss TEXT`, after `world NAME COLUMNSxROWS`.
#[test]
fn golden_scripts_of_keys_hold() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scripts");
    let mut ran = 0;
    for file in std::fs::read_dir(folder).expect("tests/scripts") {
        let path = file.expect("a file").path();
        if path.extension().is_some_and(|end| end == "keys") {
            run_script(&std::fs::read_to_string(&path).expect("a script"), &path.display().to_string());
            ran += 1;
        }
    }
    assert!(ran > 0);
}

fn run_script(text: &str, place: &str) {
    let mut script = console("empty", (80, 24));
    for (number, line) in text.lines().enumerate() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "" | "#" => {}
            "world" => {
                let (name, size) = rest.split_once(' ').expect("world NAME COLUMNSxROWS");
                let (wide, high) = size.split_once('x').expect("COLUMNSxROWS");
                script = console(name, (wide.parse().expect("columns"), high.parse().expect("rows")));
            }
            "lines" => script = with_lines(script, rest.parse().expect("a number")),
            "press" => script = script.keys(rest),
            "see" => {
                assert!(script.screen().contains(rest), "{place}:{}: `{rest}` is not seen in\n{}", number + 1, script.screen());
            }
            "miss" => {
                assert!(!script.screen().contains(rest), "{place}:{}: `{rest}` is seen in\n{}", number + 1, script.screen());
            }
            other => panic!("{place}:{}: `{other}` is no word of a script", number + 1),
        }
    }
}

fn any_action() -> impl Strategy<Value = Action> {
    let keys = [
        "j",
        "k",
        "g",
        "G",
        "Enter",
        "Esc",
        "Tab",
        "shift-Tab",
        "1",
        "2",
        "5",
        "6",
        "7",
        "8",
        "0",
        "n",
        "R",
        "T",
        "S",
        "X",
        "U",
        "D",
        "l",
        "w",
        "b",
        "y",
        "Y",
        "/",
        ":",
        "?",
        "o",
        "O",
        "<",
        "t",
        "f",
        "e",
        "E",
        "N",
        "v",
        "s",
        "P",
        "Space",
        "PageUp",
        "PageDown",
        "ctrl-u",
        "ctrl-d",
        "Home",
        "End",
        "Left",
        "Right",
        "Backspace",
        "Delete",
        "a",
        "x",
        "ü",
        "世",
        "M",
        "ctrl-w",
        "ctrl-l",
    ];
    let keys: Vec<Key> = keys.iter().flat_map(|key| read_keys(key)).collect();
    prop_oneof![
        12 => prop::sample::select(keys).prop_map(Action::Key),
        2 => (1_u16..300, 1_u16..100).prop_map(|(wide, high)| Action::Resize(wide, high)),
        1 => (0_u16..300, 0_u16..100).prop_map(|(x, y)| Action::Mouse(Mouse::Press(x, y))),
        1 => (0_u16..300, 0_u16..100, any::<bool>()).prop_map(|(x, y, up)| Action::Mouse(if up { Mouse::WheelUp(x, y) } else { Mouse::WheelDown(x, y) })),
        1 => prop::sample::select(worlds::NAMES.to_vec()).prop_map(|name| Action::Snapshot(Box::new(worlds::world(name)), Millis(1))),
        1 => (1_usize..400).prop_map(|count| Action::Lines(Slot::Logs, 1, worlds::lines(count))),
        1 => (0_i64..100_000).prop_map(|later| Action::Tick(Timestamp(worlds::NOW.0 + later))),
        1 => "\\PC{0,12}".prop_map(Action::Paste),
        1 => Just(Action::Lost(Problem::unavailable("gone"))),
        1 => (1_u64..9).prop_map(|ticket| Action::Answered(ticket, Ok(Answer::Planned(Box::new(worlds::plan("tweet", 9, Some(8))))))),
        1 => (1_u64..9).prop_map(|ticket| Action::Answered(ticket, Ok(Answer::PrunePlanned(worlds::prune_plan())))),
        1 => Just(Action::HandedBack("docker ended".to_owned(), Role::Info)),
        1 => (1_u64..9).prop_map(|ticket| Action::Answered(ticket, Err(Problem::conflict("not now").hint("later")))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    /// 24 × up to 160 actions over worlds and sizes.
    #[test]
    fn nothing_that_happens_breaks_the_console(actions in prop::collection::vec(any_action(), 1..160), size in (1_u16..300, 1_u16..100)) {
        let mut script = console("one-failing", size);
        for action in actions {
            script.happen(action);
            let buffer = script.buffer();
            let (wide, high) = script.state.size;
            prop_assert_eq!((buffer.area.width, buffer.area.height), (wide, high));
            // In a list that is seen the cursor is always seen.
            if script.state.overlays.is_empty() && !script.state.world.is_lost() && wide >= 60 && high >= 12 && script.state.tab == Tab::Apps
                && !script.state.panes.apps.details.inside && !script.state.panes.apps.list.rows.is_empty()
            {
                prop_assert!(script.screen().contains('▎'), "{}", script.screen());
            }
        }
    }
}
