//! Boots a guest in QEMU, prints its output and returns the exit status of its command.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result};

use super::{Accel, Guest, initramfs::STATUS_LINE, kernel::Kernel, vm_dir};

/// The status of `timeout(1)` after a time-out.
const TIMED_OUT: u8 = 124;
/// The guest ended without a status line: a kernel panic, or a kernel that did not boot.
const NO_STATUS: u8 = 125;
/// The number of console lines to print after a failure.
const CONSOLE_LINES: usize = 40;

/// With `panic=-1` and `-no-reboot`, a kernel panic ends QEMU at once. Most other options save time under emulation.
const KERNEL_COMMAND_LINE: &str = "console=ttyS0 quiet panic=-1 oops=panic nokaslr mitigations=off tsc=reliable \
    no_timer_check cryptomgr.notests audit=0 apparmor=0 random.trust_cpu=on rcupdate.rcu_expedited=1 nowatchdog";

/// Returns the status of the guest's command, [`TIMED_OUT`] or [`NO_STATUS`]. Prints the guest's lines after `prefix`.
/// Removes the initramfs.
pub(super) fn boot(kernel: &Kernel, initrd: &Path, guest: &Guest, prefix: &str) -> Result<u8> {
    let console = vm_dir().join(format!("console-{}-{}.txt", kernel.release, std::process::id()));
    let mut child = command(kernel, initrd, &console, guest)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("start qemu-system-x86_64")?;
    let mut status = None;
    if let Some(stdout) = child.stdout.take() {
        status = print_output(BufReader::new(stdout), prefix)?;
    }
    let exit_status = child.wait().context("wait for qemu-system-x86_64")?;
    fs::remove_file(initrd).with_context(|| format!("remove {}", initrd.display()))?;
    if let Some(status) = status {
        fs::remove_file(&console).context("remove the console's log")?;
        return Ok(status);
    }
    let timed_out = exit_status.code() == Some(TIMED_OUT.into());
    let reason = if timed_out {
        format!("did not end within {} s", guest.timeout)
    } else {
        "ended without a status".into()
    };
    eprintln!("the guest {reason}; the last lines of {}:", console.display());
    let log = fs::read(&console).unwrap_or_default();
    for line in last_lines(&String::from_utf8_lossy(&log)) {
        eprintln!("  {line}");
    }
    Ok(if timed_out { TIMED_OUT } else { NO_STATUS })
}

/// The command line of QEMU, run by `timeout(1)`: the guest ends in time even if this process was killed.
fn command(kernel: &Kernel, initrd: &Path, console: &Path, guest: &Guest) -> Command {
    let accel = match guest.accel {
        // One thread for both virtual CPUs costs a tenth of the speed. With a thread per CPU, QEMU before 8.1 could
        // execute an instruction that the other CPU had patched only in part. Kernels that patch static keys crashed.
        // <https://gitlab.com/qemu-project/qemu/-/commit/deba78709a>
        Accel::Tcg => "tcg,thread=single,tb-size=512",
        Accel::Kvm => "kvm",
    };
    let mut command = Command::new("timeout");
    command
        .args(["--foreground", "--kill-after=5", &guest.timeout.to_string(), "qemu-system-x86_64"])
        .args(["-accel", accel, "-cpu", "max", "-smp", "2", "-m", "1G", "-nodefaults", "-no-user-config"])
        .args(["-display", "none", "-monitor", "none", "-no-reboot", "-serial"])
        .arg(format!("file:{}", console.display()))
        .args(["-serial", "stdio", "-append", KERNEL_COMMAND_LINE, "-kernel"])
        .arg(&kernel.image)
        .arg("-initrd")
        .arg(initrd);
    command
}

/// Prints the guest's output and returns the status from the status line.
fn print_output(mut output: impl BufRead, prefix: &str) -> Result<Option<u8>> {
    let mut status = None;
    let mut line = prefix.as_bytes().to_vec();
    while output.read_until(b'\n', &mut line).context("read from the guest")? > 0 {
        // Whole lines, because a second guest prints to the same stdout.
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(&line)?;
        stdout.flush()?;
        let text = String::from_utf8_lossy(&line);
        // Output without a final line feed precedes the status in its line.
        if let Some((_, value)) = text.rsplit_once(STATUS_LINE) {
            status = value.trim().parse().ok();
        }
        line.truncate(prefix.len());
    }
    Ok(status)
}

fn last_lines(log: &str) -> Vec<&str> {
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(CONSOLE_LINES)..].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_after_other_output_is_found() {
        let status = |text: &str| print_output(text.as_bytes(), "6.1 | ").unwrap();
        assert_eq!(status("test x ... ok\nVMTEST-RC: 0\n"), Some(0));
        assert_eq!(status("no line feedVMTEST-RC: 101\n"), Some(101));
        assert_eq!(status("test x ... ok\n"), None);
        assert_eq!(status("VMTEST-RC: \n"), None);
    }

    #[test]
    fn long_log_is_cut_to_last_lines() {
        let log = (0..100).map(|line| line.to_string()).collect::<Vec<_>>().join("\n");
        assert_eq!(last_lines(&log).len(), CONSOLE_LINES);
        assert_eq!(last_lines(&log).last(), Some(&"99"));
        assert_eq!(last_lines("one"), ["one"]);
    }
}
