//! Why there is no packet monitor, in words, and what to do about it.

use std::io;

use windows_sys::Win32::Foundation::ERROR_MOD_NOT_FOUND;

use crate::source::OpenError;
use crate::source::windows::rights;

/// Why packets cannot be captured.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("this Windows has no PktMonApi.dll")]
    Missing,
    #[error("the packet monitor needs an administrator")]
    Privilege,
    #[error("the packet monitor: {0}")]
    Failed(String),
}

impl Refusal {
    pub(super) fn of(cause: &io::Error) -> Self {
        if cause.raw_os_error() == Some(ERROR_MOD_NOT_FOUND.cast_signed()) {
            Self::Missing
        } else if cause.kind() == io::ErrorKind::PermissionDenied || !rights::is_elevated() {
            Self::Privilege
        } else {
            Self::Failed(cause.to_string())
        }
    }

    pub(super) fn remedy(&self) -> Option<String> {
        match self {
            Self::Missing => Some(
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
