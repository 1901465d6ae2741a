//! The names of remote hosts, where they are looked up.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

/// Names by address. `None` until somebody looks names up.
#[derive(Clone, Debug, Default)]
pub(crate) struct HostNames(Option<HashMap<IpAddr, String>>);

/// More than are connected on most hosts.
const MOST: usize = 20_000;

impl HostNames {
    pub(crate) fn are_looked_up(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn get(&self, address: IpAddr) -> Option<&str> {
        let names = self.0.as_ref().filter(|names| !names.is_empty())?;
        names.get(&address.to_canonical()).map(String::as_str)
    }

    /// Adds names. When there are too many, only those of the wanted addresses are kept.
    pub(crate) fn add(&mut self, found: Vec<(IpAddr, String)>, wanted: impl FnOnce() -> HashSet<IpAddr>) {
        let names = self.0.get_or_insert_default();
        names.extend(found);
        if names.len() > MOST {
            let wanted = wanted();
            names.retain(|address, _| wanted.contains(address));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_names_are_cut_down_to_those_in_use() {
        let mut names = HostNames::default();
        let address = |at: usize| IpAddr::from(u32::try_from(at).unwrap().to_be_bytes());
        assert!(!names.are_looked_up());
        names.add(Vec::new(), HashSet::new);
        assert!(names.are_looked_up());
        for at in 0..=MOST {
            names.add(vec![(address(at), at.to_string())], || HashSet::from([address(7)]));
        }
        assert_eq!(names.get(address(7)), Some("7"));
        assert_eq!(names.get(address(8)), None);
    }
}
