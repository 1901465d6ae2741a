//! The client's errors, its end by Ctrl-C, and its text.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use nix::sys::signal::Signal;

use super::network::{End, Ended, IPERF3, OURS, THERE, TestNetwork, in_network};

/// More than the buffers of both ends: after this number of bytes the test runs.
const WELL_UNDER_WAY: u64 = 64 << 20;

#[test]
fn refused_connection_is_readable_error() {
    in_network("refused_connection_is_readable_error", |network| {
        let refused = network.start(End::Here, OURS, &format!("iperf {THERE} -p 5601")).end();
        assert_eq!((refused.code, refused.out.as_str()), (Some(1), ""));
        assert!(refused.err.contains("Connection refused"), "{}", refused.err);
        let json = network.start(End::Here, OURS, &format!("iperf {THERE} -p 5601 -J")).end();
        assert_eq!(json.code, Some(1));
        let error = json.json()["error"].as_str().unwrap().to_owned();
        assert!(
            error.starts_with("unable to connect to server") && error.contains("Connection refused"),
            "{error}"
        );
        let unreachable = network.start(End::Here, OURS, "iperf 203.0.113.1 -p 5601").end();
        assert_eq!(unreachable.code, Some(1));
        assert!(unreachable.err.contains("unreachable"), "{}", unreachable.err);
    });
}

/// The client's message about a server that sends these bytes and then nothing.
fn against(network: &TestNetwork, port: u16, answer: &'static [u8], options: &str) -> Ended {
    let listener = network.inside(End::There, || TcpListener::bind((THERE, port)).unwrap());
    let answering = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        client.write_all(answer).unwrap();
        // Reads until the client has disconnected.
        let _read = client.read_to_end(&mut Vec::new());
    });
    let ended = network.start(End::Here, OURS, &format!("iperf {THERE} -p {port} -t 1 {options}")).end();
    answering.join().unwrap();
    ended
}

#[test]
fn foreign_server_is_named_as_reason() {
    in_network("foreign_server_is_named_as_reason", |network| {
        for (port, answer, options) in [
            (5606, &b""[..], ""),
            (5607, b"", "-J"),
            (5608, b"220 mail.example ESMTP\r\n", ""),
            (5609, b"SSH-2.0-x\r\n", "-J"),
        ] {
            let ended = against(network, port, answer, options);
            assert_eq!(ended.code, Some(1), "{answer:?}: {}", ended.out);
            let messages = if options.is_empty() {
                ended.err.clone()
            } else {
                ended.json()["error"].as_str().unwrap().to_owned()
            };
            let reason = "does not answer as iperf3 does: it is another program, or an iperf that is too old";
            assert!(messages.contains(reason), "{answer:?}: {messages}");
        }
    });
}

#[test]
fn contradictory_options_are_usage_errors() {
    in_network("contradictory_options_are_usage_errors", |network| {
        for (wrong, named) in [
            ("", "HOST"),
            ("-s -t 1", "--time"),
            ("h -i 0.01", "-i 0.01"),
            ("h -n x", "-n: "),
            ("h -b x", "-b: "),
            ("h -l 2G", "block size too large"),
            ("h -w 9G", "-w 9G: "),
            ("h -P 0", "--parallel"),
            ("h -M 10", "--set-mss"),
            ("h -R --bidir", "--bidir"),
            ("h -s", "--server"),
            ("h -1", "--one-off"),
            ("h -4 -6", "--version6"),
        ] {
            let ended = network.start(End::Here, OURS, &format!("iperf {wrong}")).end();
            assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{wrong}: {}", ended.err);
            assert!(ended.err.contains(named), "{wrong}: {}", ended.err);
        }
    });
}

#[test]
fn unknown_congestion_control_is_error() {
    in_network("unknown_congestion_control_is_error", |network| {
        let ended = network.start(End::Here, OURS, &format!("iperf {THERE} -p 5610 -C none_such")).end();
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{}", ended.err);
        assert!(ended.err.contains("unable to set TCP_CONGESTION: No such file"), "{}", ended.err);
        let json = network.start(End::Here, OURS, &format!("iperf {THERE} -p 5610 -C none_such -J")).end();
        assert_eq!((json.code, json.err.as_str()), (Some(1), ""), "{}", json.out);
        assert!(json.json()["error"].as_str().unwrap().starts_with("unable to set TCP_CONGESTION"));
    });
}

#[test]
fn interrupted_test_prints_summary_and_cause() {
    in_network("interrupted_test_prints_summary_and_cause", |network| {
        let _serving = network.serve(End::There, IPERF3, 5602, "");
        let testing = network.start(End::Here, OURS, &format!("iperf {THERE} -p 5602 -t 20"));
        network.wait_until_sent(End::Here, WELL_UNDER_WAY);
        testing.signal(Signal::SIGINT);
        let ended = testing.end();
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        assert!(ended.out.contains("sender"), "{}", ended.out);
        assert!(ended.out.contains("Limited by: "), "{}", ended.out);
        let testing = network.start(End::Here, OURS, &format!("iperf {THERE} -p 5602 -t 20 -J"));
        network.wait_until_sent(End::Here, WELL_UNDER_WAY);
        testing.signal(Signal::SIGINT);
        let ended = testing.end();
        let report = ended.json();
        assert_eq!(ended.code, Some(0), "{report}");
        assert!(report["end"]["sum_sent"]["bytes"].as_u64().unwrap() > 0, "{report}");
        assert!(report["net_traffic"]["limited_by"].is_string(), "{report}");
    });
}

#[test]
fn killed_server_is_named_as_reason() {
    in_network("killed_server_is_named_as_reason", |network| {
        let serving = network.serve(End::There, IPERF3, 5603, "");
        let testing = network.start(End::Here, OURS, &format!("iperf {THERE} -p 5603 -t 20"));
        network.wait_until_sent(End::Here, WELL_UNDER_WAY);
        serving.signal(Signal::SIGKILL);
        let ended = testing.end();
        assert_eq!(ended.code, Some(1), "{}", ended.out);
        assert!(ended.err.contains("control socket has closed unexpectedly"), "{}", ended.err);
    });
}

#[test]
fn busy_server_is_named_as_reason() {
    in_network("busy_server_is_named_as_reason", |network| {
        let _serving = network.serve(End::There, IPERF3, 5604, "");
        let _first = network.start(End::Here, IPERF3, &format!("-c {THERE} -p 5604 -t 20"));
        network.wait_until_sent(End::Here, WELL_UNDER_WAY);
        let second = network.start(End::Here, OURS, &format!("iperf {THERE} -p 5604 -t 1")).end();
        assert_eq!(second.code, Some(1));
        assert!(second.err.contains("the server is busy running a test"), "{}", second.err);
    });
}
