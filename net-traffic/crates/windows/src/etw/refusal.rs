//! Why no session could be started, and the remedy.

use std::io;

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_ALREADY_EXISTS, ERROR_NO_SYSTEM_RESOURCES, ERROR_PRIVILEGE_NOT_HELD,
};

use super::SLOT;
use crate::rights::AS_ADMINISTRATOR;
use net_traffic_snapshot::OpenError;
use net_traffic_snapshot::Status;

/// Why the session could not be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("event tracing needs an administrator or a member of the group \"Performance Log Users\"")]
    Privilege,
    #[error("another net-traffic is counting")]
    Second,
    #[error("the system has its maximum number of event tracing sessions")]
    Sessions,
    #[error("event tracing: {0}")]
    Failed(io::Error),
}

impl Refusal {
    /// Classifies an error, which is a Win32 code or an `HRESULT` with that code in its low 16 bits. Without the
    /// privilege, an unknown error counts as a missing privilege.
    pub(super) fn of(error: io::Error, may_trace: bool) -> Self {
        const CODE: u32 = 0xffff;
        let code = error.raw_os_error().map(|raw| raw.cast_unsigned() & CODE);
        match code {
            Some(ERROR_ACCESS_DENIED | ERROR_PRIVILEGE_NOT_HELD) => Self::Privilege,
            Some(ERROR_ALREADY_EXISTS) => Self::Second,
            Some(ERROR_NO_SYSTEM_RESOURCES) => Self::Sessions,
            _ if !may_trace => Self::Privilege,
            Some(code) => Self::Failed(io::Error::from_raw_os_error(code.cast_signed())),
            None => Self::Failed(error),
        }
    }

    pub(crate) fn status(&self) -> Status {
        Status {
            slot: SLOT.to_owned(),
            tier: None,
            program: None,
            covers: None,
            reason: Some(self.to_string()),
            remedy: self.remedy(),
        }
    }

    /// The error if the caller needs byte counts.
    pub(crate) fn error(self) -> OpenError {
        let remedy = self.remedy().unwrap_or_default();
        match self {
            Self::Privilege => OpenError::Privilege {
                attempt: "counting by event tracing".to_owned(),
                capability: "the administrator's rights or the group \"Performance Log Users\"",
                remedy,
            },
            Self::Failed(cause) => OpenError::Failed { attempt: "count by event tracing".to_owned(), cause },
            other => OpenError::Failed {
                attempt: "count by event tracing".to_owned(),
                cause: io::Error::other(format!("{other}; {remedy}")),
            },
        }
    }

    fn remedy(&self) -> Option<String> {
        match self {
            Self::Privilege => Some(AS_ADMINISTRATOR.to_owned()),
            Self::Second => Some("end the other one, or replay what it records".to_owned()),
            Self::Sessions => {
                Some("`logman query -ets` lists them; `logman stop NAME -ets` ends one".to_owned())
            }
            Self::Failed(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hresult_has_the_meaning_of_its_code() {
        for (code, expected) in [(5, "administrator"), (183, "another"), (1450, "maximum number")] {
            let hresult = (0x8007_0000_u32 | code).cast_signed();
            for raw in [code.cast_signed(), hresult] {
                let refusal = Refusal::of(io::Error::from_raw_os_error(raw), true);
                assert!(refusal.to_string().contains(expected), "{raw:#x}: {refusal}");
                assert!(refusal.status().remedy.is_some());
            }
        }
    }

    #[test]
    fn unknown_error_without_privilege_is_a_missing_privilege() {
        for error in [|| io::Error::other("InvalidHandle"), || io::Error::from_raw_os_error(87)] {
            assert!(matches!(Refusal::of(error(), false), Refusal::Privilege));
            assert!(matches!(Refusal::of(error(), true), Refusal::Failed(_)));
        }
    }
}
