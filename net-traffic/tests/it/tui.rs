//! The full screen in a real terminal: keys, mouse, size, signals, and the terminal's modes afterwards.
//!
//! Each test starts a tmux server of its own. Without tmux the tests skip.
#![expect(clippy::disallowed_methods, reason = "how long the screen takes to answer is measured")]

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use net_traffic_output::tui::terminal::FullScreen;
use net_traffic_testing::{recording, skip, wait_until};

use crate::tmux::Terminal;

/// Opens a terminal, or ends the test.
macro_rules! terminal {
    ($width:expr, $height:expr) => {
        match Terminal::open($width, $height) {
            Some(terminal) => terminal,
            None => return,
        }
    };
}

fn program() -> String {
    assert_cmd::cargo::cargo_bin!("net-traffic").display().to_string()
}

fn replay(name: &str, rest: &str) -> String {
    format!("{} --replay {} {rest}", program(), recording(name).display())
}

#[test]
fn keys_do_what_help_lists() {
    let terminal = terminal!(80, 24);
    terminal.type_line(&replay("rates", "top -d 0.05"));
    terminal.wait_for("END OF RECORDING");
    terminal.wait_for("Connections 7");
    for (keys, seen) in [
        ("Tab", "Processes 5"),
        ("Tab", "Containers 1"),
        ("Tab", "Destinations 5"),
        ("BTab", "Containers 1"),
        ("4", "Destinations 5"),
        ("2", "Processes 5"),
        ("1", "Connections 7"),
        ("s", "by pid"),
        ("s", "PROCESS▲"),
        ("S", "PROCESS▼"),
        ("t", "by total"),
        ("t", "by rate"),
        ("?", "Loss ledger"),
        ("PageDown", "lost"),
        ("Escape", "Connections 7"),
        ("Enter", "counted rx bytes"),
        ("j", "lines 2-"),
        ("k", "lines 1-"),
        ("Escape", "by rate"),
        ("Space", "PAUSED"),
        ("Space", "END OF RECORDING"),
        ("/", "port: process: state:"),
        ("p", "/p"),
        ("C-u", "port: process: state:"),
        ("u", "/u"),
        ("d", "/ud"),
        ("p", "Connections 2/7"),
        ("Enter", "filter: udp"),
        ("/", "/udp"),
        ("x", "/udpx"),
        ("BSpace", "Connections 2/7"),
        ("Escape", "filter: udp"),
        ("Escape", "Connections 7"),
    ] {
        terminal.press(keys);
        terminal.wait_for(seen);
    }
    // Moves the selection; Enter opens the details of the selected row.
    for (keys, opened) in [
        ("G", "198.51.100.7:50001"),
        ("g", "172.17.0.1:40000"),
        ("Down", "198.51.100.7:50123"),
        ("j", "192.0.2.53:53"),
        ("Up", "198.51.100.7:50123"),
        ("k", "172.17.0.1:40000"),
        ("NPage", "198.51.100.7:50001"),
        ("PPage", "172.17.0.1:40000"),
        ("End", "198.51.100.7:50001"),
        ("Home", "172.17.0.1:40000"),
    ] {
        terminal.press(keys);
        terminal.press("Enter");
        terminal.wait_for(&format!("remote              {opened}"));
        terminal.press("Escape");
        terminal.wait_for("q quit  ? help  / filter");
    }
    terminal.press("r");
    terminal.wait_for("totals of 0s");
    terminal.press("q");
    terminal.wait_until_given_back();
}

#[test]
fn bandwidth_screen_shows_graph_and_lists() {
    let terminal = terminal!(100, 30);
    terminal.type_line(&replay("rates", "bandwidth -d 0.05"));
    terminal.wait_for("END OF RECORDING");
    terminal.wait_for("eth0 RX  now 1.00Mbit/s");
    for (keys, seen) in [
        ("g", "lo RX  now 0bit/s"),
        ("j", "eth0 RX  now 1.00Mbit/s"),
        ("Enter", "rx rate             1.00Mbit/s"),
        ("Escape", "Interfaces 3"),
        ("Tab", "Processes 5"),
        ("Enter", "start ticks"),
        ("Escape", "Processes 5"),
    ] {
        terminal.press(keys);
        terminal.wait_for(seen);
    }
    terminal.press("C-c");
    terminal.wait_until_given_back();
}

#[test]
fn paused_screen_stays_while_counting_continues() {
    let terminal = terminal!(80, 24);
    terminal.type_line(&replay("closed", "top -d 1"));
    terminal.wait_for("totals of 1s");
    terminal.press("Space");
    terminal.wait_for("PAUSED");
    let held = terminal.screen();
    assert!(!held.contains("totals of 7s"), "{held}");
    let (pid, file) = (terminal.foreground(), recording("closed").canonicalize().unwrap());
    wait_until("the program reads the rest of the recording", || is_read_to_the_end(pid, &file));
    assert_eq!(terminal.screen(), held);
    terminal.press("Space");
    terminal.wait_for("totals of 7s");
    terminal.press("q");
    terminal.wait_until_given_back();
}

/// Whether the process has read the whole file. The program reads a recording in pieces while it reports.
fn is_read_to_the_end(pid: u32, file: &Path) -> bool {
    let length = fs::metadata(file).unwrap().len();
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten().any(|entry| {
        let info = Path::new("/proc").join(pid.to_string()).join("fdinfo").join(entry.file_name());
        fs::read_link(entry.path()).is_ok_and(|target| target == file)
            && fs::read_to_string(info).is_ok_and(|info| info.starts_with(&format!("pos:\t{length}\n")))
    })
}

#[test]
fn mouse_sorts_and_scrolls() {
    let terminal = terminal!(80, 24);
    terminal.type_line(&replay("rates", "top -d 0.05"));
    terminal.wait_for("END OF RECORDING");
    // The SGR mouse sequences of a click on line 5 and of the wheel.
    terminal.send_bytes("\x1b[<0;2;5M");
    terminal.wait_for("by pid");
    terminal.send_bytes("\x1b[<65;2;8M");
    // One notch of the wheel moves by three rows.
    terminal.press("Enter");
    terminal.wait_for("remote              198.51.100.8:50999");
    terminal.press("Escape");
    terminal.wait_for("q quit  ? help  / filter");
    terminal.send_bytes("\x1b[<64;2;8M");
    terminal.press("Enter");
    terminal.wait("the wheel does not turn back", |terminal| {
        let screen = terminal.screen();
        screen.contains("remote              ") && !screen.contains("198.51.100.8:50999")
    });
    terminal.press("q");
    terminal.wait_until_given_back();
}

#[test]
fn screen_follows_terminal_size() {
    let terminal = terminal!(80, 24);
    terminal.type_line(&replay("rates", "top -d 0.05"));
    terminal.wait_for("END OF RECORDING");
    terminal.resize(60, 20);
    terminal.wait_for("needs 80x24");
    terminal.wait_for("has 60x20");
    terminal.resize(140, 40);
    terminal.wait_for("CONTAINER");
    terminal.press("q");
    terminal.wait_until_given_back();
}

#[test]
fn signals_restore_terminal() {
    let terminal = terminal!(80, 24);
    for signal in ["TERM", "INT", "HUP"] {
        terminal.type_line(&replay("rates", "top -d 0.05"));
        terminal.wait_for("END OF RECORDING");
        terminal.signal_foreground(signal);
        terminal.wait_until_given_back();
        terminal.type_line("echo status=$?");
        terminal.wait_for("status=0");
        terminal.type_line("clear");
    }
}

#[test]
fn live_screen_runs_without_privileges() {
    let terminal = terminal!(80, 24);
    terminal.type_line(&format!("{} top --tier polling -d 0.2", program()));
    terminal.wait_for("counted by");
    terminal.wait_for("q quit  ? help");
    terminal.press("Tab");
    terminal.wait_for(" 2 Processes");
    terminal.press("q");
    terminal.wait_until_given_back();
}

#[test]
fn host_names_appear_on_request() {
    let terminal = terminal!(80, 24);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let numbers = format!("127.0.0.1:{port}");
    let program = format!("{} top --tier polling -d 0.2 --port {port}", program());
    terminal.type_line(&program);
    terminal.wait_for(&numbers);
    terminal.press("d");
    terminal.wait_for(&format!("localhost:{port}"));
    terminal.press("d");
    terminal.wait("the name stays", |terminal| !terminal.screen().contains("localhost"));
    terminal.press("q");
    terminal.wait_until_given_back();
    terminal.type_line(&format!("{program} --resolve"));
    terminal.wait_for(&format!("localhost:{port}"));
    terminal.press("q");
    terminal.wait_until_given_back();
    drop(stream);
}

/// Runs in a network namespace with a name server that does not answer.
#[test]
fn silent_name_server_delays_no_frame() {
    let terminal = terminal!(80, 24);
    let resolv_conf = tempfile::NamedTempFile::new().unwrap();
    fs::write(resolv_conf.path(), "nameserver 127.0.0.1\noptions timeout:30 attempts:5\n").unwrap();
    let asked = tempfile::NamedTempFile::new().unwrap();
    let alone =
        format!("ip link set lo up && mount --bind {} /etc/resolv.conf", resolv_conf.path().display());
    if let Err(reason) = may_unshare(&alone) {
        return skip(&reason);
    }
    let this = std::env::current_exe().unwrap();
    terminal.type_line(&format!(
        "unshare -rmn sh -c '{alone} && ASKED={} exec {} --ignored --nocapture --exact tui::runs_beside_silent_name_server'",
        asked.path().display(),
        this.display()
    ));
    terminal.wait_for("END OF RECORDING");
    terminal.wait("nobody was asked", |_| fs::read_to_string(asked.path()).unwrap().contains("asked"));
    // Every key has its effect before one name request times out, which takes 5 x 30 s.
    let begin = Instant::now();
    for (key, seen) in
        [("Tab", "Processes 5"), ("4", "Destinations 5"), ("?", "Loss ledger"), ("Escape", "by rate")]
    {
        terminal.press(key);
        terminal.wait_for(seen);
    }
    terminal.press("q");
    terminal.wait_until_given_back();
    assert!(begin.elapsed() < Duration::from_mins(2), "it took {:?}", begin.elapsed());
}

/// Whether this line of shell succeeds in new namespaces.
fn may_unshare(line: &str) -> Result<(), String> {
    let tried = Command::new("unshare").args(["-rmn", "sh", "-c", line]).output();
    match tried {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("no namespaces here: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("unshare: {error}")),
    }
}

/// Runs in a terminal of the test above: a silent name server and the program.
#[test]
#[ignore = "takes the port of name servers, in a network of its own"]
fn runs_beside_silent_name_server() {
    let asked = std::env::var_os("ASKED").unwrap();
    let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 53)).unwrap();
    std::thread::spawn(move || {
        while server.recv_from(&mut [0; 512]).is_ok() {
            fs::write(&asked, "asked").unwrap();
        }
    });
    let arguments = ["top", "-d", "0.05", "--resolve", "--replay"];
    let mut program = Command::new(assert_cmd::cargo::cargo_bin!("net-traffic"));
    let status = program.args(arguments).arg(recording("rates")).status().unwrap();
    assert!(status.success());
}

#[test]
fn startup_error_is_printed_on_terminal() {
    let terminal = terminal!(80, 24);
    terminal.type_line(&replay("rates", "top -i nosuch0"));
    terminal.wait_for("-i nosuch0: there is no such interface");
    terminal.wait_until_given_back();
}

#[test]
fn count_or_format_prints_reports_on_terminal() {
    let terminal = terminal!(140, 40);
    for (arguments, seen) in [
        ("top -c 1", "Top destinations"),
        ("top --format markdown", "Top destinations"),
        ("top --json", "net-traffic/1"),
    ] {
        terminal.type_line(&replay("rates", &format!("{arguments} -d 0.05")));
        terminal.wait_for(seen);
        terminal.wait_until_given_back();
        terminal.type_line("clear");
    }
}

#[test]
fn no_color_disables_colors() {
    let terminal = terminal!(80, 24);
    for (variable, colored) in [("NO_COLOR=", true), ("NO_COLOR=1", false)] {
        terminal.type_line(&format!("{variable} {}", replay("rates", "top -d 0.05")));
        terminal.wait_for("END OF RECORDING");
        let screen = terminal.screen_with_attributes();
        // The SGR codes 30 to 38 set a foreground colour; 39 resets it; 1, 2, 4 and 7 set no colour.
        let codes = screen.split("\x1b[").filter_map(|rest| rest.split_once('m')).map(|(codes, _)| codes);
        let has_color = codes
            .flat_map(|codes| codes.split(';'))
            .any(|code| code.len() == 2 && code.starts_with('3') && code != "39");
        assert_eq!(has_color, colored, "{variable}\n{screen:?}");
        terminal.press("q");
        terminal.wait_until_given_back();
    }
}

#[test]
fn panic_restores_terminal() {
    let terminal = terminal!(80, 24);
    let this = std::env::current_exe().unwrap();
    // The panic is on the drawing thread, then on another thread.
    for test in ["panics_on_the_screen", "panics_beside_the_screen"] {
        let log = tempfile::NamedTempFile::new().unwrap();
        let log_path = log.path().display();
        terminal.type_line(&format!(
            "RUST_BACKTRACE=0 {} --ignored --nocapture --exact tui::{test} 2>{log_path}",
            this.display()
        ));
        terminal.wait_for("was the screen taken");
        terminal.wait_until_given_back();
        let messages = fs::read_to_string(log.path()).unwrap();
        assert!(messages.contains("something went wrong while drawing"), "{messages}");
        terminal.type_line("clear");
    }
}

/// Runs in a terminal of the test above.
#[test]
#[ignore = "panics on purpose, in a terminal of its own"]
fn panics_on_the_screen() {
    println!("was the screen taken");
    let _screen = FullScreen::enter().unwrap();
    panic!("something went wrong while drawing");
}

/// Runs in a terminal of the test above.
#[test]
#[ignore = "panics on purpose, in a terminal of its own"]
fn panics_beside_the_screen() {
    println!("was the screen taken");
    let screen = FullScreen::enter().unwrap();
    let other = std::thread::spawn(|| panic!("something went wrong while drawing"));
    assert!(other.join().is_err());
    // Only the panic hook restores the terminal.
    #[expect(clippy::mem_forget, reason = "only the hook may give the terminal back here")]
    std::mem::forget(screen);
}
