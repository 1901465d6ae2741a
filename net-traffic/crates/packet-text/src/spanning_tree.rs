//! Spanning tree: configuration units of bridges (IEEE 802.1D, 802.1w, 802.1s).

use super::{mac, push};
use crate::dissect::{u16_at, u32_at};

/// The place of the version 3 length in an MSTP unit.
const VERSION3_LENGTH: usize = 36;
/// The least size of an MSTP unit.
const MSTP_MIN: usize = 102;

/// Appends a unit. `length` is its size, captured or not; a shorter one than its type requires is malformed.
pub(super) fn spanning_tree(text: &mut String, unit: &[u8], length: usize, verbose: bool) -> Option<()> {
    if length < 4 {
        text.push_str(" (invalid)");
        return Some(());
    }
    let (version, kind) = (*unit.get(2)?, *unit.get(3)?);
    let standard = match version {
        0 => "802.1d",
        2 => "802.1w",
        3 => "802.1s",
        4 => "802.1aq",
        other => {
            push(text, format_args!("STP Unknown STP protocol (0x{other:02x})"));
            return Some(());
        }
    };
    push(text, format_args!("STP {standard}, "));
    let is_long_enough = match (kind, version) {
        (0x00, _) => length >= 35,
        (0x02, 3 | 4) => mstp_is_consistent(unit, length)?,
        (0x02, _) => length >= 36,
        _ => true,
    };
    match kind {
        0x00 => text.push_str("Config"),
        0x02 => text.push_str("Rapid STP"),
        0x80 => text.push_str("Topology Change"),
        other => push(text, format_args!("Unknown BPDU Type (0x{other:02x})")),
    }
    if !is_long_enough {
        text.push_str(" (invalid)");
        return Some(());
    }
    match (kind, version) {
        (0x02, 3 | 4) => multiple_trees(text, unit, length),
        (0x00 | 0x02, _) => single_tree(text, unit, length, verbose),
        _ => Some(()),
    }
}

fn single_tree(text: &mut String, unit: &[u8], length: usize, verbose: bool) -> Option<()> {
    let flags = *unit.get(4)?;
    push(text, format_args!(", Flags [{}], bridge-id ", names(flags)));
    bridge(text, unit.get(17..25)?);
    push(text, format_args!(".{:04x}, length {length}", u16_at(unit, 25)?));
    if !verbose {
        return Some(());
    }
    // Times are in units of 1/256 s.
    let time = |at| u16_at(unit, at).map(|time| f64::from(time) / 256.0);
    push(text, format_args!("\n\tmessage-age {:.2}s, max-age {:.2}s, ", time(27)?, time(29)?));
    push(text, format_args!("hello-time {:.2}s, forwarding-delay {:.2}s\n\troot-id ", time(31)?, time(33)?));
    bridge(text, unit.get(5..13)?);
    push(text, format_args!(", root-pathcost {}", u32_at(unit, 13)?));
    if unit.get(3) == Some(&0x02) {
        let role = ["Unknown", "Alternate", "Root", "Designated"][usize::from(flags >> 2 & 3)];
        push(text, format_args!(", port-role {role}"));
    }
    Some(())
}

/// Appends the flags of the common tree of an MSTP unit.
fn multiple_trees(text: &mut String, unit: &[u8], length: usize) -> Option<()> {
    push(text, format_args!(", CIST Flags [{}], length {length}", names(*unit.get(4)?)));
    Some(())
}

/// Whether the length fields of an MSTP unit are consistent.
fn mstp_is_consistent(unit: &[u8], length: usize) -> Option<bool> {
    if length < MSTP_MIN {
        return Some(false);
    }
    let (old, more) = (*unit.get(35)?, usize::from(u16_at(unit, VERSION3_LENGTH)?));
    Some(old == 0 && length >= VERSION3_LENGTH + 2 + more)
}

fn names(flags: u8) -> String {
    let names: Vec<&str> = [
        (0x01, "Topology change"),
        (0x02, "Proposal"),
        (0x10, "Learn"),
        (0x20, "Forward"),
        (0x40, "Agreement"),
        (0x80, "Topology change ACK"),
    ]
    .into_iter()
    .filter_map(|(bit, name)| (flags & bit != 0).then_some(name))
    .collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Appends the priority and address of a bridge.
fn bridge(text: &mut String, octets: &[u8]) {
    let (priority, address) = octets.split_at(2);
    push(text, format_args!("{:02x}{:02x}.", priority[0], priority[1]));
    mac(text, address);
}
