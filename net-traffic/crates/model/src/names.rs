//! The names of remote hosts, if they are looked up.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

/// Names by address; `None` before the first look-up.
#[derive(Clone, Debug, Default)]
pub(crate) struct HostNames(Option<HashMap<IpAddr, String>>);

/// More than the remote hosts of most machines. Beyond it, names of hosts without a connection are dropped.
const MOST: usize = 20_000;

impl HostNames {
    pub(crate) fn are_looked_up(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn get(&self, address: IpAddr) -> Option<&str> {
        let names = self.0.as_ref().filter(|names| !names.is_empty())?;
        names.get(&address.to_canonical()).map(String::as_str)
    }

    /// Adds names. Beyond the limit, only names of addresses in use are kept.
    pub(crate) fn add(&mut self, found: Vec<(IpAddr, String)>, in_use: impl FnOnce() -> HashSet<IpAddr>) {
        let names = self.0.get_or_insert_default();
        names.extend(found);
        if names.len() > MOST {
            let in_use = in_use();
            names.retain(|address, _| in_use.contains(address));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_the_limit_keep_addresses_in_use() {
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
