//! What the program lists, against sockets that the test opened itself.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};

use crate::program::{find, is_wine, number, reports, show};

/// A connection over loopback that has moved something each way: Wine knows an owner only then.
fn connection(address: &str) -> (TcpListener, TcpStream, TcpStream) {
    let listener = TcpListener::bind(address).unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let mut server = listener.accept().unwrap().0;
    client.write_all(b"there").unwrap();
    server.read_exact(&mut [0; 5]).unwrap();
    server.write_all(b"back").unwrap();
    client.read_exact(&mut [0; 4]).unwrap();
    (listener, client, server)
}

#[test]
fn connections_of_both_families_have_ends_state_and_owner() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let (listener, client, server) = connection(address);
        let report = &reports("-a -t")[0];
        let own = std::env::current_exe().unwrap();
        let name = own.file_stem().unwrap().to_string_lossy().into_owned();
        let pid = std::process::id().to_string();
        for end in [&client, &server] {
            let (local, remote) = (end.local_addr().unwrap(), end.peer_addr().unwrap());
            let row = find(
                report,
                "connections",
                &[
                    ("local.address", &local.ip().to_string()),
                    ("local.port", &local.port().to_string()),
                    ("remote.address", &remote.ip().to_string()),
                    ("remote.port", &remote.port().to_string()),
                ],
            );
            let row = row.unwrap_or_else(|| panic!("{local} to {remote} is missing in {report:?}"));
            assert_eq!(show(row, "protocol"), "tcp");
            assert_eq!(show(row, "state"), "established");
            let accepted = std::ptr::eq(end, &raw const server);
            if is_wine() && (accepted || local.is_ipv6()) {
                // Wine sees who has a connection of IPv4 that was not accepted, and no other.
                assert!(["null", &pid].contains(&show(row, "pid").as_str()));
            } else {
                assert_eq!((show(row, "pid"), show(row, "process")), (pid.clone(), name.clone()));
                assert_ne!(show(row, "user"), "null");
            }
            // What nobody counts is not known, and not zero.
            assert_eq!(show(row, "container"), "null");
        }
        let port = listener.local_addr().unwrap().port().to_string();
        let row = find(report, "connections", &[("local.port", &port), ("state", "listen")]).unwrap();
        assert_eq!(row.get("remote"), &crate::support::schema::Json::Null);
    }
}

#[test]
fn datagram_sockets_are_listed_with_all() {
    let first = UdpSocket::bind("127.0.0.1:0").unwrap();
    let second = UdpSocket::bind("127.0.0.1:0").unwrap();
    first.send_to(b"datagram", second.local_addr().unwrap()).unwrap();
    second.recv(&mut [0; 16]).unwrap();
    let report = &reports("-a -u")[0];
    for socket in [&first, &second] {
        let port = socket.local_addr().unwrap().port().to_string();
        let row = find(report, "connections", &[("protocol", "udp"), ("local.port", &port)]).unwrap();
        assert_eq!(show(row, "pid"), std::process::id().to_string());
    }
    let listed = reports("-u");
    assert!(listed[0].get("connections").list().is_empty());
}

#[test]
fn states_are_counted_and_selections_hold() {
    let (_listener, client, _server) = connection("127.0.0.1:0");
    let port = client.local_addr().unwrap().port();
    let report = &reports(&format!("-t --port {port}"))[0];
    assert_eq!(report.get("connections").list().len(), 2);
    assert_eq!(show(&report.get("states").list()[0], "count"), "2");
    assert!(reports(&format!("-t -6 --port {port}"))[0].get("connections").list().is_empty());
    assert!(!reports(&format!("-p {} -t", std::process::id()))[0].get("connections").list().is_empty());
    let listening = &reports("-l -t")[0];
    let listening = listening.get("connections").list();
    assert!(!listening.is_empty() && listening.iter().all(|row| show(row, "state") == "listen"));
}

#[test]
fn a_connection_that_was_closed_leaves_the_table() {
    let (listener, client, server) = connection("127.0.0.1:0");
    let port = client.local_addr().unwrap().port().to_string();
    drop((client, server, listener));
    let report = &reports("-t")[0];
    let row = find(report, "connections", &[("local.port", &port), ("state", "established")]);
    assert_eq!(row, None);
}

#[test]
fn the_counters_of_an_interface_grow_by_what_was_sent() {
    const BYTES: usize = 4 << 20;
    let total = |key: &str| -> f64 {
        let reports = reports("bandwidth -c 1");
        reports[0].get("interfaces").list().iter().map(|row| number(row, key)).sum()
    };
    let (_listener, mut client, mut server) = connection("127.0.0.1:0");
    let (before_rx, before_tx) = (total("rx_bytes"), total("tx_bytes"));
    let writer = std::thread::spawn(move || client.write_all(&vec![7; BYTES]).map(|()| client));
    server.read_exact(&mut vec![0; BYTES]).unwrap();
    drop(writer.join().unwrap().unwrap());
    let (rx, tx) = (total("rx_bytes") - before_rx, total("tx_bytes") - before_tx);
    // Others use the machine as well: no less than was sent, and not several times as much.
    #[expect(clippy::cast_precision_loss, reason = "a few megabytes")]
    let sent = BYTES as f64;
    assert!(rx >= sent && tx >= sent, "received {rx}, sent {tx}");
}

#[test]
fn rates_come_from_two_readings() {
    let reports = reports("bandwidth -d 0.2 -c 2");
    assert_eq!(reports.len(), 2);
    let rate = |report: &crate::support::schema::Json| show(&report.get("interfaces").list()[0], "rx_bps");
    assert_eq!(rate(&reports[0]), "null");
    assert_ne!(rate(&reports[1]), "null");
}
