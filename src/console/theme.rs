//! Semantic colours: a theme file, resolved for what the terminal can show.

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;

use crate::model::Problem;

/// What a piece of text or a line is, never which colour it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Text,
    /// Labels, units, times.
    Muted,
    /// Hairlines and the empty part of bars; never text.
    Faint,
    Accent,
    Ok,
    Warn,
    Danger,
    Info,
    /// One hue per series, the same everywhere.
    Series(usize),
}

/// What lies beneath text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    Base,
    Raised,
    Selected,
}

/// How many colours the terminal shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    #[default]
    True,
    Indexed,
    Sixteen,
    None,
}

impl Depth {
    /// From the environment: `NO_COLOR` (any value but the empty one), `COLORTERM`, `TERM`.
    pub fn of(no_color: Option<&str>, colorterm: Option<&str>, term: Option<&str>) -> Self {
        if no_color.is_some_and(|value| !value.is_empty()) || term == Some("dumb") {
            return Self::None;
        }
        if colorterm.is_some_and(|value| value.contains("truecolor") || value.contains("24bit")) {
            return Self::True;
        }
        match term {
            Some(term) if term.contains("direct") => Self::True,
            Some(term) if term.contains("256") || term.contains("kitty") || term.contains("alacritty") => Self::Indexed,
            _ => Self::Sixteen,
        }
    }
}

/// A theme file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Palette {
    pub name: String,
    pub dark: bool,
    pub ground: Hue,
    pub raised: Hue,
    pub selected: Hue,
    pub text: Hue,
    pub muted: Hue,
    pub faint: Hue,
    pub accent: Hue,
    pub ok: Hue,
    pub warn: Hue,
    pub danger: Hue,
    pub info: Hue,
    pub series: [Hue; 6],
}

/// A colour written `#rrggbb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Hue(pub u8, pub u8, pub u8);

impl TryFrom<String> for Hue {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a colour; write it as #rrggbb");
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6 && digits.is_ascii()).ok_or_else(wrong)?;
        let part = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| wrong());
        Ok(Self(part(0)?, part(2)?, part(4)?))
    }
}

/// A palette on a terminal of some depth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Theme {
    pub palette: Palette,
    pub depth: Depth,
}

/// The themes that come with the program.
pub const BUILT_IN: [(&str, &str); 2] = [
    ("pilot-dark", include_str!("../../themes/pilot-dark.toml")),
    ("pilot-light", include_str!("../../themes/pilot-light.toml")),
];

impl Theme {
    /// Reads a theme file's text; `place` is its name or path, for messages.
    pub fn read(text: &str, place: &str, depth: Depth) -> Result<Self, Problem> {
        let palette = toml::from_str(text).map_err(|error| {
            let what = error.message().lines().next().unwrap_or_default().to_owned();
            let line = error.span().map(|span| text[..span.start].lines().count().max(1));
            Problem::user(what)
                .at(line.map_or_else(|| place.to_owned(), |line| format!("{place}:{line}")))
                .hint("compare it with themes/pilot-dark.toml")
        })?;
        Ok(Self { palette, depth })
    }

    /// One of the built-in themes; absent when there is none of that name.
    pub fn built_in(name: &str, depth: Depth) -> Option<Self> {
        let (name, text) = BUILT_IN.iter().find(|(known, _)| *known == name)?;
        Self::read(text, name, depth).ok()
    }

    /// The dark theme.
    pub fn dark(depth: Depth) -> Self {
        Self::built_in("pilot-dark", depth).unwrap_or_else(|| {
            let grey = Hue(128, 128, 128);
            let palette = Palette {
                name: "grey".to_owned(),
                dark: true,
                ground: Hue(0, 0, 0),
                raised: Hue(0, 0, 0),
                selected: Hue(0, 0, 0),
                text: grey,
                muted: grey,
                faint: grey,
                accent: grey,
                ok: grey,
                warn: grey,
                danger: grey,
                info: grey,
                series: [grey; 6],
            };
            Self { palette, depth: Depth::None }
        })
    }

    /// The other one of the two built-in themes, at the same depth.
    pub fn turned(&self) -> Self {
        let other = if self.palette.dark { "pilot-light" } else { "pilot-dark" };
        Self::built_in(other, self.depth).unwrap_or_else(|| self.clone())
    }

    /// How text of this role looks; the ground is left as it is.
    pub fn style(&self, role: Role) -> Style {
        match self.depth {
            Depth::None => plain(role),
            Depth::Sixteen => Style::new().fg(self.sixteen(role)),
            Depth::True | Depth::Indexed => Style::new().fg(self.shown(self.hue(role))),
        }
    }

    /// What lies beneath.
    pub fn ground(&self, ground: Ground) -> Style {
        match (self.depth, ground) {
            (Depth::None | Depth::Sixteen, Ground::Selected) => Style::new().add_modifier(Modifier::REVERSED),
            (Depth::None | Depth::Sixteen, _) => Style::new().bg(Color::Reset).fg(Color::Reset),
            (_, Ground::Base) => self.on(self.palette.ground),
            (_, Ground::Raised) => self.on(self.palette.raised),
            (_, Ground::Selected) => Style::new().bg(self.shown(self.palette.selected)),
        }
    }

    /// A tag: text on its own colour.
    pub fn tag(&self, role: Role) -> Style {
        match self.depth {
            Depth::None | Depth::Sixteen => self.style(role).add_modifier(Modifier::REVERSED | Modifier::BOLD),
            _ => Style::new().bg(self.shown(self.hue(role))).fg(self.shown(self.palette.ground)).add_modifier(Modifier::BOLD),
        }
    }

    pub fn hue(&self, role: Role) -> Hue {
        let palette = &self.palette;
        match role {
            Role::Text => palette.text,
            Role::Muted => palette.muted,
            Role::Faint => palette.faint,
            Role::Accent => palette.accent,
            Role::Ok => palette.ok,
            Role::Warn => palette.warn,
            Role::Danger => palette.danger,
            Role::Info => palette.info,
            Role::Series(n) => palette.series[n % palette.series.len()],
        }
    }

    fn on(&self, hue: Hue) -> Style {
        Style::new().bg(self.shown(hue)).fg(self.shown(self.palette.text))
    }

    fn shown(&self, hue: Hue) -> Color {
        if self.depth == Depth::True { Color::Rgb(hue.0, hue.1, hue.2) } else { Color::Indexed(nearest(hue)) }
    }

    fn sixteen(&self, role: Role) -> Color {
        let dark = self.palette.dark;
        match role {
            Role::Text => Color::Reset,
            Role::Muted | Role::Faint => Color::DarkGray,
            Role::Accent | Role::Series(0) => {
                if dark {
                    Color::LightBlue
                } else {
                    Color::Blue
                }
            }
            Role::Ok => Color::Green,
            Role::Warn => Color::Yellow,
            Role::Danger => Color::Red,
            Role::Info | Role::Series(1) => Color::Cyan,
            Role::Series(_) => Color::Magenta,
        }
    }
}

/// Without colours only weight is left.
fn plain(role: Role) -> Style {
    match role {
        Role::Text | Role::Ok | Role::Info | Role::Series(_) => Style::new(),
        Role::Muted | Role::Faint => Style::new().add_modifier(Modifier::DIM),
        Role::Accent | Role::Warn => Style::new().add_modifier(Modifier::BOLD),
        Role::Danger => Style::new().add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
    }
}

/// The nearest colour of the 256-colour table (6×6×6 cube from 16, greys from 232).
fn nearest(hue: Hue) -> u8 {
    const STEPS: [i32; 6] = [0, 95, 135, 175, 215, 255];
    let distance = |r: i32, g: i32, b: i32| {
        let (dr, dg, db) = (r - i32::from(hue.0), g - i32::from(hue.1), b - i32::from(hue.2));
        dr * dr + dg * dg + db * db
    };
    let cube = (0..216_i32).map(|n| {
        let (r, g, b) = (STEPS[(n / 36) as usize], STEPS[(n / 6 % 6) as usize], STEPS[(n % 6) as usize]);
        (distance(r, g, b), 16 + n)
    });
    let greys = (0..24_i32).map(|n| (distance(8 + 10 * n, 8 + 10 * n, 8 + 10 * n), 232 + n));
    cube.chain(greys).min().map_or(15, |(_, index)| index as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn luminance(hue: Hue) -> f64 {
        let part = |value: u8| {
            let value = f64::from(value) / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(hue.0) + 0.7152 * part(hue.1) + 0.0722 * part(hue.2)
    }

    /// WCAG 2.2, "contrast ratio".
    fn contrast(one: Hue, other: Hue) -> f64 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn every_text_of_every_theme_can_be_read() {
        for (name, text) in BUILT_IN {
            let theme = Theme::read(text, name, Depth::True).unwrap();
            let palette = &theme.palette;
            let roles = [Role::Text, Role::Muted, Role::Accent, Role::Ok, Role::Warn, Role::Danger, Role::Info];
            for role in roles.into_iter().chain((0..6).map(Role::Series)) {
                for ground in [palette.ground, palette.raised, palette.selected] {
                    let ratio = contrast(theme.hue(role), ground);
                    assert!(ratio >= 4.5, "{name}: {role:?} has {ratio:.2} on {ground:?}");
                }
            }
        }
    }

    #[test]
    fn a_wrong_theme_names_its_line() {
        let text = BUILT_IN[0].1.replace("#8a98ab", "grey");
        let problem = Theme::read(&text, "mine.toml", Depth::True).unwrap_err();
        assert_eq!(problem.at.as_deref(), Some("mine.toml:8"));
        assert!(problem.what.contains("#rrggbb"), "{}", problem.what);
    }

    #[test]
    fn no_color_takes_every_colour_away() {
        let theme = Theme::dark(Depth::of(Some("1"), Some("truecolor"), Some("xterm-256color")));
        for role in [Role::Text, Role::Muted, Role::Accent, Role::Danger, Role::Series(3)] {
            assert_eq!(theme.style(role).fg, None);
        }
        assert_eq!(Depth::of(None, None, Some("screen-256color")), Depth::Indexed);
        assert_eq!(Depth::of(None, None, Some("linux")), Depth::Sixteen);
    }
}
