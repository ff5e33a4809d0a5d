//! The sample's counters, in the text format of Prometheus (version 0.0.4).

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Upper bounds of the latency histogram, in seconds.
const BOUNDS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

/// Counters since the start.
#[derive(Debug, Default)]
pub struct Metrics {
    by_status: Mutex<BTreeMap<u16, u64>>,
    /// One more than `BOUNDS`: the last is for what is slower.
    latency: [AtomicU64; BOUNDS.len() + 1],
    latency_us: AtomicU64,
    pub in_flight: AtomicU64,
    /// Bytes that the memory switch has taken.
    pub held: AtomicU64,
}

impl Metrics {
    pub fn count(&self, status: u16, seconds: f64) {
        *self.by_status.lock().unwrap_or_else(PoisonError::into_inner).entry(status).or_default() += 1;
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        self.latency[bucket].fetch_add(1, Ordering::Relaxed);
        self.latency_us.fetch_add((seconds * 1e6) as u64, Ordering::Relaxed);
    }

    pub fn text(&self, version: &str) -> String {
        let mut text = String::new();
        let mut line = |line: String| {
            let _ = writeln!(text, "{line}");
        };
        line("# HELP sample_info The version that answers.\n# TYPE sample_info gauge".to_owned());
        line(format!("sample_info{{version=\"{}\"}} 1", escape(version)));
        line("# HELP http_requests_total Answered requests.\n# TYPE http_requests_total counter".to_owned());
        for (status, count) in self.by_status.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            line(format!("http_requests_total{{status=\"{status}\"}} {count}"));
        }
        line("# HELP http_requests_in_flight Requests under way.\n# TYPE http_requests_in_flight gauge".to_owned());
        line(format!("http_requests_in_flight {}", self.in_flight.load(Ordering::Relaxed)));
        line("# HELP http_request_duration_seconds Time to answer.\n# TYPE http_request_duration_seconds histogram".to_owned());
        let mut total = 0;
        for (bucket, count) in self.latency.iter().enumerate() {
            total += count.load(Ordering::Relaxed);
            let bound = BOUNDS.get(bucket).map_or_else(|| "+Inf".to_owned(), f64::to_string);
            line(format!("http_request_duration_seconds_bucket{{le=\"{bound}\"}} {total}"));
        }
        let seconds = self.latency_us.load(Ordering::Relaxed) as f64 / 1e6;
        line(format!("http_request_duration_seconds_sum {seconds}\nhttp_request_duration_seconds_count {total}"));
        line("# HELP sample_held_bytes Memory taken by the memory switch.\n# TYPE sample_held_bytes gauge".to_owned());
        line(format!("sample_held_bytes {}", self.held.load(Ordering::Relaxed)));
        text
    }
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative_and_end_with_the_count() {
        let metrics = Metrics::default();
        metrics.count(200, 0.002);
        metrics.count(500, 9.0);
        let text = metrics.text("v\"1");
        for line in [
            "http_requests_total{status=\"500\"} 1",
            "http_request_duration_seconds_bucket{le=\"0.001\"} 0",
            "http_request_duration_seconds_bucket{le=\"0.0025\"} 1",
            "http_request_duration_seconds_bucket{le=\"+Inf\"} 2",
            "http_request_duration_seconds_count 2",
            "sample_info{version=\"v\\\"1\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
