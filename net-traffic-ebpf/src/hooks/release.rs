//! A socket that is not TCP is created and released.

use aya_ebpf::{
    helpers::generated::bpf_get_socket_cookie,
    macros::{cgroup_sock, fentry},
    programs::{FEntryContext, SockContext},
};
use net_traffic_common::{KERNEL_COUNTS, UNOWNED};

use crate::{
    account::{process, record, socket, storage},
    kernel::{Memory, Sk, Socket, Typed, Untyped},
};

/// Runs when the last descriptor of a socket in a cgroup is closed, [from `inet_release`][release], since Linux 5.9.
/// The context is the socket. The verifier has it as a `struct bpf_sock`, which lacks most members.
///
/// [release]: https://github.com/gregkh/linux/blob/v6.12.117/net/ipv4/af_inet.c#L411-L419
#[cgroup_sock(sock_release)]
fn nt_release_cg(ctx: SockContext) -> i32 {
    // SAFETY: the socket of the context.
    let (sk, readable) = unsafe { (Sk::<Typed>::new(ctx.sock.cast()), Sk::<Untyped>::new(ctx.sock.cast())) };
    released(sk, readable);
    1
}

/// `int inet_release(struct socket *sock)`, since Linux 2.6.
#[fentry(function = "inet_release")]
fn nt_release_fe(ctx: FEntryContext) -> i32 {
    // SAFETY: the function's prototype.
    let socket = unsafe { Socket::<Typed>::new(ctx.arg(0)) };
    inet_release(socket);
    0
}

/// The same for kprobes and typed pointers.
#[inline(always)]
pub(super) fn inet_release<M: Memory>(socket: Socket<M>) {
    if let Some(sk) = socket.sk()
        && socket::is_inet(sk)
    {
        released(sk, sk);
    }
}

/// Runs when a socket in a cgroup is created, since Linux 4.10. The program makes the socket's cookie, which a kprobe
/// can read but not make.
#[cgroup_sock(sock_create)]
fn nt_sock_cookie(ctx: SockContext) -> i32 {
    // SAFETY: the socket of the context.
    unsafe { bpf_get_socket_cookie(ctx.sock.cast()) };
    1
}

/// Sends the final record of a socket, unless it is TCP, which is destroyed later. The socket may have been bound or
/// connected since its tuple was last read. `sk` and `readable` are one socket of an internet family.
#[inline(always)]
fn released<M: Memory, R: Memory>(sk: Sk<M>, readable: Sk<R>) {
    let Some(mut counters) = storage::of_tier(sk) else { return };
    if counters.owner() == UNOWNED {
        // The socket's bytes, if any, moved by calls without a hook. The process that closes the socket owned it.
        counters.set_owner(process::current());
    }
    if counters.flags() & KERNEL_COUNTS == 0 {
        socket::read_tuple(readable, counters.members());
        record::send_closed::<M>(None, counters);
        storage::remove(sk);
    }
}
