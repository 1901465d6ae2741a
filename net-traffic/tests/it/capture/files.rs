//! Files: conversions lose nothing, other programs read the files, and a closed pipe is no failure.

use std::fs;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

use super::frames::{ethernet, file};
use super::network::{fixture, has, net_traffic, text_of};

fn read(path: &std::path::Path, flags: &[&str]) -> String {
    let output = net_traffic(&[flags, &["-r", path.to_str().unwrap()]].concat()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    text_of(&output)
}

#[test]
fn file_converted_through_every_format_is_equal() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name| directory.path().join(name);
    let steps =
        [(fixture(), path("a.pcapng")), (path("a.pcapng"), path("b.pcap")), (path("b.pcap"), path("c"))];
    let expected = read(&fixture(), &["-tt", "-e", "-xx"]);
    for (from, to) in steps {
        let output =
            net_traffic(&["-r", from.to_str().unwrap(), "-w", to.to_str().unwrap()]).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(read(&to, &["-tt", "-e", "-xx"]), expected, "{}", to.display());
    }
    let original = fs::read(fixture()).unwrap();
    // Without the header: both programs write the same layout.
    assert_eq!(fs::read(path("b.pcap")).unwrap()[24..], original[24..]);
}

#[test]
fn compressed_and_foreign_files_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let original = fs::read(fixture()).unwrap();
    let expected = read(&fixture(), &["-tt"]);
    let packed = directory.path().join("a.pcap.gz");
    let mut encoder =
        flate2::write::GzEncoder::new(fs::File::create(&packed).unwrap(), flate2::Compression::fast());
    encoder.write_all(&original).unwrap();
    encoder.finish().unwrap();
    assert_eq!(read(&packed, &["-tt"]), expected);
    let foreign = directory.path().join("foreign.pcap");
    fs::write(&foreign, swapped(&original)).unwrap();
    assert_eq!(read(&foreign, &["-tt"]), expected);
}

/// The same file in the other byte order.
fn swapped(file: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let word = |out: &mut Vec<u8>, at: usize| out.extend(file[at..at + 4].iter().rev());
    word(&mut out, 0);
    out.extend([file[5], file[4], file[7], file[6]]);
    for at in [8, 12, 16, 20] {
        word(&mut out, at);
    }
    let mut at = 24;
    while at < file.len() {
        let captured = u32::from_le_bytes(file[at + 8..at + 12].try_into().unwrap()) as usize;
        for word_at in [0, 4, 8, 12] {
            word(&mut out, at + word_at);
        }
        out.extend(&file[at + 16..at + 16 + captured]);
        at += 16 + captured;
    }
    out
}

#[test]
fn truncated_file_prints_its_packets_and_fails() {
    let directory = tempfile::tempdir().unwrap();
    let original = fs::read(fixture()).unwrap();
    let cut = directory.path().join("cut.pcap");
    fs::write(&cut, &original[..original.len() - 10]).unwrap();
    let output = net_traffic(&["-r", cut.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("the file ends within a packet"));
    assert_eq!(text_of(&output).lines().count(), read(&fixture(), &[]).lines().count() - 1 - 4);
}

#[test]
fn file_without_packets_is_usage_error() {
    let directory = tempfile::tempdir().unwrap();
    let [absent, empty, foreign] = ["absent", "empty", "foreign"].map(|name| directory.path().join(name));
    fs::write(&empty, "").unwrap();
    fs::write(&foreign, "no packets in here").unwrap();
    for path in [absent, empty, foreign, directory.path().to_owned()] {
        for arguments in [&[][..], &["-d"]] {
            let output =
                net_traffic(&[&["-r", path.to_str().unwrap()], arguments].concat()).output().unwrap();
            let messages = String::from_utf8_lossy(&output.stderr);
            assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{messages}");
            assert!(messages.contains("-r ") && messages.contains(path.to_str().unwrap()), "{messages}");
        }
    }
}

#[test]
fn written_files_are_read_by_tshark_and_capinfos() {
    if !has("tshark") || !has("capinfos") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.pcapng");
    let path = path.to_str().unwrap();
    assert!(net_traffic(&["-r", fixture().to_str().unwrap(), "-w", path]).status().unwrap().success());
    for (program, arguments) in [("tshark", vec!["-n", "-r", path]), ("capinfos", vec![path])] {
        let output = Command::new(program).args(arguments).output().unwrap();
        let messages = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{program}: {messages}");
        let complaints: Vec<&str> =
            messages.lines().filter(|line| !line.contains("Running as user")).collect();
        assert!(complaints.is_empty(), "{program}: {messages}");
    }
}

#[test]
fn output_files_rotate_by_size() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("r.pcap");
    let arguments =
        ["-r", fixture().to_str().unwrap(), "-w", path.to_str().unwrap(), "-C", "4k"].map(str::to_owned);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    assert!(net_traffic(&arguments).status().unwrap().success());
    let mut names: Vec<String> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_by_key(|name| name.len() * 1000 + name.bytes().map(usize::from).sum::<usize>());
    assert!(names.len() > 3, "{names:?}");
    let all: String = names.iter().map(|name| read(&directory.path().join(name), &["-tt", "-S"])).collect();
    assert_eq!(all, read(&fixture(), &["-tt", "-S"]));

    let ring = directory.path().join("w");
    assert!(
        net_traffic(&[&arguments[..2], &["-w", ring.to_str().unwrap(), "-C", "4k", "-W", "2"]].concat())
            .status()
            .unwrap()
            .success()
    );
    assert!(directory.path().join("w0").exists() && directory.path().join("w1").exists());
    assert!(!directory.path().join("w2").exists());
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut child = net_traffic(&["-r", fixture().to_str().unwrap(), "-XX", "-vv"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut first = [0; 1];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn rotated_files_equal_those_of_tcpdump() {
    if !has("tcpdump") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let source = directory.path().join("source.pcap");
    // More than four million bytes.
    fs::write(&source, file(1, &vec![ethernet(0x0800, &[7; 1400]); 3000])).unwrap();
    let rotations: [&[&str]; 4] =
        [&["-C", "1"], &["-C", "1", "-W", "1"], &["-C", "1", "-W", "3"], &["-C", "1", "-W", "12"]];
    for (place, rotation) in rotations.into_iter().enumerate() {
        let name = format!("{place}.pcap");
        let [ours, theirs] = ["ours", "theirs"].map(|who| directory.path().join(format!("{who}-{name}")));
        for directory in [&ours, &theirs] {
            fs::create_dir(directory).unwrap();
        }
        let path = |directory: &std::path::Path| directory.join(&name).to_str().unwrap().to_owned();
        let (to_ours, to_theirs) = (path(&ours), path(&theirs));
        let arguments = |to| [&["-r", source.to_str().unwrap(), "-w", to], rotation].concat();
        assert!(net_traffic(&arguments(&to_ours)).status().unwrap().success());
        let tcpdump =
            Command::new("tcpdump").args(["-Z", "root"]).args(arguments(&to_theirs)).output().unwrap();
        assert!(tcpdump.status.success(), "{}", String::from_utf8_lossy(&tcpdump.stderr));
        let files = |directory: &std::path::Path| {
            let mut files: Vec<_> = fs::read_dir(directory)
                .unwrap()
                .map(|entry| entry.unwrap())
                .map(|entry| (entry.file_name(), fs::read(entry.path()).unwrap()))
                .collect();
            files.sort();
            files
        };
        let (ours, theirs) = (files(&ours), files(&theirs));
        let names = |files: &[(std::ffi::OsString, Vec<u8>)]| -> Vec<_> {
            files.iter().map(|(name, octets)| (name.clone(), octets.len())).collect()
        };
        assert_eq!(names(&ours), names(&theirs), "{rotation:?}");
        assert!((ours.len() > 2 || place == 1) && ours == theirs, "{rotation:?}: other contents");
    }
}
