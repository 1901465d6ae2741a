//! Slots for kernel functions that only some versions have. A kernel without the function needs no hook for it.
//!
//! Linux 6.5 removed `tcp_sendpage` and `ip_append_page`; `sendfile(2)` and `splice(2)` call `sendmsg` since
//! (6.1: <https://github.com/gregkh/linux/blob/v6.1.192/net/ipv4/tcp.c#L1156>,
//! <https://github.com/gregkh/linux/blob/v6.1.192/net/ipv4/ip_output.c#L1365>).

use super::{Attach, Hook, Slot, Storage, hook, program};

/// Each function, and the slot that it takes.
pub const OPTIONAL_FUNCTIONS: &[(&str, Slot)] = &[
    (
        "tcp_sendpage",
        Slot {
            name: "tcp_pages",
            required: false,
            covers: "which process sends on a TCP connection by sendfile and splice",
            hooks: &[
                hook!(None, Some(Storage::InSocket), "nt_tcp_page_fx": Attach::Exit("tcp_sendpage")),
                hook!(None, Some(Storage::ByAddress), "nt_tcp_page_kp": Attach::Probe("tcp_sendpage"),
                    "nt_tcp_page_kr": Attach::ReturnProbe("tcp_sendpage")),
            ],
        },
    ),
    (
        "ip_append_page",
        Slot {
            name: "udp_pages",
            required: false,
            covers: "bytes sent by UDP by sendfile and splice",
            hooks: &[
                hook!(None, Some(Storage::InSocket), "nt_udp_page_fx": Attach::Exit("ip_append_page")),
                hook!(None, Some(Storage::ByAddress), "nt_udp_page_kp": Attach::Probe("ip_append_page"),
                    "nt_udp_page_kr": Attach::ReturnProbe("ip_append_page")),
            ],
        },
    ),
];

/// The slots of the functions that this kernel has.
pub fn optional_slots(has_function: impl Fn(&str) -> bool) -> impl Iterator<Item = &'static Slot> {
    OPTIONAL_FUNCTIONS.iter().filter(move |(function, _)| has_function(function)).map(|(_, slot)| slot)
}
