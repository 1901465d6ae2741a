//! Downloads Debian's cloud kernels once and unpacks them into the target directory. Nothing is installed on the host.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{quiet, vm_dir};
use crate::process::{output, run};

/// An unpacked kernel.
pub(super) struct Kernel {
    /// `uname -r` in the guest.
    pub(super) release: String,
    pub(super) image: PathBuf,
    /// The directory with `kernel/…/*.ko*` and `modules.builtin`.
    pub(super) modules: PathBuf,
}

impl Kernel {
    /// The kernel of a series: the unpacked one if there is one, else the archive's newest.
    pub(super) fn fetch(series: &str) -> Result<Self> {
        let dir = vm_dir().join(series);
        if !dir.is_dir() {
            download(series, &dir).with_context(|| format!("fetch linux {series}"))?;
        }
        let releases = dir.join("lib/modules");
        let entry =
            fs::read_dir(&releases)?.next().with_context(|| format!("find modules in {}", dir.display()))?;
        let release = entry?.file_name().to_string_lossy().into_owned();
        let image = dir.join(format!("boot/vmlinuz-{release}"));
        Ok(Self { modules: releases.join(&release), image, release })
    }
}

/// Unpacks into a scratch directory, then renames it: an interrupted download leaves no incomplete kernel.
fn download(series: &str, dir: &Path) -> Result<()> {
    let scratch = dir.with_extension(format!("{}.tmp", std::process::id()));
    fs::create_dir_all(&scratch)?;
    let package = image_package(series)?;
    eprintln!("fetching {package}");
    run(quiet("apt-get").args(["-q", "download", &package]).current_dir(&scratch))?;
    let archive = fs::read_dir(&scratch)?.next().context("find the downloaded package")??.path();
    run(quiet("dpkg-deb").arg("-x").arg(&archive).arg(&scratch))?;
    fs::remove_file(&archive)?;
    fs::rename(&scratch, dir).with_context(|| format!("rename the unpacked kernel to {}", dir.display()))
}

/// The name of the image package, taken from the dependencies of the series' meta-package.
fn image_package(series: &str) -> Result<String> {
    let meta = match series {
        // 6.1 is Debian 12's default series; the name of its meta-package has no version.
        "6.1" => "linux-image-cloud-amd64".into(),
        other => format!("linux-image-{other}-cloud-amd64"),
    };
    let depends = output(quiet("apt-cache").args(["depends", &meta]))?;
    let package = depends.lines().find_map(|line| line.trim().strip_prefix("Depends: linux-image-"));
    let package = package.with_context(|| {
        format!("find the image package that {meta} depends on (Debian 12, after apt-get update)")
    })?;
    Ok(format!("linux-image-{package}"))
}
