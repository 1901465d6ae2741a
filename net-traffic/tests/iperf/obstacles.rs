//! What is put in a test's way on the cable.

use crate::stage::{End, Stage};

/// Sends from here pass a queue with these parameters of `tc`'s tbf.
pub(crate) fn shape(stage: &Stage, parameters: &str) {
    stage.configure(End::Here, &[format!("tc qdisc add dev va root tbf {parameters}")]);
}

/// Of the large packets that match and arrive there, so many in a hundred are lost.
pub(crate) fn lose(stage: &Stage, matching: &str, percent: u32) {
    let rules = [
        "add table ip lossy".to_owned(),
        "add chain ip lossy in { type filter hook input priority 0 ; }".to_owned(),
        format!("add rule ip lossy in {matching} meta length > 200 numgen random mod 100 < {percent} drop"),
    ];
    stage.configure(End::There, &rules.map(|rule| format!("nft {rule}")));
}
