//! Packets that are in a file.

use std::path::Path;

use super::{Failure, Ledger, Writer, introduce, misread, unopened, unreadable};
use crate::config::capture::Capture;
use crate::source::system::Signals;
use net_traffic_capture::{UserFilter, UserFilterError, now_ns};
use pcap_io::{CaptureReader, Direction, LinkType};

pub(super) fn read(
    capture: &Capture,
    path: &Path,
    direction: Option<Direction>,
    expression: &str,
) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::Failed(format!("failed to start: {error}"));
    let signals = Signals::listen().map_err(failed)?;
    let mut file = CaptureReader::open(path).map_err(|error| unopened(path, &error))?;
    let mut filter = UserFilter::new(expression.to_owned(), capture.filter.optimize);
    let refused = |error: UserFilterError| match error {
        UserFilterError::Filter(error) => misread(expression, &error),
        UserFilterError::Link(_) => Failure::Usage(format!("filter: {error}")),
    };
    // What is wrong with the filter is said before anything is read, and where the file names no link type, the
    // usual one has to do for that.
    let links: Vec<LinkType> = file.interfaces().iter().map(|interface| interface.link).collect();
    for link in if links.is_empty() { vec![LinkType::ETHERNET] } else { links } {
        filter.compile(link).map_err(refused)?;
    }
    if let Some(interface) = file.interfaces().first() {
        introduce(&format!("reading from file {}", path.display()), interface);
    }
    let mut writer = Writer::new(&capture.to);
    let mut taken = 0;
    let ended = loop {
        let (interfaces, packet) = match file.next_packet() {
            Ok(Some(next)) => next,
            Ok(None) => break Ok(()),
            Err(error) => break Err(unreadable(path, &error)),
        };
        let other_direction =
            direction.is_some() && packet.direction.is_some() && packet.direction != direction;
        if !other_direction && filter.accepts(interfaces, &packet).map_err(refused)? {
            writer.packet(interfaces, &packet)?;
            taken += 1;
        }
        if signals.stopped() || capture.count.is_some_and(|count| taken >= count) {
            break Ok(());
        }
    };
    let ledger = Ledger { received: taken, captured: taken, ..Ledger::default() };
    writer.finish(file.interfaces(), &ledger, now_ns())?;
    signals.done();
    ended
}
