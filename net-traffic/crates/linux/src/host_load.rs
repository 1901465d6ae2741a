//! What is around a throughput test besides its sockets: the processors and the interfaces' queues.

use std::fs;
use std::io;

use nix::sys::socket::SockProtocol;

use super::netlink::{Attributes, Malformed, Netlink, read_u32};
use net_traffic_snapshot::{Cpu, Queue};

/// Reads the processors and the queues of the caller's network namespace.
pub struct HostLoad {
    netlink: Netlink,
}

const RTM_GETQDISC: u16 = libc::RTM_GETQDISC;
/// `struct tcmsg`, all zero: the queues of every interface.
const EVERY_QUEUE: [u8; MESSAGE] = [0; MESSAGE];
/// The length of `struct tcmsg`; attributes follow.
const MESSAGE: usize = 20;
const TCA_KIND: u16 = 1;
const TCA_STATS2: u16 = 7;
const TCA_STATS_QUEUE: u16 = 3;
const TOO_SHORT: Malformed = Malformed("no room for a queue");

impl HostLoad {
    /// # Errors
    /// When the kernel refuses a netlink socket.
    pub fn open() -> io::Result<Self> {
        Ok(Self { netlink: Netlink::open(SockProtocol::NetlinkRoute)? })
    }

    /// What each processor has done since boot.
    ///
    /// # Errors
    /// When /proc is not there.
    pub fn cpus(&self) -> io::Result<Vec<Cpu>> {
        Ok(fs::read_to_string("/proc/stat")?.lines().filter_map(cpu).collect())
    }

    /// The queues of all interfaces, with what they dropped and delayed.
    ///
    /// # Errors
    /// When the kernel does not answer.
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

/// `cpu0 user nice system idle iowait irq softirq steal …`; the line of all processors together has no number.
fn cpu(line: &str) -> Option<Cpu> {
    let mut words = line.split_ascii_whitespace();
    let id = words.next()?.strip_prefix("cpu")?.parse().ok()?;
    // What guests used is in `user` and `nice` already.
    let ticks: Vec<u64> = words.take(8).map_while(|word| word.parse().ok()).collect();
    let at = |place: usize| ticks.get(place).copied();
    Some(Cpu { id, total: ticks.iter().sum(), idle: at(3)? + at(4)?, softirq: at(6)? })
}

/// One `RTM_NEWQDISC` message.
fn queue(payload: &[u8]) -> Result<Option<Queue>, Malformed> {
    let (header, attributes) = payload.split_at_checked(MESSAGE).ok_or(TOO_SHORT)?;
    let mut queue = Queue { ifindex: read_u32(header, 4).ok_or(TOO_SHORT)?, ..Queue::default() };
    for attribute in Attributes(attributes) {
        match attribute? {
            (TCA_KIND, value) => {
                let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
                queue.kind = String::from_utf8_lossy(&value[..end]).into_owned();
            }
            (TCA_STATS2, value) => {
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
    fn a_processor_is_read_and_their_sum_is_not() {
        assert_eq!(cpu("cpu  1 2 3 4 5 6 7 8 9 10"), None);
        let read = cpu("cpu3 1 2 3 4 5 6 7 8 9 10").unwrap();
        assert_eq!(read, Cpu { id: 3, total: 36, idle: 9, softirq: 7 });
        assert_eq!(cpu("intr 1 2"), None);
    }

    #[test]
    fn a_queue_has_its_drops_and_delays() {
        let statistics: Vec<u8> = [1_u32, 2, 3, 4, 5].iter().flat_map(|word| word.to_ne_bytes()).collect();
        let nested = encode_attribute(TCA_STATS_QUEUE, &statistics);
        let mut message = [[0; 4], 7_u32.to_ne_bytes(), [0; 4], [0; 4], [0; 4]].concat();
        message.extend(encode_attribute(TCA_KIND, b"tbf\0"));
        message.extend(encode_attribute(TCA_STATS2, &nested));
        let read = queue(&message).unwrap().unwrap();
        assert_eq!(read, Queue { ifindex: 7, kind: "tbf".to_owned(), drops: 3, overlimits: 5 });
        assert!(queue(&message[..10]).is_err());
    }
}
