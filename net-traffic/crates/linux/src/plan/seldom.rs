//! What only some kernels do: slots for functions that others lack, where nothing is to be observed then.

use super::{Attach, Hook, Slot, Storage, hook, program};

/// Each function, and the slot that it takes.
pub const SELDOM: &[(&str, Slot)] = &[
    (
        "tcp_sendpage",
        Slot {
            name: "tcp_pages",
            required: false,
            covers: "which process sends on a TCP connection by sendfile and splice",
            hooks: &[
                hook!(None, Some(Storage::InSocket), "tcp_page_fx": Attach::Exit("tcp_sendpage")),
                hook!(None, Some(Storage::ByAddress), "tcp_page_kp": Attach::Probe("tcp_sendpage"),
                    "tcp_page_krp": Attach::ReturnProbe("tcp_sendpage")),
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
                hook!(None, Some(Storage::InSocket), "udp_page_fx": Attach::Exit("ip_append_page")),
                hook!(None, Some(Storage::ByAddress), "udp_page_kp": Attach::Probe("ip_append_page"),
                    "udp_page_krp": Attach::ReturnProbe("ip_append_page")),
            ],
        },
    ),
];

/// The slots of a kernel that has these functions.
pub fn needed(functions: &[&str]) -> impl Iterator<Item = &'static Slot> {
    SELDOM.iter().filter(|(function, _)| functions.contains(function)).map(|(_, slot)| slot)
}
