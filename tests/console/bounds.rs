//! What a card and a pane say where something does not fit, cannot be had, or is gone.

use super::*;

#[test]
fn a_scale_has_the_bounds_of_the_command_and_tells_them_while_typing() {
    let card = |keys: &str| console("calm", (80, 24)).keys(&format!("2 S {keys}"));
    let typed = card("\"999\"");
    assert!(typed.screen().contains("▲ a number from 1 to 100"), "{}", typed.screen());
    assert!(!typed.screen().contains("Enter scale"), "{}", typed.screen());
    assert!(commands(&typed.keys("Enter")).is_empty());
    assert!(card("0").screen().contains("pilothouse stop"), "{}", card("0").screen());
    let scaled = |keys: &str| match commands(&card(&format!("{keys} Enter"))).as_slice() {
        [Command::Scale { replicas, .. }] => Some(*replicas),
        _ => None,
    };
    assert_eq!(scaled("\"100\""), Some(100));
    assert_eq!(scaled("\"101\""), None);
    assert_eq!(scaled("\"999\" Backspace"), Some(99), "what is typed can be mended");
    assert_eq!(scaled("5"), Some(5), "the first digit begins a number");
    assert_eq!(scaled("\"100\" +"), Some(100), "it ends at the bound");
}

#[test]
fn what_does_not_fit_is_counted_on_a_row_of_its_own() {
    let mut script = console("one-failing", (80, 24)).keys("2 Enter");
    for _ in 0..60 {
        let screen = script.screen();
        let marked: Vec<&str> = screen.lines().filter(|line| line.contains("↓ ")).collect();
        assert!(marked.iter().all(|line| line.trim_start().starts_with("↓ ")), "the mark stands on what is read:\n{screen}");
        if marked.is_empty() {
            return;
        }
        script = script.keys("j");
    }
    panic!("the end is never reached:\n{}", script.screen());
}

#[test]
fn the_command_of_a_plan_is_reached_at_every_size() {
    let planned = planned((80, 24));
    for (wide, high) in [(80, 24), (60, 20), (40, 12)] {
        let mut card = planned.clone().then(Action::Resize(wide, high));
        assert!(card.screen().contains("Ctrl-g") || wide < 60, "{}", card.screen());
        card = card.keys("ctrl-g");
        let seen = |card: &Script| card.screen().contains("same by command") && card.screen().contains("--name");
        for _ in 0..40 {
            if seen(&card) {
                break;
            }
            card = card.keys("Down");
        }
        assert!(seen(&card), "{wide}×{high}:\n{}", card.screen());
        let copied = card.keys("Y").effects;
        assert!(matches!(copied.last(), Some(Effect::Copy(text)) if text.starts_with("pilothouse deploy ")), "{copied:?}");
    }
}

#[test]
fn a_demo_that_was_removed_from_outside_is_told_and_can_be_left_at_once() {
    let gone = || Action::Removed(Problem::unavailable("the engine ended"));
    let removed = console("calm", (80, 24)).mode(Mode::Demo).then(gone());
    assert_eq!(removed.clone().keys("Enter").effects.last(), Some(&Effect::Quit(Left::Quit)));
    let stays = removed.keys("Esc").then(gone());
    assert!(!stays.screen().contains("removed from outside"), "it is told once:\n{}", stays.screen());
    assert_eq!(stays.clone().keys("q").effects.last(), Some(&Effect::Quit(Left::Quit)), "there is nothing to ask");
    let back = stays.then(Action::Snapshot(Box::new(worlds::world("calm")), Millis(2))).keys("q");
    assert!(back.screen().contains("Keep the demo running?"), "{}", back.screen());
    let asked = console("calm", (80, 24)).mode(Mode::Demo).keys("2 T").then(gone());
    assert_eq!(asked.state.overlays.len(), 1, "a card that can do nothing more goes:\n{}", asked.screen());
    let own = console("calm", (80, 24)).then(gone());
    assert!(own.state.overlays.is_empty(), "{}", own.screen());
}
