//! The program's command line: exit statuses, wrong options, broken recordings, closed pipes.

use std::fs;
use std::io::Read;
use std::path::Path;
#[cfg(unix)]
use std::process::Command;
use std::process::{Output, Stdio};

use net_traffic_testing::{recording, recordings, schema};

use crate::program::{program, stderr, stdout};

/// Runs the program with a line of arguments; `@name` is a recording.
fn run(line: &str) -> Output {
    let arguments = line.split_whitespace().map(|word| match word.strip_prefix('@') {
        Some(name) => recording(name).into_os_string(),
        None => word.into(),
    });
    program().args(arguments).output().unwrap()
}

/// Checks exit status 2, the reason on standard error, and an empty standard output.
fn refused(output: &Output, line: &str, why: &str) {
    assert_eq!(output.status.code(), Some(2), "{line}: {}", stderr(output));
    assert!(output.stdout.is_empty(), "{line}: {}", stdout(output));
    assert!(stderr(output).contains(why), "{line}: {}", stderr(output));
}

#[test]
fn bad_flags_are_refused() {
    for (line, why) in [
        ("--no-such-flag", "--no-such-flag"),
        ("conections", "conections"),
        ("--json --format csv", "--json"),
        ("--format xml", "xml"),
        ("--units bytes", "bytes"),
        ("--remote 10.0.0.0/33", "prefix length"),
        ("--remote 10.0.0/8", "not an IP address"),
        ("--remote fe80::/129", "prefix length"),
        ("--remote host.example", "not an IP address"),
        ("--port 0", "0"),
        ("--port 65536", "65536"),
        ("--port http", "http"),
        ("--state open", "'open' is no state"),
        ("-p 0", "0"),
        ("-p nginx", "nginx"),
        ("-p 4294967295", "no such process"),
        ("-i no-such-iface0", "no such interface"),
        ("-i ../eth0", "no such interface"),
        ("--netns 0", "neither a path nor a process id"),
        ("--netns 99999999999", "neither a path nor a process id"),
        ("--tier fast", "fast"),
        ("top --xdp", "--xdp"),
        ("bandwidth --xdp --tier polling", "--xdp"),
        ("bandwidth --xdp --replay @normal", "not a recording"),
        ("-d 0", "interval"),
        ("-d 0.001", "interval"),
        ("-d nan", "interval"),
        ("-d inf", "interval"),
        ("-d 1e9", "interval"),
        ("-c 0", "0"),
        ("-c many", "many"),
        ("top 0", "interval"),
        ("top 1 0", "0"),
        ("top 1 2 3", "3"),
        ("top 1 -d 2", "cannot be used with"),
        ("top 1 2 -c 3", "cannot be used with"),
        ("top -l", "-l"),
        ("--sort colour", "no column 'colour'"),
        ("--by process", "no table of processes"),
        ("bw --by container", "no table of containers"),
        ("--limit 0", "at least 1"),
        ("--limit -1", "-1"),
        ("-q -v", "cannot be used with"),
        ("--replay", "--replay"),
        ("record", "FILE"),
        ("record x --replay @normal", "unexpected argument '--replay'"),
        ("run --replay @normal -- true", "unexpected argument '--replay'"),
        ("record x --json", "--json"),
        ("doctor -t", "-t"),
        ("--replay @normal --tier kprobe", "--tier"),
        ("--replay @normal --netns 12", "by inode"),
        ("--replay @normal -i wlan9", "no such interface"),
    ] {
        refused(&run(line), line, why);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn named_tier_counts_or_is_refused() {
    for tier in ["tp-btf", "fentry", "kprobe"] {
        let output = run(&format!("--json --tier {tier}"));
        if output.status.success() {
            assert!(
                stdout(&output).contains(&format!("\"slot\":\"tcp_send\",\"tier\":\"{tier}\"")),
                "{tier}"
            );
        } else {
            assert!(matches!(output.status.code(), Some(2 | 3)), "{tier}: {}", stderr(&output));
            assert!(
                output.stdout.is_empty() && stderr(&output).contains(tier),
                "{tier}: {}",
                stderr(&output)
            );
        }
    }
}

#[test]
fn help_and_version_are_data() {
    for line in ["--help", "-h", "--version", "top --help", "help top", "connections -h"] {
        let output = run(line);
        assert_eq!(output.status.code(), Some(0), "{line}");
        assert!(!output.stdout.is_empty() && output.stderr.is_empty(), "{line}");
    }
}

/// Help lists no option that the command refuses.
#[test]
fn help_lists_replay_for_views_only() {
    for (command, is_offered) in [
        ("connections", true),
        ("top", true),
        ("bandwidth", true),
        ("doctor", true),
        ("run", false),
        ("record", false),
    ] {
        assert_eq!(
            stdout(&run(&format!("{command} --help"))).contains("--replay <FILE>"),
            is_offered,
            "{command}"
        );
    }
}

#[test]
fn options_before_and_after_command_are_equal() {
    let expected = stdout(&run("top --json --replay @rates -t"));
    assert_eq!(expected.lines().count(), 2);
    for line in [
        "--json -t top --replay @rates",
        "--replay @rates -t --json top",
        "-t top --format json --replay @rates",
    ] {
        assert_eq!(stdout(&run(line)), expected, "{line}");
    }
    assert_eq!(stdout(&run("--replay @rates")), stdout(&run("connections --replay @rates")));
    assert_eq!(stdout(&run("bw --replay @rates")), stdout(&run("bandwidth --replay @rates")));
}

#[test]
fn json_reports_match_contract() {
    for recording in recordings() {
        for view in ["connections", "top", "bandwidth", "doctor"] {
            let output = program().args([view, "--json", "--replay"]).arg(&recording).output().unwrap();
            assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
            assert!(!output.stdout.is_empty());
            stdout(&output).lines().for_each(schema::check);
        }
    }
}

#[test]
fn count_limits_number_of_reports() {
    for (line, reports) in [("-c 1", 1), ("top 5 2", 2), ("top 5", 8), ("bw -c 9", 8), ("doctor", 1)] {
        let line = format!("{line} --json --replay @closed");
        assert_eq!(stdout(&run(&line)).lines().count(), reports, "{line}");
    }
}

#[test]
fn selection_options_apply_to_every_view() {
    let ports = |line: &str, table: &str, key: &str| -> Vec<String> {
        let json = schema::Json::parse(stdout(&run(&format!("{line} -c 1 --json --replay @normal"))).trim());
        json.get(table).list().iter().map(|row| format!("{:?}", row.get(key))).collect()
    };
    for view in ["connections", "top"] {
        let count = |flags: &str| ports(&format!("{view} {flags}"), "connections", "protocol").len();
        assert_eq!(count(""), 6, "{view}");
        assert_eq!(count("-t"), 5, "{view}");
        assert_eq!(count("-u"), 1, "{view}");
        assert_eq!(count("-t -u"), 6, "{view}");
        assert_eq!(count("-4"), 6, "{view}");
        assert_eq!(count("-6"), 0, "{view}");
        assert_eq!(count("--port 22"), 1, "{view}");
        assert_eq!(count("--port 22,53"), 2, "{view}");
        assert_eq!(count("--remote 198.51.100.0/24"), 3, "{view}");
        assert_eq!(count("--process nginx"), 2, "{view}");
        assert_eq!(count("--container web"), 1, "{view}");
        assert_eq!(count("--container f3b1"), 1, "{view}");
        assert_eq!(count("--state time-wait"), 1, "{view}");
        assert_eq!(count("--state LISTEN"), 1, "{view}");
        assert_eq!(count("--netns 4026532900"), 1, "{view}");
        assert_eq!(count("--limit 2"), 2, "{view}");
    }
    assert_eq!(ports("connections -a", "connections", "state").len(), 8);
    assert_eq!(ports("connections -l", "connections", "state").len(), 2);
    assert_eq!(ports("connections -e", "connections", "state").len(), 5);
    assert_eq!(ports("top --process app", "processes", "process"), ["Text(\"app\")"]);
    assert_eq!(ports("bw -i lo", "interfaces", "name"), ["Text(\"lo\")"]);
    assert_eq!(ports("--sort tx", "connections", "tx_bytes")[0], "Number(9000.0)");
    assert_eq!(ports("--sort pid --limit 1", "connections", "pid"), ["Number(1500.0)"]);
}

#[test]
fn csv_has_the_chosen_table() {
    let first = |line: &str| stdout(&run(line)).lines().next().unwrap().to_owned();
    assert!(
        first("--format csv -c 1 --replay @normal")
            .starts_with("protocol,local_address,local_port,remote_address,")
    );
    assert!(first("top --format csv --by process -c 1 --replay @normal").starts_with("pid,process,user,"));
    assert!(
        first("top --format csv --by destination -c 1 --replay @normal").starts_with("address,connections,")
    );
    assert!(first("bw --format csv -c 1 --replay @normal").starts_with("name,rx_bytes,"));
    let rows = stdout(&run("--format csv --no-header -c 1 --replay @normal"));
    assert_eq!(rows.lines().count(), 6);
    assert!(rows.starts_with("tcp,192.0.2.1,443,"), "{rows}");
    let series = stdout(&run("top --format csv --replay @rates"));
    assert_eq!(series.lines().filter(|line| line.starts_with("time,")).count(), 1);
    assert_eq!(series.lines().filter(|line| line.starts_with("2026-01-31T12:00:01.123Z,")).count(), 7);
}

#[test]
fn invalid_recordings_are_refused_without_output() {
    let directory = tempfile::tempdir().unwrap();
    let whole = fs::read(recording("rates")).unwrap();
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    let cases: [(&str, Vec<u8>, &str); 7] = [
        ("empty", Vec::new(), "empty"),
        ("foreign", b"{\"schema\":\"net-traffic/1\"}\n".to_vec(), "line 1"),
        ("binary", vec![0xff; 100_000], "line 1"),
        ("headless", lines[1].to_vec(), "line 1"),
        ("truncated", whole[..whole.len() - 50].to_vec(), "line 3"),
        ("garbage", [lines[0], lines[1], b"garbage\n", lines[2]].concat(), "line 3"),
        ("future", b"{\"format\":\"net-traffic-recording\",\"version\":2}\n".to_vec(), "version 2"),
    ];
    for (name, bytes, why) in cases {
        let file = directory.path().join(name);
        fs::write(&file, bytes).unwrap();
        for view in ["connections", "top", "bandwidth", "doctor"] {
            let output = program().args([view, "--replay"]).arg(&file).output().unwrap();
            refused(&output, name, why);
            assert!(stderr(&output).contains(&*file.to_string_lossy()), "{}", stderr(&output));
        }
    }
    for file in [directory.path(), Path::new("/no/such/file")] {
        refused(&program().arg("--replay").arg(file).output().unwrap(), "unreadable", "cannot read it");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let directory = tempfile::tempdir().unwrap();
    let file = long_recording(directory.path());
    for format in ["table", "markdown", "json", "csv"] {
        let mut child = program()
            .args(["--format", format, "--replay"])
            .arg(&file)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut reader = child.stdout.take().unwrap();
        reader.read_exact(&mut [0; 100]).unwrap();
        drop(reader);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{format}");
        assert!(output.stderr.is_empty(), "{format}: {}", stderr(&output));
    }
}

#[cfg(unix)]
#[test]
fn signal_ends_program_blocked_on_full_pipe() {
    let directory = tempfile::tempdir().unwrap();
    let file = long_recording(directory.path());
    for signal in ["-INT", "-TERM"] {
        let mut child =
            program().arg("--json").arg("--replay").arg(&file).stdout(Stdio::piped()).spawn().unwrap();
        // The program handles signals before it writes the first byte. The pipe is full long before the recording
        // ends.
        let mut reader = child.stdout.take().unwrap();
        reader.read_exact(&mut [0; 1]).unwrap();
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(0), "{signal}");
    }
}

/// `execve` keeps the CPU time of the process: after `cargo run` it includes cargo's.
#[cfg(target_os = "linux")]
#[test]
fn cost_excludes_program_before_exec() {
    // In ticks of 10 ms. The program itself takes less than a tenth of it.
    let before = 30;
    let script = format!(
        "used=0; while [ $used -lt {before} ]; do read -r stat < /proc/$$/stat; set -- $stat; used=${{14}}; done; \
         exec {} --json -c 1",
        assert_cmd::cargo::cargo_bin!("net-traffic").display()
    );
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let used = report["cost"]["user_cpu_ms"].as_u64().unwrap();
    assert!(used < before * 10, "{used} ms");
}

#[test]
fn piped_text_has_no_control_characters() {
    for format in ["table", "markdown"] {
        let text = stdout(&run(&format!("top --format {format} --replay @long_names")));
        assert!(text.chars().all(|it| it == '\n' || !it.is_control()), "{text}");
    }
}

/// A recording whose reports exceed the size of a pipe.
fn long_recording(directory: &Path) -> std::path::PathBuf {
    let whole = fs::read_to_string(recording("normal")).unwrap();
    let (header, snapshot) = whole.split_once('\n').unwrap();
    let file = directory.join("long.jsonl");
    fs::write(&file, format!("{header}\n{}", snapshot.repeat(500))).unwrap();
    file
}
