//! Parses the files of /proc/PID (<https://man7.org/linux/man-pages/man5/proc_pid.5.html>). Pure.

use std::borrow::Cow;

/// The used fields of /proc/PID/stat.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stat<'a> {
    pub(super) name: Cow<'a, str>,
    /// Field 22, modulo 2^32.
    pub(super) start_ticks: u32,
}

/// Parses /proc/PID/stat. The name is in parentheses and may contain spaces and parentheses: the last `)` ends the
/// name.
pub(super) fn stat(bytes: &[u8]) -> Option<Stat<'_>> {
    let open = bytes.iter().position(|byte| *byte == b'(')?;
    let close = bytes.iter().rposition(|byte| *byte == b')')?;
    let name = String::from_utf8_lossy(bytes.get(open + 1..close)?);
    // Field 3 follows the name.
    let start = str::from_utf8(&bytes[close + 1..]).ok()?.split_ascii_whitespace().nth(22 - 3)?;
    let start: u64 = start.parse().ok()?;
    Some(Stat { name, start_ticks: (start & u64::from(u32::MAX)).try_into().ok()? })
}

/// The effective user id in /proc/PID/status.
pub(super) fn effective_uid(status: &[u8]) -> Option<u32> {
    let line = status.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"Uid:"))?;
    str::from_utf8(line).ok()?.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// The arguments of /proc/PID/cmdline, separated by spaces; `None` for a kernel thread or a zombie.
pub(super) fn command(cmdline: &[u8]) -> Option<String> {
    let trimmed = cmdline.trim_ascii_end();
    let end = trimmed.iter().rposition(|byte| *byte != 0)? + 1;
    let words: Vec<_> = trimmed[..end].split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    Some(words.join(" "))
}

/// The inode in the link target of a socket descriptor: `socket:[12345]`.
pub(super) fn socket_inode(target: &[u8]) -> Option<u64> {
    let digits = target.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stat_of(name: &str) -> Vec<u8> {
        format!(
            "4242 ({name}) S 1 4242 4242 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 {} 1000 200 184 1 1",
            (7_u64 << 32) + 987_654
        )
        .into_bytes()
    }

    #[test]
    fn name_with_spaces_and_parentheses_is_parsed() {
        for name in ["nginx", "tmux: server", "a) S 1 (b", "(sd-pam)", "))", ""] {
            assert_eq!(
                stat(&stat_of(name)),
                Some(Stat { name: name.into(), start_ticks: 987_654 }),
                "{name}"
            );
        }
    }

    #[test]
    fn cut_stat_is_none() {
        let whole = stat_of("nginx");
        assert_eq!(stat(&whole[..60]), None);
        assert_eq!(stat(b"4242 nginx"), None);
        assert_eq!(stat(b") ("), None);
    }

    #[test]
    fn effective_user_is_second_of_four() {
        assert_eq!(effective_uid(b"Name:\tsudo\nUid:\t1000\t33\t0\t0\nGid:\t1\t2\t3\t4\n"), Some(33));
        assert_eq!(effective_uid(b"Name:\tUid:\n"), None);
    }

    #[test]
    fn arguments_are_joined_and_title_is_kept() {
        assert_eq!(
            command(b"/usr/sbin/nginx\0-g\0daemon off;\0").as_deref(),
            Some("/usr/sbin/nginx -g daemon off;")
        );
        assert_eq!(command(b"postgres: writer \0\0\0\0").as_deref(), Some("postgres: writer "));
        assert_eq!(command(b""), None);
        assert_eq!(command(b"\0\0"), None);
    }

    #[test]
    fn only_socket_links_have_an_inode() {
        assert_eq!(socket_inode(b"socket:[4026531840]"), Some(4_026_531_840));
        for other in [
            &b"pipe:[1]"[..],
            b"socket:[]x",
            b"socket:[1a]",
            b"/tmp/socket:[1]",
            b"socket:[99999999999999999999]",
        ] {
            assert_eq!(socket_inode(other), None);
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop((stat(&bytes), effective_uid(&bytes), command(&bytes), socket_inode(&bytes)));
        }
    }
}
