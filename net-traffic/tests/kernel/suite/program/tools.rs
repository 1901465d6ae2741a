//! `run` with common programs: the bytes of `curl`, `wget` and a pipeline equal the server's count.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use libtest_mimic::Failed;
use serde_json::Value;

use super::Check;
use super::report::{program, run};
use net_traffic_testing::report::{bytes, equal, rows};

/// The checks, with the tool that each needs.
pub(super) const CHECKS: &[(&str, &str, Check)] = &[
    ("run::curl", "curl", || one("curl -s -o /dev/null {url}", "curl")),
    ("run::wget", "wget", || one("wget -q -O /dev/null {url}", "wget")),
    ("run::parallel", "curl", parallel),
    ("run::pipeline", "curl", pipeline),
    ("run::failed_pipeline", "curl", failed_pipeline),
    ("run::output_file", "curl", output_file),
];

/// The length of a file; no multiple of a buffer size.
const BODY: usize = 3_000_001;

/// A server of files of this length, on loopback.
struct Server {
    address: SocketAddr,
    /// The bytes that each client received and sent, counted by this end.
    served: Receiver<(u64, u64)>,
}

impl Server {
    fn start() -> Result<Self, Failed> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let (tell, served) = channel();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let tell = tell.clone();
                thread::spawn(move || serve(stream).map(|moved| tell.send(moved)));
            }
        });
        Ok(Self { address, served })
    }

    fn url(&self) -> String {
        format!("http://{}/file", self.address)
    }

    /// The bytes that the next client received and sent.
    fn next(&self) -> Result<(u64, u64), Failed> {
        Ok(self.served.recv_timeout(std::time::Duration::from_mins(1))?)
    }
}

/// Reads a request up to its empty line, answers, and closes. Every path but `/file` is missing.
fn serve(stream: TcpStream) -> std::io::Result<(u64, u64)> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") && reader.read_line(&mut request)? > 0 {}
    let answer = if request.starts_with("GET /file ") {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\nConnection: close\r\n\r\n");
        [head.into_bytes(), vec![b'x'; BODY]].concat()
    } else {
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec()
    };
    let mut stream = stream;
    stream.write_all(&answer)?;
    Ok((answer.len() as u64, request.len() as u64))
}

fn shell(line: &str) -> Vec<String> {
    ["sh", "-c", line].map(str::to_owned).to_vec()
}

/// Checks one process and one connection against the server's count.
fn one(line: &str, name: &str) -> Result<(), Failed> {
    let server = Server::start()?;
    let words: Vec<String> = line.split(' ').map(|word| word.replace("{url}", &server.url())).collect();
    let (report, status) = run(&words)?;
    let moved = server.next()?;
    for table in ["processes", "connections"] {
        let found = rows(&report, table, |_| true);
        equal(table, &(found.len(), bytes(&found)), &(1, moved), &report)?;
        equal("name", &found[0]["process"], &Value::from(name), &report)?;
    }
    equal("status", &status, &Some(0), &report)
}

/// Three processes of a shell, each with its own bytes.
fn parallel() -> Result<(), Failed> {
    let server = Server::start()?;
    let url = server.url();
    let one = format!("curl -s -o /dev/null {url}");
    let (report, status) = run(&shell(&format!("{one} & {one} & {one} & wait")))?;
    let each = [server.next()?, server.next()?, server.next()?];
    let processes = rows(&report, "processes", |row| row["process"] == "curl");
    equal("processes", &processes.len(), &3, &report)?;
    for process in processes {
        equal("each", &bytes(&[process]), &each[0], &report)?;
    }
    equal("connections", &rows(&report, "connections", |_| true).len(), &3, &report)?;
    equal("status", &status, &Some(0), &report)
}

/// One program fetches, another one sends: each has its bytes; the shell and `wc` have none.
fn pipeline() -> Result<(), Failed> {
    let (from, to) = (Server::start()?, Server::start()?);
    let line = format!(
        "curl -s {} | tee /dev/null | wc -c | (read n; curl -s -o /dev/null \"{}?$n\")",
        from.url(),
        to.url()
    );
    let (report, status) = run(&shell(&line))?;
    let of_port = |port: u16| rows(&report, "connections", |row| row["remote"]["port"] == port);
    let (fetched, sent) = (of_port(from.address.port()), of_port(to.address.port()));
    equal("fetched", &(fetched.len(), bytes(&fetched)), &(1, from.next()?), &report)?;
    // The request contains the length that the pipeline printed.
    let (received, asked) = to.next()?;
    equal("sent", &(sent.len(), bytes(&sent)), &(1, (received, asked)), &report)?;
    let processes = rows(&report, "processes", |_| true);
    equal("only those that moved something", &processes.len(), &2, &report)?;
    equal("status", &status, &Some(0), &report)
}

/// The exit status is the shell's, which is that of its last program.
fn failed_pipeline() -> Result<(), Failed> {
    let server = Server::start()?;
    let (report, status) = run(&shell(&format!("true | curl -sf http://{}/nothing", server.address)))?;
    let moved = server.next()?;
    equal("bytes", &bytes(&rows(&report, "processes", |_| true)), &moved, &report)?;
    equal("curl's word for 404", &status, &Some(22), &report)?;
    equal("exit_status", &report["exit_status"], &Value::from(22), &report)
}

/// With JSON in a file, both outputs have the command's text only.
fn output_file() -> Result<(), Failed> {
    let server = Server::start()?;
    let file = tempfile::NamedTempFile::new()?;
    let path = file.path().display().to_string();
    let output = program(&["run", "--output", &path, "--", "curl", "-s", &server.url()]).output()?;
    let report: Value = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
    let moved = server.next()?;
    equal("bytes", &bytes(&rows(&report, "processes", |_| true)), &moved, &report)?;
    equal("what the command printed", &output.stdout.len(), &BODY, &report)?;
    equal("nothing else was said", &String::from_utf8_lossy(&output.stderr).as_ref(), &"", &report)?;
    equal("status", &output.status.code(), &Some(0), &report)?;
    let refused = program(&["run", "--output", "/nonexistent/file", "--", "true"]).output()?;
    equal("a file that cannot be", &refused.status.code(), &Some(1), &Value::Null)
}

/// Why the tool does not run.
pub(super) fn missing(program: &'static str) -> Option<String> {
    Command::new(program).arg("--version").output().err().map(|error| error.to_string())
}
