//! The server name in a TLS `ClientHello`.

use crate::dissect::u16_at;

/// The server name (SNI), if the bytes are a `ClientHello` with one.
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
            // A list with one entry: its type, the length and the name.
            let name = data.get(at + 9..at + 9 + usize::from(u16_at(data, at + 7)?))?;
            let is_name = name.iter().all(u8::is_ascii_graphic);
            return if is_name { String::from_utf8(name.to_vec()).ok() } else { None };
        }
        at += 4 + length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHER: [u8; 6] = [0, 10, 0, 2, 0, 29];

    /// A record with a `ClientHello`: a session, two cipher suites, one compression method and these extensions.
    fn hello(extensions: &[u8]) -> Vec<u8> {
        let mut hello = vec![22, 3, 1, 0, 0, 1, 0, 0, 0, 3, 3];
        hello.extend([7; 32]);
        hello.extend([2, 9, 9, 0, 4, 0x13, 1, 0x13, 2, 1, 0]);
        hello.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
        hello.extend(extensions);
        hello
    }

    fn named(name: &[u8]) -> Vec<u8> {
        let length = u8::try_from(name.len()).unwrap();
        [&[0, 0, 0, length + 5, 0, length + 3, 0, 0, length], name].concat()
    }

    #[test]
    fn client_hello_gives_its_server_name() {
        let whole = hello(&[&OTHER, &named(b"example.org")[..]].concat());
        assert_eq!(server_name(&whole).as_deref(), Some("example.org"));
        for length in 0..whole.len() {
            assert_eq!(server_name(&whole[..length]), None, "{length} octets");
        }
    }

    #[test]
    fn other_bytes_give_no_server_name() {
        assert_eq!(server_name(&hello(&OTHER)), None);
        assert_eq!(server_name(&hello(&named(b"a\x1bb"))), None);
        let mut data = hello(&named(b"example.org"));
        data[0] = 23;
        assert_eq!(server_name(&data), None);
    }
}
