//! ◇ Which release gets a request: host names, exact shares, and what a table must fulfil.

use std::collections::BTreeSet;

use crate::model::{
    problem::Problem,
    route::{Match, Route, RouteTable, Target},
};

/// Coprime to 100 and near its golden section: consecutive tickets spread evenly over the releases.
const STRIDE: u64 = 61;

/// The shares of an app's releases, in percent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shares {
    /// (place in the route's list, end of its range below 100); shares of nothing are left out.
    ends: Vec<(usize, u64)>,
}

impl Shares {
    pub(super) fn new(percents: impl IntoIterator<Item = u8>) -> Self {
        let mut end = 0;
        let mut ends = Vec::new();
        for (place, percent) in percents.into_iter().enumerate() {
            end += u64::from(percent);
            if percent > 0 {
                ends.push((place, end));
            }
        }
        Self { ends }
    }

    /// Absent unless several releases share the traffic: then no ticket is needed.
    pub(super) fn only(&self) -> Option<usize> {
        match self.ends.as_slice() {
            [(place, _)] => Some(*place),
            _ => None,
        }
    }

    /// The release that the `ticket`th request goes to. Exact over every 100 tickets in a row.
    pub(super) fn of(&self, ticket: u64) -> Option<usize> {
        let slot = (ticket % 100) * STRIDE % 100;
        self.ends.iter().find(|(_, end)| slot < *end).map(|(place, _)| *place)
    }
}

/// A host name without port and trailing dot, in lower case; allocates only when it must change case.
pub(super) fn host_name(host: &str) -> std::borrow::Cow<'_, str> {
    let name = match host.rfind(':') {
        // An address in brackets keeps its colons: `[::1]:8080`.
        Some(colon) if !host.ends_with(']') => &host[..colon],
        _ => host,
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.bytes().any(|b| b.is_ascii_uppercase()) {
        std::borrow::Cow::Owned(name.to_ascii_lowercase())
    } else {
        std::borrow::Cow::Borrowed(name)
    }
}

/// Refuses a table that cannot be served as it says.
pub(super) fn check(table: &RouteTable) -> Result<(), Problem> {
    let mut claims = BTreeSet::new();
    let mut processes = BTreeSet::new();
    let mut instances = BTreeSet::new();
    for route in &table.routes {
        let app = &route.app;
        if !processes.insert((app, &route.process)) {
            return Err(Problem::user(format!("the route table has two routes for {} of {app}", route.process)));
        }
        for at in &route.matches {
            let Match { host, path, .. } = at;
            if host_name(host) != host.as_str() {
                return Err(Problem::user(format!(
                    "the host `{}` of {app} is not in lower case without port",
                    host.escape_debug()
                )));
            }
            if !path.is_empty() && (!path.starts_with('/') || path.ends_with('/')) {
                return Err(Problem::user(format!("the path `{}` of {app} is not of the form `/api`", path.escape_debug())));
            }
            if !claims.insert((host, path)) {
                return Err(Problem::user(format!("{at} is routed twice, once to {app}"))
                    .hint("choose another host or path for one of them"));
            }
        }
        if !route.ready_path.starts_with('/') {
            return Err(Problem::user(format!("the ready path of {app} does not begin with `/`: {}", route.ready_path)));
        }
        check_splits(route)?;
        for split in &route.splits {
            let Target::Pool { backends } = &split.target else { continue };
            for backend in backends {
                if !instances.insert(&backend.instance) {
                    return Err(Problem::user(format!("the instance {} stands twice in the route table", backend.instance)));
                }
            }
        }
    }
    Ok(())
}

fn check_splits(route: &Route) -> Result<(), Problem> {
    let sum: u32 = route.splits.iter().map(|split| u32::from(split.weight.percent())).sum();
    if sum != 0 && sum != 100 {
        return Err(Problem::user(format!("the weights of {} sum to {sum}, not to 100 or 0", route.app)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{
        ids::{AppId, Generation, ReleaseId},
        route::Split,
        units::{Millis, Weight},
    };

    fn route(weights: &[u8]) -> Route {
        let split = |(n, percent): (usize, &u8)| Split {
            release: ReleaseId(n as u32 + 1),
            weight: Weight::new(*percent).unwrap_or(Weight::NONE),
            target: Target::Pool { backends: Vec::new() },
        };
        Route {
            app: AppId::suggest("shop"),
            process: "web".to_owned(),
            matches: vec![Match::host("shop.localhost")],
            splits: weights.iter().enumerate().map(split).collect(),
            ready_path: "/".to_owned(),
            check_every: Millis::seconds(5),
        }
    }

    #[test]
    fn a_host_is_found_whatever_its_case_port_and_dot() {
        for host in ["shop.localhost", "Shop.LOCALHOST:8080", "shop.localhost.", "shop.localhost.:80"] {
            assert_eq!(host_name(host), "shop.localhost");
        }
        assert_eq!(host_name("[::1]:8080"), "[::1]");
        assert_eq!(host_name("[::1]"), "[::1]");
    }

    #[test]
    fn a_table_is_refused_with_its_reason() {
        let refused = |routes| check(&RouteTable { generation: Generation(1), routes }).unwrap_err().what;
        assert!(refused(vec![route(&[90])]).contains("sum to 90"));
        assert!(refused(vec![route(&[100]), route(&[100])]).contains("two routes for web of shop"));
        let at = |host: &str, path: &str| Route { matches: vec![Match::below(host, path, false)], ..route(&[100]) };
        assert!(refused(vec![at("Shop:80", "")]).contains("lower case"));
        let other = Route { app: AppId::suggest("pub"), ..at("shop.localhost", "/x") };
        assert!(refused(vec![at("shop.localhost", "/x/"), other]).contains("shop.localhost/x is routed twice, once to pub"));
        assert!(check(&RouteTable { generation: Generation(1), routes: vec![route(&[0, 0])] }).is_ok());
    }

    proptest! {
        #[test]
        fn every_hundred_requests_in_a_row_are_shared_exactly(cuts in proptest::collection::vec(0_u8..=100, 0..5), start: u32) {
            let mut ends = cuts;
            ends.push(100);
            ends.sort_unstable();
            let percents: Vec<u8> = ends.iter().scan(0, |last, end| { let share = end - *last; *last = *end; Some(share) }).collect();
            let shares = Shares::new(percents.iter().copied());
            let mut got = vec![0_u8; percents.len()];
            for ticket in 0..100 {
                got[shares.of(u64::from(start) + ticket).unwrap()] += 1;
            }
            prop_assert_eq!(got, percents);
        }

        #[test]
        fn no_host_header_breaks_the_match(host in ".{0,60}") {
            let name = host_name(&host).into_owned();
            prop_assert!(!name.bytes().any(|b| b.is_ascii_uppercase()));
        }
    }
}
