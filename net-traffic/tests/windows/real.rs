//! Tests that need a real Windows and an administrator; CONTRIBUTING.md has the command. Wine lacks event tracing, the
//! packet monitor and TCP statistics.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::windows::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::MutexGuard;
use std::time::Duration;

use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, GenerateConsoleCtrlEvent};
use windows_sys::Win32::System::Threading::CREATE_NEW_PROCESS_GROUP;

use crate::program::{alone, find, number, program, reports, show, stderr};
use net_traffic_testing::schema::Json;

const BYTES: usize = 1 << 20;

/// The program, counting. The first report shows that it has started.
struct Counting {
    _alone: Option<MutexGuard<'static, ()>>,
    child: Child,
    out: std::io::BufReader<std::process::ChildStdout>,
}

impl Counting {
    /// The first instance holds the lock; a second one starts without it.
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
        net_traffic_testing::schema::check(line.trim());
        Json::parse(line.trim())
    }

    /// Reads reports until one satisfies the condition.
    fn until(&mut self, holds: impl Fn(&Json) -> bool) -> Json {
        for _ in 0..10 {
            let report = self.report();
            if holds(&report) {
                return report;
            }
        }
        panic!("ten reports, and none is as expected");
    }

    /// Sends Ctrl-Break; returns the exit status.
    fn stop(&mut self) -> Option<i32> {
        // SAFETY: the call takes numbers, and the process leads its own process group.
        assert_ne!(unsafe { GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, self.child.id()) }, 0);
        self.child.wait().unwrap().code()
    }
}

fn sessions() -> String {
    let output = Command::new("logman").args(["query", "-ets"]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The bytes of this process in a report.
fn own(report: &Json) -> Option<(f64, f64)> {
    let row = find(report, "processes", &[("pid", &std::process::id().to_string())])?;
    Some((number(row, "rx_bytes"), number(row, "tx_bytes")))
}

#[test]
#[ignore = "needs event tracing: a real Windows, as administrator"]
fn tcp_and_udp_bytes_are_exact() {
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
    // The end that closes first stays in TIME-WAIT for minutes.
    drop((server, client));
    let ended = counting
        .until(|report| find(report, "connections", &[("local.port", &port), ("closed", "true")]).is_some());
    let row = find(&ended, "connections", &[("local.port", &port), ("closed", "true")]).unwrap();
    assert_eq!(show(row, "tx_bytes"), of_connection);
    assert_eq!(counting.stop(), Some(0));
}

#[test]
#[ignore = "needs event tracing: a real Windows, as administrator"]
fn orphaned_session_is_taken_over() {
    let _alone = alone();
    let mut counting = Counting::start(None);
    assert!(sessions().contains("net-traffic"));
    // A second instance reports the first, and shows the tables.
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
fn run_counts_command_and_its_children() {
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
    // Without event tracing the numbers come from the TCP stack.
    assert!(number(row, "tx_bytes") > 0.0, "{row:?}");
    writer.join().unwrap();
    reader.join().unwrap().unwrap();
}

#[test]
#[ignore = "needs the packet monitor: Windows 11 or Server 2022, as administrator, with a network by cable or air"]
fn adapter_packets_are_captured_once_with_owner() {
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
        // The destination is a documentation network, so no host replies. Each datagram is one byte longer.
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
fn stopped_session_is_reported_and_tables_continue() {
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
