//! A packet of the stack: the context of a classifier, and its octets.

use core::{ffi::c_void, mem::MaybeUninit};

use aya_ebpf::{
    bindings::__sk_buff,
    helpers::generated::{bpf_skb_load_bytes, bpf_skb_load_bytes_relative, bpf_skb_pull_data},
    programs::TcContext,
};
use net_traffic_common::Plain;

use crate::socket_lookup::AnySk;

/// The context of a classifier, which is valid while the program runs.
#[derive(Clone, Copy)]
pub(crate) struct Skb(*mut __sk_buff);

/// From where octets are counted ([`enum bpf_hdr_start_off`][start]).
///
/// [start]: https://github.com/gregkh/linux/blob/v6.12.117/include/uapi/linux/bpf.h#L6191-L6195
#[derive(Clone, Copy)]
pub(crate) enum Start {
    MacHeader = 0,
    NetworkHeader = 1,
}

macro_rules! members {
    ($($(#[$doc:meta])* $member:ident,)*) => {
        $(
            $(#[$doc])*
            #[inline(always)]
            pub(crate) fn $member(self) -> u32 {
                // SAFETY: the program's context.
                unsafe { (*self.0).$member }
            }
        )*
    };
}

impl Skb {
    #[inline(always)]
    pub(crate) fn of(ctx: &TcContext) -> Self {
        Self(ctx.skb.skb)
    }

    members! {
        len,
        ifindex,
        /// The interface that received the packet; 0 for a packet of this host.
        ingress_ifindex,
        pkt_type,
        /// The Ethernet protocol in network order.
        protocol,
        gso_size,
        gso_segs,
        vlan_tci,
        vlan_proto,
    }

    /// Whether the packet has a VLAN tag, which the kernel keeps outside the packet's octets.
    #[inline(always)]
    pub(crate) fn is_vlan_tagged(self) -> bool {
        // SAFETY: the program's context.
        unsafe { (*self.0).vlan_present != 0 }
    }

    /// The socket that sent or will receive the packet.
    #[inline(always)]
    pub(crate) fn sk(self) -> Option<AnySk> {
        // SAFETY: the program's context, and a socket of it.
        unsafe { AnySk::new((*self.0).__bindgen_anon_2.sk) }
    }

    /// The context as helpers take it. Its value is the address of the `struct sk_buff`.
    #[inline(always)]
    pub(crate) fn as_ptr(self) -> *mut c_void {
        self.0.cast()
    }

    /// Copies `length` octets from the beginning of the packet; false if the kernel refuses.
    ///
    /// # Safety
    /// `to` has room for them.
    #[inline(always)]
    pub(crate) unsafe fn copy(self, to: *mut c_void, length: u32) -> bool {
        // SAFETY: the program's context, and as the caller promises.
        unsafe { bpf_skb_load_bytes(self.as_ptr(), 0, to, length) == 0 }
    }

    /// Reads octets at `at` behind `start`; `None` if the packet is too short.
    #[inline(always)]
    pub(crate) fn load<T: Plain>(self, at: u32, start: Start) -> Option<T> {
        let mut value = MaybeUninit::<T>::uninit();
        let to = value.as_mut_ptr().cast();
        // SAFETY: the helper fills the value unless it fails, and any bytes are one.
        unsafe {
            let failed =
                bpf_skb_load_bytes_relative(self.as_ptr(), at, to, size_of::<T>() as u32, start as u32);
            if failed == 0 { Some(value.assume_init()) } else { None }
        }
    }

    /// Reads octets from the beginning of the packet; zeros if the packet is too short. There is no branch on the
    /// helper's result, which older verifiers do not track.
    #[inline(always)]
    pub(crate) fn load_or_zeros<T: Plain + Default>(self, at: u32) -> T {
        let mut value = T::default();
        // SAFETY: the helper fills the value, with zeros when it fails, and any bytes are one.
        unsafe { bpf_skb_load_bytes(self.as_ptr(), at, (&raw mut value).cast(), size_of::<T>() as u32) };
        value
    }

    /// Moves up to `length` octets into the linear part, where helpers read them.
    #[inline(always)]
    pub(crate) fn pull(self, length: u32) {
        let whole = self.len();
        // SAFETY: the helper checks the length, and no pointer into the packet is held.
        unsafe { bpf_skb_pull_data(self.0, if whole < length { whole } else { length }) };
    }
}
