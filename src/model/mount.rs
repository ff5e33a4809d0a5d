//! A volume or folder that a container sees at a path of its own.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::problem::Problem;

/// Written `NAME:/path`, `/folder:/path` or `./folder:/path`, with `:ro` at the end for reading only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Mount {
    pub from: MountFrom,
    /// Absolute path inside.
    pub to: String,
    pub read_only: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MountFrom {
    /// A volume of the app, kept when its containers go.
    Volume(String),
    /// A path of the host: absolute, or relative to the source.
    Path(String),
}

impl FromStr for Mount {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let wrong = |why: &str| {
            Err(Problem::user(format!("`{}` is not a volume: {why}", text.escape_debug()))
                .hint("write NAME:/path/inside, or /folder:/path/inside, with :ro at the end for reading only"))
        };
        let parts: Vec<&str> = text.trim().split(':').collect();
        let (from, to, read_only) = match parts[..] {
            [from, to] => (from, to, false),
            [from, to, "ro"] => (from, to, true),
            [from, to, "rw"] => (from, to, false),
            [_, _, _] => return wrong("its last word is neither `ro` nor `rw`"),
            _ => return wrong("it needs what is mounted and where"),
        };
        if !to.starts_with('/') || to == "/" {
            return wrong("the path inside must begin with `/` and be more than that");
        }
        let is_path = from.starts_with(['/', '.', '~']) || from.contains('/');
        if is_path && from.starts_with('~') {
            return wrong("`~` is not known here: write the whole path");
        }
        let is_name = from.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
            && from.starts_with(|c: char| c.is_ascii_alphanumeric());
        let from = match (is_path, is_name) {
            (true, _) => MountFrom::Path(from.to_owned()),
            (false, true) => MountFrom::Volume(from.to_owned()),
            _ => return wrong("a volume's name has letters, digits, `_`, `.` and `-`"),
        };
        Ok(Self { from, to: to.to_owned(), read_only })
    }
}

impl fmt::Display for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (MountFrom::Volume(from) | MountFrom::Path(from)) = &self.from;
        write!(f, "{from}:{}{}", self.to, if self.read_only { ":ro" } else { "" })
    }
}

impl TryFrom<String> for Mount {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self, Problem> {
        text.parse()
    }
}

impl From<Mount> for String {
    fn from(mount: Mount) -> Self {
        mount.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_volume_and_a_path_a_folder() {
        for text in ["data:/var/lib/data", "/srv/web:/www:ro", "./conf:/etc/conf"] {
            assert_eq!(text.parse::<Mount>().unwrap().to_string(), text);
        }
        assert_eq!("data:/d".parse::<Mount>().unwrap().from, MountFrom::Volume("data".to_owned()));
        assert_eq!("conf/x:/d".parse::<Mount>().unwrap().from, MountFrom::Path("conf/x".to_owned()));
    }

    #[test]
    fn what_cannot_be_mounted_is_refused_with_the_way() {
        for text in ["data", "data:var", "data:/", "da ta:/x", "data:/x:rx", "~/x:/x", ":/x"] {
            assert!(text.parse::<Mount>().is_err_and(|problem| problem.next.is_some()), "{text}");
        }
    }
}
