//! Programs as filters of the clsact queueing discipline, for kernels without tcx
//! (<https://man7.org/linux/man-pages/man8/tc-bpf.8.html>).
//!
//! A filter outlives its process. The name of a filter contains its process, so that the next start can remove the
//! filters of ended processes.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::netlink::{Attributes, Malformed, Netlink, encode_attribute, read_u32};
use crate::plan::Crossing;

/// Lower than the kernel's own priorities, which begin at 0xc000: the program runs before filters that drop packets.
const PRIORITY: u32 = 0x4e;
const PROTOCOL_ALL: u16 = 3;
/// The handle of the discipline, and its two sides
/// (<https://github.com/gregkh/linux/blob/v6.12.117/include/uapi/linux/pkt_sched.h#L77>).
const QDISC: u32 = 0xffff_0000;
const PARENT: u32 = 0xffff_fff1;
const INGRESS: u32 = 0xffff_fff2;
const EGRESS: u32 = 0xffff_fff3;

const CREATE: u16 = 0x400;
const EXCLUSIVE: u16 = 0x200;

const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const TCA_BPF_FD: u16 = 6;
const TCA_BPF_NAME: u16 = 7;
const TCA_BPF_FLAGS: u16 = 8;
const DIRECT_ACTION: u32 = 1;
/// The length of `struct tcmsg`; attributes follow.
const MESSAGE: usize = 20;

/// Adds filters in the name of this process.
pub(super) struct Clsact {
    maker: Maker,
}

/// A process by PID and start time, which PID reuse does not repeat. The PID is the handle of its filters.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Maker {
    pid: u32,
    start: u64,
}

/// A filter of this program.
#[derive(Debug)]
pub(in super::super) struct Filter {
    ifindex: u32,
    parent: u32,
    handle: u32,
    /// The discipline was made for such filters; the last of them removes it.
    made_qdisc: bool,
}

/// A filter in the kernel's list.
struct Listed {
    ifindex: u32,
    handle: u32,
    info: u32,
    name: Option<String>,
}

impl Clsact {
    pub(super) fn of_this_process() -> io::Result<Self> {
        let pid = std::process::id();
        let start = start_ticks(pid).ok_or_else(|| io::Error::other("no start time in /proc/self/stat"))?;
        Ok(Self { maker: Maker { pid, start } })
    }

    /// Adds the discipline if the interface has none, and the filter.
    pub(super) fn attach(
        &self,
        netlink: &mut Netlink,
        program: BorrowedFd<'_>,
        ifindex: u32,
        crossing: Crossing,
    ) -> io::Result<Filter> {
        let parent = if crossing == Crossing::In { INGRESS } else { EGRESS };
        let made_now = make_qdisc(netlink, ifindex)?;
        // The other direction or another process of this program may have made it.
        let made_qdisc = made_now || is_qdisc_ours(netlink, ifindex)?;
        let filter = Filter { ifindex, parent, handle: self.maker.pid, made_qdisc };
        let name = self.maker.name(made_qdisc);
        let options = [
            encode_attribute(TCA_BPF_FD, &program.as_raw_fd().to_ne_bytes()),
            encode_attribute(TCA_BPF_NAME, format!("{name}\0").as_bytes()),
            encode_attribute(TCA_BPF_FLAGS, &DIRECT_ACTION.to_ne_bytes()),
        ]
        .concat();
        let body = [
            message(ifindex, filter.handle, parent, info()),
            encode_attribute(TCA_KIND, b"bpf\0"),
            encode_attribute(TCA_OPTIONS, &options),
        ]
        .concat();
        if let Err(refusal) = netlink.request_ack(libc::RTM_NEWTFILTER, CREATE | EXCLUSIVE, &body) {
            if made_now {
                remove_qdisc(netlink, ifindex)?;
            }
            return Err(refusal);
        }
        Ok(filter)
    }

    /// Removes the filters of ended processes, and the discipline if they made it and it is empty.
    pub(super) fn remove_stale(&self, netlink: &mut Netlink, ifindex: u32) -> io::Result<()> {
        for parent in [INGRESS, EGRESS] {
            for listed in list(netlink, ifindex, parent)? {
                let Some((maker, made_qdisc)) = listed.name.as_deref().and_then(Maker::parse) else {
                    continue;
                };
                if maker == self.maker || maker.lives() || listed.info != info() {
                    continue;
                }
                Filter { ifindex, parent, handle: listed.handle, made_qdisc }.remove(netlink)?;
            }
        }
        Ok(())
    }
}

impl Filter {
    /// Removes the filter, and the discipline if it was made for such filters and is empty.
    pub(super) fn remove(&self, netlink: &mut Netlink) -> io::Result<()> {
        let Self { ifindex, parent, handle, made_qdisc } = *self;
        netlink.request_ack(libc::RTM_DELTFILTER, 0, &message(ifindex, handle, parent, info()))?;
        let is_empty =
            list(netlink, ifindex, INGRESS)?.is_empty() && list(netlink, ifindex, EGRESS)?.is_empty();
        if made_qdisc && is_empty {
            remove_qdisc(netlink, ifindex)?;
        }
        Ok(())
    }
}

impl Maker {
    const PREFIX: &str = "net-traffic";
    const MADE_QDISC: &str = "qdisc";

    fn name(&self, made_qdisc: bool) -> String {
        let Self { pid, start } = self;
        let made = if made_qdisc { Self::MADE_QDISC } else { "-" };
        format!("{} {pid} {start} {made}", Self::PREFIX)
    }

    fn parse(name: &str) -> Option<(Self, bool)> {
        let mut words = name.split(' ');
        if words.next()? != Self::PREFIX {
            return None;
        }
        let maker = Self { pid: words.next()?.parse().ok()?, start: words.next()?.parse().ok()? };
        Some((maker, words.next()? == Self::MADE_QDISC))
    }

    fn lives(&self) -> bool {
        start_ticks(self.pid) == Some(self.start)
    }
}

/// Field 22 of /proc/PID/stat; the second is the name, in parentheses, which may contain anything.
fn start_ticks(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// False: the interface has a clsact discipline already.
fn make_qdisc(netlink: &mut Netlink, ifindex: u32) -> io::Result<bool> {
    let body = [message(ifindex, QDISC, PARENT, 0), encode_attribute(TCA_KIND, b"clsact\0")].concat();
    match netlink.request_ack(libc::RTM_NEWQDISC, CREATE | EXCLUSIVE, &body) {
        Ok(()) => Ok(true),
        Err(refusal) if refusal.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(refusal) => Err(refusal),
    }
}

/// Whether the name of a filter says that the discipline was made for such filters.
fn is_qdisc_ours(netlink: &mut Netlink, ifindex: u32) -> io::Result<bool> {
    let says_so =
        |listed: &Listed| listed.name.as_deref().and_then(Maker::parse).is_some_and(|(_, made)| made);
    for parent in [INGRESS, EGRESS] {
        if list(netlink, ifindex, parent)?.iter().any(says_so) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn remove_qdisc(netlink: &mut Netlink, ifindex: u32) -> io::Result<()> {
    netlink.request_ack(libc::RTM_DELQDISC, 0, &message(ifindex, QDISC, PARENT, 0))
}

/// Every filter on one side of an interface.
fn list(netlink: &mut Netlink, ifindex: u32, parent: u32) -> io::Result<Vec<Listed>> {
    let mut filters = Vec::new();
    netlink.dump(libc::RTM_GETTFILTER, &message(ifindex, 0, parent, 0), &mut filters, listed)?;
    filters.retain(|listed| listed.ifindex == ifindex);
    Ok(filters)
}

/// One message of the list; `None` for the head of a chain, which is no filter.
fn listed(payload: &[u8]) -> Result<Option<Listed>, Malformed> {
    let short = Malformed("no room for a filter");
    let word = |at| read_u32(payload, at).ok_or(short);
    let mut listed = Listed { ifindex: word(4)?, handle: word(8)?, info: word(16)?, name: None };
    for attribute in Attributes(payload.get(MESSAGE..).ok_or(short)?) {
        let (TCA_OPTIONS, options) = attribute? else { continue };
        // Other kinds of filters have other option numbers. A matching name is enough.
        for option in Attributes(options).map_while(Result::ok) {
            if let (TCA_BPF_NAME, name) = option {
                listed.name = Some(String::from_utf8_lossy(name).trim_end_matches('\0').to_owned());
            }
        }
    }
    Ok(Some(listed).filter(|listed| listed.handle != 0))
}

/// `struct tcmsg`.
fn message(ifindex: u32, handle: u32, parent: u32, info: u32) -> Vec<u8> {
    [0, ifindex, handle, parent, info].iter().flat_map(|word: &u32| word.to_ne_bytes()).collect()
}

fn info() -> u32 {
    PRIORITY << 16 | u32::from(PROTOCOL_ALL.to_be())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filter_name_round_trips_foreign_names_do_not() {
        let maker = Maker { pid: 42, start: 1000 };
        for made_qdisc in [false, true] {
            assert_eq!(Maker::parse(&maker.name(made_qdisc)), Some((maker.clone(), made_qdisc)));
        }
        for foreign in ["", "net-traffic", "cil_from_netdev", "net-traffic 42 x -", "my-net-traffic 42 1 -"] {
            assert_eq!(Maker::parse(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn reused_pid_is_another_maker() {
        let Clsact { maker } = Clsact::of_this_process().unwrap();
        assert!(maker.lives());
        assert!(!Maker { start: maker.start + 1, ..maker }.lives());
    }

    #[test]
    fn listed_filter_is_decoded() {
        let options =
            [encode_attribute(1, &[0; 4]), encode_attribute(TCA_BPF_NAME, b"net-traffic 1 2 -\0")].concat();
        let body = [message(3, 7, EGRESS, info()), encode_attribute(TCA_OPTIONS, &options)].concat();
        let filter = listed(&body).unwrap().unwrap();
        assert_eq!((filter.ifindex, filter.handle, filter.info), (3, 7, info()));
        assert_eq!(filter.name.as_deref(), Some("net-traffic 1 2 -"));
        assert!(listed(&message(3, 0, EGRESS, info())).unwrap().is_none());
        assert!(listed(&body[..MESSAGE - 1]).is_err());
    }
}
