//! Why a case gave no truth: the kernel lacks something, a call failed, or the traffic was not what the case is about.

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

#[derive(Debug, thiserror::Error)]
pub enum TrafficError {
    #[error("failed to {attempt}: {cause}")]
    Call { attempt: &'static str, cause: io::Error },
    /// The kernel refuses what the case needs: a reason to skip it, not to fail.
    #[error("{feature} is not available: {reason}")]
    Unsupported { feature: Feature, reason: String },
    /// The calls succeeded but did not do what the case is about, so its truth would prove nothing.
    #[error("{0}")]
    Broken(String),
    #[error("the other process went away")]
    Hangup,
}

/// What a kernel may be built or configured without.
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

/// Gives an operating system's error its sentence.
pub(super) trait Attempt<T> {
    /// `what` fits after "failed to".
    fn attempt(self, what: &'static str) -> Result<T, TrafficError>;

    /// For a call that fails where the kernel lacks `feature`.
    fn needs(self, feature: Feature) -> Result<T, TrafficError>;
}

impl<T, E: Into<io::Error>> Attempt<T> for Result<T, E> {
    fn attempt(self, what: &'static str) -> Result<T, TrafficError> {
        self.map_err(|cause| TrafficError::Call { attempt: what, cause: cause.into() })
    }

    fn needs(self, feature: Feature) -> Result<T, TrafficError> {
        self.map_err(|cause| TrafficError::Unsupported { feature, reason: cause.into().to_string() })
    }
}
