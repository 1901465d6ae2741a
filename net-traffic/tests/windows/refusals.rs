//! The messages about missing parts of the system, and the commands that still work.

use windows_sys::Win32::Foundation::CloseHandle;
use windows_sys::Win32::System::Threading::CreateMutexW;

use crate::program::{alone, find, is_wine, program, reports, run, show, stderr};
use net_traffic_testing::schema::Json;

/// Whether `doctor` reports counting; Wine has none.
fn counts() -> bool {
    let report = &reports("doctor")[0];
    let counts = show(find(report, "slots", &[("slot", "counting")]).unwrap(), "tier") == "etw";
    assert!(!(counts && is_wine()));
    counts
}

#[test]
fn tables_work_without_event_tracing() {
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
fn uncounted_bytes_are_unknown_not_zero() {
    let counts = counts();
    // This process moves bytes, so it has a row.
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
fn doctor_names_missing_parts_and_remedy() {
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
            // Either the library or the right is missing.
            assert!(words.contains(remedy) || words.contains("administrator"), "{row:?}");
        } else {
            assert_eq!((show(row, "tier"), is_wine()), (tier.to_owned(), false));
        }
    }
    // Round-trip times and retransmissions have values, or `doctor` has the reason.
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
fn exit_codes_equal_those_on_linux() {
    for (line, code, why) in [
        ("--no-such-flag", 2, "--no-such-flag"),
        ("-i no-such-interface", 2, "no such interface"),
        ("-p 4294967295", 2, "no such process"),
        ("--netns 1", 2, "no network namespaces"),
        ("--tier kprobe -d 1 -c 1", 2, "exists on Linux only"),
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
fn capture_without_pktmon_fails_but_reads_files() {
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
fn bad_capture_options_are_refused_first() {
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
fn second_instance_is_refused_while_first_counts() {
    let _alone = alone();
    let name: Vec<u16> = "Global\\net-traffic-counting\0".encode_utf16().collect();
    // SAFETY: the name ends with NUL. A counting instance holds this mutex; it ends with the process.
    let held = unsafe { CreateMutexW(std::ptr::null(), 0, name.as_ptr()) };
    assert!(!held.is_null());
    let run = |line: &str| program().args(line.split_whitespace()).output().unwrap();
    let output = run("top -c 1 --json");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("counting: another net-traffic is counting"), "{}", stderr(&output));
    let output = run("run -- cmd /c exit 7");
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    // SAFETY: the handle was opened above and is closed once.
    unsafe { CloseHandle(held) };
}

#[test]
fn run_returns_command_status_or_missing_privilege() {
    let counts = counts();
    let output = run("run -- cmd /c exit 7");
    assert_eq!(output.status.code(), Some(if counts { 7 } else { 3 }), "{}", stderr(&output));
    assert_eq!(stderr(&output).contains("run it as administrator"), !counts, "{}", stderr(&output));
}
