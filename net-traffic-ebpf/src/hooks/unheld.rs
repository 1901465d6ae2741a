//! A walk over the TCP connections of a network namespace, for those that no process holds: they wait in a listener's
//! queue or in a message, and a walk over descriptors does not come by.

use core::ffi::c_void;

use net_traffic_common::SocketCounters;

use crate::{
    account::{
        socket, storage,
        tcp::{self, CLOSE_WAIT, ESTABLISHED},
    },
    kernel::{Memory, Typed, offset},
};

/// `struct bpf_iter__tcp`, since Linux 5.8.
#[repr(C)]
struct TcpSocket {
    meta: *const c_void,
    sk: *const c_void,
}

/// Runs once the hooks do: who has no counters by now has moved nothing under our eyes. What it moved before does not
/// count. The kernel holds the socket's lock meanwhile.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/tcp")]
extern "C" fn unheld(ctx: *const TcpSocket) -> i32 {
    // SAFETY: the iterator's context; the pointer in it may be null, or be to less than a socket.
    unsafe {
        let sk = (*ctx).sk;
        if sk.is_null() {
            return 0;
        }
        let tp = Typed::tcp(sk);
        if tp.is_null() || !matches!(Typed::read(tp, offset!(skc_state)), ESTABLISHED | CLOSE_WAIT) {
            return 0;
        }
        let mut initial = SocketCounters::default();
        if storage::get::<Typed>(tp).is_none() && socket::begin::<Typed>(tp, &mut initial) {
            (initial.rx_before, initial.tx_before) = tcp::lifetime::<Typed>(tp);
            tcp::rebase::<Typed>(tp, &mut initial, 0, 0);
            let _begun = storage::get_or_insert::<Typed>(tp, &initial);
        }
    }
    0
}
