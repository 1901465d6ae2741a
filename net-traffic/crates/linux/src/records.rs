//! Decodes the records of the eBPF programs: bytes in, plain data out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use net_traffic_common::{
    CLOSED, CgroupPath, FAMILY_INET, KERNEL_COUNTS, PROCESS_HAS_UID, Plain, ProcessCounters, ProcessKey,
    SocketRecord,
};

use net_traffic_snapshot::{Bytes, Endpoint, Process, ProcessId, Protocol, Socket, SocketId, State, TcpInfo};

/// Reads one record; `None` for too few bytes.
#[must_use]
pub fn read_record(bytes: &[u8]) -> Option<SocketRecord> {
    SocketRecord::read_from(bytes)
}

/// A record as a socket of the snapshot.
///
/// `None` for a protocol without a name in the snapshot, and for a TCP socket without a local port and without bytes,
/// which is no connection.
#[must_use]
pub fn socket(record: &SocketRecord) -> Option<Socket> {
    let protocol = protocol(record.protocol)?;
    let (local, remote) = (
        endpoint(record.family, &record.local_address, record.local_port),
        endpoint(record.family, &record.remote_address, record.remote_port),
    );
    let remote = Some(remote).filter(|remote| remote.port != 0 || !remote.address.is_unspecified());
    let is_tcp = record.flags & KERNEL_COUNTS != 0;
    let counted = Bytes { rx: record.rx_bytes, tx: record.tx_bytes };
    let closed = record.flags & CLOSED != 0;
    if is_tcp && !closed && record.local_port == 0 && counted == Bytes::default() {
        return None;
    }
    Some(Socket {
        id: SocketId(record.cookie),
        protocol,
        local,
        remote,
        state: if closed { State::Closed } else { state(record.state, is_tcp, remote.is_some()) },
        netns: Some(record.netns).filter(|&inode| inode != 0),
        ifindex: Some(record.ifindex).filter(|&index| index != 0),
        owner: Some(record.owner).filter(|&owner| owner != ProcessKey(0)).map(process_id),
        uid: None,
        inode: None,
        lifetime: Some(Bytes {
            rx: record.rx_before.saturating_add(record.rx_bytes),
            tx: record.tx_before.saturating_add(record.tx_bytes),
        }),
        counted: Some(counted),
        tcp: is_tcp.then(|| TcpInfo {
            rtt_us: Some(record.srtt_us_8 / 8).filter(|&rtt| rtt != 0),
            rtt_var_us: Some(record.mdev_us_4 / 4).filter(|_| record.srtt_us_8 != 0),
            retransmits: Some(record.retransmits),
            retransmitted_bytes: Some(record.retransmitted_bytes),
            cwnd: Some(record.cwnd),
            mss: Some(record.mss),
            ..TcpInfo::default()
        }),
        rx_queue: (is_tcp && !closed).then_some(record.rx_queue),
        tx_queue: (is_tcp && !closed).then_some(record.tx_queue),
        opened_ns: Some(record.opened_ns).filter(|&at| at != 0),
        closed,
    })
}

/// A row of `PROCESSES` as a process of the snapshot. Fields that the row lacks stay `None`.
#[must_use]
pub fn process(key: ProcessKey, counters: &ProcessCounters) -> Process {
    let name = counters.comm.split(|&octet| octet == 0).next().unwrap_or_default();
    Process {
        id: process_id(key),
        name: String::from_utf8_lossy(name).into_owned(),
        command: None,
        uid: (counters.flags & PROCESS_HAS_UID != 0).then_some(counters.uid),
        user: None,
        container: None,
        cgroup: None,
        counted: Some(Bytes { rx: counters.rx_bytes, tx: counters.tx_bytes }),
        exited: counters.flags & net_traffic_common::PROCESS_EXITED != 0,
    }
}

/// The path of a cgroup as text.
#[must_use]
pub fn cgroup_path(path: &CgroupPath) -> String {
    let path = path.0.split(|&octet| octet == 0).next().unwrap_or_default();
    String::from_utf8_lossy(path).into_owned()
}

#[must_use]
pub fn process_id(key: ProcessKey) -> ProcessId {
    ProcessId { pid: key.pid(), start_ticks: key.start_ticks() }
}

fn endpoint(family: u16, address: &[u8; 16], port: u16) -> Endpoint {
    let [a, b, c, d, ..] = *address;
    let address = if family == FAMILY_INET {
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    } else {
        IpAddr::V6(Ipv6Addr::from(*address)).to_canonical()
    };
    Endpoint { address, port }
}

fn protocol(number: u16) -> Option<Protocol> {
    Some(match number {
        1 => Protocol::Icmp,
        6 => Protocol::Tcp,
        17 | 136 => Protocol::Udp,
        58 => Protocol::Icmpv6,
        132 => Protocol::Sctp,
        262 => Protocol::Mptcp,
        0..=255 => Protocol::Raw,
        _ => return None,
    })
}

/// The kernel's TCP states (<https://github.com/gregkh/linux/blob/v6.12.117/include/net/tcp_states.h#L13>). Other
/// protocols use `TCP_ESTABLISHED` and `TCP_CLOSE`.
fn state(number: u32, is_tcp: bool, has_peer: bool) -> State {
    match number {
        1 => State::Established,
        2 => State::SynSent,
        3 | 12 => State::SynReceived,
        4 => State::FinWait1,
        5 => State::FinWait2,
        6 => State::TimeWait,
        8 => State::CloseWait,
        9 => State::LastAck,
        10 => State::Listen,
        11 => State::Closing,
        _ if !is_tcp && has_peer => State::Established,
        _ => State::Closed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> SocketRecord {
        SocketRecord {
            cookie: 7,
            owner: ProcessKey::new(42, 1000),
            rx_bytes: 1,
            tx_bytes: 2,
            rx_before: 10,
            tx_before: 20,
            local_address: [127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            remote_address: [192, 0, 2, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            local_port: 443,
            remote_port: 50_000,
            family: FAMILY_INET,
            protocol: 6,
            netns: 1,
            srtt_us_8: 80,
            state: 1,
            flags: KERNEL_COUNTS,
            ..SocketRecord::default()
        }
    }

    /// Found by fuzzing.
    #[test]
    fn largest_counters_do_not_overflow() {
        let record = SocketRecord { rx_before: u64::MAX, tx_before: u64::MAX, ..record() };
        let most = Bytes { rx: u64::MAX, tx: u64::MAX };
        assert_eq!(socket(&record).unwrap().lifetime, Some(most));
    }

    #[test]
    fn tcp_record_becomes_socket() {
        let socket = socket(&record()).unwrap();
        assert_eq!(socket.id, SocketId(7));
        assert_eq!(socket.owner, Some(ProcessId { pid: 42, start_ticks: 1000 }));
        assert_eq!(socket.counted, Some(Bytes { rx: 1, tx: 2 }));
        assert_eq!(socket.lifetime, Some(Bytes { rx: 11, tx: 22 }));
        assert_eq!(socket.remote.unwrap().to_string(), "192.0.2.9:50000");
        assert_eq!(socket.state, State::Established);
        assert_eq!(socket.tcp.unwrap().rtt_us, Some(10));
    }

    #[test]
    fn mapped_address_is_ipv4_missing_peer_is_none() {
        let mut record = record();
        record.family = 10;
        record.protocol = 17;
        record.flags = CLOSED;
        record.local_address = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1];
        record.remote_address = [0; 16];
        record.remote_port = 0;
        let socket = socket(&record).unwrap();
        assert_eq!(socket.local.to_string(), "127.0.0.1:443");
        assert_eq!(socket.remote, None);
        assert_eq!(socket.tcp, None);
        assert!(socket.closed);
    }

    #[test]
    fn reset_tcp_socket_without_bytes_is_no_connection() {
        let reset = SocketRecord { local_port: 0, rx_bytes: 0, tx_bytes: 0, state: 7, ..record() };
        assert_eq!(socket(&reset), None);
        assert!(socket(&SocketRecord { rx_bytes: 1, ..reset }).is_some());
    }

    #[test]
    fn short_record_is_none() {
        assert!(read_record(&[0; size_of::<SocketRecord>() - 1]).is_none());
        assert!(read_record(&[0; size_of::<SocketRecord>()]).is_some());
    }

    #[test]
    fn name_ends_at_first_nul() {
        let counters = ProcessCounters { comm: *b"curl\0old name\0\0\0", rx_bytes: 3, ..Default::default() };
        let process = process(ProcessKey::new(5, 6), &counters);
        assert_eq!((process.name.as_str(), process.counted.unwrap().rx), ("curl", 3));
    }
}
