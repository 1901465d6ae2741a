//! The listed sockets compared with the test's own sockets.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};

use windows_sys::Win32::NetworkManagement::IpHelper::{
    FreeMibTable, GetIfTable2, MIB_IF_ROW2, MIB_IF_TABLE2,
};

use crate::program::{find, is_wine, number, reports, show};

/// A connection over loopback that has moved bytes in each direction; Wine has an owner only then.
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
fn connections_have_endpoints_state_and_owner() {
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
                // Wine has the owner of unaccepted IPv4 connections only.
                assert!(["null", &pid].contains(&show(row, "pid").as_str()));
            } else {
                assert_eq!((show(row, "pid"), show(row, "process")), (pid.clone(), name.clone()));
                assert_ne!(show(row, "user"), "null");
            }
            // Uncounted bytes are unknown, not zero.
            assert_eq!(show(row, "container"), "null");
        }
        let port = listener.local_addr().unwrap().port().to_string();
        let row = find(report, "connections", &[("local.port", &port), ("state", "listen")]).unwrap();
        assert_eq!(row.get("remote"), &net_traffic_testing::schema::Json::Null);
    }
}

#[test]
fn datagram_sockets_are_listed_with_option_a() {
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
fn states_are_counted_and_selected() {
    let (_listener, client, _server) = connection("127.0.0.1:0");
    let port = client.local_addr().unwrap().port();
    let report = &reports(&format!("-t --port {port}"))[0];
    assert_eq!(report.get("connections").list().len(), 2);
    let groups = report.get("states").list();
    assert_eq!(groups.len(), 1, "{groups:?}");
    assert_eq!(
        ["protocol", "state", "count"].map(|key| show(&groups[0], key)),
        ["tcp", "established", "2"].map(str::to_owned)
    );
    // The number of connections in each state.
    let all = &reports("-a")[0];
    for group in all.get("states").list() {
        let [protocol, state] = ["protocol", "state"].map(|key| show(group, key));
        let of_it = all
            .get("connections")
            .list()
            .iter()
            .filter(|row| show(row, "protocol") == protocol && show(row, "state") == state);
        assert_eq!(of_it.count().to_string(), show(group, "count"), "{protocol} {state}");
    }
    let counted: f64 = all.get("states").list().iter().map(|group| number(group, "count")).sum();
    assert_eq!(counted.to_string(), all.get("connections").list().len().to_string());
    assert!(reports(&format!("-t -6 --port {port}"))[0].get("connections").list().is_empty());
    assert!(!reports(&format!("-p {} -t", std::process::id()))[0].get("connections").list().is_empty());
    let listening = &reports("-l -t")[0];
    let listening = listening.get("connections").list();
    assert!(!listening.is_empty() && listening.iter().all(|row| show(row, "state") == "listen"));
}

#[test]
fn closed_connection_leaves_table() {
    let (listener, client, server) = connection("127.0.0.1:0");
    let port = client.local_addr().unwrap().port().to_string();
    drop((client, server, listener));
    let report = &reports("-t")[0];
    let row = find(report, "connections", &[("local.port", &port), ("state", "established")]);
    assert_eq!(row, None);
}

/// The system's counters by interface name, as in Get-NetAdapterStatistics.
fn counters() -> BTreeMap<String, [u64; FIGURES.len()]> {
    let mut table: *mut MIB_IF_TABLE2 = std::ptr::null_mut();
    // SAFETY: `table` is a valid out pointer; the table is freed below.
    assert_eq!(unsafe { GetIfTable2(&raw mut table) }, 0);
    // SAFETY: the system filled the table, which has this number of rows.
    let rows = unsafe {
        std::slice::from_raw_parts((&raw const (*table).Table).cast(), (*table).NumEntries as usize)
    };
    let figures = |row: &MIB_IF_ROW2| {
        let name = String::from_utf16_lossy(&row.Alias).trim_end_matches('\0').to_owned();
        let received = [row.InOctets, row.InUcastPkts + row.InNUcastPkts, row.InErrors, row.InDiscards];
        let sent = [row.OutOctets, row.OutUcastPkts + row.OutNUcastPkts, row.OutErrors, row.OutDiscards];
        let figures = std::array::from_fn(|at| if at < 4 { received[at] } else { sent[at - 4] });
        (name, figures)
    };
    let counters = rows.iter().map(figures).collect();
    // SAFETY: the system allocated the table, and no reference to it is left.
    unsafe { FreeMibTable(table.cast()) };
    counters
}

const FIGURES: [&str; 8] = [
    "rx_bytes",
    "rx_packets",
    "rx_errors",
    "rx_dropped",
    "tx_bytes",
    "tx_packets",
    "tx_errors",
    "tx_dropped",
];

/// The program's counters of each interface, which lie between two readings of the system's counters.
fn reported() -> BTreeMap<String, [f64; FIGURES.len()]> {
    let before = counters();
    let reported: BTreeMap<_, _> = reports("bandwidth -c 1")[0]
        .get("interfaces")
        .list()
        .iter()
        .map(|row| (show(row, "name"), FIGURES.map(|figure| number(row, figure))))
        .collect();
    let after = counters();
    assert!(!reported.is_empty());
    for (name, figures) in &reported {
        for (at, figure) in figures.iter().enumerate() {
            let (least, most) = (exact(before[name][at]), exact(after[name][at]));
            assert!(
                (least..=most).contains(figure),
                "{name}: {} is {figure}, not {least} to {most}",
                FIGURES[at]
            );
        }
    }
    reported
}

#[expect(clippy::cast_precision_loss, reason = "no counter of a test's machine is that large")]
fn exact(counter: u64) -> f64 {
    counter as f64
}

#[test]
fn interface_counters_grow_by_sent_bytes() {
    const BYTES: usize = 4 << 20;
    let sum = |figures: &BTreeMap<String, [f64; FIGURES.len()]>, at: usize| -> f64 {
        figures.values().map(|figures| figures[at]).sum()
    };
    let (_listener, mut client, mut server) = connection("127.0.0.1:0");
    let before = reported();
    let writer = std::thread::spawn(move || client.write_all(&vec![7; BYTES]).map(|()| client));
    server.read_exact(&mut vec![0; BYTES]).unwrap();
    drop(writer.join().unwrap().unwrap());
    let after = reported();
    let grown = [0, 4].map(|at| sum(&after, at) - sum(&before, at));
    if is_wine() {
        // Windows does not count loopback traffic.
        assert!(grown.iter().all(|grown| *grown >= exact(BYTES as u64)), "received and sent {grown:?}");
    }
}

#[test]
fn bandwidth_has_row_for_each_interface() {
    let report = &reports("bandwidth -c 1")[0];
    let names: BTreeSet<String> =
        report.get("interfaces").list().iter().map(|row| show(row, "name")).collect();
    let known = counters();
    assert!(!names.is_empty() && names.iter().all(|name| known.contains_key(name)), "{names:?}");
    // Windows also lists filter drivers, which repeat the adapter's counters.
    assert!(!is_wine() || names.len() == known.len(), "{names:?}");
}

#[test]
fn rates_need_two_readings() {
    let reports = reports("bandwidth -d 0.2 -c 2");
    assert_eq!(reports.len(), 2);
    let rate =
        |report: &net_traffic_testing::schema::Json| show(&report.get("interfaces").list()[0], "rx_bps");
    assert_eq!(rate(&reports[0]), "null");
    assert_ne!(rate(&reports[1]), "null");
}
