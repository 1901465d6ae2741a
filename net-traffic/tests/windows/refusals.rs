//! What is said where something is not to be had, and what still works.

use windows_sys::Win32::Foundation::CloseHandle;
use windows_sys::Win32::System::Threading::CreateMutexW;

use crate::program::{alone, find, is_wine, program, reports, run, show, stderr};
use crate::support::schema::Json;

#[test]
fn without_event_tracing_tables_and_interfaces_are_shown_and_the_reason_is_said() {
    if !is_wine() {
        return;
    }
    for view in ["top -c 1", "bandwidth -c 1", "connections -d 0.1 -c 2"] {
        let output = run(&format!("{view} --json"));
        assert_eq!(output.status.code(), Some(0), "{view}");
        assert!(
            stderr(&output).contains("counting: event tracing needs an administrator"),
            "{}",
            stderr(&output)
        );
        let text = String::from_utf8(output.stdout).unwrap();
        let report = Json::parse(text.lines().next().unwrap());
        let source = find(&report, "sources", &[("slot", "counting")]).unwrap();
        assert_eq!(show(source, "tier"), "null");
        assert!(show(source, "reason").contains("Performance Log Users"));
    }
    let processes = &reports("top -c 1")[0];
    for row in processes.get("processes").list() {
        assert_eq!(show(row, "rx_bytes"), "null", "nothing counts, so nothing is known");
    }
}

#[test]
fn doctor_says_what_is_missing_and_how_to_get_it() {
    let report = &reports("doctor")[0];
    for slot in ["interfaces", "sockets", "owners"] {
        let row = find(report, "slots", &[("slot", slot)]).unwrap();
        assert_eq!(show(row, "tier"), "polling");
    }
    if is_wine() {
        let counting = find(report, "slots", &[("slot", "counting")]).unwrap();
        assert!(show(counting, "remedy").contains("as administrator"));
        let capture = find(report, "slots", &[("slot", "capture")]).unwrap();
        assert_eq!(show(capture, "tier"), "null");
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
    if is_wine() {
        let output = run("capture");
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        assert!(stderr(&output).contains("no PktMonApi.dll"), "{}", stderr(&output));
        assert!(stderr(&output).contains("etl2pcap"), "{}", stderr(&output));
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
fn a_run_that_cannot_be_counted_is_a_missing_privilege() {
    if !is_wine() {
        return;
    }
    let output = run("run -- cmd /c exit 7");
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(stderr(&output).contains("run it as administrator"), "{}", stderr(&output));
}
