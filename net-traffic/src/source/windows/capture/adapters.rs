//! Network adapters by the names that the rest of the system has for them.

use super::monitor::Adapter;
use crate::source::OpenError;
use crate::source::windows::interfaces::{self, Known};

/// The interfaces of this machine; those that the user named must be among them.
pub(super) fn known(wanted: &[String]) -> Result<Vec<Known>, OpenError> {
    let failed = |cause| OpenError::Failed { attempt: "list the interfaces".to_owned(), cause };
    let all = interfaces::hardware().map_err(failed)?;
    match wanted.iter().find(|name| !all.iter().any(|interface| interface.name == **name)) {
        Some(name) => Err(OpenError::Usage(format!("-i {name}: there is no such interface"))),
        None => Ok(all),
    }
}

/// The name that the system's tables have for the adapter; the monitor has another one.
pub(super) fn name_of(adapter: &Adapter, known: &[Known]) -> String {
    let same = known.iter().find(|interface| interface.address == adapter.hardware);
    same.map_or_else(|| adapter.description.clone(), |interface| interface.name.clone())
}
