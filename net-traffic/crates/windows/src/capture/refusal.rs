//! Why the packet monitor cannot be used, and the remedy.

use std::io;

use windows_sys::Win32::Foundation::ERROR_MOD_NOT_FOUND;

use super::monitor::Monitor;
use crate::rights;
use net_traffic_snapshot::OpenError;
use net_traffic_snapshot::Status;

/// The slot of the status.
const SLOT: &str = "capture";

/// Why packets cannot be captured.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("this Windows has no PktMonApi.dll")]
    Missing,
    #[error("the PktMonApi.dll of this Windows is too old: {0}")]
    Old(String),
    #[error("the packet monitor needs an administrator")]
    Privilege,
    #[error("the packet monitor: {0}")]
    Failed(String),
}

impl Refusal {
    pub(super) fn of(cause: &io::Error) -> Self {
        if cause.raw_os_error() == Some(ERROR_MOD_NOT_FOUND.cast_signed()) {
            Self::Missing
        } else if cause.kind() == io::ErrorKind::Unsupported {
            Self::Old(cause.to_string())
        } else if cause.kind() == io::ErrorKind::PermissionDenied || !rights::is_elevated() {
            Self::Privilege
        } else {
            Self::Failed(cause.to_string())
        }
    }

    pub(super) fn remedy(&self) -> Option<String> {
        match self {
            Self::Missing | Self::Old(_) => Some(
                "Windows 11 and Server 2022 have it; on older ones `pktmon start --capture`, `pktmon etl2pcap` \
                 and `net-traffic capture -r`, or Npcap"
                    .to_owned(),
            ),
            Self::Privilege => Some("run it as administrator".to_owned()),
            Self::Failed(_) => None,
        }
    }

    pub(super) fn error(self) -> OpenError {
        let remedy = self.remedy();
        match (self, remedy) {
            (Self::Privilege, Some(remedy)) => OpenError::Privilege {
                attempt: "capturing packets".to_owned(),
                capability: "the administrator's rights",
                remedy,
            },
            (other, remedy) => {
                let remedy = remedy.map_or_else(String::new, |remedy| format!("; {remedy}"));
                let cause = io::Error::other(format!("{other}{remedy}"));
                OpenError::Failed { attempt: "capture packets".to_owned(), cause }
            }
        }
    }
}

/// The status of the slot `capture`.
pub(crate) fn status() -> Status {
    let refusal = Monitor::open().err().map(|cause| Refusal::of(&cause));
    Status {
        slot: SLOT.to_owned(),
        tier: refusal.is_none().then(|| "pktmon".to_owned()),
        program: Some("PktMonApi.dll".to_owned()),
        covers: Some("the packets of network adapters, with their owners in the socket tables".to_owned()),
        reason: refusal.as_ref().map(ToString::to_string),
        remedy: refusal.as_ref().and_then(Refusal::remedy),
    }
}

#[cfg(test)]
mod tests {
    use windows_sys::Win32::Foundation::ERROR_ACCESS_DENIED;

    use super::*;
    use crate::error;

    #[test]
    fn missing_or_old_dll_has_an_alternative() {
        let old = io::Error::new(io::ErrorKind::Unsupported, "PacketMonitorCreateLiveSession is missing");
        for (cause, words) in [(error(ERROR_MOD_NOT_FOUND), "no PktMonApi.dll"), (old, "is too old")] {
            let error = Refusal::of(&cause).error();
            let text = error.to_string();
            assert!(text.contains(words) && text.contains("etl2pcap"), "{text}");
            assert!(matches!(error, OpenError::Failed { .. }));
        }
    }

    #[test]
    fn access_denied_is_a_missing_privilege() {
        let error = Refusal::of(&error(ERROR_ACCESS_DENIED)).error();
        let text = error.to_string();
        assert!(matches!(error, OpenError::Privilege { .. }), "{text}");
        assert!(text.contains("administrator"), "{text}");
    }
}
