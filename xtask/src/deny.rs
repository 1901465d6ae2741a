//! `cargo xtask deny`: runs cargo-deny on all dependencies with the rules in `deny.toml`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::process::{self, root, target_dir};

const VERSION: &str = "0.20.2";
/// Limit for the download of the advisory database.
const FETCH_TIMEOUT_S: &str = "60";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Install cargo-deny first (cargo).
    #[arg(long)]
    install: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if args.install {
        install()?;
    }
    check()
}

/// Builds cargo-deny unless it exists. cargo-deny's release profile has fat LTO and takes twice as long to build as a debug
/// build, which checks this workspace in 3 s.
pub(crate) fn install() -> Result<()> {
    if program().is_file() {
        return Ok(());
    }
    process::run(
        process::cargo()
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .args(["install", "cargo-deny", "--version", VERSION, "--locked", "--debug"])
            .args(["--no-default-features", "--root"])
            .arg(target_dir().join("tools")),
    )
}

/// Checks bans, licenses and sources. Checks advisories too if the database can be fetched; prints a note if not.
pub(crate) fn check() -> Result<()> {
    let program = program();
    ensure!(program.is_file(), "{} is missing: run `cargo xtask deny --install`", program.display());
    process::run(deny().args(["check", "bans", "licenses", "sources"]))?;

    let mut fetch = Command::new("timeout");
    fetch.arg(FETCH_TIMEOUT_S).arg(&program).args(["fetch", "db"]).current_dir(root());
    if let Err(error) = process::run(&mut fetch) {
        eprintln!("advisories NOT CHECKED: the database cannot be fetched ({error:#})");
        return Ok(());
    }
    process::run(deny().args(["check", "--disable-fetch", "advisories"]))
}

fn deny() -> Command {
    let mut command = Command::new(program());
    command.current_dir(root());
    command
}

fn program() -> PathBuf {
    target_dir().join("tools/bin/cargo-deny")
}
