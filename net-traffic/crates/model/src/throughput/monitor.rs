//! Folds the snapshots before, during and after a throughput test into observations.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use super::observations::{
    CpuLoad, HostLoad, InterfaceDelta, Observations, OtherProcess, StreamStats, Transfer,
};
use net_traffic_snapshot::{Bytes, Cpu, Interface, ProcessId, Protocol, Queue, Snapshot, Socket, SocketId};

/// Follows one test through the sockets of its process.
#[derive(Debug)]
pub struct TestMonitor {
    pid: u32,
    port: u16,
    first: Option<Reading>,
    last: Option<Reading>,
    streams: BTreeMap<SocketId, TrackedStream>,
    /// The first and last byte counts of other sockets.
    others: HashMap<SocketId, OtherSocket>,
    names: HashMap<ProcessId, String>,
}

#[derive(Clone, Debug)]
struct Reading {
    at_ns: u64,
    interfaces: Vec<Interface>,
    load: HostLoad,
}
#[derive(Debug)]
struct TrackedStream {
    socket: Socket,
    first_ns: u64,
    first: Bytes,
    last_ns: u64,
    /// The transfer up to the reading before the last one with new bytes.
    before: Option<Transfer>,
    rtt_max_us: Option<u32>,
    rwnd: Option<(u32, u32)>,
    unread_max: u32,
}

#[derive(Debug)]
struct OtherSocket {
    before: u64,
    now: u64,
    owner: Option<ProcessId>,
    netns: Option<u32>,
    interface: Option<String>,
}

impl TestMonitor {
    /// Follows the test of process `pid` on `port`.
    #[must_use]
    pub fn new(pid: u32, port: u16) -> Self {
        Self {
            pid,
            port,
            first: None,
            last: None,
            streams: BTreeMap::new(),
            others: HashMap::new(),
            names: HashMap::new(),
        }
    }

    /// Applies the next reading.
    pub fn advance(&mut self, snapshot: Snapshot, load: HostLoad) {
        let at_ns = snapshot.at.monotonic_ns;
        let begins = self.first.is_none();
        for process in snapshot.processes {
            self.names.insert(process.id, process.name);
        }
        for socket in snapshot.sockets {
            if self.is_of_test(&socket) {
                if self.is_ours(&socket) {
                    self.follow(socket, at_ns);
                }
            } else if let Some(bytes) = moved(&socket) {
                let interface = interface_of(&socket, &snapshot.interfaces).map(str::to_owned);
                // All bytes of a socket that opened after the first reading belong to the time of the test.
                let before = if begins { bytes } else { 0 };
                let netns = socket.netns;
                let fresh = OtherSocket { before, now: bytes, owner: None, netns, interface };
                let other = self.others.entry(socket.id).or_insert(fresh);
                other.now = other.now.max(bytes);
                other.owner = socket.owner.or(other.owner);
            }
        }
        let reading = Reading { at_ns, interfaces: snapshot.interfaces, load };
        if begins {
            self.first = Some(reading.clone());
        }
        self.last = Some(reading);
    }

    /// The time of the last reading, and the bytes of all connections of the test by then, if known.
    #[must_use]
    pub fn moved(&self) -> Option<(u64, u64)> {
        let bytes = self.streams.values().filter_map(|followed| moved(&followed.socket));
        Some((self.last.as_ref()?.at_ns, bytes.reduce(|sum, more| sum + more)?))
    }

    /// The observations so far.
    #[must_use]
    pub fn observations(&self) -> Observations {
        let (Some(first), Some(last)) = (&self.first, &self.last) else { return Observations::default() };
        let streams = self.data_streams();
        let used: Vec<&str> =
            streams.iter().filter_map(|stream| interface_of(&stream.socket, &last.interfaces)).collect();
        Observations {
            seconds: seconds(last.at_ns.saturating_sub(first.at_ns)),
            interfaces: interfaces(first, last, &used),
            other_processes: self.others_on(&used),
            cores: cores(&first.load.cpus, &last.load.cpus),
            streams: streams.into_iter().map(TrackedStream::seen).collect(),
        }
    }

    fn is_of_test(&self, socket: &Socket) -> bool {
        socket.local.port == self.port || socket.remote.is_some_and(|remote| remote.port == self.port)
    }

    fn is_ours(&self, socket: &Socket) -> bool {
        let kind = matches!(socket.protocol, Protocol::Tcp | Protocol::Udp);
        kind && socket.remote.is_some() && socket.owner.is_some_and(|owner| owner.pid == self.pid)
    }

    fn follow(&mut self, socket: Socket, at_ns: u64) {
        let tcp = socket.tcp.clone().unwrap_or_default();
        let unread = socket.rx_queue.unwrap_or(0);
        let followed = self.streams.entry(socket.id).or_insert_with(|| TrackedStream {
            socket: socket.clone(),
            first_ns: at_ns,
            first: bytes_of(&socket).unwrap_or_default(),
            last_ns: at_ns,
            before: None,
            rtt_max_us: None,
            rwnd: None,
            unread_max: 0,
        });
        followed.rtt_max_us = followed.rtt_max_us.max(tcp.rtt_us);
        followed.unread_max = followed.unread_max.max(unread);
        if let Some(window) = tcp.snd_wnd {
            let (least, most) = followed.rwnd.unwrap_or((window, window));
            followed.rwnd = Some((least.min(window), most.max(window)));
        }
        // A close record lacks the fields that only sock_diag has.
        let before = std::mem::replace(&mut followed.socket, socket);
        match (&mut followed.socket.tcp, before.tcp) {
            (Some(now), Some(before)) => {
                now.min_rtt_us = now.min_rtt_us.or(before.min_rtt_us);
                now.busy_us = now.busy_us.max(before.busy_us);
                now.rwnd_limited_us = now.rwnd_limited_us.max(before.rwnd_limited_us);
                now.sndbuf_limited_us = now.sndbuf_limited_us.max(before.sndbuf_limited_us);
                now.snd_wscale = now.snd_wscale.or(before.snd_wscale);
            }
            (now @ None, before) => *now = before,
            (Some(_), None) => {}
        }
        let then = before.counted.or(before.lifetime);
        let (until_now, until_then) = (moved(&followed.socket), then.map(sum));
        if until_now < until_then {
            (followed.socket.counted, followed.socket.lifetime) = (before.counted, before.lifetime);
        }
        // The sockets stay open while both sides exchange their reports. That time is not part of the test.
        if until_now > until_then && !followed.socket.closed {
            followed.before = followed.since_first(then);
            followed.last_ns = at_ns;
        }
    }

    /// All connections of the test but the control connection, which has the fewest bytes.
    fn data_streams(&self) -> Vec<&TrackedStream> {
        let mut streams: Vec<&TrackedStream> = self.streams.values().collect();
        let control = streams
            .iter()
            .filter(|followed| followed.socket.protocol == Protocol::Tcp)
            .min_by_key(|followed| moved(&followed.socket).unwrap_or(0))
            .map(|followed| followed.socket.id);
        streams.retain(|followed| Some(followed.socket.id) != control);
        streams
    }

    fn others_on(&self, used: &[&str]) -> Vec<OtherProcess> {
        let mut by_owner: BTreeMap<Option<ProcessId>, u64> = BTreeMap::new();
        for other in self.others.values() {
            // The eBPF programs count sockets of all network namespaces; an interface belongs to one.
            let near = self.streams.values().any(|stream| stream.socket.netns == other.netns);
            let same = other.interface.as_deref().is_some_and(|name| used.contains(&name));
            let bytes = other.now.saturating_sub(other.before);
            if near && same && bytes > 0 {
                *by_owner.entry(other.owner).or_default() += bytes;
            }
        }
        let mut others: Vec<OtherProcess> = by_owner
            .into_iter()
            .map(|(owner, bytes)| OtherProcess {
                pid: owner.map(|owner| owner.pid),
                process: owner.and_then(|owner| self.names.get(&owner).cloned()),
                bytes,
            })
            .collect();
        others.sort_by_key(|other| std::cmp::Reverse(other.bytes));
        others
    }
}

/// The largest window shift (RFC 7323, section 2.3).
const WIDEST_SCALE: u8 = 14;

impl TrackedStream {
    /// The transfer from the first reading to the last.
    fn since_first(&self, bytes: Option<Bytes>) -> Option<Transfer> {
        let bytes = bytes?;
        Some(Transfer {
            sent_bytes: bytes.tx.saturating_sub(self.first.tx),
            received_bytes: bytes.rx.saturating_sub(self.first.rx),
            seconds: seconds(self.last_ns.saturating_sub(self.first_ns)),
        })
    }

    fn seen(&self) -> StreamStats {
        let socket = &self.socket;
        let tcp = socket.tcp.clone().unwrap_or_default();
        let bytes = bytes_of(socket).unwrap_or_default();
        StreamStats {
            local: socket.local,
            remote: socket.remote,
            local_port: socket.local.port,
            remote_port: socket.remote.map(|remote| remote.port),
            sent_bytes: bytes.tx,
            received_bytes: bytes.rx,
            seconds: seconds(self.last_ns.saturating_sub(self.first_ns)),
            before: self.before,
            busy_us: tcp.busy_us,
            rwnd_limited_us: tcp.rwnd_limited_us,
            sndbuf_limited_us: tcp.sndbuf_limited_us,
            retransmits: tcp.retransmits,
            retransmitted_bytes: tcp.retransmitted_bytes,
            rtt_min_us: tcp.min_rtt_us,
            rtt_max_us: self.rtt_max_us,
            rwnd_max_bytes: self.rwnd.map(|(_, most)| most),
            rwnd_min_bytes: self.rwnd.map(|(least, _)| least),
            rwnd_possible_bytes: tcp.snd_wscale.map(|bits| u32::from(u16::MAX) << bits.min(WIDEST_SCALE)),
            unread_max_bytes: self.unread_max,
        }
    }
}

/// The sum of received and sent bytes, if known.
fn moved(socket: &Socket) -> Option<u64> {
    bytes_of(socket).map(sum)
}

fn bytes_of(socket: &Socket) -> Option<Bytes> {
    socket.counted.or(socket.lifetime)
}

fn sum(bytes: Bytes) -> u64 {
    bytes.rx + bytes.tx
}

/// The interface with the socket's local address. A connection to a local address uses loopback.
fn interface_of<'i>(socket: &Socket, interfaces: &'i [Interface]) -> Option<&'i str> {
    let holder = |address: IpAddr| {
        let is_loopback = address.is_loopback();
        let holds = |interface: &&Interface| {
            interface.addresses.contains(&address) || (is_loopback && interface.name == "lo")
        };
        interfaces.iter().find(holds).map(|interface| interface.name.as_str())
    };
    if socket.remote.is_some_and(|remote| holder(remote.address).is_some()) {
        return interfaces.iter().map(|interface| interface.name.as_str()).find(|name| *name == "lo");
    }
    holder(socket.local.address)
}

fn interfaces(first: &Reading, last: &Reading, used: &[&str]) -> Vec<InterfaceDelta> {
    let of = |interface: &Interface| {
        let before = first.interfaces.iter().find(|known| known.index == interface.index);
        let grown = |count: fn(&Interface) -> u64| count(interface).saturating_sub(before.map_or(0, count));
        let total = |load: &HostLoad, count: fn(&Queue) -> u32| -> u64 {
            let queues = load.queues.iter().filter(|queue| queue.ifindex == interface.index);
            queues.map(|queue| u64::from(count(queue))).sum()
        };
        let queued =
            |count: fn(&Queue) -> u32| total(&last.load, count).saturating_sub(total(&first.load, count));
        InterfaceDelta {
            name: interface.name.clone(),
            rx_bytes: grown(|interface| interface.rx.bytes),
            tx_bytes: grown(|interface| interface.tx.bytes),
            dropped: grown(|interface| interface.rx.dropped + interface.tx.dropped),
            queue: last
                .load
                .queues
                .iter()
                .find(|queue| queue.ifindex == interface.index)
                .map(|queue| queue.kind.clone()),
            queue_drops: queued(|queue| queue.drops),
            queue_overlimits: queued(|queue| queue.overlimits),
        }
    };
    last.interfaces.iter().filter(|interface| used.contains(&interface.name.as_str())).map(of).collect()
}

fn cores(first: &[Cpu], last: &[Cpu]) -> Vec<CpuLoad> {
    let of = |cpu: &Cpu| {
        let before = first.iter().find(|known| known.id == cpu.id)?;
        let total = cpu.total.saturating_sub(before.total);
        let part = |ticks: u64| if total == 0 { 0.0 } else { ratio(ticks, total) };
        let idle = part(cpu.idle.saturating_sub(before.idle));
        Some(CpuLoad {
            id: cpu.id,
            busy: 1.0 - idle,
            softirq: part(cpu.softirq.saturating_sub(before.softirq)),
        })
    };
    last.iter().filter_map(of).collect()
}

fn seconds(nanoseconds: u64) -> f64 {
    ratio(nanoseconds, 1_000_000_000)
}

#[expect(clippy::cast_precision_loss, reason = "a share to print, of counts far below 2^52")]
pub(super) fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}
