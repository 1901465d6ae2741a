//! Debian's packages: what `--install` installs. Needs root.

use std::process::{Command, Stdio};

use anyhow::{Result, ensure};

use crate::process::{find_in_path, run};

/// Installs what is not there yet; does nothing if all is.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    if packages.iter().all(|package| is_installed(package)) {
        return Ok(());
    }
    update()?;
    run(apt_get().args(["install", "-y", "--no-install-recommends"]).args(packages))
}

/// Fetches the lists of packages, without which nothing can be fetched.
pub(crate) fn update() -> Result<()> {
    ensure!(find_in_path("apt-get").is_some(), "no apt-get here: install by hand what CONTRIBUTING.md names");
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
