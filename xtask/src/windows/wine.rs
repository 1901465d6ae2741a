//! A Windows of Wine's in the target directory, with the one library that Rust's programs need and Wine 8 lacks.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::rust::{prefix, source};
use crate::process;

/// Debian's own place; what is in PATH is a script that asks for a 32-bit Wine as well.
const WINE: &str = "/usr/lib/wine/wine64";
const SERVER: &str = "/usr/lib/wine/wineserver64";
const COMPILER: &str = "x86_64-w64-mingw32-gcc";

/// Runs programs; when dropped, nothing of it runs any more.
pub(super) struct Wine {
    prefix: PathBuf,
}

impl Wine {
    /// Makes the prefix, unless it is there.
    pub(super) fn prepare() -> Result<Self> {
        ensure!(Path::new(WINE).is_file(), "no {WINE} here: `cargo xtask windows --install`");
        let wine = Self { prefix: prefix() };
        let system = wine.prefix.join("drive_c/windows/system32");
        if !system.join("kernel32.dll").is_file() {
            std::fs::create_dir_all(&wine.prefix).context("make the prefix")?;
            process::run(wine.around(&mut Command::new(WINE)).args(["wineboot", "-i"]))?;
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

    /// Has Cargo run tests through Wine.
    pub(super) fn run_tests_of(&self, cargo: &mut Command) {
        cargo.env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER", WINE);
        // Stored snapshots are found by asking Cargo, which is not in there.
        cargo.env("INSTA_WORKSPACE_ROOT", process::root()).env("INSTA_UPDATE", "no");
        self.around(cargo);
    }

    /// A line for a shell that runs the program.
    pub(super) fn line(&self, program: &Path, arguments: &str) -> String {
        let variables = self.variables();
        let variables: Vec<String> =
            variables.iter().map(|(name, value)| format!("{name}='{}'", value.display())).collect();
        format!("env -u DISPLAY {} {WINE} {} {arguments}", variables.join(" "), program.display())
    }

    /// Sets what makes Wine use the prefix, say nothing, and show nothing.
    fn around<'c>(&self, command: &'c mut Command) -> &'c mut Command {
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
        // It would end by itself a while after the last program.
        let _ended = self.around(&mut Command::new(SERVER)).arg("-k").status();
    }
}
