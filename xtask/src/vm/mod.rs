//! `cargo xtask vm-test` and `vm-run`: run the kernel tests, or one program, in a QEMU guest with another kernel.

mod cpio;
mod initramfs;
mod kernel;
mod modules;
mod qemu;

use std::{
    env::current_dir,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf, absolute},
    process::{Command, Stdio},
    thread,
    time::Instant,
};

use anyhow::{Context, Result, anyhow, ensure};
use clap::ValueEnum;

use crate::{
    apt,
    process::{self, find_in_path, root, target_dir},
};
use kernel::Kernel;

const PACKAGES: [&str; 2] = ["qemu-system-x86", "busybox-static"];
/// Several times the duration of the tests under emulation on an idle host.
const TIMEOUT_S: u32 = 1800;
/// The tests set up networks with these programs. The guest gets those that the host has, at the same path.
const TOOLS: [&str; 5] = ["ip", "nft", "ss", "tc", "wg"];

/// Run the kernel tests on Debian's kernels 6.1 and 6.12 in QEMU guests.
///
/// The exit status is that of the tests, 124 after a time-out, or 125 if the guest ended without a status.
#[derive(clap::Args)]
pub(crate) struct TestArgs {
    /// Install QEMU and busybox first (apt; as root).
    #[arg(long)]
    install: bool,
    /// Kernel series.
    #[arg(long, value_enum, default_value = "all")]
    kernel: Series,
    #[command(flatten)]
    guest: Guest,
    /// Arguments for the test binary.
    #[arg(last = true)]
    args: Vec<OsString>,
}

/// Run one program in a QEMU guest; usable as Cargo's runner.
#[derive(clap::Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    guest: Guest,
    /// Kernel series.
    #[arg(value_enum)]
    kernel: Series,
    /// Program and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// Options of the guest.
#[derive(clap::Args, Clone)]
pub(crate) struct Guest {
    /// QEMU accelerator: tcg emulates the CPU; kvm is faster and needs /dev/kvm.
    #[arg(long, value_enum, default_value = "tcg")]
    accel: Accel,
    /// Kill the guest after this many seconds.
    #[arg(long, default_value_t = TIMEOUT_S)]
    timeout: u32,
    /// Copy a file or program into the guest, at the same path; repeatable.
    #[arg(long = "file")]
    files: Vec<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Accel {
    Tcg,
    Kvm,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Series {
    #[value(name = "6.1")]
    V6_1,
    #[value(name = "6.12")]
    V6_12,
    All,
}

impl Series {
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::V6_1 => &["6.1"],
            Self::V6_12 => &["6.12"],
            Self::All => &["6.1", "6.12"],
        }
    }
}

/// A command, and the files that the guest needs for it.
struct Job {
    command: Vec<OsString>,
    /// The current directory of the command.
    directory: PathBuf,
    /// Files to copy into the guest.
    files: Vec<PathBuf>,
}

impl Job {
    /// Files of the guest: the program, the `net-traffic` that Cargo built beside it, the network tools and `--file`.
    fn new(mut command: Vec<OsString>, directory: PathBuf, guest: &Guest) -> Result<Self> {
        let program = command.first_mut().context("the guest's command is empty")?;
        let path = find_program(program)?;
        *program = path.clone().into_os_string();

        let beside_deps = path.parent().and_then(Path::parent).map(|dir| dir.join("net-traffic"));
        let mut files = vec![path];
        files.extend(beside_deps.filter(|file| file.is_file()));
        files.extend(TOOLS.into_iter().filter_map(find_in_path));
        for file in &guest.files {
            files.push(absolute(file)?);
        }
        Ok(Self { command, directory, files })
    }

    /// Runs one guest per kernel in parallel: each guest uses one CPU. With several guests, the kernel's series prefixes
    /// each line. Returns the first non-zero status in the order of the series.
    fn run_on(&self, series: Series, guest: &Guest) -> Result<u8> {
        let names = series.names();
        let kernels = names.iter().map(|name| Kernel::fetch(name)).collect::<Result<Vec<_>>>()?;
        let ended: Vec<Result<u8>> = thread::scope(|scope| {
            let guests: Vec<_> = names
                .iter()
                .zip(&kernels)
                .map(|(name, kernel)| {
                    let prefix = if names.len() > 1 { format!("{name} | ") } else { String::new() };
                    scope.spawn(move || self.run_in(kernel, guest, &prefix))
                })
                .collect();
            let panicked = |_| Err(anyhow!("the guest's thread panicked"));
            guests.into_iter().map(|guest| guest.join().unwrap_or_else(panicked)).collect()
        });
        let statuses = ended.into_iter().collect::<Result<Vec<_>>>()?;
        Ok(statuses.into_iter().find(|status| *status != 0).unwrap_or(0))
    }

    fn run_in(&self, kernel: &Kernel, guest: &Guest, prefix: &str) -> Result<u8> {
        let began = Instant::now();
        let initrd = initramfs::write(kernel, self)?;
        let status = qemu::boot(kernel, &initrd, guest, prefix)?;
        let seconds = began.elapsed().as_secs_f64();
        eprintln!("linux {}: exit status {status} after {seconds:.1} s", kernel.release);
        Ok(status)
    }
}

/// Returns the exit status of the tests: the first that is not 0.
pub(crate) fn test(args: &TestArgs) -> Result<u8> {
    if args.install {
        install()?;
    }
    test_with(args.kernel, &args.guest, &args.args)
}

/// Runs the tests with default options on all kernels. A failed test is an error.
pub(crate) fn test_all_kernels() -> Result<()> {
    let guest = Guest { accel: Accel::Tcg, timeout: TIMEOUT_S, files: Vec::new() };
    let status = test_with(Series::All, &guest, &[])?;
    ensure!(status == 0, "the tests in a guest exited with status {status}");
    Ok(())
}

/// Installs the packages, and refreshes apt's lists if a kernel is missing.
pub(crate) fn install() -> Result<()> {
    apt::install(&PACKAGES)?;
    // The archive removes old kernel packages, so outdated lists name packages that cannot be downloaded.
    if Series::All.names().iter().any(|name| !vm_dir().join(name).is_dir()) {
        apt::update()?;
    }
    Ok(())
}

/// Returns the program's exit status in the guest.
pub(crate) fn run(args: &RunArgs) -> Result<u8> {
    check_programs()?;
    Job::new(args.command.clone(), current_dir()?, &args.guest)?.run_on(args.kernel, &args.guest)
}

fn test_with(series: Series, guest: &Guest, args: &[OsString]) -> Result<u8> {
    check_programs()?;
    let mut command = vec![test_binary()?.into_os_string()];
    command.extend(args.iter().cloned());
    Job::new(command, root().join("net-traffic"), guest)?.run_on(series, guest)
}

/// Builds net-traffic's kernel tests and returns the path of the test binary.
pub(crate) fn test_binary() -> Result<PathBuf> {
    let arguments = ["test", "--locked", "--package=net-traffic", "--test=kernel", "--no-run"];
    let messages =
        process::output(process::cargo().args(arguments).arg("--message-format=json-render-diagnostics"))?;
    let executable = messages.lines().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_test = message["target"]["name"] == "kernel" && message["profile"]["test"] == true;
        is_test.then(|| message["executable"].as_str().map(PathBuf::from))?
    });
    executable.context("find the kernel test binary in cargo's messages")
}

/// Fails early if a program is missing that the guest or its preparation needs.
fn check_programs() -> Result<()> {
    for program in ["qemu-system-x86_64", "busybox", "dpkg-deb", "ldd", "xz", "timeout"] {
        ensure!(
            find_in_path(program).is_some(),
            "{program} is missing: run `cargo xtask vm-test --install`, or apt-get install {}",
            PACKAGES.join(" ")
        );
    }
    Ok(())
}

/// Resolves a bare name in `PATH`, as the shell does.
fn find_program(program: &OsStr) -> Result<PathBuf> {
    let bare = Path::new(program).components().count() == 1;
    let found = program.to_str().filter(|_| bare).and_then(find_in_path);
    Ok(found.map_or_else(|| absolute(Path::new(program)), Ok)?)
}

/// The directory of unpacked kernels, initramfs archives and console logs.
fn vm_dir() -> PathBuf {
    target_dir().join("vm")
}

/// A command without stdin.
fn quiet(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    command
}
