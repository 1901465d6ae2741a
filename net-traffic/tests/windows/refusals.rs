//! What is said where something is not to be had, and what still works.

use windows_sys::Win32::Foundation::CloseHandle;
use windows_sys::Win32::System::Threading::CreateMutexW;

use crate::program::{alone, find, is_wine, program, reports, run, show, stderr};
use crate::support::schema::Json;

/// Whether bytes are counted here, by what `doctor` says; under Wine they cannot be.
fn counts() -> bool {
    let report = &reports("doctor")[0];
    let counts = show(find(report, "slots", &[("slot", "counting")]).unwrap(), "tier") == "etw";
    assert!(!(counts && is_wine()));
    counts
}

#[test]
fn tables_and_interfaces_are_shown_with_event_tracing_and_without_it_the_reason_is_said() {
    let counts = counts();
    for view in ["top -c 1", "bandwidth -c 1", "connections -d 0.1 -c 2"] {
        let output = run(&format!("{view} --json"));
        assert_eq!(output.status.code(), Some(0), "{view}");
        let said = stderr(&output).contains("counting: event tracing needs an administrator");
        assert_eq!(said, !counts, "{}", stderr(&output));
        let text = String::from_utf8(output.stdout).unwrap();
        let report = Json::parse(text.lines().next().unwrap());
        let source = find(&report, "sources", &[("slot", "counting")]).unwrap();
        if counts {
            assert_eq!((show(source, "tier"), show(source, "reason")), ("etw".into(), "null".into()));
        } else {
            assert_eq!(show(source, "tier"), "null");
            assert!(show(source, "reason").contains("Performance Log Users"));
        }
        assert!(
            !report
                .get(if view.starts_with("bandwidth") { "interfaces" } else { "connections" })
                .list()
                .is_empty()
        );
    }
}

#[test]
fn bytes_that_nobody_counts_are_unknown_and_not_zero() {
    let counts = counts();
    // This process moves something, and so has a row.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    std::io::Write::write_all(&mut client, b"there").unwrap();
    let report = &reports("top -c 1")[0];
    let own = find(report, "processes", &[("pid", &std::process::id().to_string())]).unwrap();
    assert_eq!(show(own, "rx_bytes") == "null", !counts, "{own:?}");
    let port = client.local_addr().unwrap().port().to_string();
    let row = find(report, "connections", &[("local.port", &port)]).unwrap();
    assert_eq!(show(row, "tx_bytes") == "null", !counts, "{row:?}");
}

#[test]
fn doctor_says_what_is_missing_and_how_to_get_it() {
    let report = &reports("doctor")[0];
    for slot in ["interfaces", "sockets", "owners"] {
        let row = find(report, "slots", &[("slot", slot)]).unwrap();
        assert_eq!(show(row, "tier"), "polling");
    }
    for (slot, tier, remedy) in [("counting", "etw", "as administrator"), ("capture", "pktmon", "Windows 11")]
    {
        let row = find(report, "slots", &[("slot", slot)]).unwrap();
        if show(row, "tier") == "null" {
            let words = ["reason", "remedy"].map(|key| show(row, key)).concat();
            // Of the packet monitor it may be the library that is missing, or the right.
            assert!(words.contains(remedy) || words.contains("administrator"), "{row:?}");
        } else {
            assert_eq!((show(row, "tier"), is_wine()), (tier.to_owned(), false));
        }
    }
    // Round-trip times and retransmissions: either they are to be had, or the reason is told.
    let row = find(report, "slots", &[("slot", "tcp_statistics")]).unwrap();
    let words = ["tier", "reason", "remedy"].map(|key| show(row, key));
    match words.each_ref().map(String::as_str) {
        ["polling", "null", "null"] => {}
        ["null", reason, "run it as administrator"] => assert!(reason.contains("need an administrator")),
        ["null", reason, "null"] => assert!(reason.contains("this Windows has no"), "{row:?}"),
        _ => panic!("{row:?}"),
    }
}

#[test]
fn exit_codes_are_those_of_every_system() {
    for (line, code, why) in [
        ("--no-such-flag", 2, "--no-such-flag"),
        ("-i no-such-interface", 2, "no such interface"),
        ("-p 4294967295", 2, "no such process"),
        ("--netns 1", 2, "no network namespaces"),
        ("--tier kprobe -d 1 -c 1", 2, "no such thing"),
        ("selftest", 2, "Linux only"),
        ("--replay no-such-file", 2, "cannot read it"),
        ("--help", 0, ""),
        ("-q", 0, ""),
    ] {
        let output = run(line);
        assert_eq!(output.status.code(), Some(code), "{line}: {}", stderr(&output));
        assert!(stderr(&output).contains(why), "{line}: {}", stderr(&output));
    }
}

#[test]
fn without_a_packet_monitor_a_capture_says_so_and_files_are_read() {
    let report = &reports("doctor")[0];
    let tier = show(find(report, "slots", &[("slot", "capture")]).unwrap(), "tier");
    assert!(tier == "null" || (tier == "pktmon" && !is_wine()), "{tier}");
    if tier == "null" {
        let output = run("capture");
        let missing = stderr(&output).contains("no PktMonApi.dll");
        assert_eq!(output.status.code(), Some(if missing { 1 } else { 3 }), "{}", stderr(&output));
        let remedy = if missing { "etl2pcap" } else { "as administrator" };
        assert!(stderr(&output).contains(remedy), "{}", stderr(&output));
        assert!(missing || !is_wine());
    }
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/capture/mixed.pcap");
    let count = |filter: &str| {
        let output =
            program().args(["capture", "-n", "-r"]).arg(&file).args(filter.split_whitespace()).output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        String::from_utf8(output.stdout).unwrap().lines().count()
    };
    let all = count("");
    assert!(all > 0 && count("tcp") > 0);
    assert_eq!(count("tcp") + count("not tcp"), all);
}

#[test]
fn a_bad_capture_is_refused_before_anything_is_asked() {
    for (line, why) in [
        ("capture tcp port", "filter"),
        ("capture -i no-such-interface", "no such interface"),
        ("capture --container web", "not known on Windows"),
    ] {
        let output = run(line);
        assert_eq!(output.status.code(), Some(2), "{line}: {}", stderr(&output));
        assert!(stderr(&output).contains(why), "{line}: {}", stderr(&output));
    }
}

#[test]
fn a_second_copy_is_told_that_the_first_is_counting() {
    let _alone = alone();
    let name: Vec<u16> = "Global\\net-traffic-counting\0".encode_utf16().collect();
    // SAFETY: the name has an end. This is what a copy that counts has; it goes when this process ends.
    let held = unsafe { CreateMutexW(std::ptr::null(), 0, name.as_ptr()) };
    assert!(!held.is_null());
    let run = |line: &str| program().args(line.split_whitespace()).output().unwrap();
    let output = run("top -c 1 --json");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("counting: another net-traffic is counting"), "{}", stderr(&output));
    let output = run("run -- cmd /c exit 7");
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    // SAFETY: it was opened here and is closed once.
    unsafe { CloseHandle(held) };
}

#[test]
fn a_run_ends_with_the_status_of_its_command_or_says_that_a_privilege_is_missing() {
    let counts = counts();
    let output = run("run -- cmd /c exit 7");
    assert_eq!(output.status.code(), Some(if counts { 7 } else { 3 }), "{}", stderr(&output));
    assert_eq!(stderr(&output).contains("run it as administrator"), !counts, "{}", stderr(&output));
}
