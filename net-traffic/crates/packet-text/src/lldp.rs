//! LLDP: the name of the neighbouring device.

use super::{hex, push};
use crate::dissect::u16_at;

const END: u16 = 0;
const SYSTEM_NAME: u16 = 5;

/// `length` is the size of the whole unit, captured or not.
pub(super) fn lldp(text: &mut String, data: &[u8], length: usize) -> Option<()> {
    push(text, format_args!("LLDP, length {length}"));
    let mut at = 0;
    while length >= at + 2 {
        let head = u16_at(data, at)?;
        let (kind, size) = (head >> 9, usize::from(head & 0x1ff));
        if kind == END || size == 0 {
            break;
        }
        let value = data.get(at + 2..at + 2 + size)?;
        if kind == SYSTEM_NAME {
            text.push_str(": ");
            hex::safe(text, value);
        }
        at += 2 + size;
    }
    Some(())
}
