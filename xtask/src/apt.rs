//! Installs Debian packages for the option `--install`. `apt-get` needs root.

use std::process::{Command, Stdio};

use anyhow::{Result, ensure};

use crate::process::{find_in_path, run};

/// Installs the packages unless dpkg has all of them already.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    if packages.iter().all(|package| is_installed(package)) {
        return Ok(());
    }
    update()?;
    run(apt_get().args(["install", "-y", "--no-install-recommends"]).args(packages))
}

/// Refreshes the package lists, which `apt-get install` and `apt-get download` read.
pub(crate) fn update() -> Result<()> {
    ensure!(
        find_in_path("apt-get").is_some(),
        "apt-get is not in PATH: install the packages that CONTRIBUTING.md lists by hand"
    );
    run(apt_get().arg("update"))
}

fn is_installed(package: &str) -> bool {
    let query = Command::new("dpkg-query")
        .args(["--show", "--showformat=${db:Status-Status}", package])
        .stderr(Stdio::null())
        .output();
    query.is_ok_and(|output| output.stdout == b"installed")
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").arg("-q").stdin(Stdio::null());
    command
}
