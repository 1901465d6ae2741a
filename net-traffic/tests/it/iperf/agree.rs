//! The reports of both ends and the kernel's byte counts are equal.

use net_traffic_linux::Live;
use net_traffic_snapshot::{Bytes, Protocol, Snapshot, Socket};
use net_traffic_snapshot::{Counting, LiveOptions};
use serde_json::Value;

use super::network::{
    End, IPERF3, OURS, Reports, THERE, THERE_V6, TestNetwork, in_network, in_network_with_priority,
    up_to_three_times,
};
use super::reports::{client as start_client, number};

struct Mode {
    name: &'static str,
    options: &'static str,
    client_sends: bool,
    server_sends: bool,
    streams: u64,
}

const fn mode(name: &'static str, options: &'static str, sends: (bool, bool), streams: u64) -> Mode {
    Mode { name, options, client_sends: sends.0, server_sends: sends.1, streams }
}

const MODES: &[Mode] = &[
    mode("bytes", "-n 20M", (true, false), 1),
    mode("time", "-t 2", (true, false), 1),
    mode("reverse", "-R -n 20M", (false, true), 1),
    mode("reverse for a time", "-R -t 2 -b 20M", (false, true), 1),
    mode("bidirectional", "--bidir -t 1", (true, true), 2),
    mode("parallel", "-P 4 -n 40M", (true, false), 4),
    mode("udp", "-u -b 4M -t 2", (true, false), 1),
    mode("ipv6", "-6 -n 10M", (true, false), 1),
];

#[test]
fn client_agrees_with_iperf3_server() {
    agree("client_agrees_with_iperf3_server", OURS, IPERF3);
}

#[test]
fn server_agrees_with_iperf3_client() {
    agree("server_agrees_with_iperf3_client", IPERF3, OURS);
}

fn agree(name: &str, client: &str, server: &str) {
    in_network_with_priority(name, |network| {
        for (port, mode) in (5301..).zip(MODES) {
            up_to_three_times(|| {
                let run = Run::new(network, mode, port, client, server);
                run.check();
                run.check_pace()
            });
        }
    });
}

/// Compares the rows of `top` for both processes with both reports.
#[test]
fn top_counts_bytes_of_both_ends() {
    in_network("top_counts_bytes_of_both_ends", |network| {
        for (port, client, server) in [(5321, OURS, IPERF3), (5322, IPERF3, OURS)] {
            let top = network.start(End::Here, OURS, "top --json -d 0.3");
            let reports = Reports::follow(top);
            let serving = network.serve(End::There, server, port, "-1 -J");
            let testing = start_client(network, client, THERE, port, "-n 20M -P 2 -J");
            let (from, to) = (testing.pid(), serving.pid());
            let (tested, heard) = (testing.end().json(), serving.end().json());
            let last = reports.last_of(&[from, to]);
            let sent = bytes(&tested, "sum_sent/bytes");
            assert!(sent >= 20 << 20, "{client} to {server}: {sent}");
            for (pid, key) in [(from, "tx_bytes"), (to, "rx_bytes")] {
                let rows = last["connections"].as_array().unwrap().iter().filter(|row| row["pid"] == pid);
                let mut moved: Vec<u64> = rows.map(|row| row[key].as_u64().unwrap()).collect();
                // The control connection moves the fewest bytes.
                moved.sort_unstable();
                let counted: u64 = moved.iter().rev().take(2).sum();
                assert_eq!(counted, sent + 2 * 37, "{client} to {server}, {key}: {moved:?}");
            }
            let received = bytes(&heard, "sum_received/bytes");
            // net-traffic reads on after the end to avoid a reset, and reports the bytes up to the end.
            assert!(received == sent || server == OURS && received < sent, "{received} of {sent}");
        }
    });
}

/// A finished test: both reports, and the counted bytes of both processes.
struct Run<'m> {
    mode: &'m Mode,
    client: Value,
    server: Value,
    counted: Option<[Bytes; 2]>,
    /// net-traffic is the client.
    is_client_ours: bool,
}

impl<'m> Run<'m> {
    fn new(network: &TestNetwork, mode: &'m Mode, port: u16, client: &str, server: &str) -> Self {
        let mut live =
            Live::open(&LiveOptions { counting: Counting::Sockets, ..LiveOptions::default() }).unwrap();
        let server_side = network.serve(End::There, server, port, "-1 -J");
        let host = if mode.options.contains("-6") { THERE_V6 } else { THERE };
        let client_side = start_client(network, client, host, port, &format!("{} -J", mode.options));
        let pids = [client_side.pid(), server_side.pid()];
        let (tested, heard) = (client_side.end(), server_side.end());
        let name = mode.name;
        assert_eq!((tested.code, heard.code), (Some(0), Some(0)), "{name}: {}{}", tested.err, heard.err);
        let snapshot = live.snapshot().unwrap();
        let ours = if client == OURS { tested.json() } else { heard.json() };
        assert_eq!(ours["net_traffic"]["schema"], "net-traffic/1", "{name}: {ours}");
        let counts = snapshot.sockets.iter().any(|socket| socket.closed);
        let counted = counts.then(|| pids.map(|pid| data_bytes(&snapshot, pid, mode.is_udp())));
        let is_client_ours = client == OURS;
        Self { mode, client: tested.json(), server: heard.json(), counted, is_client_ours }
    }

    fn check(&self) {
        let Self { mode: Mode { name, .. }, client, server, .. } = self;
        // Each end measures its half and receives the other half at the end.
        let (sent, received) = (self.sent(client, true), self.received(server, false));
        let (back_sent, back) = (self.sent(server, false), self.received(client, true));
        assert!(sent + back_sent > 200_000, "{name}: {client}");
        assert!(received <= sent && back <= back_sent, "{name}: {client}{server}");
        if self.mode.client_sends {
            assert_eq!(bytes(client, "sum_received/bytes"), received, "{name}: the server's half");
        } else {
            assert_eq!(bytes(client, "sum_sent/bytes"), back_sent, "{name}: the server's half");
        }
        let Some([of_client, of_server]) = self.counted else { return };
        let ours = if self.is_client_ours { (client, of_client) } else { (server, of_server) };
        assert_eq!(seen(ours.0), ours.1, "{name}: what our own report has of its connections");
        let (there, back_again) = self.mode.greetings();
        self.check_sent("the client", self.is_client_ours, of_client.tx, sent + there);
        self.check_sent("the server", !self.is_client_ours, of_server.tx, back_sent + back_again);
        let [theirs, ours] = if self.is_client_ours {
            [(of_server.rx, received + there, of_client.tx), (of_client.rx, back + back_again, of_server.tx)]
        } else {
            [(of_client.rx, back + back_again, of_server.tx), (of_server.rx, received + there, of_client.tx)]
        };
        assert_eq!(theirs.0, theirs.1, "{name}: iperf3 received");
        // net-traffic reads on after the end to avoid a reset, and reports the bytes up to the end.
        assert!(ours.1 <= ours.0 && ours.0 <= ours.2, "{name}: we received {ours:?}");
    }

    /// The numbers that a busy machine changes: a receiver may lose datagrams, and a late end makes the time longer.
    fn check_pace(&self) -> Result<(), String> {
        let Self { mode: Mode { name, options, .. }, client, server, .. } = self;
        if self.mode.is_udp() {
            let [here, there] = [client, server].map(|report| bytes(report, "sum/packets"));
            if here != there {
                return Err(format!("{name}: {here} datagrams, and {there}"));
            }
        }
        // A receiver counts also the 0.1 s until the end message arrives.
        let (sum, tolerance) =
            if self.mode.client_sends { ("sum_received", 0.1) } else { ("sum_sent", 0.03) };
        if options.contains("-t 2") {
            let [here, there] =
                [client, server].map(|report| number(report, &format!("/end/{sum}/bits_per_second")));
            if (here / there - 1.0).abs() > tolerance {
                return Err(format!("{name}: {here} bit/s, and {there}"));
            }
        }
        Ok(())
    }

    /// iperf3 reports the sent bytes. net-traffic reports whole blocks, and may have sent a part of the last one. With
    /// `-n` every block is whole.
    fn check_sent(&self, who: &str, is_ours: bool, counted: u64, reported: u64) {
        const BLOCK: u64 = 128 << 10;
        let is_cut = is_ours && self.mode.options.contains("-t") && !self.mode.is_udp();
        let more = if is_cut { BLOCK * self.mode.streams } else { 1 };
        let is_right = (reported..reported + more).contains(&counted);
        assert!(is_right, "{}: {who} sent {counted}, and reports {reported}", self.mode.name);
    }

    fn sent(&self, report: &Value, client: bool) -> u64 {
        match (client, self.mode.client_sends, self.mode.server_sends) {
            (true, true, _) | (false, false, true) => bytes(report, "sum_sent/bytes"),
            (false, true, true) => bytes(report, "sum_sent_bidir_reverse/bytes"),
            _ => 0,
        }
    }

    fn received(&self, report: &Value, client: bool) -> u64 {
        match (client, self.mode.client_sends, self.mode.server_sends) {
            (false, true, _) | (true, false, true) => bytes(report, "sum_received/bytes"),
            (true, true, true) => bytes(report, "sum_received_bidir_reverse/bytes"),
            _ => 0,
        }
    }
}

impl Mode {
    fn is_udp(&self) -> bool {
        self.options.contains("-u")
    }

    /// The bytes that no report counts, in each direction: the cookie at the start of a TCP stream, and the datagrams
    /// that exchange UDP addresses.
    fn greetings(&self) -> (u64, u64) {
        if self.is_udp() { (4 * self.streams, 4 * self.streams) } else { (37 * self.streams, 0) }
    }
}

/// The kernel's counts of the connections, from the client's report.
fn seen(report: &Value) -> Bytes {
    let streams = report["net_traffic"]["streams"].as_array().unwrap();
    let sum = |key: &str| streams.iter().map(|stream| stream[key].as_u64().unwrap()).sum();
    Bytes { rx: sum("received_bytes"), tx: sum("sent_bytes") }
}

fn bytes(report: &Value, what: &str) -> u64 {
    let found = report.pointer(&format!("/end/{what}")).and_then(Value::as_u64);
    found.unwrap_or_else(|| panic!("no {what} in {report}"))
}

/// The bytes of a process's data connections, without the control connection.
fn data_bytes(snapshot: &Snapshot, pid: u32, udp: bool) -> Bytes {
    let protocol = if udp { Protocol::Udp } else { Protocol::Tcp };
    let total = |socket: &&Socket| socket.counted.map_or(0, |bytes| bytes.rx + bytes.tx);
    let mut sockets: Vec<&Socket> = snapshot
        .sockets
        .iter()
        .filter(|socket| socket.protocol == protocol && socket.owner.is_some_and(|owner| owner.pid == pid))
        .collect();
    sockets.sort_by_key(total);
    let data = sockets.iter().filter(|socket| total(socket) > 0).skip(usize::from(!udp));
    data.filter_map(|socket| socket.counted)
        .fold(Bytes::default(), |sum, one| Bytes { rx: sum.rx + one.rx, tx: sum.tx + one.tx })
}
