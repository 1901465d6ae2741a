//! Writes the guest's initramfs: busybox, kernel modules, the program under test, its libraries and the script `/init`.

use std::{
    collections::BTreeSet,
    env,
    ffi::OsStr,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{Job, cpio::Archive, kernel::Kernel, modules, quiet, vm_dir};
use crate::process::find_in_path;

/// Prefix of the guest's last line. The command's exit status follows.
pub(super) const STATUS_LINE: &str = "VMTEST-RC: ";

/// The part of `/init` before the command: mounts, loopback, limits, as on a booted host.
///
/// `fb_tunnels_only_for_init_net=2` keeps tunnel modules from creating `gre0`, `tunl0` and others in each namespace.
/// <https://github.com/gregkh/linux/blob/v6.12.117/Documentation/admin-guide/sysctl/net.rst#L359>
const BEGIN: &str = r"#!/usr/bin/busybox sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin HOME=/root
/usr/bin/busybox --install -s /usr/bin 2>/dev/null
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs tracefs /sys/kernel/tracing
mount -t cgroup2 cgroup2 /sys/fs/cgroup
echo 2 > /proc/sys/net/core/fb_tunnels_only_for_init_net
ip link set lo up
hostname guest
ulimit -l unlimited
stty -F /dev/ttyS1 raw -echo
";

/// `stty` changes the port with `TCSADRAIN`, which returns after all output is transmitted; then the power can go off.
/// <https://man7.org/linux/man-pages/man3/termios.3.html>
const END: &str = "stty -F /dev/ttyS1 cooked\npoweroff -f\n";

/// Writes the initramfs for one job. Files have the same path in the guest as on the host.
pub(super) fn write(kernel: &Kernel, job: &Job) -> Result<PathBuf> {
    let mut archive = Archive::default();
    for dir in ["bin", "sbin", "lib", "lib64"] {
        archive.directory(&Path::new("/usr").join(dir))?;
        archive.symlink(&Path::new("/").join(dir), &format!("usr/{dir}"))?;
    }
    for dir in ["/proc", "/sys", "/dev", "/tmp", "/run", "/root", "/var/tmp"] {
        archive.directory(Path::new(dir))?;
    }
    archive.directory(&job.directory)?;
    archive.character_device(Path::new("/dev/console"), (5, 1))?;
    archive.file(
        Path::new("/etc/passwd"),
        b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
    )?;
    archive.file(Path::new("/etc/group"), b"root:x:0:\nnogroup:x:65534:\n")?;
    archive.file(Path::new("/etc/hosts"), b"127.0.0.1 localhost guest\n::1 localhost\n")?;
    let busybox = find_in_path("busybox").context("find busybox")?;
    archive.file(Path::new("/usr/bin/busybox"), &fs::read(busybox)?)?;

    let mut insmod = String::new();
    for (name, content) in modules::load_order(kernel)? {
        let path = format!("/modules/{name}.ko");
        archive.file(Path::new(&path), &content)?;
        writeln!(insmod, "insmod {path} || echo 'module {name}: insmod failed' >/dev/ttyS1")?;
    }
    for file in with_libraries(&job.files)? {
        let content = fs::read(&file).with_context(|| format!("read {}", file.display()))?;
        archive.file(&in_guest(&file), &content)?;
    }
    archive.file(Path::new("/init"), init(&insmod, job).as_bytes())?;

    let path = vm_dir().join(format!("initramfs-{}-{}.cpio", kernel.release, std::process::id()));
    fs::write(&path, archive.finish()?).with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}

fn init(insmod: &str, job: &Job) -> String {
    let exported = env::vars_os().filter(|(name, _)| {
        let name = name.to_string_lossy();
        name.starts_with("NET_TRAFFIC_") || name == "RUST_BACKTRACE" || name == "NO_COLOR"
    });
    let exports: Vec<_> = std::iter::once("export NET_TRAFFIC_SLOW=10".to_owned())
        .chain(exported.map(|(name, value)| format!("export {}={}", name.to_string_lossy(), quote(&value))))
        .collect();
    let words: Vec<_> = job.command.iter().map(|word| quote(word)).collect();
    format!(
        "{BEGIN}{insmod}{exports}\ncd {directory}\n{command} </dev/null >/dev/ttyS1 2>&1\n\
         echo \"{STATUS_LINE}$?\" >/dev/ttyS1\n{END}",
        exports = exports.join("\n"),
        directory = quote(job.directory.as_os_str()),
        command = words.join(" "),
    )
}

/// Quotes a word for the shell.
fn quote(word: &OsStr) -> String {
    format!("'{}'", word.to_string_lossy().replace('\'', r"'\''"))
}

/// The files, and the shared libraries of the programs among them, without duplicates.
fn with_libraries(files: &[PathBuf]) -> Result<BTreeSet<PathBuf>> {
    let mut all = BTreeSet::new();
    for file in files {
        // `ldd` fails for a file that is not a dynamic executable; such a file needs no libraries.
        let listed = quiet("ldd").arg(file).output().context("start ldd")?;
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        all.extend(listed.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from));
        all.insert(file.clone());
    }
    Ok(all)
}

/// Moves paths below /bin and /lib into /usr, because the guest's /bin and /lib are symlinks. The kernel replaces a
/// symlink when the archive has a directory of the same name.
/// <https://github.com/gregkh/linux/blob/v6.12.117/init/initramfs.c#L331>
fn in_guest(file: &Path) -> PathBuf {
    let merged = ["/bin", "/sbin", "/lib", "/lib64"].iter().any(|dir| file.starts_with(dir));
    let Ok(relative) = file.strip_prefix("/") else { return file.to_path_buf() };
    if merged { Path::new("/usr").join(relative) } else { file.to_path_buf() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_word_reaches_printf_unchanged() {
        for word in ["plain", "two words", "it's", "$HOME `x` \"y\" \\"] {
            let script = format!("printf %s {}", quote(OsStr::new(word)));
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), word);
        }
    }

    #[test]
    fn merged_directories_map_below_usr() {
        assert_eq!(in_guest(Path::new("/lib64/ld.so")), Path::new("/usr/lib64/ld.so"));
        assert_eq!(in_guest(Path::new("/library/x")), Path::new("/library/x"));
        assert_eq!(in_guest(Path::new("/usr/bin/x")), Path::new("/usr/bin/x"));
    }
}
