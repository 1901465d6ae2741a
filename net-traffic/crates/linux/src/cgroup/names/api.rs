//! Reads the name of a container from an engine's Unix socket, by Docker's API
//! (<https://docs.docker.com/reference/api/engine/>).

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

/// The timeout of a read or a write: an engine without an answer must not block the reports.
const TIMEOUT: Duration = Duration::from_secs(1);
/// The limit of an answer, which usually has some ten kilobytes.
const ANSWER_LIMIT: u64 = 1 << 20;

/// The name of the container with this id; `None` if the engine has no such container or does not answer.
pub(super) fn name(socket: &Path, id: &str) -> Option<String> {
    let answer = request(socket, id).ok()?;
    let name = container(&answer)?.get("Name")?.as_str()?.to_owned();
    Some(name).filter(|name| !name.is_empty())
}

fn request(socket: &Path, id: &str) -> io::Result<Vec<u8>> {
    let mut engine = UnixStream::connect(socket)?;
    engine.set_read_timeout(Some(TIMEOUT))?;
    engine.set_write_timeout(Some(TIMEOUT))?;
    // An HTTP 1.0 answer is not chunked, and the engine closes the connection at its end.
    let request = format!("GET /containers/{id}/json HTTP/1.0\r\nHost: localhost\r\n\r\n");
    engine.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    engine.take(ANSWER_LIMIT).read_to_end(&mut answer)?;
    Ok(answer)
}

/// The JSON body of an answer with status 200.
fn container(answer: &[u8]) -> Option<Value> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let (head, body) = answer.split_at_checked(end + 4)?;
    let status = head.split(|byte| *byte == b' ').nth(1)?;
    if status == b"200" { serde_json::from_slice(body).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;

    fn name_from(answer: &'static [u8]) -> Option<String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("engine.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let engine = thread::spawn(move || {
            let (client, _) = listener.accept().unwrap();
            // A single read may return a part of the request: read lines to the empty one.
            let mut lines = BufReader::new(&client).lines().map(Result::unwrap);
            let first = lines.next().unwrap();
            lines.find(String::is_empty).unwrap();
            (&client).write_all(answer).unwrap();
            first
        });
        let name = name(&path, "abc");
        assert_eq!(engine.join().unwrap(), "GET /containers/abc/json HTTP/1.0");
        name
    }

    #[test]
    fn name_is_read_from_the_answer() {
        let answer =
            b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{\"Id\":\"abc\",\"Name\":\"/web\"}";
        assert_eq!(name_from(answer).as_deref(), Some("/web"));
    }

    #[test]
    fn refused_or_malformed_answer_has_no_name() {
        assert_eq!(name_from(b"HTTP/1.0 404 Not Found\r\n\r\n{\"message\":\"No such container\"}"), None);
        assert_eq!(name_from(b"HTTP/1.0 200 OK\r\n\r\n{\"Na"), None);
        assert_eq!(name_from(b""), None);
        assert_eq!(name(Path::new("/nonexistent/engine.sock"), "abc"), None);
    }
}
