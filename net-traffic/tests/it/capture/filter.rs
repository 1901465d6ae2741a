//! Errors in filters, and the text of compiled filters.

use std::process::Command;

use super::network::{fixture, has, net_traffic, text_of};

#[test]
fn bad_filter_is_refused_with_caret() {
    let file = fixture();
    let output = net_traffic(&["-r", file.to_str().unwrap(), "tcp port http and foo bar"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let messages = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<&str> = messages.lines().collect();
    let expression = lines.iter().position(|line| line.contains("foo bar")).unwrap();
    assert!(lines[expression + 1].trim_start().starts_with('^'), "{messages}");
}

#[test]
fn incomplete_filter_error_points_at_its_end() {
    let file = fixture();
    // Each expression with the column of the caret.
    for (expression, column) in [
        ("tcp port", 8),
        ("(tcp", 4),
        ("ip[0", 4),
        ("port 80 and", 11),
        ("tcp or or udp", 7),
        ("portrange -", 10),
    ] {
        let output = net_traffic(&["-r", file.to_str().unwrap(), expression]).output().unwrap();
        let messages = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{expression}: {messages}");
        assert!(messages.contains("expected"), "{expression}: {messages}");
        let lines: Vec<&str> = messages.lines().collect();
        let at = lines.iter().position(|line| line.trim() == expression).unwrap();
        let begin = lines[at].find(expression).unwrap();
        assert_eq!(lines[at + 1].find('^'), Some(begin + column), "{messages}");
    }
}

#[test]
fn host_name_in_filter_is_resolved() {
    if !has("tcpdump") {
        return;
    }
    let file = fixture();
    let arguments = ["-d", "-r", file.to_str().unwrap(), "ip host localhost"];
    let theirs = Command::new("tcpdump").args(arguments).output().unwrap();
    assert_eq!(text_of(&net_traffic(&arguments).output().unwrap()), text_of(&theirs));
}

#[test]
fn compiled_filter_prints_as_tcpdump() {
    if !has("tcpdump") {
        return;
    }
    let file = fixture();
    for form in ["-d", "-dd", "-ddd"] {
        for filter in ["", "tcp port 80", "ip6 host fd99::2", "ip broadcast", "vlan 5 and arp"] {
            let arguments = [form, "-r", file.to_str().unwrap(), filter];
            let ours = net_traffic(&arguments).output().unwrap();
            let theirs = Command::new("tcpdump").args(arguments).output().unwrap();
            assert!(theirs.status.success());
            assert_eq!(text_of(&ours), text_of(&theirs), "{arguments:?}");
        }
    }
}
