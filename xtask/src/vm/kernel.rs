//! The kernels: Debian's cloud images, fetched once and unpacked into the target directory; nothing is installed.

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
    /// Holds `kernel/…/*.ko*` and `modules.builtin`.
    pub(super) modules: PathBuf,
}

impl Kernel {
    /// The newest kernel of a series, from the target directory if it was fetched before.
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

/// Unpacks beside, then renames: an interrupted download leaves no half kernel.
fn download(series: &str, dir: &Path) -> Result<()> {
    let scratch = dir.with_extension(format!("{}.tmp", std::process::id()));
    fs::create_dir_all(&scratch)?;
    let package = image_package(series)?;
    eprintln!("fetching {package}");
    run(quiet("apt-get").args(["-q", "download", &package]).current_dir(&scratch))?;
    let archive = fs::read_dir(&scratch)?.next().context("find the downloaded package")??.path();
    run(quiet("dpkg-deb").arg("-x").arg(&archive).arg(&scratch))?;
    fs::remove_file(&archive)?;
    fs::rename(&scratch, dir).with_context(|| format!("keep the kernel as {}", dir.display()))
}

/// The package with the image, which the series' meta-package depends on.
fn image_package(series: &str) -> Result<String> {
    let meta = match series {
        // 6.1 is the release's own series: its meta-package carries no number.
        "6.1" => "linux-image-cloud-amd64".into(),
        other => format!("linux-image-{other}-cloud-amd64"),
    };
    let depends = output(quiet("apt-cache").args(["depends", &meta]))?;
    let package = depends.lines().find_map(|line| line.trim().strip_prefix("Depends: linux-image-"));
    let package =
        package.with_context(|| format!("find what {meta} depends on (Debian 12, after apt-get update)"))?;
    Ok(format!("linux-image-{package}"))
}
