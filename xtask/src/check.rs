//! `cargo xtask check`: the quick checks for the edit loop. They need no root, no network and no other programs.
//!
//! `cargo xtask ci` runs every check.

use anyhow::Result;

use crate::process;
use crate::steps::{Step, Timings, WORKSPACE, clippy, fmt};

/// The modules of `it` that read recordings and compare views. They need neither root nor other programs.
const VIEW_TESTS: [&str; 4] = ["frames::", "model::", "screen_filter::", "views::"];

const STEPS: [Step; 4] = [
    Step { name: "fmt", run: fmt },
    Step { name: "clippy", run: clippy },
    Step { name: "unit tests", run: unit_tests },
    Step { name: "view tests", run: view_tests },
];

pub(crate) fn run() -> Result<()> {
    let mut timings = Timings::default();
    timings.run_all(&STEPS)?;
    timings.print();
    Ok(())
}

fn unit_tests() -> Result<()> {
    process::run(process::cargo().args(["test", "--quiet"]).args(WORKSPACE).args(["--lib", "--bins"]))
}

fn view_tests() -> Result<()> {
    let it = ["test", "--quiet", "--package", "net-traffic", "--test", "it", "--"];
    process::run(process::cargo().args(it).args(VIEW_TESTS))
}
