//! The record of a socket for user space.

use aya_ebpf::bindings::BPF_RB_NO_WAKEUP;
use net_traffic_common::{CLOSED, KERNEL_COUNTS, SocketRecord, loss as causes};

use super::{counters::Counters, loss, socket, tcp};
use crate::{
    kernel::{Memory, Sk, TcpSk},
    maps::{CLOSED_SOCKETS, OPEN_SOCKETS},
};

/// Flushes the owner's bytes and writes what the socket and its counters are now to `record`. `sk` is `None` where
/// only the counters are readable.
///
/// # Safety
/// `record` can be written.
#[inline(always)]
unsafe fn flush_into<M: Memory>(
    sk: Option<Sk<M>>,
    mut counters: Counters,
    record: *mut SocketRecord,
    is_last: bool,
) {
    let (mut rx, mut tx) = (counters.members().rx_bytes, counters.members().tx_bytes);
    let mut tcp_part = TcpPart::default();
    if let Some(sk) = sk {
        socket::read_tuple(sk, counters.members());
        tcp_part.state = u32::from(sk.skc_state());
        if counters.flags() & KERNEL_COUNTS != 0
            && let Some(tp) = sk.tcp()
        {
            (rx, tx) = tcp::totals(tp, counters.members());
            tcp_part.read(tp);
        }
    }
    counters.flush_owner_bytes(rx, tx, is_last);
    let c = counters.members();
    let written = SocketRecord {
        cookie: c.cookie,
        owner: c.owner,
        rx_bytes: rx,
        tx_bytes: tx,
        rx_before: c.rx_before,
        tx_before: c.tx_before,
        opened_ns: c.opened_ns,
        retransmitted_bytes: tcp_part.retransmitted_bytes,
        local_address: c.local_address,
        remote_address: c.remote_address,
        local_port: c.local_port,
        remote_port: c.remote_port,
        family: c.family,
        protocol: c.protocol,
        netns: c.netns,
        ifindex: c.ifindex,
        srtt_us_8: tcp_part.srtt_us_8,
        mdev_us_4: tcp_part.mdev_us_4,
        retransmits: tcp_part.retransmits,
        cwnd: tcp_part.cwnd,
        mss: tcp_part.mss,
        rx_queue: tcp_part.rx_queue,
        tx_queue: tcp_part.tx_queue,
        state: tcp_part.state,
        flags: c.flags,
        reserved: 0,
    };
    // SAFETY: as the caller promises.
    unsafe { record.write(written) };
}

/// Flushes the owner's bytes and sends the socket's record to the socket walk. False, and nothing is done, if the
/// ring is full.
#[inline(always)]
pub(crate) fn send_open<M: Memory>(sk: Sk<M>, counters: Counters) -> bool {
    let Some(mut entry) = OPEN_SOCKETS.reserve(0) else { return false };
    // SAFETY: the entry is reserved until it is submitted.
    unsafe { flush_into(Some(sk), counters, entry.as_mut_ptr(), false) };
    entry.submit(u64::from(BPF_RB_NO_WAKEUP));
    true
}

/// Sends the final record of a destroyed socket to user space.
#[inline(always)]
pub(crate) fn send_closed<M: Memory>(sk: Option<Sk<M>>, counters: Counters) {
    if let Some(mut entry) = CLOSED_SOCKETS.reserve(0) {
        let record = entry.as_mut_ptr();
        // SAFETY: the entry is reserved until it is submitted.
        unsafe {
            flush_into(sk, counters, record, true);
            (*record).flags |= CLOSED;
        }
        entry.submit(0);
    } else {
        // The row of the process gets its bytes all the same.
        let mut record = SocketRecord::default();
        // SAFETY: the record is on the stack.
        unsafe { flush_into(sk, counters, &raw mut record, true) };
        loss::count(causes::RING_FULL);
    }
}

#[derive(Default)]
struct TcpPart {
    retransmitted_bytes: u64,
    srtt_us_8: u32,
    mdev_us_4: u32,
    retransmits: u32,
    cwnd: u32,
    mss: u32,
    rx_queue: u32,
    tx_queue: u32,
    state: u32,
}

impl TcpPart {
    #[inline(always)]
    fn read<M: Memory>(&mut self, tp: TcpSk<M>) {
        self.retransmitted_bytes = tp.bytes_retrans();
        self.srtt_us_8 = tp.srtt_us();
        self.mdev_us_4 = tp.mdev_us();
        self.retransmits = tp.total_retrans();
        self.cwnd = tp.snd_cwnd();
        self.mss = tp.mss_cache();
        let arrived = tp.rcv_nxt();
        self.rx_queue = arrived.wrapping_sub(tp.copied_seq());
        let written = tp.write_seq();
        self.tx_queue = written.wrapping_sub(tp.snd_una());
    }
}
