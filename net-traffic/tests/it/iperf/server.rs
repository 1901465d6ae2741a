//! A server survives clients of every kind, and disconnects of every kind.

use std::io::{Read, Write};
use std::net::TcpStream;

use nix::sys::signal::Signal;

use super::network::{End, IPERF3, OURS, Program, THERE, TestNetwork, in_network};

/// iperf3 sends no data before the test runs at both ends.
const MEGABYTE: u64 = 1 << 20;

/// Checks that a whole test still succeeds.
fn serves(network: &TestNetwork, server: &mut Program, port: u16, after: &str) {
    let ended = network.start(End::Here, IPERF3, &format!("-c {THERE} -p {port} -n 1M")).end();
    assert_eq!(ended.code, Some(0), "after {after}: {}{}", ended.out, ended.err);
    assert!(server.is_running(), "after {after}");
}

fn connect(network: &TestNetwork, port: u16) -> TcpStream {
    network.inside(End::Here, || TcpStream::connect((THERE, port)).unwrap())
}

#[test]
fn server_survives_garbage_and_early_disconnects() {
    in_network("server_survives_garbage_and_early_disconnects", |network| {
        let mut server = network.serve(End::There, OURS, 5501, "");
        connect(network, 5501).write_all(b"GET / HTTP/1.1\r\nHost: somebody who is lost\r\n\r\n").unwrap();
        serves(network, &mut server, 5501, "a browser");
        let mut huge = connect(network, 5501);
        huge.write_all(&[b'c'; 37]).unwrap();
        huge.read_exact(&mut [0]).unwrap();
        huge.write_all(&[0xff; 4]).unwrap();
        drop(huge);
        serves(network, &mut server, 5501, "parameters of 4 GiB");
        for _ in 0..100 {
            drop(connect(network, 5501));
        }
        serves(network, &mut server, 5501, "a hundred that came and went");
        for _ in 0..100 {
            serves(network, &mut server, 5501, "a test");
        }
    });
}

#[test]
fn half_handshake_does_not_block_other_clients() {
    in_network("half_handshake_does_not_block_other_clients", |network| {
        let mut server = network.serve(End::There, OURS, 5502, "");
        let mut silent = connect(network, 5502);
        silent.write_all(&[b'c'; 37]).unwrap();
        // The client waits until the server times out the silent one.
        serves(network, &mut server, 5502, "half a handshake");
        let mut cut = connect(network, 5502);
        cut.write_all(&[b'c'; 20]).unwrap();
        drop(cut);
        serves(network, &mut server, 5502, "half a cookie");
    });
}

#[test]
fn vanished_client_frees_server() {
    in_network("vanished_client_frees_server", |network| {
        let mut server = network.serve(End::There, OURS, 5503, "");
        for _ in 0..2 {
            let client = network.start(End::Here, IPERF3, &format!("-c {THERE} -p 5503 -t 20"));
            network.wait_until_sent(End::Here, MEGABYTE);
            client.signal(Signal::SIGKILL);
            drop(client.end());
            serves(network, &mut server, 5503, "a client that was killed");
        }
    });
}

#[test]
fn second_client_is_refused_as_busy() {
    in_network("second_client_is_refused_as_busy", |network| {
        let mut server = network.serve(End::There, OURS, 5504, "");
        let first = network.start(End::Here, IPERF3, &format!("-c {THERE} -p 5504 -t 8 -b 50M -P 2"));
        network.wait_until_sent(End::Here, MEGABYTE);
        let second = network.start(End::Here, IPERF3, &format!("-c {THERE} -p 5504 -t 1")).end();
        assert!(second.err.contains("the server is busy running a test"), "{}{}", second.out, second.err);
        assert_eq!(first.end().code, Some(0), "the first must not notice");
        serves(network, &mut server, 5504, "a busy time");
        server.signal(Signal::SIGINT);
        let ended = server.end();
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        assert_eq!(ended.out.matches("Limited by: ").count(), 2, "{}", ended.out);
    });
}

#[test]
fn interrupted_server_reports_and_ends_client() {
    in_network("interrupted_server_reports_and_ends_client", |network| {
        let server = network.serve(End::There, OURS, 5505, "");
        let client = network.start(End::Here, IPERF3, &format!("-c {THERE} -p 5505 -t 20"));
        network.wait_until_sent(End::Here, MEGABYTE);
        server.signal(Signal::SIGINT);
        let ended = server.end();
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        assert!(ended.out.contains("receiver") && ended.out.contains("Limited by: "), "{}", ended.out);
        let told = client.end();
        assert!(told.err.contains("the server has terminated"), "{}{}", told.out, told.err);
    });
}
