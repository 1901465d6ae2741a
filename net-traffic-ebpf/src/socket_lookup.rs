//! Sockets of packet programs: the socket of a packet, or a socket found by addresses and ports.

use core::{ffi::c_void, mem, ptr::NonNull};

use aya_ebpf::{
    bindings::{
        bpf_sock, bpf_sock_tuple, bpf_sock_tuple__bindgen_ty_1__bindgen_ty_1,
        bpf_sock_tuple__bindgen_ty_1__bindgen_ty_2,
    },
    helpers::generated::{
        bpf_get_listener_sock, bpf_sk_fullsock, bpf_sk_lookup_udp, bpf_sk_release, bpf_skc_lookup_tcp,
        bpf_tcp_sock,
    },
};

use crate::{
    kernel::{Memory, Untyped, offset},
    skb::Skb,
};

/// A socket that the kernel holds while the program runs: in full, or one of the small ones of handshakes and
/// `TIME_WAIT` ([`sk_fullsock`][full]).
///
/// [full]: https://github.com/gregkh/linux/blob/v6.12.117/include/net/sock.h#L2834-L2840
#[derive(Clone, Copy)]
pub(crate) struct AnySk(NonNull<bpf_sock>);

impl AnySk {
    /// # Safety
    /// `sk` is null or a socket that the verifier tracks and the kernel holds.
    #[inline(always)]
    pub(crate) unsafe fn new(sk: *mut bpf_sock) -> Option<Self> {
        NonNull::new(sk).map(Self)
    }

    /// The socket in full, if it is one.
    #[inline(always)]
    pub(crate) fn full(self) -> Option<FullSk> {
        // SAFETY: the type's invariant; the helper returns the socket or null.
        NonNull::new(unsafe { bpf_sk_fullsock(self.0.as_ptr()) }).map(FullSk)
    }

    /// The listener of a socket that is being accepted.
    #[inline(always)]
    pub(crate) fn listener(self) -> Option<FullSk> {
        // SAFETY: the type's invariant; the helper returns the listener or null.
        NonNull::new(unsafe { bpf_get_listener_sock(self.0.as_ptr()) }).map(FullSk)
    }
}

macro_rules! members {
    ($($(#[$doc:meta])* $method:ident: $member:ident,)*) => {
        $(
            $(#[$doc])*
            #[inline(always)]
            pub(crate) fn $method(self) -> u32 {
                // SAFETY: the type's invariant.
                unsafe { (*self.0.as_ptr()).$member }
            }
        )*
    };
}

/// A socket in full, which the kernel holds while the program runs.
#[derive(Clone, Copy)]
pub(crate) struct FullSk(NonNull<bpf_sock>);

impl FullSk {
    members! {
        family: family,
        /// `SOCK_STREAM` and the like.
        kind: type_,
        protocol: protocol,
        /// In host order.
        local_port: src_port,
    }

    /// The socket as the storage helper takes it.
    #[inline(always)]
    pub(crate) fn address(self) -> *const c_void {
        self.0.as_ptr().cast()
    }

    /// The sequence number that a TCP socket expects next.
    #[inline(always)]
    pub(crate) fn rcv_nxt(self) -> Option<u32> {
        // SAFETY: the type's invariant; the helper returns what is readable of a TCP socket, or null.
        unsafe {
            let tp = bpf_tcp_sock(self.0.as_ptr());
            if tp.is_null() { None } else { Some((*tp).rcv_nxt) }
        }
    }
}

/// A socket that a look-up found and referenced. Dropping it releases the reference, as the verifier demands.
pub(crate) struct FoundSk(NonNull<bpf_sock>);

impl FoundSk {
    #[inline(always)]
    pub(crate) fn state(&self) -> u32 {
        // SAFETY: the socket is referenced.
        unsafe { self.0.as_ref().state }
    }

    /// Whether the socket has a remote port.
    #[inline(always)]
    pub(crate) fn is_connected(&self) -> bool {
        // SAFETY: the socket is referenced.
        unsafe { self.0.as_ref().dst_port != 0 }
    }

    #[inline(always)]
    pub(crate) fn any(&self) -> AnySk {
        AnySk(self.0)
    }

    /// The socket in full, without a check: the state, or the kind of look-up, implies one.
    #[inline(always)]
    pub(crate) fn assume_full(&self) -> FullSk {
        FullSk(self.0)
    }

    /// Whether the kernel itself takes the packets of a UDP socket ([`encap_rcv`][encap]): a tunnel's. Such a socket
    /// stays in the namespace where it was created, also when its interface is moved to another.
    ///
    /// [encap]: https://github.com/gregkh/linux/blob/v6.12.117/net/ipv4/udp.c#L2185-L2208
    #[inline(always)]
    pub(crate) fn is_tunnel(&self) -> bool {
        let member = offset!(encap_rcv);
        if member == net_traffic_common::ABSENT {
            return false;
        }
        let sk: *const bpf_sock = self.0.as_ptr();
        // The verifier refuses reads beyond `struct bpf_sock`, so the socket's address is copied as a number.
        // SAFETY: the socket is referenced.
        unsafe {
            let address = Untyped::read::<u64>((&raw const sk).cast(), 0) as *const c_void;
            Untyped::read::<u64>(address, member) != 0
        }
    }
}

impl Drop for FoundSk {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: the look-up's reference, released once.
        unsafe { bpf_sk_release(self.0.as_ptr().cast()) };
    }
}

/// The network namespace of the packet's interface.
pub(crate) const CURRENT_NETNS: u64 = u64::MAX;

/// The TCP socket of these addresses and ports in a namespace. It may not be one in full.
#[inline(always)]
pub(crate) fn find_tcp(skb: Skb, tuple: &mut Tuple, netns: u64) -> Option<FoundSk> {
    // SAFETY: the program's context, and a tuple of its size.
    let sk = unsafe { bpf_skc_lookup_tcp(skb.as_ptr(), &raw mut tuple.tuple, tuple.size, netns, 0) };
    NonNull::new(sk).map(FoundSk)
}

/// The UDP socket of these addresses and ports in a namespace, in full.
#[inline(always)]
pub(crate) fn find_udp(skb: Skb, tuple: &mut Tuple, netns: u64) -> Option<FoundSk> {
    // SAFETY: as above.
    let sk = unsafe { bpf_sk_lookup_udp(skb.as_ptr(), &raw mut tuple.tuple, tuple.size, netns, 0) };
    NonNull::new(sk).map(FoundSk)
}

/// The key of a look-up. Its size gives the family.
pub(crate) struct Tuple {
    tuple: bpf_sock_tuple,
    size: u32,
}

impl Tuple {
    /// The tuple of a packet. Addresses and ports are in network order, an IPv4 address is in the first word.
    #[inline(always)]
    pub(crate) fn new(
        is_v6: bool,
        source: [u32; 4],
        destination: [u32; 4],
        source_port: u16,
        destination_port: u16,
    ) -> Self {
        // SAFETY: integers, for which zeros are a value.
        let mut tuple: bpf_sock_tuple = unsafe { mem::zeroed() };
        if is_v6 {
            tuple.__bindgen_anon_1.ipv6 = bpf_sock_tuple__bindgen_ty_1__bindgen_ty_2 {
                saddr: source,
                daddr: destination,
                sport: source_port,
                dport: destination_port,
            };
            Self { tuple, size: 36 }
        } else {
            tuple.__bindgen_anon_1.ipv4 = bpf_sock_tuple__bindgen_ty_1__bindgen_ty_1 {
                saddr: source[0],
                daddr: destination[0],
                sport: source_port,
                dport: destination_port,
            };
            Self { tuple, size: 12 }
        }
    }
}
