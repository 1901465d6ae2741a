//! A walk over the TCP sockets of a network namespace, for connections that no process holds: they wait in a
//! listener's queue or in a message (`SCM_RIGHTS`), so that a walk over descriptors does not find them.

use core::ffi::c_void;

use net_traffic_common::SocketCounters;

use crate::{
    account::{
        socket, storage,
        tcp::{self, CLOSE_WAIT, ESTABLISHED},
    },
    kernel::{Sk, Typed},
};

/// `struct bpf_iter__tcp`, since Linux 5.8.
#[repr(C)]
struct TcpSocket {
    meta: *const c_void,
    sk: *const c_void,
}

/// Runs after the hooks are attached: a socket without counters has moved no byte since. Bytes that it moved before
/// do not count. The kernel [holds the socket's lock][lock].
///
/// [lock]: https://github.com/gregkh/linux/blob/v6.12.117/net/ipv4/tcp_ipv4.c#L3366-L3367
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/tcp")]
extern "C" fn nt_unaccepted(ctx: *const TcpSocket) -> i32 {
    // SAFETY: the iterator's context.
    let sk = unsafe { (*ctx).sk };
    if sk.is_null() {
        return 0;
    }
    // SAFETY: the iterator's socket, which may be a small one.
    let sk = unsafe { Sk::<Typed>::new(sk) };
    let Some(tp) = sk.tcp() else { return 0 };
    if !matches!(tp.skc_state(), ESTABLISHED | CLOSE_WAIT) {
        return 0;
    }
    let mut initial = SocketCounters::default();
    if storage::get(tp.sk()).is_none() && socket::identify(tp.sk(), &mut initial) {
        (initial.rx_before, initial.tx_before) = tcp::lifetime(tp);
        tcp::rebase(tp, &mut initial, 0, 0);
        let _inserted = storage::get_or_insert(tp.sk(), &initial);
    }
    0
}
