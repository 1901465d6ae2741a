//! Limits and losses on the veth pair of a test.

use super::network::{End, TestNetwork};

/// Adds a tbf queue with these parameters at the near end.
pub(crate) fn shape(network: &TestNetwork, parameters: &str) {
    network.configure(End::Here, &[format!("tc qdisc add dev va root tbf {parameters}")]);
}

/// Drops this percentage of the large matching packets at the far end.
pub(crate) fn lose(network: &TestNetwork, matching: &str, percent: u32) {
    let rules = [
        "add table ip lossy".to_owned(),
        "add chain ip lossy in { type filter hook input priority 0 ; }".to_owned(),
        format!("add rule ip lossy in {matching} meta length > 200 numgen random mod 100 < {percent} drop"),
    ];
    network.configure(End::There, &rules.map(|rule| format!("nft {rule}")));
}
