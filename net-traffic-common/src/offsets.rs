//! Where the running kernel keeps the members that the programs read.

use crate::{Plain, loadable, plain};

/// A member of a kernel struct, and how its offset is found in the kernel's BTF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Struct and member; of nested structs one pair each, whose offsets are added up.
    pub path: &'static [(&'static str, &'static str)],
    pub unit: Unit,
    /// What stands for a member that this kernel lacks; `None`: nothing can be counted without the member.
    pub absent: Option<u32>,
}

/// What an offset is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Bytes,
    /// The member is a bit field.
    Bits,
}

/// One line per member: the field of [`Offsets`], the member by its kernel name (`struct.member`, with `/` into a
/// nested struct), and `or` the value that stands for a member that some kernels lack.
macro_rules! offsets {
    ($($(#[$doc:meta])* $field:ident: $($struct:ident.$member:ident)/+ $(in $unit:ident)? $(or $absent:expr)?,)+) => {
        /// Offsets of members of the kernel's structs, filled in by the loader from the kernel's own BTF.
        ///
        /// The programs read each as a constant: the loader freezes the section before the verifier runs. Members of
        /// `sock_common` and `sock` have the same offset in every kind of socket, because each begins with its `sock`.
        #[repr(C)]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Offsets {
            $($(#[$doc])* pub $field: u32,)+
        }

        // SAFETY: integers of one size need no padding.
        unsafe impl Plain for Offsets {}
        loadable!(Offsets);

        impl Offsets {
            /// What the object holds until the loader writes the kernel's offsets.
            pub const UNKNOWN: Self = Self { $($field: 0,)+ };

            /// All offsets, each as `find` returns it for its member.
            ///
            /// # Errors
            /// The first error of `find`.
            pub fn look_up<E>(mut find: impl FnMut(&Member) -> Result<u32, E>) -> Result<Self, E> {
                Ok(Self { $($field: find(&Member {
                    path: &[$((stringify!($struct), stringify!($member))),+],
                    unit: offsets!(@unit $($unit)?),
                    absent: offsets!(@absent $($absent)?),
                })?,)+ })
            }
        }
    };
    (@unit) => { Unit::Bytes };
    (@unit bits) => { Unit::Bits };
    (@absent) => { None };
    (@absent $absent:expr) => { Some($absent) };
}

/// The offset of a member that this kernel lacks.
pub const ABSENT: u32 = u32::MAX;

offsets! {
    skc_family: sock_common.skc_family,
    skc_state: sock_common.skc_state,
    skc_daddr: sock_common.skc_daddr,
    skc_rcv_saddr: sock_common.skc_rcv_saddr,
    skc_dport: sock_common.skc_dport,
    skc_num: sock_common.skc_num,
    skc_v6_daddr: sock_common.skc_v6_daddr,
    skc_v6_rcv_saddr: sock_common.skc_v6_rcv_saddr,
    skc_bound_dev_if: sock_common.skc_bound_dev_if,
    skc_net: sock_common.skc_net,
    skc_cookie: sock_common.skc_cookie,
    sk_protocol: sock.sk_protocol,
    sk_flags: sock_common.skc_flags,
    sk_lock_owned: sock.sk_lock / socket_lock_t.owned,
    net_inum: net.ns / ns_common.inum,
    copied_seq: tcp_sock.copied_seq,
    rcv_nxt: tcp_sock.rcv_nxt,
    write_seq: tcp_sock.write_seq,
    snd_una: tcp_sock.snd_una,
    snd_nxt: tcp_sock.snd_nxt,
    bytes_received: tcp_sock.bytes_received,
    bytes_acked: tcp_sock.bytes_acked,
    bytes_sent: tcp_sock.bytes_sent,
    bytes_retrans: tcp_sock.bytes_retrans,
    srtt_us: tcp_sock.srtt_us,
    mdev_us: tcp_sock.mdev_us,
    total_retrans: tcp_sock.total_retrans,
    snd_cwnd: tcp_sock.snd_cwnd,
    mss_cache: tcp_sock.mss_cache,
    /// Marks a subflow of an MPTCP connection. [`ABSENT`] without `CONFIG_MPTCP`.
    is_mptcp: tcp_sock.is_mptcp or ABSENT,
    task_flags: task_struct.flags,
    group_leader: task_struct.group_leader,
    start_boottime: task_struct.start_boottime,
    tgid: task_struct.tgid,
    pid: task_struct.pid,
    comm: task_struct.comm,
    socket_sk: socket.sk,
    signal: task_struct.signal,
    /// The threads of the process that have not begun to exit.
    live: signal_struct.live,
    task_cgroups: task_struct.cgroups,
    css_cgroup: cgroup_subsys_state.cgroup,
    cgroup_kn: cgroup.kn,
    cgroup_root: cgroup.root,
    kn_id: kernfs_node.id,
    hierarchy_id: cgroup_root.hierarchy_id,
    cred: task_struct.cred,
    cred_uid: cred.uid,
    /// The cgroup of version 2.
    dfl_cgrp: css_set.dfl_cgrp,
    /// What the stack has found out about the checksum. 0 if this kernel's BTF lacks the member.
    ip_summed: sk_buff.ip_summed in bits or 0,
    /// The packet's connection tracking entry. [`ABSENT`] also if entries have another layout than the programs read.
    nfct: sk_buff._nfct or ABSENT,
    /// The tuple of the original direction in such an entry.
    nf_tuple: nf_conn.tuplehash / nf_conntrack_tuple_hash.tuple or ABSENT,
    /// What maps store in the socket. This and the next three are [`ABSENT`] on kernels with another layout.
    sk_bpf_storage: sock.sk_bpf_storage or ABSENT,
    /// The cache slots, one pointer to `bpf_local_storage_data` each.
    storage_cache: bpf_local_storage.cache or ABSENT,
    /// The map that the value belongs to.
    storage_map: bpf_local_storage_data.smap or ABSENT,
    storage_value: bpf_local_storage_data.data or ABSENT,
    /// Set where the kernel itself takes the packets of a UDP socket.
    encap_rcv: udp_sock.encap_rcv or ABSENT,
}

/// The ID of the hierarchy of cgroup version 2.
pub const HIERARCHY_V2: u32 = 0;

plain! {
    /// The cgroup hierarchy that identifies containers.
    pub struct Hierarchy: 8 {
        /// The first field of a line in /proc/PID/cgroup.
        pub id: u32,
        /// Version 1: the offset in `css_set` of the pointer to the state of one of the hierarchy's controllers.
        pub subsystem: u32,
    }
}

plain! {
    /// The process whose descendants are traced, by its IDs in its own PID namespace. A `pid` of 0 traces none.
    pub struct Ancestor: 24 {
        /// Device and inode of its PID namespace.
        pub namespace_device: u64,
        pub namespace_inode: u64,
        pub pid: u32,
        pub reserved: u32,
    }
}

#[cfg(test)]
mod tests {
    use core::cell::RefCell;

    use super::{ABSENT, Member, Offsets, Unit};

    fn look_up(mut find: impl FnMut(&Member) -> u32) -> Offsets {
        Offsets::look_up::<()>(|member| Ok(find(member))).unwrap()
    }

    #[test]
    fn each_field_has_the_offset_of_its_member() {
        let offsets = look_up(|member| match member.path {
            [("sock_common", "skc_family")] => 16,
            [("sock", "sk_lock"), ("socket_lock_t", "owned")] => 144,
            [("udp_sock", "encap_rcv")] => 800,
            _ => 0,
        });
        let expected = Offsets { skc_family: 16, sk_lock_owned: 144, encap_rcv: 800, ..Offsets::UNKNOWN };
        assert_eq!(offsets, expected);
    }

    #[test]
    fn optional_members_name_their_substitute() {
        let offsets = look_up(|member| member.absent.unwrap_or(7));
        assert_eq!((offsets.skc_family, offsets.is_mptcp, offsets.ip_summed), (7, ABSENT, 0));
    }

    #[test]
    fn only_the_checksum_state_is_a_bit_field() {
        let found = RefCell::new(0);
        look_up(|member| {
            if member.unit == Unit::Bits {
                assert_eq!(member.path, [("sk_buff", "ip_summed")]);
                *found.borrow_mut() += 1;
            }
            0
        });
        assert_eq!(found.take(), 1);
    }

    #[test]
    fn look_up_stops_at_the_first_error() {
        assert_eq!(Offsets::look_up(|member| Err(member.path)), Err(&[("sock_common", "skc_family")][..]));
    }
}
