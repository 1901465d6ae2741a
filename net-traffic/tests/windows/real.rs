//! What only a real Windows can show, as administrator: CONTRIBUTING.md says how to run it. Wine has neither event
//! tracing nor the packet monitor nor the stack's statistics.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::windows::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::MutexGuard;
use std::time::Duration;

use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, GenerateConsoleCtrlEvent};
use windows_sys::Win32::System::Threading::CREATE_NEW_PROCESS_GROUP;

use crate::program::{alone, find, number, program, reports, show, stderr};
use crate::support::schema::Json;

const BYTES: usize = 1 << 20;

/// The program, counting until it is asked to stop. It has begun when its first report is there.
struct Counting {
    _alone: Option<MutexGuard<'static, ()>>,
    child: Child,
    out: std::io::BufReader<std::process::ChildStdout>,
}

impl Counting {
    /// The lock is the first's; a second one is started beside it.
    fn start(alone: Option<MutexGuard<'static, ()>>) -> Self {
        let mut command = program();
        command.args(["top", "--json", "-d", "1"]).creation_flags(CREATE_NEW_PROCESS_GROUP);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let out = std::io::BufReader::new(child.stdout.take().unwrap());
        let mut counting = Self { _alone: alone, child, out };
        let first = counting.report();
        let source = find(&first, "sources", &[("slot", "counting")]).unwrap();
        assert_eq!(show(source, "tier"), "etw", "{source:?}");
        counting
    }

    fn report(&mut self) -> Json {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut self.out, &mut line).unwrap();
        crate::support::schema::check(line.trim());
        Json::parse(line.trim())
    }

    /// Reports until one holds.
    fn until(&mut self, holds: impl Fn(&Json) -> bool) -> Json {
        for _ in 0..10 {
            let report = self.report();
            if holds(&report) {
                return report;
            }
        }
        panic!("ten reports, and none is as expected");
    }

    /// Presses Ctrl-Break in its console; how it ended.
    fn stop(&mut self) -> Option<i32> {
        // SAFETY: takes numbers; the process leads a group of its own.
        assert_ne!(unsafe { GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, self.child.id()) }, 0);
        self.child.wait().unwrap().code()
    }
}

fn sessions() -> String {
    let output = Command::new("logman").args(["query", "-ets"]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What this process has received and sent, by this report.
fn own(report: &Json) -> Option<(f64, f64)> {
    let row = find(report, "processes", &[("pid", &std::process::id().to_string())])?;
    Some((number(row, "rx_bytes"), number(row, "tx_bytes")))
}

#[test]
#[ignore = "needs event tracing: a real Windows, as administrator"]
fn tcp_and_udp_are_counted_to_the_byte_by_process_and_connection() {
    let mut counting = Counting::start(Some(alone()));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let mut server = listener.accept().unwrap().0;
    let port = client.local_addr().unwrap().port().to_string();
    let writer = std::thread::spawn(move || client.write_all(&vec![7; BYTES]).map(|()| client));
    server.read_exact(&mut vec![0; BYTES]).unwrap();
    let client = writer.join().unwrap().unwrap();
    let (one, other) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    one.send_to(&[1; 1000], other.local_addr().unwrap()).unwrap();
    other.recv(&mut [0; 2000]).unwrap();
    #[expect(clippy::cast_precision_loss, reason = "a megabyte")]
    let (all, of_connection) = ((BYTES + 1000) as f64, BYTES.to_string());
    let report = counting.until(|report| own(report) == Some((all, all)));
    let row = find(&report, "connections", &[("local.port", &port)]).unwrap();
    assert_eq!(show(row, "tx_bytes"), of_connection);
    // Whoever closes first keeps its row for minutes.
    drop((server, client));
    let ended = counting
        .until(|report| find(report, "connections", &[("local.port", &port), ("closed", "true")]).is_some());
    let row = find(&ended, "connections", &[("local.port", &port), ("closed", "true")]).unwrap();
    assert_eq!(show(row, "tx_bytes"), of_connection);
    assert_eq!(counting.stop(), Some(0));
}

#[test]
#[ignore = "needs event tracing: a real Windows, as administrator"]
fn the_session_ends_with_the_program_and_an_orphan_is_taken_over() {
    let _alone = alone();
    let mut counting = Counting::start(None);
    assert!(sessions().contains("net-traffic"));
    // A second copy is told, and shows what it can.
    let second = program().args(["top", "-c", "1", "--json"]).output().unwrap();
    assert_eq!(second.status.code(), Some(0));
    assert!(stderr(&second).contains("another net-traffic is counting"), "{}", stderr(&second));
    assert_eq!(counting.stop(), Some(0));
    assert!(!sessions().contains("net-traffic"));
    let mut killed = Counting::start(None);
    killed.child.kill().unwrap();
    killed.child.wait().unwrap();
    assert!(sessions().contains("net-traffic"), "a killed program leaves its session behind");
    assert_eq!(Counting::start(None).stop(), Some(0));
    assert!(!sessions().contains("net-traffic"));
}

#[test]
#[ignore = "needs event tracing: a real Windows, as administrator"]
fn a_command_is_counted_with_what_it_starts() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let mut client = listener.accept().unwrap().0;
        let mut all = Vec::new();
        client.read_to_end(&mut all).unwrap();
        all.len()
    });
    let script = format!(
        "$c=New-Object Net.Sockets.TcpClient('127.0.0.1',{}); $c.Client.Send((New-Object byte[] 5000)); $c.Close()",
        address.port()
    );
    let _alone = alone();
    let output = program()
        .args(["run", "--json", "--", "cmd", "/c", "powershell", "-NoProfile", "-Command", &script])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(server.join().unwrap(), 5000);
    let report = Json::parse(String::from_utf8(output.stdout).unwrap().trim());
    let row = find(&report, "processes", &[("process", "powershell")]).unwrap();
    assert_eq!(show(row, "tx_bytes"), "5000");
}

#[test]
#[ignore = "needs TCP's statistics: a real Windows, as administrator"]
fn connections_have_round_trip_times() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let mut server = listener.accept().unwrap().0;
    let port = client.local_addr().unwrap().port();
    let writer = std::thread::spawn(move || {
        for _ in 0..30 {
            client.write_all(&[0; 1000]).unwrap();
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let reader = std::thread::spawn(move || std::io::copy(&mut server, &mut std::io::sink()));
    let reports = reports(&format!("-t -d 0.5 -c 3 --tier polling --port {port}"));
    let row = find(&reports[2], "connections", &[("local.port", &port.to_string())]).unwrap();
    assert_ne!((show(row, "retransmits"), show(row, "rtt_us")), ("null".to_owned(), "null".to_owned()));
    // Without event tracing they are the stack's own.
    assert!(number(row, "tx_bytes") > 0.0, "{row:?}");
    writer.join().unwrap();
    reader.join().unwrap().unwrap();
}

#[test]
#[ignore = "needs the packet monitor: Windows 11 or Server 2022, as administrator, with a network by cable or air"]
fn packets_of_an_adapter_are_captured_once_with_their_owner() {
    let doctor = &reports("doctor")[0];
    let capture = find(doctor, "slots", &[("slot", "capture")]).unwrap();
    assert_eq!(show(capture, "tier"), "pktmon", "{capture:?}");
    let own = std::process::id().to_string();
    let mut child = program()
        .args(["capture", "--json", "-c", "20", "udp port 9", "--pid", &own])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = child.stdout.take().unwrap();
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    let sender = std::thread::spawn(move || {
        // To a network for documentation: it leaves by the adapter, and nobody answers. Each is longer than those before.
        for length in 1..=100 {
            socket.send_to(&[7; 100][..length], "198.51.100.1:9").unwrap();
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let text = std::io::read_to_string(out).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    sender.join().unwrap();
    let packets: Vec<Json> =
        text.lines().map(Json::parse).filter(|it| it.get("report").text() == "packet").collect();
    assert_eq!(packets.len(), 20, "{text}");
    let lengths: Vec<f64> = packets.iter().map(|packet| number(packet, "length")).collect();
    assert!(
        lengths.is_sorted_by(|one, next| (next - one - 1.0).abs() < 0.5),
        "each once, none left out: {lengths:?}"
    );
    for packet in &packets {
        assert_eq!((show(packet, "pid"), show(packet, "direction")), (own.clone(), "out".to_owned()));
        assert_eq!(show(packet, "destination.address"), "198.51.100.1");
    }
}

#[test]
#[ignore = "needs event tracing: a real Windows, as administrator"]
fn a_session_that_somebody_stops_is_said_to_be_and_the_tables_go_on() {
    let mut counting = Counting::start(Some(alone()));
    let stopped = Command::new("logman").args(["stop", "net-traffic", "-ets"]).output().unwrap();
    assert!(stopped.status.success(), "{}", stderr(&stopped));
    let is_told = |report: &Json| {
        let source = find(report, "sources", &[("slot", "counting")]).unwrap();
        show(source, "tier") == "null" && show(source, "reason").contains("stopped from outside")
    };
    let report = counting.until(is_told);
    assert!(number(report.get("loss"), "missed_hooks") >= 1.0);
    let later = counting.report();
    assert!(is_told(&later));
    assert!(later.get("connections").list().iter().all(|row| show(row, "tx_bps") == "null"));
    assert_eq!(counting.stop(), Some(0));
}
