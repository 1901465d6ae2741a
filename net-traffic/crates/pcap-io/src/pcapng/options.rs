//! Options: a code, a length, and a value that is padded to four bytes. Their codes by block type.

use crate::endian::Endian;

/// Options of every block.
pub(super) const OPT_ENDOFOPT: u16 = 0;
pub(super) const OPT_COMMENT: u16 = 1;
/// Options of the Section Header Block.
pub(super) const SHB_HARDWARE: u16 = 2;
pub(super) const SHB_OS: u16 = 3;
pub(super) const SHB_USERAPPL: u16 = 4;
/// Options of the Interface Description Block.
pub(super) const IF_NAME: u16 = 2;
pub(super) const IF_DESCRIPTION: u16 = 3;
pub(super) const IF_TSRESOL: u16 = 9;
pub(super) const IF_FILTER: u16 = 11;
pub(super) const IF_TSOFFSET: u16 = 14;
/// Options of the Enhanced Packet Block.
pub(super) const EPB_FLAGS: u16 = 2;
pub(super) const EPB_DROPCOUNT: u16 = 4;
/// Two words: the process id and the thread id, 0 for an unknown one.
pub(super) const EPB_PROCESSID_THREADID: u16 = 8;
/// Options of the Interface Statistics Block.
pub(super) const ISB_STARTTIME: u16 = 2;
pub(super) const ISB_ENDTIME: u16 = 3;
pub(super) const ISB_IFRECV: u16 = 4;
pub(super) const ISB_FILTERACCEPT: u16 = 6;
pub(super) const ISB_OSDROP: u16 = 7;
pub(super) const ISB_USRDELIV: u16 = 8;

/// The first byte of [`IF_FILTER`] if the rest is an expression.
pub(super) const FILTER_EXPRESSION: u8 = 0;

/// The well-formed options at the start of a block's options, up to `opt_endofopt`.
pub(super) struct Options<'a> {
    endian: Endian,
    rest: &'a [u8],
}

impl<'a> Options<'a> {
    pub(super) fn new(endian: Endian, rest: &'a [u8]) -> Self {
        Self { endian, rest }
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let code = self.endian.u16(self.rest, 0).filter(|code| *code != OPT_ENDOFOPT)?;
        let length = usize::from(self.endian.u16(self.rest, 2)?);
        let value = self.rest.get(4..4 + length)?;
        self.rest = self.rest.get((4 + length).next_multiple_of(4)..).unwrap_or(&[]);
        Some((code, value))
    }
}

/// The value of an option that is text.
pub(super) fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).trim_end_matches('\0').to_owned()
}

/// Appends an option. A value is cut at 65535 bytes, which the 16-bit length allows.
pub(super) fn append(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    let value = &value[..length.into()];
    out.extend_from_slice(&head(code, length).to_le_bytes());
    out.extend_from_slice(value);
    pad(out, value.len());
}

/// Appends `opt_endofopt`.
pub(super) fn append_end(out: &mut Vec<u8>) {
    out.extend_from_slice(&head(OPT_ENDOFOPT, 0).to_le_bytes());
}

/// The first word of an option.
pub(super) fn head(code: u16, length: u16) -> u32 {
    u32::from(code) | u32::from(length) << 16
}

/// Appends the zeros that follow `length` bytes up to a multiple of four.
pub(super) fn pad(out: &mut Vec<u8>, length: usize) {
    out.extend_from_slice(&[0; 3][..length.next_multiple_of(4) - length]);
}
