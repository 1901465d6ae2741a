//! Asks an engine for a container's name over its Unix socket, in the language of Docker's API.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

/// An engine that does not answer must not stop the reports.
const PATIENCE: Duration = Duration::from_secs(1);
/// An answer is some ten kilobytes.
const LONGEST: u64 = 1 << 20;

/// The name of the container of this id, if the engine has one.
pub(super) fn name(socket: &Path, id: &str) -> Option<String> {
    let answer = ask(socket, id).ok()?;
    let name = container(&answer)?.get("Name")?.as_str()?.to_owned();
    Some(name).filter(|name| !name.is_empty())
}

fn ask(socket: &Path, id: &str) -> io::Result<Vec<u8>> {
    let mut engine = UnixStream::connect(socket)?;
    engine.set_read_timeout(Some(PATIENCE))?;
    engine.set_write_timeout(Some(PATIENCE))?;
    // An answer of HTTP 1.0 comes in one piece and ends the connection.
    write!(engine, "GET /containers/{id}/json HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = Vec::new();
    engine.take(LONGEST).read_to_end(&mut answer)?;
    Ok(answer)
}

/// The body of an answer that is no refusal.
fn container(answer: &[u8]) -> Option<Value> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let (head, body) = answer.split_at_checked(end + 4)?;
    let status = head.split(|byte| *byte == b' ').nth(1)?;
    if status == b"200" { serde_json::from_slice(body).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;

    fn name_from(answer: &'static [u8]) -> Option<String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("engine.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let engine = thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let mut request = [0; 256];
            let length = client.read(&mut request).unwrap();
            client.write_all(answer).unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let name = name(&path, "abc");
        assert!(engine.join().unwrap().starts_with("GET /containers/abc/json HTTP/1.0\r\n"));
        name
    }

    #[test]
    fn the_name_is_in_the_answer() {
        let answer =
            b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{\"Id\":\"abc\",\"Name\":\"/web\"}";
        assert_eq!(name_from(answer).as_deref(), Some("/web"));
    }

    #[test]
    fn a_refusal_or_nonsense_is_no_name() {
        assert_eq!(name_from(b"HTTP/1.0 404 Not Found\r\n\r\n{\"message\":\"No such container\"}"), None);
        assert_eq!(name_from(b"HTTP/1.0 200 OK\r\n\r\n{\"Na"), None);
        assert_eq!(name_from(b""), None);
        assert_eq!(name(Path::new("/nonexistent/engine.sock"), "abc"), None);
    }
}
