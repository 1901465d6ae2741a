//! `cargo xtask vm-test` and `vm-run`: the kernel tests in a virtual machine that boots another kernel.

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
/// Many times what the tests take under emulation on an idle machine.
const TIMEOUT_S: u32 = 1800;
/// What the guest finds at the path it has here, if it is here: the tests build their networks with these.
const TOOLS: [&str; 5] = ["ip", "nft", "ss", "tc", "wg"];

/// Run the kernel tests on Debian's 6.1 and 6.12 in a virtual machine.
///
/// The exit status is that of the tests, 124 for a time-out and 125 for a guest that died.
#[derive(clap::Args)]
pub(crate) struct TestArgs {
    /// First install the emulator and what the guest is made of (apt; as root).
    #[arg(long)]
    install: bool,
    /// The kernel series, or all of them.
    #[arg(long, value_enum, default_value = "all")]
    kernel: Series,
    #[command(flatten)]
    guest: Guest,
    /// What the test binary is told.
    #[arg(last = true)]
    args: Vec<OsString>,
}

/// Run one program in a virtual machine; made to be Cargo's runner.
#[derive(clap::Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    guest: Guest,
    /// The kernel series.
    #[arg(value_enum)]
    kernel: Series,
    /// The program, with its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// How the guest runs.
#[derive(clap::Args, Clone)]
pub(crate) struct Guest {
    /// The emulator's engine: kvm is faster where the machine lets it.
    #[arg(long, value_enum, default_value = "tcg")]
    accel: Accel,
    /// Seconds until the guest is given up.
    #[arg(long, default_value_t = TIMEOUT_S)]
    timeout: u32,
    /// A further file or program for the guest, at the path that it has here; may be repeated.
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

/// What the guest runs.
struct Job {
    command: Vec<OsString>,
    /// Where the command starts.
    directory: PathBuf,
    /// What the guest holds besides the system.
    files: Vec<PathBuf>,
}

impl Job {
    /// The guest holds the program, `net-traffic` as Cargo built it for the same tests, tools, and what the caller names.
    fn new(mut command: Vec<OsString>, directory: PathBuf, guest: &Guest) -> Result<Self> {
        let program = command.first_mut().context("find the program to run in the guest")?;
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

    /// Runs on all kernels of the series at once, since a guest keeps one processor busy; a line says whose it is.
    /// The status is that of the first kernel that failed.
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
        eprintln!("linux {} ended with {status} in {seconds:.1} s", kernel.release);
        Ok(status)
    }
}

/// The tests' exit status: that of the first kernel on which they fail.
pub(crate) fn test(args: &TestArgs) -> Result<u8> {
    if args.install {
        install()?;
    }
    test_with(args.kernel, &args.guest, &args.args)
}

/// The tests as they run by default; that they fail is an error.
pub(crate) fn test_everywhere() -> Result<()> {
    let guest = Guest { accel: Accel::Tcg, timeout: TIMEOUT_S, files: Vec::new() };
    let status = test_with(Series::All, &guest, &[])?;
    ensure!(status == 0, "the tests in a guest ended with {status}");
    Ok(())
}

/// Installs the emulator, and what fetching a kernel needs.
pub(crate) fn install() -> Result<()> {
    apt::install(&PACKAGES)?;
    // A kernel is fetched as the lists of packages name it, and old ones disappear from the archive.
    if Series::All.names().iter().any(|name| !vm_dir().join(name).is_dir()) {
        apt::update()?;
    }
    Ok(())
}

/// The program's exit status in the guest.
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

/// Builds net-traffic's kernel tests, and says where Cargo put the binary.
pub(crate) fn test_binary() -> Result<PathBuf> {
    let arguments = ["test", "--locked", "--package=net-traffic", "--test=kernel", "--no-run"];
    let messages =
        process::output(process::cargo().args(arguments).arg("--message-format=json-render-diagnostics"))?;
    let executable = messages.lines().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_test = message["target"]["name"] == "kernel" && message["profile"]["test"] == true;
        is_test.then(|| message["executable"].as_str().map(PathBuf::from))?
    });
    executable.context("find the kernel tests' binary in what cargo says")
}

/// What is missing is named at once rather than by a guest that does not come up.
fn check_programs() -> Result<()> {
    for program in ["qemu-system-x86_64", "busybox", "dpkg-deb", "ldd", "xz", "timeout"] {
        ensure!(
            find_in_path(program).is_some(),
            "the guest needs {program}: `cargo xtask vm-test --install`, or apt-get install {}",
            PACKAGES.join(" ")
        );
    }
    Ok(())
}

/// As the shell does: a bare name is looked up in `PATH`.
fn find_program(program: &OsStr) -> Result<PathBuf> {
    let bare = Path::new(program).components().count() == 1;
    let found = program.to_str().filter(|_| bare).and_then(find_in_path);
    Ok(found.map_or_else(|| absolute(Path::new(program)), Ok)?)
}

/// Where kernels and guests lie.
fn vm_dir() -> PathBuf {
    target_dir().join("vm")
}

fn quiet(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    command
}
