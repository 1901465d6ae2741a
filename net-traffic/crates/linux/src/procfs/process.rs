//! Opens the /proc directory of a process, and lists directories in /proc without an allocation per entry.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{Mode, fstat};

use super::parse;
use net_traffic_snapshot::ProcessId;

/// More than the length of /proc/PID/stat: 52 numbers and a name.
pub(super) const STAT_LIMIT: usize = 2048;

/// The open directory /proc/PID.
///
/// The handle belongs to the process, not to the number: after the end of the process every read fails, also when the
/// kernel has reused the PID (<https://github.com/gregkh/linux/blob/v6.12.117/fs/proc/internal.h#L148>).
pub(super) struct ProcessDir(OwnedFd);

impl ProcessDir {
    pub(super) fn open(pid: u32) -> io::Result<Self> {
        let path = format!("/proc/{pid}");
        Ok(Self(open(path.as_str(), OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?))
    }

    /// The directory of the descriptors.
    pub(super) fn descriptors(&self) -> io::Result<Directory> {
        Directory::at(&self.0, "fd")
    }

    /// The process id with the start time, if the process lives.
    pub(super) fn id(&self, pid: u32) -> Option<ProcessId> {
        let mut buffer = Vec::new();
        let stat = parse::stat(self.read("stat", &mut buffer, STAT_LIMIT).ok()?)?;
        Some(ProcessId { pid, start_ticks: stat.start_ticks })
    }

    /// Reads a file of the process into `buffer`, up to `limit` bytes.
    pub(super) fn read<'a>(&self, name: &str, buffer: &'a mut Vec<u8>, limit: usize) -> io::Result<&'a [u8]> {
        let file = openat(&self.0, name, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
        buffer.resize(limit, 0);
        let mut length = 0;
        while length < limit {
            match nix::unistd::read(&file, &mut buffer[length..]) {
                Ok(0) => break,
                Ok(more) => length += more,
                Err(Errno::EINTR) => {}
                Err(refusal) => return Err(refusal.into()),
            }
        }
        Ok(&buffer[..length])
    }
}

/// An open directory with numbers for names: /proc or /proc/PID/fd.
pub(super) struct Directory(OwnedFd);

impl Directory {
    pub(super) fn proc() -> io::Result<Self> {
        Ok(Self(open("/proc", OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?))
    }

    fn at(parent: impl AsFd, name: &str) -> io::Result<Self> {
        Ok(Self(openat(
            parent,
            name,
            OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC,
            Mode::empty(),
        )?))
    }

    /// The number of descriptors in /proc/PID/fd: the size of the directory since Linux 6.2
    /// (<https://github.com/gregkh/linux/blob/v6.12.117/fs/proc/fd.c#L361>), 0 before.
    pub(super) fn count(&self) -> u64 {
        fstat(&self.0).ok().and_then(|status| u64::try_from(status.st_size).ok()).unwrap_or(0)
    }

    /// Calls `each` for every entry with a number for a name, in the kernel's order, until `each` returns `false`.
    pub(super) fn numbers(
        &self,
        buffer: &mut [u8],
        mut each: impl FnMut(&Self, u32, &CStr) -> bool,
    ) -> io::Result<()> {
        loop {
            let filled = self.fill(buffer)?;
            if filled.is_empty() {
                return Ok(());
            }
            for (number, name) in Entries(filled) {
                if !each(self, number, name) {
                    return Ok(());
                }
            }
        }
    }

    /// The target of the symbolic link `name`, cut at the length of `buffer`.
    pub(super) fn link<'a>(&self, name: &CStr, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
        // SAFETY: the name ends with NUL, and the kernel writes at most `buffer.len()` bytes.
        let length = Errno::result(unsafe {
            libc::readlinkat(self.0.as_raw_fd(), name.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len())
        })?;
        Ok(&buffer[..length.cast_unsigned().min(buffer.len())])
    }

    fn fill<'a>(&self, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
        // SAFETY: the kernel writes at most `buffer.len()` bytes into it.
        let length = Errno::result(unsafe {
            libc::syscall(libc::SYS_getdents64, self.0.as_raw_fd(), buffer.as_mut_ptr(), buffer.len())
        })?;
        Ok(usize::try_from(length).ok().and_then(|length| buffer.get(..length)).unwrap_or_default())
    }
}

/// The entries with numbers for names in the result of `getdents64(2)`.
struct Entries<'a>(&'a [u8]);

/// Offsets in `struct linux_dirent64`
/// (<https://github.com/gregkh/linux/blob/v6.12.117/include/linux/dirent.h#L5>).
const RECORD_LENGTH: usize = 16;
const RECORD_NAME: usize = 19;

impl<'a> Iterator for Entries<'a> {
    type Item = (u32, &'a CStr);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let length = self.0.get(RECORD_LENGTH..)?.first_chunk().copied().map(u16::from_ne_bytes)?;
            let (record, rest) = self.0.split_at_checked(length.into())?;
            self.0 = rest;
            let name = CStr::from_bytes_until_nul(record.get(RECORD_NAME..)?).ok()?;
            if let Some(number) = number(name.to_bytes()) {
                return Some((number, name));
            }
        }
    }
}

fn number(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u32, |number, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number.checked_mul(10)?.checked_add(u32::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(name: &str) -> Vec<u8> {
        let length = (RECORD_NAME + name.len() + 1).next_multiple_of(8);
        let mut record = vec![0; length];
        record[RECORD_LENGTH] = u8::try_from(length).unwrap();
        record[RECORD_NAME..][..name.len()].copy_from_slice(name.as_bytes());
        record
    }

    #[test]
    fn entries_without_number_are_skipped() {
        let bytes: Vec<u8> =
            [".", "..", "1", "self", "4096", "99999999999"].iter().flat_map(|name| entry(name)).collect();
        let numbers: Vec<_> = Entries(&bytes).map(|(number, _)| number).collect();
        assert_eq!(numbers, [1, 4096]);
    }

    #[test]
    fn process_lists_its_own_descriptors() {
        let (file, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
        let wanted = u32::try_from(file.as_raw_fd()).unwrap();
        let directory = ProcessDir::open(std::process::id()).unwrap().descriptors().unwrap();
        let mut target = None;
        directory
            .numbers(&mut [0; 1024], |directory, number, name| {
                if number == wanted {
                    target = Some(directory.link(name, &mut [0; 64]).unwrap().to_vec());
                }
                true
            })
            .unwrap();
        assert!(target.unwrap().starts_with(b"socket:["));
    }

    #[test]
    fn handle_of_ended_process_is_not_readable() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let directory = ProcessDir::open(child.id()).unwrap();
        assert!(directory.read("stat", &mut Vec::new(), 4096).is_ok());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(directory.read("stat", &mut Vec::new(), 4096).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_end_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Entries(&bytes).count() <= bytes.len());
        }
    }
}
