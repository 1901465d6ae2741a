//! Without rights a test runs, names its cause, and lists the missing rights.

use std::fs;

use super::network::{End, IPERF3, OURS, THERE, in_network, in_network_with_priority};

#[test]
fn unprivileged_user_gets_cause_and_missing_rights() {
    in_network_with_priority("unprivileged_user_gets_cause_and_missing_rights", |network| {
        // Another user may be unable to read the source tree.
        let directory = tempfile::tempdir().unwrap();
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(directory.path(), permissions).unwrap();
        let program = directory.path().join("net-traffic");
        fs::copy(OURS, &program).unwrap();
        let program = program.to_str().unwrap();

        let serving = network.serve(End::There, IPERF3, 5801, "");
        let text =
            network.start_as_nobody(End::Here, program, &format!("iperf {THERE} -p 5801 -t 1 -w 8K")).end();
        assert_eq!(text.code, Some(0), "{}", text.err);
        assert!(text.out.contains("Limited by: the receiver's window"), "{}", text.out);
        assert!(text.out.contains("stopped by the receiver's window"), "{}", text.out);
        for added in ["counting: CAP_BPF", "needed for counting in the kernel", "sudo setcap"] {
            assert!(text.out.contains(added), "{added}: {}", text.out);
        }
        assert_eq!(text.err, "");
        let json =
            network.start_as_nobody(End::Here, program, &format!("iperf {THERE} -p 5801 -n 50M -J")).end();
        let report = json.json();
        let stream = &report["net_traffic"]["streams"][0];
        // The last reading was before the socket closed.
        let (seen, sent) = (&stream["sent_bytes"], &report["end"]["sum_sent"]["bytes"]);
        assert!((1..=sent.as_u64().unwrap() + 37).contains(&seen.as_u64().unwrap()), "{report}");
        let remarks = report["net_traffic"]["remarks"].as_array().unwrap();
        assert!(remarks.iter().any(|remark| remark.as_str().unwrap().contains("CAP_BPF")), "{remarks:?}");
        drop(serving);

        let server = network.start_as_nobody(End::There, program, "iperf -s -1 -p 5802");
        network.wait_until_listening(End::There, 5802);
        let client = network.start(End::Here, IPERF3, &format!("-c {THERE} -p 5802 -n 50M")).end();
        assert_eq!(client.code, Some(0), "{}{}", client.out, client.err);
        let told = server.end();
        assert!(told.out.contains("Limited by: "), "{}{}", told.out, told.err);
    });
}

#[test]
fn root_gets_no_missing_rights() {
    in_network("root_gets_no_missing_rights", |network| {
        let _serving = network.serve(End::There, IPERF3, 5803, "");
        let report = network.start(End::Here, OURS, &format!("iperf {THERE} -p 5803 -n 1M -J")).end().json();
        assert_eq!(report["net_traffic"]["remarks"], serde_json::json!([]), "{report}");
    });
}
