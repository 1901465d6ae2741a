//! Writes the initramfs archive: cpio in the format "newc".
//! <https://docs.kernel.org/driver-api/early-userspace/buffer-format.html>

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

const DIRECTORY: u32 = 0o040_755;
const FILE: u32 = 0o100_755;
const SYMLINK: u32 = 0o120_777;
const CHARACTER_DEVICE: u32 = 0o020_600;

/// An archive in memory. Each entry adds the missing parent directories before itself.
#[derive(Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
    entries: u32,
    directories: BTreeSet<PathBuf>,
}

impl Archive {
    pub(super) fn directory(&mut self, path: &Path) -> Result<()> {
        let missing: Vec<_> = path.ancestors().filter(|dir| !self.directories.contains(*dir)).collect();
        for dir in missing.into_iter().rev().filter(|dir| dir.parent().is_some()) {
            self.entry(dir, DIRECTORY, (0, 0), &[])?;
            self.directories.insert(dir.to_path_buf());
        }
        Ok(())
    }

    /// A file with mode 0755.
    pub(super) fn file(&mut self, path: &Path, content: &[u8]) -> Result<()> {
        self.parent(path)?;
        self.entry(path, FILE, (0, 0), content)
    }

    pub(super) fn symlink(&mut self, path: &Path, target: &str) -> Result<()> {
        self.parent(path)?;
        self.entry(path, SYMLINK, (0, 0), target.as_bytes())
    }

    pub(super) fn character_device(&mut self, path: &Path, device: (u32, u32)) -> Result<()> {
        self.parent(path)?;
        self.entry(path, CHARACTER_DEVICE, device, &[])
    }

    pub(super) fn finish(mut self) -> Result<Vec<u8>> {
        self.entry(Path::new("TRAILER!!!"), 0, (0, 0), &[])?;
        Ok(self.bytes)
    }

    fn parent(&mut self, path: &Path) -> Result<()> {
        path.parent().map_or(Ok(()), |parent| self.directory(parent))
    }

    fn entry(&mut self, path: &Path, mode: u32, device: (u32, u32), content: &[u8]) -> Result<()> {
        let name = path.strip_prefix("/").unwrap_or(path).as_os_str().as_encoded_bytes();
        let size = u32::try_from(content.len()).with_context(|| format!("pack {}", path.display()))?;
        let name_size = u32::try_from(name.len() + 1)?;
        self.entries += 1;
        // The fields in order: ino, mode, uid, gid, nlink, mtime, filesize, major, minor, rmajor, rminor, namesize, chksum.
        let fields = [self.entries, mode, 0, 0, 1, 0, size, 0, 0, device.0, device.1, name_size, 0];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(name);
        self.bytes.push(0);
        self.align();
        self.bytes.extend(content);
        self.align();
        Ok(())
    }

    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, mode and content of each entry.
    fn entries(bytes: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let mut rest = bytes;
        let mut found = Vec::new();
        while !rest.is_empty() {
            assert_eq!(&rest[..6], b"070701");
            let field = |index: usize| {
                let text = std::str::from_utf8(&rest[6 + 8 * index..14 + 8 * index]).unwrap();
                usize::from_str_radix(text, 16).unwrap()
            };
            let (mode, size, name_size) = (field(1), field(6), field(11));
            let name = String::from_utf8(rest[110..110 + name_size - 1].to_vec()).unwrap();
            let begin = (110 + name_size).next_multiple_of(4);
            let content = rest[begin..begin + size].to_vec();
            rest = &rest[(begin + size).next_multiple_of(4)..];
            found.push((name, u32::try_from(mode).unwrap(), content));
        }
        found
    }

    #[test]
    fn entries_follow_their_parents_written_once() {
        let mut archive = Archive::default();
        archive.file(Path::new("/a/b/c"), b"12345").unwrap();
        archive.symlink(Path::new("/a/l"), "b/c").unwrap();
        let found = entries(&archive.finish().unwrap());
        let names: Vec<_> = found.iter().map(|(name, mode, _)| (name.as_str(), *mode)).collect();
        let expected =
            [("a", DIRECTORY), ("a/b", DIRECTORY), ("a/b/c", FILE), ("a/l", SYMLINK), ("TRAILER!!!", 0)];
        assert_eq!(names, expected);
        assert_eq!(found[2].2, b"12345");
        assert_eq!(found[3].2, b"b/c");
    }
}
