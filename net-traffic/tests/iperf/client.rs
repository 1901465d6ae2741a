//! The client's own manners: its errors, its end by Ctrl-C, its text.

use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::stage::{End, IPERF3, OURS, THERE, on_stage};

#[test]
fn a_refusal_is_an_error_in_words() {
    on_stage("a_refusal_is_an_error_in_words", |stage| {
        let refused = stage.start(End::Here, OURS, &format!("iperf {THERE} -p 5601")).end();
        assert_eq!((refused.code, refused.out.as_str()), (Some(1), ""));
        assert!(refused.err.contains("Connection refused"), "{}", refused.err);
        let json = stage.start(End::Here, OURS, &format!("iperf {THERE} -p 5601 -J")).end();
        assert_eq!(json.code, Some(1));
        assert!(json.json()["error"].as_str().unwrap().contains("Connection refused"));
        let unreachable = stage.start(End::Here, OURS, "iperf 203.0.113.1 -p 5601").end();
        assert_eq!(unreachable.code, Some(1));
        assert!(unreachable.err.contains("unreachable"), "{}", unreachable.err);
    });
}

#[test]
fn what_cannot_be_meant_is_a_usage_error() {
    on_stage("what_cannot_be_meant_is_a_usage_error", |stage| {
        for wrong in ["", "-s -t 1", "h -i 0.01", "h -n x", "h -R --bidir", "h -s", "h -1", "h -4 -6"] {
            let ended = stage.start(End::Here, OURS, &format!("iperf {wrong}")).end();
            assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{wrong}: {}", ended.err);
        }
    });
}

#[test]
fn an_interrupted_test_ends_with_its_summary_and_cause() {
    on_stage("an_interrupted_test_ends_with_its_summary_and_cause", |stage| {
        let _serving = stage.serve(End::There, IPERF3, 5602, "");
        let testing = stage.start(End::Here, OURS, &format!("iperf {THERE} -p 5602 -t 20"));
        thread::sleep(Duration::from_secs(2));
        testing.signal(Signal::SIGINT);
        let ended = testing.end();
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        assert!(ended.out.contains("sender"), "{}", ended.out);
        assert!(ended.out.contains("Limited by: "), "{}", ended.out);
    });
}

#[test]
fn a_server_that_dies_is_named_as_the_reason() {
    on_stage("a_server_that_dies_is_named_as_the_reason", |stage| {
        let serving = stage.serve(End::There, IPERF3, 5603, "");
        let testing = stage.start(End::Here, OURS, &format!("iperf {THERE} -p 5603 -t 20"));
        thread::sleep(Duration::from_secs(2));
        serving.signal(Signal::SIGKILL);
        let ended = testing.end();
        assert_eq!(ended.code, Some(1), "{}", ended.out);
        assert!(ended.err.contains("control socket has closed unexpectedly"), "{}", ended.err);
    });
}

#[test]
fn a_busy_server_is_named_as_the_reason() {
    on_stage("a_busy_server_is_named_as_the_reason", |stage| {
        let _serving = stage.serve(End::There, IPERF3, 5604, "");
        let _first = stage.start(End::Here, IPERF3, &format!("-c {THERE} -p 5604 -t 20"));
        thread::sleep(Duration::from_secs(1));
        let second = stage.start(End::Here, OURS, &format!("iperf {THERE} -p 5604 -t 1")).end();
        assert_eq!(second.code, Some(1));
        assert!(second.err.contains("the server is busy running a test"), "{}", second.err);
    });
}
