//! Files of tcpdump, dumpcap, tshark and editcap print the same text as with tcpdump, and those programs read the
//! written files.

use std::fs;
use std::io::Write;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;

use super::frames::{echo, ethernet, file};
use super::network::{Running, TestNetwork, fixture, has, net_traffic, run, text_of};

/// The text of a file, with times in microseconds.
fn ours(path: &Path) -> String {
    let output = net_traffic(&["-n", "-tt", "-e", "-r", path.to_str().unwrap()]).output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}: {}",
        path.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    text_of(&output)
}

fn theirs(path: &Path) -> String {
    let output =
        Command::new("tcpdump").args(["-n", "-tt", "-e", "-r", path.to_str().unwrap()]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    text_of(&output)
}

fn same_text(path: &Path) {
    let theirs = theirs(path);
    assert!(theirs.lines().count() > 10, "{}: {theirs}", path.display());
    let ours = ours(path);
    for (ours, theirs) in ours.lines().zip(theirs.lines()) {
        assert_eq!(ours, theirs, "{}", path.display());
    }
    assert_eq!(ours.lines().count(), theirs.lines().count(), "{}", path.display());
}

/// Fields of each packet as tshark reads them.
fn fields(path: &Path, names: &[&str]) -> String {
    let names = names.iter().flat_map(|name| ["-e", name]);
    let mut command = Command::new("tshark");
    command.args(["-n", "-r", path.to_str().unwrap(), "-T", "fields"]).args(names);
    quiet(&command.output().unwrap())
}

/// The standard output of a program without messages on standard error.
fn quiet(output: &Output) -> String {
    let messages = String::from_utf8_lossy(&output.stderr);
    let complaints: Vec<&str> = messages.lines().filter(|line| !line.contains("Running as user")).collect();
    assert!(output.status.success() && complaints.is_empty(), "{messages}");
    text_of(output)
}

#[test]
fn files_of_other_programs_print_same_text() {
    if !["tcpdump", "dumpcap", "tshark"].into_iter().all(has) {
        return;
    }
    let Some(network) = TestNetwork::new() else { return };
    // tshark and dumpcap need a directory that they can write to.
    run("chmod", &["777", network.directory.path().to_str().unwrap()]);
    let micro = network.path("micro.pcap");
    let nano = network.path("nano.pcap");
    let dump = network.path("dump.pcapng");
    let shark = network.path("shark.pcapng");
    let capture = |name: &str, program: &str, arguments: &[&str], path: &Path| {
        let mut command = Command::new(program);
        command.args(["-i", "va"]).args(arguments).args(["-w", path.to_str().unwrap()]);
        (Running::start_saying(&network, name, command, program), path.to_owned())
    };
    let all = [
        capture("micro", "tcpdump", &["-U", "--immediate-mode", "-Z", "root"], &micro),
        capture("nano", "tcpdump", &["-U", "-Z", "root", "--time-stamp-precision", "nano"], &nano),
        capture("dumpcap", "dumpcap", &["-q"], &dump),
        capture("tshark", "tshark", &["-q"], &shark),
    ];
    let socket = UdpSocket::bind("10.9.0.1:0").unwrap();
    // Some programs report that they capture before they do, and all write with a delay.
    let is_enough = |path: &Path| fs::metadata(path).is_ok_and(|file| file.len() > 20_000);
    for _ in 0..200 {
        for length in 0..30 {
            drop(socket.send_to(&vec![7; length * 40], "10.9.0.2:7700"));
        }
        std::thread::sleep(Duration::from_millis(50));
        if all.iter().all(|(_, path)| is_enough(path)) {
            break;
        }
    }
    for (program, path) in all {
        program.end(Signal::SIGINT);
        same_text(&path);
    }
}

#[test]
fn formats_of_editcap_are_read() {
    if !["tcpdump", "editcap", "mergecap"].into_iter().all(has) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let fixture = fixture();
    let source = fixture.to_str().unwrap();
    let original = ours(&fixture);
    for format in ["pcap", "nsecpcap", "modpcap", "pcapng"] {
        let to = path(format);
        run("editcap", &["-F", format, source, to.to_str().unwrap()]);
        assert_eq!(ours(&to), original, "{format}");
    }
    let commented = path("commented.pcapng");
    run("editcap", &["-a", "1:not ours", "-a", "2:PID: not a number", source, commented.to_str().unwrap()]);
    assert_eq!(ours(&commented), original);
    // Two sections, each with its own interface.
    let pcapng = fs::read(path("pcapng")).unwrap();
    let sections = path("sections.pcapng");
    fs::write(&sections, [&pcapng[..], &pcapng[..]].concat()).unwrap();
    let read = net_traffic(&["-n", "--json", "-r", sections.to_str().unwrap()]).output().unwrap();
    let packets = text_of(&read).lines().filter(|line| line.contains("\"report\":\"packet\"")).count();
    let once = net_traffic(&["-n", "--json", "-r", source]).output().unwrap();
    let once = text_of(&once).lines().filter(|line| line.contains("\"report\":\"packet\"")).count();
    assert!(once > 80 && packets == 2 * once, "{packets}, not twice {once}");
    // Several interfaces in one section.
    let merged = path("merged.pcapng");
    run(
        "mergecap",
        &["-a", "-I", "none", "-w", merged.to_str().unwrap(), source, path("nsecpcap").to_str().unwrap()],
    );
    let again = path("again.pcapng");
    convert(&merged, &again);
    let names = ["frame.number", "frame.time_epoch", "frame.len", "frame.cap_len", "frame.protocols"];
    assert_eq!(fields(&again, &names), fields(&merged, &names));
}

fn convert(from: &Path, to: &Path) {
    let output = net_traffic(&["-r", from.to_str().unwrap(), "-w", to.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Blocks and options that the programs above do not write, in both byte orders: obsolete and simple packet blocks,
/// other time resolutions and offsets, name resolution, unknown options, comments.
#[test]
fn rare_blocks_are_read_as_by_tshark() {
    if !has("tshark") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let frame = ethernet(0x0800, &echo());
    for big in [false, true] {
        let path = directory.path().join(format!("{big}.pcapng"));
        fs::write(&path, rare(&frame, big)).unwrap();
        let again = directory.path().join(format!("{big}-again.pcapng"));
        convert(&path, &again);
        let names = ["frame.time_epoch", "frame.len", "frame.cap_len", "ip.src"];
        let (read, written) = (fields(&path, &names), fields(&again, &names));
        assert_eq!(read.lines().count(), 5, "{read}");
        // A simple packet block has no time; programs print no time or 0.
        let without_time = |text: &str| -> Vec<String> {
            text.lines().map(|line| line.strip_prefix("0.000000000").unwrap_or(line).to_owned()).collect()
        };
        assert_eq!(without_time(&written), without_time(&read), "big-endian: {big}");
    }
}

fn halves(time: u64) -> (u32, u32) {
    (u32::try_from(time >> 32).unwrap(), u32::try_from(time & 0xffff_ffff).unwrap())
}

fn rare(frame: &[u8], big: bool) -> Vec<u8> {
    let short = |word: u16| if big { word.to_be_bytes() } else { word.to_le_bytes() };
    let long = |word: u32| if big { word.to_be_bytes() } else { word.to_le_bytes() };
    let padded = |octets: &[u8]| {
        let mut octets = octets.to_vec();
        octets.resize(octets.len().next_multiple_of(4), 0);
        octets
    };
    let block = |kind: u32, body: &[u8]| {
        let length = u32::try_from(12 + padded(body).len()).unwrap();
        [&long(kind)[..], &long(length), &padded(body), &long(length)].concat()
    };
    let option = |code: u16, value: &[u8]| {
        [&short(code)[..], &short(u16::try_from(value.len()).unwrap()), &padded(value)].concat()
    };
    let end = option(0, b"");
    let length = u32::try_from(frame.len()).unwrap();
    let section =
        [&long(0x1a2b_3c4d)[..], &short(1), &short(0), &[0xff; 8], &option(4, b"by hand"), &end].concat();
    let interface = |options: &[Vec<u8>]| {
        block(1, &[&short(1)[..], &short(0), &long(0), &options.concat(), &end].concat())
    };
    let offset: Vec<u8> = if big { 100_i64.to_be_bytes().into() } else { 100_i64.to_le_bytes().into() };
    let packet = |interface: u32, time: u64, options: &[Vec<u8>]| {
        let (high, low) = halves(time);
        let head = [long(interface), long(high), long(low), long(length), long(length + 9)].concat();
        block(6, &[&head[..], &padded(frame), &options.concat(), &end].concat())
    };
    let (high, low) = halves(1_700_000_000_123_456);
    let obsolete = [&short(0)[..], &short(7), &long(high), &long(low), &long(length), &long(length)].concat();
    [
        block(0x0a0d_0d0a, &section),
        interface(&[option(2, b"first"), option(0x7abc, b"unknown")]),
        interface(&[option(9, &[0x80 | 0x0a]), option(14, &offset)]),
        interface(&[option(9, &[9]), option(11, b"\0tcp")]),
        // A name resolution block without names.
        block(4, &[0; 4]),
        packet(0, 1_700_000_000_123_456, &[option(1, b"a comment"), option(2, &long(1))]),
        packet(1, 1_700_000_000 << 10 | 512, &[]),
        packet(2, 1_700_000_000_123_456_789, &[option(0x7abc, b"x")]),
        block(2, &[&obsolete[..], &padded(frame)].concat()),
        block(3, &[&long(length)[..], frame].concat()),
    ]
    .concat()
}

#[test]
fn live_file_is_read_without_warning() {
    if !["tshark", "capinfos", "tcpdump"].into_iter().all(has) {
        return;
    }
    let Some(network) = TestNetwork::new() else { return };
    let path = network.path("live.pcapng");
    let command = net_traffic(&["-i", "any", "-w", path.to_str().unwrap(), "udp"]);
    let capture = Running::start(&network, "capture", command);
    let socket = UdpSocket::bind("10.9.0.1:0").unwrap();
    for _ in 0..20 {
        drop(socket.send_to(b"x", "10.9.0.2:7700"));
    }
    capture.wait_until_captured(20);
    let (status, messages) = capture.end(Signal::SIGINT);
    assert_eq!(status, Some(0), "{messages}");
    let read = fields(&path, &["frame.number", "frame.interface_name", "udp.dstport"]);
    assert!(read.lines().filter(|line| line.contains("va\t7700")).count() >= 20, "{read}");
    let told = quiet(&Command::new("capinfos").arg(&path).output().unwrap());
    assert!(told.contains("net-traffic "), "{told}");
}

#[test]
fn output_to_pipe_is_complete_file() {
    if !has("tcpdump") {
        return;
    }
    let fixture = fixture();
    let mut ours = net_traffic(&["-r", fixture.to_str().unwrap(), "-w", "-"]);
    let mut ours = ours.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut theirs = Command::new("tcpdump");
    theirs.args(["-n", "-tt", "-e", "-r", "-"]).stdin(ours.stdout.take().unwrap());
    let theirs = theirs.output().unwrap();
    assert!(ours.wait().unwrap().success());
    assert_eq!(text_of(&theirs), self::theirs(&fixture));
    // The reverse: reads a file from a pipe.
    let mut reader = net_traffic(&["-n", "-tt", "-e", "-r", "-"]);
    let mut reader =
        reader.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    reader.stdin.take().unwrap().write_all(&fs::read(&fixture).unwrap()).unwrap();
    assert_eq!(text_of(&reader.wait_with_output().unwrap()), text_of(&theirs));
}

#[test]
fn output_files_rotate_by_time_until_count() {
    let directory = tempfile::tempdir().unwrap();
    let source = directory.path().join("source.pcap");
    // One packet per second, from 1 700 000 000.
    fs::write(&source, file(1, &vec![ethernet(0x0800, &echo()); 30])).unwrap();
    let count = |name: &str| -> usize {
        let path = directory.path().join(name);
        if path.exists() { ours(&path).lines().count() } else { 0 }
    };
    let pattern = directory.path().join("a-%s.pcap");
    let arguments = ["-r", source.to_str().unwrap(), "-w", pattern.to_str().unwrap(), "-G", "10"];
    assert!(net_traffic(&arguments).status().unwrap().success());
    for second in [0, 10, 20] {
        assert_eq!(count(&format!("a-{}.pcap", 1_700_000_000 + second)), 10);
    }
    let pattern = directory.path().join("b-%s.pcapng");
    let arguments = ["-r", source.to_str().unwrap(), "-w", pattern.to_str().unwrap(), "-G", "10", "-W", "2"];
    assert!(net_traffic(&arguments).status().unwrap().success());
    let counts = [0, 10, 20].map(|second| count(&format!("b-{}.pcapng", 1_700_000_000 + second)));
    assert_eq!(counts, [10, 10, 0]);
    for wrong in [&["-W", "2"][..], &["-C", "0"], &["-G", "0"], &["-C", "x"]] {
        let arguments = [&["-r", source.to_str().unwrap(), "-w", "/nowhere/x"], wrong].concat();
        assert_eq!(net_traffic(&arguments).output().unwrap().status.code(), Some(2), "{wrong:?}");
    }
}
