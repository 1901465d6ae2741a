//! The record of a socket for user space.

use core::ffi::c_void;

use aya_ebpf::bindings::BPF_RB_NO_WAKEUP;
use net_traffic_common::{CLOSED, FAMILY_INET, KERNEL_COUNTS, SocketCounters, SocketRecord, loss as causes};

use super::{loss, socket, tcp};
use crate::{
    kernel::{Memory, offset, read_octets},
    maps::{CLOSED_SOCKETS, OPEN_SOCKETS},
};

/// Copies the tuple, the interface and the namespace out of the socket, unless it has given them up already:
/// a socket that is destroyed has no port any more.
///
/// # Safety
/// `sk` points to a `struct sock` of the internet families that `M` can read.
#[inline(always)]
pub(crate) unsafe fn read_tuple<M: Memory>(sk: *const c_void, counters: &mut SocketCounters) {
    // SAFETY: as the caller promises.
    unsafe {
        let port: u16 = M::read(sk, offset!(skc_num));
        if port == 0 && counters.local_port != 0 {
            return;
        }
        counters.local_port = port;
        counters.family = M::read(sk, offset!(skc_family));
        counters.remote_port = u16::from_be(M::read(sk, offset!(skc_dport)));
        counters.ifindex = M::read(sk, offset!(skc_bound_dev_if));
        let net: u64 = M::read(sk, offset!(skc_net));
        counters.netns = M::read(net as *const c_void, offset!(net_inum));
        if counters.family == FAMILY_INET {
            let local: [u8; 4] = read_octets(sk, offset!(skc_rcv_saddr));
            let remote: [u8; 4] = read_octets(sk, offset!(skc_daddr));
            counters.local_address[..4].copy_from_slice(&local);
            counters.remote_address[..4].copy_from_slice(&remote);
        } else {
            counters.local_address = read_octets(sk, offset!(skc_v6_rcv_saddr));
            counters.remote_address = read_octets(sk, offset!(skc_v6_daddr));
        }
    }
}

/// Settles the socket's counters and writes what they and the socket say now to `record`.
///
/// # Safety
/// `sk` points to a `struct sock` that `M` can read, or is null when the socket can only be told from its
/// counters; `counters` is its live map value; `record` can be written.
#[inline(always)]
pub(crate) unsafe fn settle_into<M: Memory>(
    sk: *const c_void,
    counters: *mut SocketCounters,
    record: *mut SocketRecord,
    is_last: bool,
) {
    // SAFETY: as the caller promises.
    unsafe {
        let (mut rx, mut tx) = ((*counters).rx_bytes, (*counters).tx_bytes);
        let mut tcp_part = TcpPart::default();
        if !sk.is_null() {
            read_tuple::<M>(sk, &mut *counters);
            tcp_part.state = u32::from(M::read::<u8>(sk, offset!(skc_state)));
            if (*counters).flags & KERNEL_COUNTS != 0 {
                let tp = M::tcp(sk);
                if !tp.is_null() {
                    (rx, tx) = tcp::totals::<M>(tp, &*counters);
                    read_tcp::<M>(tp, &mut tcp_part);
                }
            }
        }
        socket::settle(counters, rx, tx, is_last);
        let c = &*counters;
        record.write(SocketRecord {
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
        });
    }
}

/// Settles the socket's counters and hands its record to the reader that walks; false, and nothing is done, if there is
/// no room.
///
/// # Safety
/// As for [`settle_into`].
#[inline(always)]
pub(crate) unsafe fn send_open<M: Memory>(sk: *const c_void, counters: *mut SocketCounters) -> bool {
    let Some(mut entry) = OPEN_SOCKETS.reserve(0) else { return false };
    // SAFETY: as the caller promises; the entry is ours until it is submitted.
    unsafe { settle_into::<M>(sk, counters, entry.as_mut_ptr(), false) };
    entry.submit(u64::from(BPF_RB_NO_WAKEUP));
    true
}

/// Sends the final record of a destroyed socket to user space.
///
/// # Safety
/// As for [`settle_into`].
#[inline(always)]
pub(crate) unsafe fn send_closed<M: Memory>(sk: *const c_void, counters: *mut SocketCounters) {
    if let Some(mut entry) = CLOSED_SOCKETS.reserve(0) {
        let record = entry.as_mut_ptr();
        // SAFETY: as the caller promises; the entry is ours until it is submitted.
        unsafe {
            settle_into::<M>(sk, counters, record, true);
            (*record).flags |= CLOSED;
        }
        entry.submit(0);
    } else {
        let mut record = SocketRecord::default();
        // SAFETY: as the caller promises. The row of the process gets its bytes all the same.
        unsafe { settle_into::<M>(sk, counters, &raw mut record, true) };
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

/// # Safety
/// `tp` points to a `struct tcp_sock` that `M` can read.
#[inline(always)]
unsafe fn read_tcp<M: Memory>(tp: *const c_void, part: &mut TcpPart) {
    // SAFETY: as the caller promises.
    unsafe {
        part.retransmitted_bytes = M::read(tp, offset!(bytes_retrans));
        part.srtt_us_8 = M::read(tp, offset!(srtt_us));
        part.mdev_us_4 = M::read(tp, offset!(mdev_us));
        part.retransmits = M::read(tp, offset!(total_retrans));
        part.cwnd = M::read(tp, offset!(snd_cwnd));
        part.mss = M::read(tp, offset!(mss_cache));
        let arrived: u32 = M::read(tp, offset!(rcv_nxt));
        part.rx_queue = arrived.wrapping_sub(M::read(tp, offset!(copied_seq)));
        let written: u32 = M::read(tp, offset!(write_seq));
        part.tx_queue = written.wrapping_sub(M::read(tp, offset!(snd_una)));
    }
}
