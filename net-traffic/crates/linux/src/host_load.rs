//! Reads the load of the host during a throughput test: CPUs and queueing disciplines.

use std::fs;
use std::io;

use linux_raw_sys::netlink::tcmsg;
use nix::sys::socket::SockProtocol;

use super::netlink::{Attributes, Malformed, Netlink, read_u32};
use net_traffic_snapshot::{Cpu, Queue};

/// Reads the CPUs, and the queueing disciplines of the caller's network namespace.
pub struct HostLoad {
    netlink: Netlink,
}

const RTM_GETQDISC: u16 = libc::RTM_GETQDISC;
/// `struct tcmsg`, all zero: selects the queueing disciplines of every interface.
const EVERY_QUEUE: [u8; MESSAGE] = [0; MESSAGE];
/// The length of `struct tcmsg`; attributes follow.
const MESSAGE: usize = size_of::<tcmsg>();
/// Neither libc nor linux-raw-sys has `linux/gen_stats.h`
/// (<https://github.com/gregkh/linux/blob/v6.12.117/include/uapi/linux/gen_stats.h#L11>).
const TCA_STATS_QUEUE: u16 = 3;
const TOO_SHORT: Malformed = Malformed("no room for a queue");

impl HostLoad {
    /// # Errors
    /// When the kernel refuses a netlink socket.
    pub fn open() -> io::Result<Self> {
        Ok(Self { netlink: Netlink::open(SockProtocol::NetlinkRoute)? })
    }

    /// The time of each CPU since boot, in ticks.
    ///
    /// # Errors
    /// When /proc/stat cannot be read.
    pub fn cpus(&self) -> io::Result<Vec<Cpu>> {
        Ok(fs::read_to_string("/proc/stat")?.lines().filter_map(cpu).collect())
    }

    /// The queueing disciplines of all interfaces, with their drops and overlimits.
    ///
    /// # Errors
    /// When the dump fails.
    pub fn queues(&mut self) -> io::Result<Vec<Queue>> {
        let mut queues = Vec::new();
        self.netlink.dump(RTM_GETQDISC, &EVERY_QUEUE, &mut queues, queue)?;
        Ok(queues)
    }
}

impl std::fmt::Debug for HostLoad {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostLoad").finish_non_exhaustive()
    }
}

/// Parses `cpu0 user nice system idle iowait irq softirq steal …`
/// (<https://man7.org/linux/man-pages/man5/proc_stat.5.html>). The line with the sum of all CPUs has no number.
fn cpu(line: &str) -> Option<Cpu> {
    let mut words = line.split_ascii_whitespace();
    let id = words.next()?.strip_prefix("cpu")?.parse().ok()?;
    // `user` and `nice` include guest time
    // (<https://github.com/gregkh/linux/blob/v6.12.117/kernel/sched/cputime.c#L154>).
    let ticks: Vec<u64> = words.take(8).map_while(|word| word.parse().ok()).collect();
    let at = |place: usize| ticks.get(place).copied();
    Some(Cpu { id, total: ticks.iter().sum(), idle: at(3)? + at(4)?, softirq: at(6)? })
}

/// Decodes one `RTM_NEWQDISC` message.
fn queue(payload: &[u8]) -> Result<Option<Queue>, Malformed> {
    let (header, attributes) = payload.split_at_checked(MESSAGE).ok_or(TOO_SHORT)?;
    let mut queue = Queue { ifindex: read_u32(header, 4).ok_or(TOO_SHORT)?, ..Queue::default() };
    for attribute in Attributes(attributes) {
        match attribute? {
            (libc::TCA_KIND, value) => {
                let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
                queue.kind = String::from_utf8_lossy(&value[..end]).into_owned();
            }
            (libc::TCA_STATS2, value) => {
                for statistic in Attributes(value) {
                    if let (TCA_STATS_QUEUE, value) = statistic? {
                        // struct gnet_stats_queue: qlen, backlog, drops, requeues, overlimits.
                        queue.drops = read_u32(value, 8).unwrap_or(0);
                        queue.overlimits = read_u32(value, 16).unwrap_or(0);
                    }
                }
            }
            _ => {}
        }
    }
    Ok(Some(queue))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::encode_attribute;

    #[test]
    fn numbered_cpu_line_is_parsed_and_sum_skipped() {
        assert_eq!(cpu("cpu  1 2 3 4 5 6 7 8 9 10"), None);
        let read = cpu("cpu3 1 2 3 4 5 6 7 8 9 10").unwrap();
        assert_eq!(read, Cpu { id: 3, total: 36, idle: 9, softirq: 7 });
        assert_eq!(cpu("intr 1 2"), None);
    }

    #[test]
    fn queue_has_drops_and_overlimits() {
        let statistics: Vec<u8> = [1_u32, 2, 3, 4, 5].iter().flat_map(|word| word.to_ne_bytes()).collect();
        let nested = encode_attribute(TCA_STATS_QUEUE, &statistics);
        let mut message = [[0; 4], 7_u32.to_ne_bytes(), [0; 4], [0; 4], [0; 4]].concat();
        message.extend(encode_attribute(libc::TCA_KIND, b"tbf\0"));
        message.extend(encode_attribute(libc::TCA_STATS2, &nested));
        let read = queue(&message).unwrap().unwrap();
        assert_eq!(read, Queue { ifindex: 7, kind: "tbf".to_owned(), drops: 3, overlimits: 5 });
        assert!(queue(&message[..10]).is_err());
    }
}
