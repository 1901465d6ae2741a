//! Reads packets from a file.

use std::path::Path;

use super::{Failure, Ledger, Writer, cannot_open, cannot_read, invalid_filter, note_source};
use crate::config::CaptureConfig;
use crate::source::system::Signals;
use net_traffic_capture::{UserFilter, UserFilterError, now_ns};
use pcap_io::{CaptureReader, Direction, LinkType};

pub(super) fn read(
    capture: &CaptureConfig,
    path: &Path,
    direction: Option<Direction>,
    expression: &str,
) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::Failed(format!("failed to start: {error}"));
    let signals = Signals::listen().map_err(failed)?;
    let mut file = CaptureReader::open(path).map_err(|error| cannot_open(path, &error))?;
    let mut filter = UserFilter::new(expression.to_owned(), capture.filter.optimize);
    let refused = |error: UserFilterError| match error {
        UserFilterError::Filter(error) => invalid_filter(expression, &error),
        UserFilterError::Link(_) => Failure::Usage(format!("filter: {error}")),
    };
    // An invalid filter is refused before a packet is read. A file without interfaces so far (pcapng) is checked as
    // Ethernet.
    let links: Vec<LinkType> = file.interfaces().iter().map(|interface| interface.link).collect();
    for link in if links.is_empty() { vec![LinkType::ETHERNET] } else { links } {
        filter.compile(link).map_err(refused)?;
    }
    if let Some(interface) = file.interfaces().first() {
        note_source(&format!("reading from file {}", path.display()), interface);
    }
    let mut writer = Writer::new(&capture.to);
    let mut captured = 0;
    let ended = loop {
        let (interfaces, packet) = match file.next_packet() {
            Ok(Some(next)) => next,
            Ok(None) => break Ok(()),
            Err(error) => break Err(cannot_read(path, &error)),
        };
        let other_direction =
            direction.is_some() && packet.direction.is_some() && packet.direction != direction;
        if !other_direction && filter.accepts(interfaces, &packet).map_err(refused)? {
            writer.packet(interfaces, &packet)?;
            captured += 1;
        }
        if signals.stopped() || capture.count.is_some_and(|count| captured >= count) {
            break Ok(());
        }
    };
    let ledger = Ledger { received: captured, captured, ..Ledger::default() };
    writer.finish(file.interfaces(), &ledger, now_ns())?;
    signals.done();
    ended
}
