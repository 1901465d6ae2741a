//! A Wine prefix in the target directory, with the DLL that Rust programs need and Wine 8 lacks.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::rust::{prefix, source};
use crate::process;

/// Debian's path. The `wine` in PATH is a script that also requires a 32-bit Wine.
const WINE: &str = "/usr/lib/wine/wine64";
const SERVER: &str = "/usr/lib/wine/wineserver64";
const COMPILER: &str = "x86_64-w64-mingw32-gcc";

/// Runs programs under Wine. Dropping it ends the Wine server and all programs.
pub(super) struct Wine {
    prefix: PathBuf,
}

impl Wine {
    /// Creates the prefix if it does not exist.
    pub(super) fn prepare() -> Result<Self> {
        ensure!(Path::new(WINE).is_file(), "{WINE} is missing: run `cargo xtask windows --install`");
        let wine = Self { prefix: prefix() };
        let system = wine.prefix.join("drive_c/windows/system32");
        if !system.join("kernel32.dll").is_file() {
            std::fs::create_dir_all(&wine.prefix).context("create the Wine prefix")?;
            process::run(wine.configure(&mut Command::new(WINE)).args(["wineboot", "-i"]))?;
        }
        let library = system.join("bcryptprimitives.dll");
        process::run(
            Command::new(COMPILER)
                .args(["-shared", "-O2", "-s", "-o"])
                .arg(&library)
                .arg(source("bcryptprimitives.c"))
                .arg("-ladvapi32"),
        )?;
        Ok(wine)
    }

    /// Sets Wine as Cargo's runner.
    pub(super) fn run_tests_of(&self, cargo: &mut Command) {
        cargo.env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER", WINE);
        // insta finds the workspace by running cargo, which the prefix does not have.
        cargo.env("INSTA_WORKSPACE_ROOT", process::root()).env("INSTA_UPDATE", "no");
        self.configure(cargo);
    }

    /// A shell command line that runs the program.
    pub(super) fn line(&self, program: &Path, arguments: &str) -> String {
        let variables = self.variables();
        let variables: Vec<String> =
            variables.iter().map(|(name, value)| format!("{name}='{}'", value.display())).collect();
        format!("env -u DISPLAY {} {WINE} {} {arguments}", variables.join(" "), program.display())
    }

    /// Sets the prefix, and disables Wine's debug output and windows.
    fn configure<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.env_remove("DISPLAY").envs(self.variables())
    }

    fn variables(&self) -> [(&'static str, PathBuf); 4] {
        [
            ("WINEPREFIX", self.prefix.clone()),
            ("WINEARCH", "win64".into()),
            ("WINEDEBUG", "-all".into()),
            ("WINEDLLOVERRIDES", "mscoree,mshtml=".into()),
        ]
    }
}

impl Drop for Wine {
    fn drop(&mut self) {
        // Without `-k` the server stays for a while after the last program.
        let _ended = self.configure(&mut Command::new(SERVER)).arg("-k").status();
    }
}
