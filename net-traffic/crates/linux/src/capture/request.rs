//! Resolves the options of a capture: network namespace and interfaces, and the remedy for a refusal.

use std::io;

use super::interfaces::CaptureInterface;
use crate::netns::{NetNs, NetNsError};
use crate::rights;
use net_traffic_capture::LiveCaptureOptions;
use net_traffic_snapshot::OpenError;

/// The network namespace of the interfaces.
pub(super) fn netns(options: &LiveCaptureOptions) -> Result<NetNs, OpenError> {
    let usage = |error: NetNsError| OpenError::Usage(format!("--netns: {error}"));
    let Some(name) = &options.netns else { return NetNs::own().map_err(usage) };
    let netns = NetNs::resolve(name).map_err(usage)?;
    let missing = rights::effective().ok().and_then(|have| rights::missing_for(rights::NETNS, have));
    match missing.and_then(|missing| missing.remedy) {
        Some(remedy) => {
            let attempt = "capturing in another network namespace".to_owned();
            Err(OpenError::Privilege { attempt, capability: "CAP_SYS_ADMIN", remedy })
        }
        None => Ok(netns),
    }
}

/// The interfaces that the options name; all of them without a name.
pub(super) fn select(
    options: &LiveCaptureOptions,
    all: &[CaptureInterface],
) -> Result<Vec<CaptureInterface>, OpenError> {
    if options.interfaces.is_empty() {
        return Ok(all.to_vec());
    }
    let named = |name: &String| {
        let found = all.iter().find(|found| found.name == *name).cloned();
        found.ok_or_else(|| OpenError::Usage(format!("-i {name}: there is no such interface")))
    };
    options.interfaces.iter().map(named).collect()
}

/// Adds the remedy to a refusal: the missing capabilities, if any is missing.
pub(super) fn refusal(options: &LiveCaptureOptions, cause: io::Error) -> OpenError {
    let attempt = if options.interfaces.is_empty() {
        "capturing".to_owned()
    } else {
        format!("capturing on {}", options.interfaces.join(","))
    };
    let missing = rights::effective().ok().and_then(|have| rights::missing_for(rights::CAPTURE, have));
    match missing.and_then(|missing| missing.remedy) {
        Some(remedy) => OpenError::Privilege {
            attempt,
            capability: "CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN and CAP_NET_RAW",
            remedy,
        },
        None => OpenError::Failed { attempt: format!("begin {attempt}"), cause },
    }
}
