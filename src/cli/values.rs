//! Values as the command line reads them; what has another form is a usage error that shows the form by an example.

use std::{ffi::OsStr, ops::RangeInclusive};

use clap::{builder::TypedValueParser, error::ErrorKind};

use crate::model::{command::Overrides, manifest::MOST_REPLICAS, problem::Problem};

/// How many instances.
pub fn replicas(text: &str) -> Result<u32, Problem> {
    number(text, 1..=MOST_REPLICAS, "3")
}

/// A port that a program can listen on.
pub fn port(text: &str) -> Result<u16, Problem> {
    number(text, 1..=u16::MAX, "8080")
}

/// How many of something.
pub fn how_many(text: &str) -> Result<usize, Problem> {
    number(text, 0..=u32::MAX, "100").map(|count| count as usize)
}

fn number<T: TryFrom<u64> + Into<u64> + Copy>(text: &str, range: RangeInclusive<T>, example: &str) -> Result<T, Problem> {
    let (least, most): (u64, u64) = ((*range.start()).into(), (*range.end()).into());
    let wanted =
        text.parse::<u64>().ok().filter(|number| (least..=most).contains(number)).and_then(|number| number.try_into().ok());
    wanted.ok_or_else(|| {
        let limits =
            if most == u64::from(u32::MAX) { "a whole number".to_owned() } else { format!("a number from {least} to {most}") };
        Problem::user(format!("this must be {limits}")).hint(format!("write one such as {example}"))
    })
}

/// `NAME=VALUE` of an app's environment.
pub fn variable(text: &str) -> Result<(String, String), Problem> {
    Overrides::read_variable(text)
}

/// `NAME=REFERENCE` of a secret. What has another form may be a value, so that nothing of it is shown.
#[derive(Clone, Copy, Debug)]
pub struct SecretPair;

impl TypedValueParser for SecretPair {
    type Value = (String, String);

    fn parse_ref(&self, command: &clap::Command, _: Option<&clap::Arg>, value: &OsStr) -> Result<Self::Value, clap::Error> {
        Overrides::read_secret(&value.to_string_lossy())
            .map_err(|problem| clap::Error::raw(ErrorKind::ValueValidation, format!("{problem}\n")).with_cmd(command))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_its_bounds_and_an_example() {
        assert_eq!((replicas("100").unwrap(), port("65535").unwrap(), how_many("0").unwrap()), (100, 65535, 0));
        for wrong in [replicas("0").err(), replicas("101").err(), replicas("many").err(), port("0").err(), port("70000").err()] {
            let told = wrong.expect("refused").to_string();
            assert!(told.contains("a number from 1 to") && told.contains("such as"), "{told}");
        }
        assert!(how_many("-1").unwrap_err().to_string().contains("such as 100"));
    }
}
