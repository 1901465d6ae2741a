//! Why a case has no ground truth: the kernel lacks a feature, a call failed, or the traffic missed the case's property.

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

#[derive(Debug, thiserror::Error)]
pub enum TrafficError {
    #[error("failed to {attempt}: {cause}")]
    Call { attempt: &'static str, cause: io::Error },
    /// The kernel lacks a feature of the case. The caller skips the case.
    #[error("{feature} is not available: {reason}")]
    Unsupported { feature: Feature, reason: String },
    /// The calls succeeded, but the traffic does not have the property that the case tests.
    #[error("{0}")]
    Unexpected(String),
    #[error("the other process exited")]
    PeerExited,
}

/// An optional feature of the kernel, by configuration or settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Feature {
    FastOpen,
    IoUring,
    Ipv6,
    KernelTls,
    Mptcp,
    UdpSegment,
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FastOpen => "TCP Fast Open",
            Self::IoUring => "io_uring",
            Self::Ipv6 => "IPv6",
            Self::KernelTls => "kernel TLS",
            Self::Mptcp => "MPTCP",
            Self::UdpSegment => "UDP_SEGMENT",
        })
    }
}

/// Adds the attempted action to an error of the operating system.
pub(super) trait Attempt<T> {
    /// `action` fits after "failed to".
    fn attempt(self, action: &'static str) -> Result<T, TrafficError>;

    /// For a call that fails when the kernel lacks `feature`.
    fn needs(self, feature: Feature) -> Result<T, TrafficError>;
}

impl<T, E: Into<io::Error>> Attempt<T> for Result<T, E> {
    fn attempt(self, action: &'static str) -> Result<T, TrafficError> {
        self.map_err(|cause| TrafficError::Call { attempt: action, cause: cause.into() })
    }

    fn needs(self, feature: Feature) -> Result<T, TrafficError> {
        self.map_err(|cause| TrafficError::Unsupported { feature, reason: cause.into().to_string() })
    }
}
