//! Sent and received packets have their process.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::Stdio;

use nix::sys::signal::Signal;

use super::network::{PEER, PEER6, Running, TestNetwork, has, net_traffic, run, text_of};

/// The text of the packets that `act` sends; `least` is their lowest possible number.
fn captured(network: &TestNetwork, interface: &str, filter: &str, least: u64, act: impl FnOnce()) -> String {
    let file = network.path("a.pcapng");
    let arguments = ["-i", interface, "-w", file.to_str().unwrap(), filter];
    let capture = Running::start(network, "capture", net_traffic(&arguments));
    assert!(!capture.messages().contains("packets have no process"), "{}", capture.messages());
    act();
    capture.wait_until_captured(least);
    let (status, messages) = capture.end(Signal::SIGINT);
    assert_eq!(status, Some(0), "{messages}");
    text_of(&net_traffic(&["-r", file.to_str().unwrap()]).output().unwrap())
}

/// Checks that every line has the process's name and PID, or ends with the PID.
fn all_of(text: &str, name: &str, pid: u32, least: usize) {
    assert!(text.lines().count() >= least, "{text}");
    for line in text.lines() {
        assert!(
            line.contains(&format!("{name}[{pid}]")) || line.ends_with(&format!("[{pid}]")),
            "{line}\n{text}"
        );
    }
}

#[test]
fn older_and_newer_sockets_have_their_process() {
    let Some(network) = TestNetwork::new() else { return };
    let own = std::process::id();
    for address in ["127.0.0.1", "::1"] {
        let older = TcpListener::bind((address, 7100)).unwrap();
        let older_udp = UdpSocket::bind((address, 7100)).unwrap();
        // Loopback shows each packet twice: sent and received.
        let least = 2 * (3 + 2 + 3 + 1);
        let text = captured(&network, "lo", "port 7100", least, || {
            let mut client = TcpStream::connect((address, 7100)).unwrap();
            let (mut server, _) = older.accept().unwrap();
            client.write_all(b"hello").unwrap();
            server.read_exact(&mut [0; 5]).unwrap();
            drop((client, server));
            let newer = UdpSocket::bind((address, 0)).unwrap();
            newer.send_to(b"hello", (address, 7100)).unwrap();
            older_udp.recv(&mut [0; 5]).unwrap();
        });
        all_of(&text, "it", own, usize::try_from(least).unwrap());
    }
}

#[test]
fn ping_echoes_have_their_process() {
    if !has("ping") {
        return;
    }
    let Some(network) = TestNetwork::new() else { return };
    for peer in [PEER, PEER6] {
        let echoes = "icmp[0] = 8 or icmp[0] = 0 or icmp6[0] = 128 or icmp6[0] = 129";
        let text = captured(&network, "va", echoes, 4, || {
            run("ping", &["-n", "-c", "2", "-i", "0.05", peer]);
        });
        assert_eq!(text.lines().filter(|line| line.contains(" ping[")).count(), 4, "{text}");
    }
}

#[test]
fn capture_of_command_has_only_its_packets() {
    if !has("ping") {
        return;
    }
    let Some(_network) = TestNetwork::new() else { return };
    let mut other = std::process::Command::new("ping");
    let mut other = other.args(["-n", "-i", "0.02", PEER]).stdout(Stdio::null()).spawn().unwrap();
    let output = net_traffic(&[
        "-i",
        "va",
        "icmp",
        "--",
        "sh",
        "-c",
        "ping -n -c 2 -i 0.05 10.9.0.2 >/dev/null; true",
    ])
    .output()
    .unwrap();
    drop(other.kill());
    drop(other.wait());
    let text = text_of(&output);
    assert_eq!(text.lines().count(), 4, "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.lines().all(|line| line.contains(" ping[")), "{text}");
    assert!(!text.contains(&format!("ping[{}]", other.id())));
}
