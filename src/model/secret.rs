//! Secrets: where a value comes from, and what may be told of one.

use std::{fmt, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{
    ids::AppId,
    mask::SHORTEST,
    problem::Problem,
    units::{Timestamp, many},
};

/// Bytes that a value has at most.
pub const LONGEST: usize = 64 << 10;
/// Characters of a stored secret's name at most.
const LONGEST_NAME: usize = 64;

/// A value in a type that shows nothing of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// Why this cannot be a secret, if it cannot.
    pub fn check(&self) -> Result<(), Problem> {
        let length = self.0.len();
        if length < SHORTEST {
            return Err(Problem::user(format!(
                "a value of {} cannot be kept secret: it would be found by chance in lines that do not mean it",
                many(length, "byte")
            ))
            .hint(format!("use one of at least {SHORTEST} bytes, or give it as plain environment")));
        }
        if length > LONGEST {
            return Err(Problem::user(format!("a value of {length} bytes is more than the limit of {LONGEST}"))
                .hint("keep it in a file, and give the app its path"));
        }
        if self.0.contains('\0') {
            return Err(Problem::user("the value holds a NUL character, which no environment can").hint("encode it, as base64"));
        }
        Ok(())
    }
}

/// Where the value of a secret comes from: `store:shop-db`, `env:NAME`, `file:/path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// Kept by the engine, sealed, under this name.
    Store(String),
    /// A variable of the engine's environment.
    Env(String),
    /// A file of the engine's machine; a line end at its end does not count.
    File(PathBuf),
}

impl Reference {
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let forms = "write store:NAME, env:NAME or file:/PATH";
        let Some((kind, rest)) = text.split_once(':') else {
            // It may be the value itself, which must not be shown.
            return Err(Problem::user("this is not a reference to a secret").hint(forms));
        };
        match kind {
            "store" => store_name(rest).map(|()| Self::Store(rest.to_owned())),
            "env" if is_variable(rest) => Ok(Self::Env(rest.to_owned())),
            "env" => Err(Problem::user("`env:` must be followed by a variable's name").hint("write env:DATABASE_URL")),
            "file" if rest.starts_with('/') && !rest.contains('\0') => Ok(Self::File(rest.into())),
            "file" => Err(Problem::user("`file:` must be followed by a whole path").hint("write file:/run/secrets/token")),
            _ => Err(Problem::user("this is not a reference to a secret").hint(forms)),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(name) => write!(f, "store:{name}"),
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

/// Whether this can be a variable's name (POSIX, Base Definitions 8.1).
pub fn is_variable(name: &str) -> bool {
    let shaped = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    shaped && !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// Checks the name of a stored secret.
pub fn store_name(name: &str) -> Result<(), Problem> {
    let shaped = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if shaped && name.len() <= LONGEST_NAME && name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Ok(());
    }
    Err(Problem::user(format!("`{}` cannot be a secret's name", name.escape_debug()))
        .hint(format!("use letters, digits, `-`, `_` and `.`, at most {LONGEST_NAME}, beginning with a letter or digit")))
}

/// A stored secret as it may be told: all but its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSecret {
    pub name: String,
    pub set_at: Timestamp,
    /// Who set it.
    pub set_by: String,
    /// Whether it cannot be opened, so that nobody knows when it was set, and by whom.
    #[serde(default)]
    pub lost: bool,
    /// Apps with a kept release that names it.
    pub used_by: Vec<AppId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_reads_as_it_is_written() {
        for text in ["store:shop-db", "env:DATABASE_URL", "file:/run/secrets/token"] {
            assert_eq!(Reference::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_reference_is_refused_and_not_shown() {
        for text in
            ["hunter2-hunter2", "postgres://me:hunter2@db", "env:1 hunter2", "file:hunter2", "store:-x", "store:a/b", ":", ""]
        {
            let refused = Reference::parse(text).unwrap_err();
            assert!(refused.next.is_some() && !refused.to_string().contains("hunter2"), "{refused}");
        }
    }

    #[test]
    fn a_value_too_short_to_be_masked_is_refused_with_the_reason() {
        let refused = Secret("12345".to_owned()).check().unwrap_err();
        assert!(refused.what.contains("5 bytes") && refused.next.unwrap().contains("at least 6"));
        assert!(Secret("123456".to_owned()).check().is_ok());
        assert!(Secret("x".repeat(LONGEST + 1)).check().is_err() && Secret("abc\0def".to_owned()).check().is_err());
    }

    #[test]
    fn a_secret_shows_nothing_of_itself() {
        assert_eq!(format!("{:?}", Secret("hunter2-hunter2".to_owned())), "Secret");
    }
}
