//! What the sample can be told to do wrong: by its environment at start, by requests while it runs.

use serde::Serialize;

use crate::model::units::{Bytes, Millis};

/// The switches; the names in the environment are `SAMPLE_` and the field in capitals.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Switches {
    /// `PORT`, by default 3000.
    pub port: u16,
    /// `HOST`, by default 127.0.0.1.
    pub host: String,
    /// `SAMPLE_VERSION`: shown on the page.
    pub version: String,
    /// Release that it says it is: `SAMPLE_LIE`, else `PILOTHOUSE_RELEASE`.
    pub release: String,
    /// `PILOTHOUSE_APP`, for the page's title.
    pub app: String,
    /// `PILOTHOUSE_INSTANCE`
    pub instance: String,
    /// `SAMPLE_LATENCY=200ms`: waits so long before each answer.
    pub latency_ms: u64,
    /// `SAMPLE_ERRORS=5`: percent of answers that are a 500.
    pub errors: f64,
    /// `SAMPLE_BOOT=3s`: waits so long before it listens.
    pub boot_ms: u64,
    /// `SAMPLE_CRASH=10s`: ends with 1 so long after it listens; `0s`: before it does.
    pub crash_after_ms: Option<u64>,
    /// `SAMPLE_MEMORY=5M`: takes so much more memory each second.
    pub memory_per_s: u64,
    /// `SAMPLE_WRONG_PORT=9999`: listens there instead.
    pub wrong_port: Option<u16>,
    /// `SAMPLE_IGNORE_TERM=1`: goes on after SIGTERM.
    pub ignore_term: bool,
    /// `SAMPLE_UNHEALTHY=1`: `/healthz` and `/` answer 503.
    pub unhealthy: bool,
}

impl Switches {
    /// Reads them; the error names the variable and what it should be.
    pub fn from_environment(read: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let text = |name: &str| read(name).filter(|value| !value.is_empty());
        let mut switches = Self {
            port: text("PORT").map_or(Ok(3000), |port| port.parse().map_err(|_| format!("PORT=`{port}` is not a port")))?,
            host: text("HOST").unwrap_or_else(|| "127.0.0.1".to_owned()),
            version: text("SAMPLE_VERSION").unwrap_or_else(|| "v1".to_owned()),
            release: text("SAMPLE_LIE").or_else(|| text("PILOTHOUSE_RELEASE")).unwrap_or_else(|| "?".to_owned()),
            app: text("PILOTHOUSE_APP").unwrap_or_else(|| "sample".to_owned()),
            instance: text("PILOTHOUSE_INSTANCE").unwrap_or_else(|| std::process::id().to_string()),
            latency_ms: 0,
            errors: 0.0,
            boot_ms: 0,
            crash_after_ms: None,
            memory_per_s: 0,
            wrong_port: None,
            ignore_term: false,
            unhealthy: false,
        };
        for name in ["latency", "errors", "boot", "crash", "memory", "wrong_port", "ignore_term", "unhealthy"] {
            let variable = format!("SAMPLE_{}", name.to_ascii_uppercase());
            if let Some(value) = text(&variable) {
                switches.set(name, &value).map_err(|cause| format!("{variable}: {cause}"))?;
            }
        }
        Ok(switches)
    }

    /// Turns one switch; those that only matter at start have no effect later.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let span = || value.parse::<Millis>().map(|span| span.0).map_err(|problem| problem.to_string());
        let truth = || match value {
            "1" | "true" | "yes" | "on" => Ok(true),
            "0" | "false" | "no" | "off" => Ok(false),
            _ => Err(format!("`{value}` is neither 1 nor 0")),
        };
        match name {
            "latency" => self.latency_ms = span()?,
            "errors" => self.errors = percent(value)?,
            "boot" => self.boot_ms = span()?,
            "crash" => self.crash_after_ms = Some(span()?),
            "memory" => self.memory_per_s = value.parse::<Bytes>().map_err(|problem| problem.to_string())?.0,
            "wrong_port" => self.wrong_port = Some(value.parse().map_err(|_| format!("`{value}` is not a port"))?),
            "ignore_term" => self.ignore_term = truth()?,
            "unhealthy" => self.unhealthy = truth()?,
            _ => return Err(format!("there is no switch `{name}`: use latency, errors, crash, memory or unhealthy")),
        }
        Ok(())
    }
}

fn percent(value: &str) -> Result<f64, String> {
    let number = value.trim_end_matches('%').trim().parse::<f64>();
    number.ok().filter(|n| (0.0..=100.0).contains(n)).ok_or_else(|| format!("`{value}` is not a percentage from 0 to 100"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Switches, String> {
        Switches::from_environment(|name| pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1.to_owned()))
    }

    #[test]
    fn switches_come_from_the_environment() {
        let switches =
            read(&[("PORT", "81"), ("SAMPLE_LATENCY", "1.5s"), ("SAMPLE_ERRORS", "5"), ("SAMPLE_MEMORY", "1M")]).unwrap();
        assert_eq!((switches.port, switches.latency_ms, switches.errors, switches.memory_per_s), (81, 1500, 5.0, 1 << 20));
    }

    #[test]
    fn a_lie_goes_before_the_truth() {
        assert_eq!(read(&[("PILOTHOUSE_RELEASE", "4"), ("SAMPLE_LIE", "5")]).unwrap().release, "5");
    }

    #[test]
    fn a_wrong_switch_names_itself() {
        assert!(read(&[("SAMPLE_ERRORS", "lots")]).unwrap_err().starts_with("SAMPLE_ERRORS: `lots`"));
        assert!(read(&[("PORT", "http")]).unwrap_err().contains("PORT"));
    }
}
