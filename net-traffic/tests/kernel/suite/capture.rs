//! Packets of loopback: each is captured once in each direction, filtered, whole, and with its process.

use std::net::UdpSocket;
use std::ops::ControlFlow;

use libtest_mimic::{Failed, Trial};
use net_traffic::packet::{Direction, Interface, Packet};
use net_traffic::source::capture::{LiveCapture, LiveCaptureOptions};
use net_traffic::source::linux::traffic::NetNs;

use super::skips::{Reason, skip};

const PACKETS: usize = 20;

pub(super) fn trials() -> Vec<Trial> {
    vec![Trial::ignorable_test("capture::loopback", || match NetNs::enter_new() {
        Ok(_namespace) => capture().map(|()| libtest_mimic::Completion::Completed),
        Err(error) => skip("capture::loopback", &Reason::Rights(error)),
    })]
}

/// What is to be compared of a packet.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    direction: Option<Direction>,
    last: Option<u8>,
    length: u32,
    pid: Option<u32>,
}

fn capture() -> Result<(), Failed> {
    let options = LiveCaptureOptions {
        interfaces: vec!["lo".to_owned()],
        snaplen: 262_144,
        ring_kib: 256,
        owners: true,
        ..LiveCaptureOptions::default()
    };
    let mut live = LiveCapture::start(&options, "udp dst port 7200 and less 9000", true)?;
    let receiver = UdpSocket::bind("127.0.0.1:7200")?;
    let sender = UdpSocket::bind("127.0.0.1:0")?;
    for number in 0..PACKETS {
        let size = 1 + number * 250;
        sender.send_to(&vec![u8::try_from(number)?; size], "127.0.0.1:7200")?;
        sender.send_to(&[0; 100], "127.0.0.1:7201")?;
        receiver.recv(&mut [0; 9000])?;
    }
    let mut seen = Vec::new();
    let mut take = |_: &[Interface], packet: &Packet<'_>| {
        seen.push(Seen {
            direction: packet.direction,
            last: packet.data.last().copied(),
            length: packet.length,
            pid: packet.process.map(|process| process.pid),
        });
        ControlFlow::Continue(())
    };
    live.finish(Some(&mut take));
    let ledger = live.ledger();
    let expected: Vec<Seen> = (0..2 * PACKETS)
        .map(|place| Seen {
            direction: Some(if place % 2 == 0 { Direction::Out } else { Direction::In }),
            last: u8::try_from(place / 2).ok(),
            length: u32::try_from(14 + 20 + 8 + 1 + place / 2 * 250).unwrap_or(0),
            pid: live.without_owners().is_none().then(std::process::id),
        })
        .collect();
    if seen != expected {
        return Err(format!("{seen:#?}\n{ledger:?} {:?}", live.without_owners()).into());
    }
    if (ledger.received, ledger.dropped()) != (2 * PACKETS as u64, 0) {
        return Err(format!("{ledger:?}").into());
    }
    Ok(())
}
