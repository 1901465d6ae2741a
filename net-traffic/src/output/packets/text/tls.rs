//! The name of the server that a TLS client asks for.

use super::super::dissect::u16_at;

/// The server's name, if the octets are the beginning of a connection and have one.
pub(super) fn server_name(data: &[u8]) -> Option<String> {
    const HANDSHAKE: u8 = 22;
    const CLIENT_HELLO: u8 = 1;
    if *data.first()? != HANDSHAKE || *data.get(5)? != CLIENT_HELLO {
        return None;
    }
    // Record header, handshake header, version, random.
    let session = 5 + 4 + 2 + 32;
    let suites = session + 1 + usize::from(*data.get(session)?);
    let methods = suites + 2 + usize::from(u16_at(data, suites)?);
    let mut at = methods + 1 + usize::from(*data.get(methods)?) + 2;
    loop {
        let (kind, length) = (u16_at(data, at)?, usize::from(u16_at(data, at + 2)?));
        if kind == 0 {
            // A list with one entry: its type and the name behind its length.
            let name = data.get(at + 9..at + 9 + usize::from(u16_at(data, at + 7)?))?;
            let is_name = name.iter().all(u8::is_ascii_graphic);
            return if is_name { String::from_utf8(name.to_vec()).ok() } else { None };
        }
        at += 4 + length;
    }
}
