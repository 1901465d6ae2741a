//! Pointers to the kernel's structs. Each type states once what its pointer points to; members are read without
//! `unsafe`.

use core::{ffi::c_void, marker::PhantomData};

use aya_ebpf::helpers::bpf_get_current_task_btf;
use net_traffic_common::{HIERARCHY_V2, ProcessKey};

use super::{HIERARCHY, Memory, Typed, Untyped, constant, offset, read_octets};

/// Declares a pointer type, and for each member a method that reads it.
macro_rules! kernel_struct {
    ($(#[$doc:meta])* $name:ident { $($(#[$member_doc:meta])* $member:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub(crate) struct $name<M> {
            address: *const c_void,
            memory: PhantomData<M>,
        }

        impl<M: Memory> $name<M> {
            /// # Safety
            /// `address` points to such a struct, which lives while the program runs, and `M` can read it: the
            /// verifier tracks the type, or the memory is probed.
            #[inline(always)]
            pub(crate) unsafe fn new(address: *const c_void) -> Self {
                Self { address, memory: PhantomData }
            }

            $(
                $(#[$member_doc])*
                #[inline(always)]
                pub(crate) fn $member(self) -> $type {
                    // SAFETY: `new` got such a struct, and the loader found the member's offset.
                    unsafe { M::read(self.address, offset!($member)) }
                }
            )*
        }
    };
}

kernel_struct! {
    /// A pointer to a `struct sock`, or to the `struct sock_common` of a smaller socket. The verifier refuses
    /// programs that read `sk_*` of the latter.
    Sk {
        skc_family: u16,
        skc_state: u8,
        /// The local port in host order.
        skc_num: u16,
        /// The remote port in network order.
        skc_dport: u16,
        skc_bound_dev_if: u32,
        sk_protocol: u16,
        /// Not 0 while a process holds the socket's lock: a softirq [does not set it][owned].
        ///
        /// [owned]: https://github.com/gregkh/linux/blob/v6.12.117/include/net/sock.h#L1768-L1772
        sk_lock_owned: u32,
    }
}

kernel_struct! {
    /// A pointer to a `struct tcp_sock`, [which begins][begins] with its `struct sock`.
    ///
    /// [begins]: https://github.com/gregkh/linux/blob/v6.12.117/include/linux/tcp.h#L199
    TcpSk {
        skc_state: u8,
        sk_flags: u64,
        copied_seq: u32,
        rcv_nxt: u32,
        write_seq: u32,
        snd_una: u32,
        snd_nxt: u32,
        bytes_received: u64,
        bytes_acked: u64,
        bytes_sent: u64,
        bytes_retrans: u64,
        srtt_us: u32,
        mdev_us: u32,
        total_retrans: u32,
        snd_cwnd: u32,
        mss_cache: u32,
    }
}

kernel_struct! {
    /// A pointer to a `struct task_struct`.
    Task {
        task_flags: u32,
        tgid: u32,
        pid: u32,
        start_boottime: u64,
    }
}

kernel_struct! {
    /// A pointer to a `struct socket`.
    Socket {}
}

kernel_struct! {
    /// A pointer to a `struct cgroup`.
    Cgroup {}
}

impl<M: Memory> Sk<M> {
    #[inline(always)]
    pub(crate) fn address(self) -> *const c_void {
        self.address
    }

    /// The socket as a TCP socket, if it is one.
    #[inline(always)]
    pub(crate) fn tcp(self) -> Option<TcpSk<M>> {
        // SAFETY: `new` got a socket.
        let tp = unsafe { M::tcp(self.address) };
        // SAFETY: what is not null is a TCP socket.
        if tp.is_null() { None } else { Some(unsafe { TcpSk::new(tp) }) }
    }

    /// The socket's cookie; 0 if it has none and the program cannot make one.
    #[inline(always)]
    pub(crate) fn cookie(self) -> u64 {
        // SAFETY: `new` got a socket.
        unsafe { M::cookie(self.address) }
    }

    /// The inode of the socket's network namespace.
    #[inline(always)]
    pub(crate) fn netns(self) -> u32 {
        // SAFETY: `new` got a socket, which points to its namespace.
        unsafe {
            let net: u64 = M::read(self.address, offset!(skc_net));
            M::read(net as *const c_void, offset!(net_inum))
        }
    }

    /// In network order.
    #[inline(always)]
    pub(crate) fn local_v4(self) -> [u8; 4] {
        // SAFETY: `new` got a socket.
        unsafe { read_octets(self.address, offset!(skc_rcv_saddr)) }
    }

    /// In network order.
    #[inline(always)]
    pub(crate) fn remote_v4(self) -> [u8; 4] {
        // SAFETY: `new` got a socket.
        unsafe { read_octets(self.address, offset!(skc_daddr)) }
    }

    #[inline(always)]
    pub(crate) fn local_v6(self) -> [u8; 16] {
        // SAFETY: `new` got a socket.
        unsafe { read_octets(self.address, offset!(skc_v6_rcv_saddr)) }
    }

    #[inline(always)]
    pub(crate) fn remote_v6(self) -> [u8; 16] {
        // SAFETY: `new` got a socket.
        unsafe { read_octets(self.address, offset!(skc_v6_daddr)) }
    }
}

impl<M: Memory> TcpSk<M> {
    #[inline(always)]
    pub(crate) fn sk(self) -> Sk<M> {
        // SAFETY: a TCP socket begins with its `struct sock`.
        unsafe { Sk::new(self.address) }
    }

    /// Whether the socket is a subflow of an MPTCP connection, whose bytes belong to the connection's own socket.
    #[inline(always)]
    pub(crate) fn is_subflow(self) -> bool {
        let member = offset!(is_mptcp);
        // SAFETY: `new` got a TCP socket, and this kernel has the member.
        member != net_traffic_common::ABSENT && unsafe { M::read::<u8>(self.address, member) & 1 != 0 }
    }
}

impl<M: Memory> Socket<M> {
    /// The protocol's part of the socket; `None` once it is released.
    #[inline(always)]
    pub(crate) fn sk(self) -> Option<Sk<M>> {
        // SAFETY: `new` got a `struct socket`.
        let sk = unsafe { M::read::<u64>(self.address, offset!(socket_sk)) } as *const c_void;
        // SAFETY: what is not null is a `struct sock`.
        if sk.is_null() { None } else { Some(unsafe { Sk::new(sk) }) }
    }
}

impl Task<Typed> {
    /// The thread that runs now.
    #[inline(always)]
    pub(crate) fn current() -> Self {
        // SAFETY: the helper returns the current task, with a type that the verifier tracks.
        unsafe { Self::new(bpf_get_current_task_btf().cast()) }
    }

    /// Whether the thread is one of the kernel's own ([`PF_KTHREAD`]).
    ///
    /// [`PF_KTHREAD`]: https://github.com/gregkh/linux/blob/v6.12.117/include/linux/sched.h#L1713
    #[inline(always)]
    pub(crate) fn is_kernel_thread(self) -> bool {
        const PF_KTHREAD: u32 = 0x0020_0000;
        self.task_flags() & PF_KTHREAD != 0
    }

    /// How many threads of the process have not begun to exit. `do_exit` [decrements it][live] before the tracepoint
    /// `sched_process_exit`.
    ///
    /// [live]: https://github.com/gregkh/linux/blob/v6.12.117/kernel/exit.c#L907
    #[inline(always)]
    pub(crate) fn live_threads(self) -> u32 {
        // SAFETY: `new` got a task, which points to its `signal_struct`.
        unsafe {
            let signal = Typed::read::<u64>(self.address, offset!(signal)) as *const c_void;
            Typed::read(signal, offset!(live))
        }
    }
}

impl<M: Memory> Task<M> {
    /// The first thread of the thread's process.
    #[inline(always)]
    pub(crate) fn group_leader(self) -> Self {
        // SAFETY: `new` got a task, which has a leader.
        unsafe { Self::new(M::read::<u64>(self.address, offset!(group_leader)) as *const c_void) }
    }

    /// The key of the process whose leader the task is.
    #[inline(always)]
    pub(crate) fn process_key(self) -> ProcessKey {
        const TICK_NS: u64 = 10_000_000;
        let (pid, start_ns) = (self.tgid(), self.start_boottime());
        ProcessKey::new(pid, (start_ns / TICK_NS) as u32)
    }

    /// The thread's name, NUL-terminated.
    #[inline(always)]
    pub(crate) fn comm(self) -> [u8; 16] {
        // SAFETY: `new` got a task.
        unsafe { read_octets(self.address, offset!(comm)) }
    }

    /// The real UID.
    #[inline(always)]
    pub(crate) fn uid(self) -> u32 {
        // SAFETY: `new` got a task; what cannot be read is zero.
        unsafe {
            let cred = Untyped::read::<u64>(self.address, offset!(cred)) as *const c_void;
            Untyped::read(cred, offset!(cred_uid))
        }
    }

    /// The ID of the task's cgroup in the reported hierarchy.
    #[inline(always)]
    pub(crate) fn cgroup_id(self) -> u64 {
        // SAFETY: `new` got a task; what cannot be read is zero.
        unsafe {
            let set = Untyped::read::<u64>(self.address, offset!(task_cgroups)) as *const c_void;
            let cgroup = if constant(&HIERARCHY.id) == HIERARCHY_V2 {
                Untyped::read::<u64>(set, offset!(dfl_cgrp)) as *const c_void
            } else {
                let state = Untyped::read::<u64>(set, constant(&HIERARCHY.subsystem)) as *const c_void;
                Untyped::read::<u64>(state, offset!(css_cgroup)) as *const c_void
            };
            Cgroup::<Untyped>::new(cgroup).id()
        }
    }
}

impl<M: Memory> Cgroup<M> {
    #[inline(always)]
    pub(crate) fn id(self) -> u64 {
        // SAFETY: `new` got a cgroup, which points to its kernfs node.
        unsafe {
            let node = M::read::<u64>(self.address, offset!(cgroup_kn)) as *const c_void;
            M::read(node, offset!(kn_id))
        }
    }

    /// The ID of the hierarchy that the cgroup is in.
    #[inline(always)]
    pub(crate) fn hierarchy_id(self) -> u32 {
        // SAFETY: `new` got a cgroup, which points to its root.
        unsafe {
            let root = M::read::<u64>(self.address, offset!(cgroup_root)) as *const c_void;
            M::read(root, offset!(hierarchy_id))
        }
    }
}
