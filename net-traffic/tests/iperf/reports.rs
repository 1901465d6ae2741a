//! A test by either program against either, the reports of both ends, and what `ss` says of its sockets.

use serde_json::Value;

use crate::stage::{End, OURS, Program, Stage, THERE, wait_for};

/// Which program is which end of a test.
#[derive(Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) client: &'static str,
    pub(crate) server: &'static str,
}

impl Ends {
    /// Both reports of a test that goes well: the client's and the server's.
    pub(crate) fn test(self, stage: &Stage, port: u16, options: &str) -> (Value, Value) {
        let server = stage.serve(End::There, self.server, port, "-1 -J");
        let client = client(stage, self.client, THERE, port, &format!("{options} -J")).end();
        assert_eq!(client.code, Some(0), "{options}: {}{}", client.out, client.err);
        (client.json(), server.end().json())
    }

    /// `ss` says `wanted` of the connections of such a test at that end.
    pub(crate) fn check_socket(self, stage: &Stage, end: End, port: u16, options: &str, wanted: &str) {
        let _serving = stage.serve(End::There, self.server, port, "");
        let testing = client(stage, self.client, THERE, port, &format!("-t 30 {options}"));
        let whose = match end {
            End::Here => format!("dst {THERE} dport = {port}"),
            End::There => format!("sport = {port}"),
        };
        wait_for(&format!("{options}: {wanted}"), || {
            stage.start(end, "ss", &format!("-tinmH {whose}")).end().out.contains(wanted)
        });
        drop(testing);
    }
}

pub(crate) fn client(stage: &Stage, program: &str, host: &str, port: u16, options: &str) -> Program {
    let base = if program == OURS { "iperf -c" } else { "-c" };
    stage.start(End::Here, program, &format!("{base} {host} -p {port} {options}"))
}

pub(crate) fn number(report: &Value, path: &str) -> f64 {
    report.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("no {path} in {report}"))
}

pub(crate) fn count(report: &Value, path: &str) -> u64 {
    report.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {path} in {report}"))
}
