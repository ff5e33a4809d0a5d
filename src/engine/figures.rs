//! From the edge's cumulative counters to samples.

use std::collections::BTreeMap;

use crate::model::{
    edge::{EdgeCounters, ReleaseCounters},
    ids::{AppId, ReleaseId},
    sample::AppSample,
};

/// Remembers the counters before.
#[derive(Debug, Default)]
pub struct Figures {
    before: Option<EdgeCounters>,
}

impl Figures {
    /// Samples over the span since the counters before; none for the first ones, and after the edge began anew.
    pub fn digest(&mut self, counters: EdgeCounters) -> Vec<(AppId, AppSample)> {
        let before = self.before.replace(counters);
        let (Some(before), Some(now)) = (before, self.before.as_ref()) else { return Vec::new() };
        let seconds = now.at.0.saturating_sub(before.at.0) as f64 / 1000.0;
        if before.started_at != now.started_at || seconds <= 0.0 {
            return Vec::new();
        }
        let mut spans: BTreeMap<AppId, Span> = BTreeMap::new();
        for release in &now.releases {
            let known = before.releases.iter().find(|known| known.app == release.app && known.release == release.release);
            spans.entry(release.app.clone()).or_default().add(release, known);
        }
        spans.into_iter().map(|(app, span)| (app, span.sample(now.at, seconds))).collect()
    }
}

#[derive(Debug, Default)]
struct Span {
    requests: u64,
    errors: u64,
    latency_us: BTreeMap<u64, u64>,
    by_release: Vec<(ReleaseId, u64)>,
}

impl Span {
    fn add(&mut self, now: &ReleaseCounters, before: Option<&ReleaseCounters>) {
        let requests = now.requests.saturating_sub(before.map_or(0, |before| before.requests));
        self.requests += requests;
        self.errors += now.errors.saturating_sub(before.map_or(0, |before| before.errors));
        let known: BTreeMap<u64, u64> = before.map(|before| before.latency_us.iter().copied().collect()).unwrap_or_default();
        for (bound, count) in &now.latency_us {
            *self.latency_us.entry(*bound).or_default() += count.saturating_sub(known.get(bound).copied().unwrap_or(0));
        }
        if requests > 0 {
            self.by_release.push((now.release, requests));
        }
    }

    fn sample(self, at: crate::model::units::Timestamp, seconds: f64) -> AppSample {
        let has_any = self.requests > 0;
        AppSample {
            at,
            requests_per_s: self.requests as f64 / seconds,
            error_share: has_any.then(|| self.errors as f64 / self.requests as f64),
            p50_ms: self.quantile_ms(0.50),
            p95_ms: self.quantile_ms(0.95),
            by_release: self.by_release,
        }
    }

    /// Upper bound of the bucket that holds the quantile.
    fn quantile_ms(&self, share: f64) -> Option<f64> {
        let total: u64 = self.latency_us.values().sum();
        let rank = (total as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        self.latency_us.iter().find_map(|(bound, count)| {
            seen += count;
            (seen >= rank).then_some(*bound as f64 / 1000.0)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::units::Timestamp;

    fn counters(at: i64, requests: u64, errors: u64, latency_us: &[(u64, u64)]) -> EdgeCounters {
        let app = AppId::parse("shop").unwrap();
        EdgeCounters {
            at: Timestamp(at),
            releases: vec![ReleaseCounters { app, release: ReleaseId(1), requests, errors, latency_us: latency_us.to_vec() }],
            ..EdgeCounters::default()
        }
    }

    #[test]
    fn a_sample_is_what_happened_between_two_readings() {
        let mut figures = Figures::default();
        assert!(figures.digest(counters(0, 100, 0, &[(1000, 100)])).is_empty(), "one reading is no span");
        let samples = figures.digest(counters(2000, 200, 5, &[(1000, 190), (8000, 10)]));
        let sample = &samples[0].1;
        assert_eq!((sample.requests_per_s, sample.error_share), (50.0, Some(0.05)));
        assert_eq!((sample.p50_ms, sample.p95_ms), (Some(1.0), Some(8.0)));
    }

    #[test]
    fn no_request_is_no_data() {
        let mut figures = Figures::default();
        figures.digest(counters(0, 7, 0, &[(1000, 7)]));
        let samples = figures.digest(counters(2000, 7, 0, &[(1000, 7)]));
        assert_eq!((samples[0].1.p95_ms, samples[0].1.error_share), (None, None));
    }
}
