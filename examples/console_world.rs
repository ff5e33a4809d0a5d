//! Draws the console on a made world, without an engine: `cargo run --example console_world -- WORLD COLUMNSxROWS [KEYS] [light]`.
//!
//! Prints one frame with its colours and ends; for looking at it.

#![allow(clippy::expect_used, clippy::print_stdout, dead_code)]

#[path = "../tests/support/worlds.rs"]
mod worlds;

use pilothouse::{
    console::{
        action::{Action, Slot},
        script::Script,
        state::Mode,
        theme::{Depth, Theme},
    },
    model::plan::Plan,
};
use ratatui::style::{Color, Modifier};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let world = arguments.next().unwrap_or_else(|| "one-failing".to_owned());
    let size = arguments.next().unwrap_or_else(|| "160x45".to_owned());
    let keys = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    let (wide, high) = size.split_once('x').expect("COLUMNSxROWS");
    let mut script = Script::sized(wide.parse().expect("columns"), high.parse().expect("rows"));
    let has = |word: &str| rest.iter().any(|given| given == word);
    let depth = if has("none") {
        Depth::None
    } else if has("16") {
        Depth::Sixteen
    } else if has("256") {
        Depth::Indexed
    } else {
        Depth::True
    };
    script = script.theme(Theme::built_in(if has("light") { "pilot-light" } else { "pilot-dark" }, depth).expect("a theme"));
    if has("demo") {
        script = script.mode(Mode::Demo);
    }
    script = script.fleet(worlds::world(&world), worlds::NOW);
    for part in keys.split(';') {
        script = match part.trim() {
            "@logs" => {
                let generation = script.state.generations[Slot::Logs as usize];
                script.then(Action::Lines(Slot::Logs, generation, worlds::lines(2_000)))
            }
            "@build" => {
                let generation = script.state.generations[Slot::Build as usize];
                script.then(Action::Lines(Slot::Build, generation, worlds::lines(40)))
            }
            "@plan" => {
                let ticket = script.state.next_ticket - 1;
                let plan: Plan = worlds::plan("tweet", 9, Some(8));
                script.then(Action::Answered(ticket, Ok(pilothouse::model::command::Answer::Planned(Box::new(plan)))))
            }
            "@lost" => script.then(Action::Lost(pilothouse::model::Problem::unavailable("the engine broke off"))),
            keys => script.keys(keys),
        };
    }
    print(&script);
}

fn print(script: &Script) {
    let buffer = script.buffer();
    for y in 0..buffer.area.height {
        let mut line = String::new();
        for x in 0..buffer.area.width {
            let cell = &buffer[(x, y)];
            let colour = |colour: Color, base: u8| match colour {
                Color::Rgb(r, g, b) => format!(";{};2;{r};{g};{b}", base + 8),
                Color::Indexed(n) => format!(";{};5;{n}", base + 8),
                Color::Reset => String::new(),
                Color::Green => format!(";{}", base + 2),
                Color::Red => format!(";{}", base + 1),
                Color::Yellow => format!(";{}", base + 3),
                Color::Blue => format!(";{}", base + 4),
                Color::Magenta => format!(";{}", base + 5),
                Color::Cyan => format!(";{}", base + 6),
                Color::DarkGray => format!(";{}", base + 60),
                Color::LightBlue => format!(";{}", base + 64),
                _ => String::new(),
            };
            let mut codes = format!("0{}{}", colour(cell.fg, 30), colour(cell.bg, 40));
            for (modifier, code) in [(Modifier::BOLD, 1), (Modifier::DIM, 2), (Modifier::UNDERLINED, 4), (Modifier::REVERSED, 7)]
            {
                if cell.modifier.contains(modifier) {
                    codes.push_str(&format!(";{code}"));
                }
            }
            line.push_str(&format!("\u{1b}[{codes}m{}", cell.symbol()));
        }
        println!("{line}\u{1b}[0m");
    }
}
