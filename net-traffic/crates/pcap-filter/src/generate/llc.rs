//! `llc`: 802.2 frames by the type in their control field.

use super::super::bpf;
use super::super::error::FilterErrorKind;
use super::condition::CondId;
use super::layers::Link;
use super::offset::Origin;
use super::{Generator, Result};

/// The offset of the control field.
const CONTROL: u32 = 2;

impl Generator<'_> {
    pub(super) fn llc(&mut self, name: Option<&str>) -> Result<CondId> {
        if self.layers.link != Link::Ethernet {
            return Err(FilterErrorKind::NotOnThisLink { what: "llc", linktype: self.layers.link.name() });
        }
        let length = self.has_length();
        // A raw 802.3 frame of Novell has no 802.2 header: it begins with a checksum of all ones.
        let novell = self.equal(Origin::Llc.half(0), 0xffff);
        let not_novell = self.conditions.not(novell);
        let llc = self.conditions.and(length, not_novell);
        let Some(name) = name else { return Ok(llc) };
        let control = if name.eq_ignore_ascii_case("i") {
            let other = self.compare(Origin::Llc.byte(CONTROL), bpf::JSET, 1);
            self.conditions.not(other)
        } else {
            let (value, mask) = control(name)
                .ok_or_else(|| FilterErrorKind::UnknownName { what: "LLC type", name: name.to_owned() })?;
            self.masked_equal(Origin::Llc.byte(CONTROL), value, mask)
        };
        Ok(self.conditions.and(llc, control))
    }
}

/// The control field of a frame type, and its mask.
fn control(name: &str) -> Option<(u32, u32)> {
    const KIND: u32 = 0x03;
    const SUPERVISORY: u32 = 0x0f;
    const UNNUMBERED: u32 = 0xef;
    Some(match name.to_ascii_lowercase().as_str() {
        "s" => (0x01, KIND),
        "u" => (0x03, KIND),
        "rr" => (0x01, SUPERVISORY),
        "rnr" => (0x05, SUPERVISORY),
        "rej" => (0x09, SUPERVISORY),
        "ui" => (0x03, UNNUMBERED),
        "dm" => (0x0f, UNNUMBERED),
        "disc" => (0x43, UNNUMBERED),
        "ua" => (0x63, UNNUMBERED),
        "sabme" => (0x6f, UNNUMBERED),
        "frmr" => (0x87, UNNUMBERED),
        "xid" => (0xaf, UNNUMBERED),
        "test" => (0xe3, UNNUMBERED),
        _ => return None,
    })
}
