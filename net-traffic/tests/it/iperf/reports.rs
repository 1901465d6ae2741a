//! Runs a test between the two programs, and reads both reports and the sockets in `ss`.

use serde_json::Value;

use net_traffic_testing::wait_until;

use super::network::{End, OURS, Program, THERE, TestNetwork};

/// The program at each end of a test.
#[derive(Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) client: &'static str,
    pub(crate) server: &'static str,
}

impl Ends {
    /// The client's and the server's report of a successful test.
    pub(crate) fn test(self, network: &TestNetwork, port: u16, options: &str) -> (Value, Value) {
        let server = network.serve(End::There, self.server, port, "-1 -J");
        let client = client(network, self.client, THERE, port, &format!("{options} -J")).end();
        assert_eq!(client.code, Some(0), "{options}: {}{}", client.out, client.err);
        (client.json(), server.end().json())
    }

    /// Waits until `ss` prints `wanted` for the test's connections at that end.
    pub(crate) fn check_socket(
        self,
        network: &TestNetwork,
        end: End,
        port: u16,
        options: &str,
        wanted: &str,
    ) {
        let _serving = network.serve(End::There, self.server, port, "");
        let testing = client(network, self.client, THERE, port, &format!("-t 30 {options}"));
        let whose = match end {
            End::Here => format!("dst {THERE} dport = {port}"),
            End::There => format!("sport = {port}"),
        };
        wait_until(&format!("{options}: {wanted}"), || {
            network.start(end, "ss", &format!("-tinmH {whose}")).end().out.contains(wanted)
        });
        drop(testing);
    }
}

pub(crate) fn client(network: &TestNetwork, program: &str, host: &str, port: u16, options: &str) -> Program {
    let base = if program == OURS { "iperf -c" } else { "-c" };
    network.start(End::Here, program, &format!("{base} {host} -p {port} {options}"))
}

pub(crate) fn number(report: &Value, path: &str) -> f64 {
    report.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("no {path} in {report}"))
}

pub(crate) fn count(report: &Value, path: &str) -> u64 {
    report.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {path} in {report}"))
}
