//! Figures that were observed, each with its time; absent means no data, never zero.

use serde::{Deserialize, Serialize};

use super::{
    container::{ContainerId, ContainerSample},
    ids::{AppId, HostId, InstanceId, ReleaseId},
    units::Timestamp,
};

/// How a host was doing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostSample {
    pub at: Timestamp,
    /// Of all cores together, 0 to 100; absent in the first sample.
    pub cpu_percent: Option<f32>,
    pub memory_used: u64,
    pub memory_total: u64,
    /// Of the file system that holds the engine's state.
    pub disk_used: u64,
    pub disk_total: u64,
    /// Bytes per second over all interfaces but loopback; absent in the first sample.
    pub received_per_s: Option<f64>,
    pub sent_per_s: Option<f64>,
    pub load_1m: f32,
}

/// How an app was answering, over the span since the sample before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AppSample {
    pub at: Timestamp,
    pub requests_per_s: f64,
    /// Share of answers with a status of 500 and above, 0 to 1; absent without requests.
    pub error_share: Option<f64>,
    /// Milliseconds; absent without requests.
    pub p50_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    /// Requests of each release in the span.
    pub by_release: Vec<(ReleaseId, u64)>,
}

/// How an instance was doing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstanceSample {
    pub at: Timestamp,
    /// Of one core; may exceed 100; absent in the first sample.
    pub cpu_percent: Option<f32>,
    pub memory: u64,
}

/// A sample and what it is of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum Sample {
    Host { id: HostId, sample: HostSample },
    App { id: AppId, sample: AppSample },
    Instance { id: InstanceId, sample: InstanceSample },
    Container { id: ContainerId, sample: ContainerSample },
}
