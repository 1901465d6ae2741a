//! The kernel selects packets by process, user, direction and namespace: of two senders, one is captured.

use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;

use net_traffic_testing::wait_until;

use super::network::{PEER, Running, TestNetwork, has, net_traffic, number, numbers, run, text_of};

/// Sends echo requests until drop.
struct Pinging(Child);

impl Pinging {
    fn start(mut command: Command) -> Self {
        Self(command.args(["-n", "-i", "0.02", PEER]).stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Pinging {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Captures ten packets while both processes send.
fn ten(flags: &[&str]) -> (String, String) {
    let output = net_traffic(&[&["-i", "va", "-c", "10", "icmp"], flags].concat()).output().unwrap();
    let messages = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(0), "{messages}");
    assert_eq!(numbers(&messages).0, 10, "{messages}");
    (text_of(&output), messages)
}

fn all_of(text: &str, pid: u32) {
    assert_eq!(text.lines().count(), 10, "{text}");
    assert!(text.lines().all(|line| line.contains(&format!("[{pid}]"))), "{pid}: {text}");
}

#[test]
fn pid_selects_one_process() {
    if !has("ping") {
        return;
    }
    let Some(_network) = TestNetwork::new() else { return };
    // Both processes started before the capture.
    let (one, other) = (Pinging::start(Command::new("ping")), Pinging::start(Command::new("ping")));
    for pid in [one.0.id(), other.0.id()] {
        let (text, messages) = ten(&["--pid", &pid.to_string()]);
        all_of(&text, pid);
        // The filter did not accept the other's packets.
        assert!(number(&messages, "received by filter") < 30, "{messages}");
    }
}

#[test]
fn process_name_selects_one_process() {
    if !has("ping") {
        return;
    }
    let Some(network) = TestNetwork::new() else { return };
    let other = network.path("pong");
    let ping = Command::new("sh").args(["-c", "command -v ping"]).output().unwrap();
    std::fs::copy(text_of(&ping).trim(), &other).unwrap();
    let (one, other) = (Pinging::start(Command::new("ping")), Pinging::start(Command::new(&other)));
    all_of(&ten(&["--process", "ping"]).0, one.0.id());
    all_of(&ten(&["--process", "pong"]).0, other.0.id());
}

#[test]
fn uid_selects_one_user() {
    if !has("ping") || !has("setpriv") {
        return;
    }
    let Some(_network) = TestNetwork::new() else { return };
    let mut other = Command::new("setpriv");
    other.args(["--reuid=65534", "--inh-caps=+net_raw", "--ambient-caps=+net_raw", "ping"]);
    let (root, nobody) = (Pinging::start(Command::new("ping")), Pinging::start(other));
    // Also processes that start during the capture, by name.
    for (user, pid) in [("0", root.0.id()), ("65534", nobody.0.id()), ("nobody", nobody.0.id())] {
        all_of(&ten(&["--uid", user]).0, pid);
    }
    let output = net_traffic(&["-i", "va", "--uid", "no-such-user"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn direction_selects_one_direction() {
    if !has("ping") {
        return;
    }
    let Some(_network) = TestNetwork::new() else { return };
    let _pinging = Pinging::start(Command::new("ping"));
    assert!(ten(&["--direction", "out"]).0.lines().all(|line| line.contains("echo request")));
    assert!(ten(&["--direction", "in"]).0.lines().all(|line| line.contains("echo reply")));
}

#[test]
fn netns_option_captures_in_other_namespace() {
    if !has("ping") {
        return;
    }
    let Some(network) = TestNetwork::new() else { return };
    let _pinging = Pinging::start(Command::new("ping"));
    let peer = network.peer_pid().to_string();
    // In that namespace the requests are received packets.
    let output = net_traffic(&["-i", "vb", "-c", "4", "--netns", &peer, "icmp"]).output().unwrap();
    let messages = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!((output.status.code(), numbers(&messages).0), (Some(0), 4), "{messages}");
    assert!(text_of(&output).contains("IP 10.9.0.1 > 10.9.0.2: ICMP echo request"), "{}", text_of(&output));
    for (netns, status) in [("4194999", 2), ("/nonexistent", 2)] {
        let output = net_traffic(&["-i", "vb", "--netns", netns]).output().unwrap();
        assert_eq!(output.status.code(), Some(status));
    }
}

#[test]
fn broadcast_filter_uses_interface_netmask() {
    if !has("ping") {
        return;
    }
    let Some(network) = TestNetwork::new() else { return };
    let file = network.path("lines");
    let mut command = net_traffic(&["-i", "va", "ip broadcast"]);
    command.stdout(std::fs::File::create(&file).unwrap());
    let capture = Running::start(&network, "capture", command);
    let socket = std::net::UdpSocket::bind("10.9.0.1:0").unwrap();
    socket.set_broadcast(true).unwrap();
    for address in ["10.9.0.255", "10.9.0.2", "255.255.255.255", "10.9.0.254"] {
        drop(socket.send_to(b"x", (address, 7000)));
    }
    let lines = || std::fs::read_to_string(&file).unwrap().lines().count();
    wait_until("both are shown", || lines() >= 2);
    let (status, messages) = capture.end(Signal::SIGINT);
    assert_eq!((status, numbers(&messages).0), (Some(0), 2), "{messages}");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("> 10.9.0.255.7000") && text.contains("> 255.255.255.255.7000"), "{text}");
}

#[test]
fn filter_matching_nothing_warns() {
    let Some(network) = TestNetwork::new() else { return };
    let mut command = net_traffic(&["-i", "va", "tcp and udp"]);
    command.stdout(Stdio::null());
    let capture = Running::start(&network, "capture", command);
    assert!(capture.messages().contains("the filter can match no packet"), "{}", capture.messages());
    assert_eq!(capture.end(Signal::SIGINT).0, Some(0));
}

#[test]
fn capture_without_rights_names_rights_and_remedy() {
    if !has("setpriv") {
        return;
    }
    let Some(network) = TestNetwork::new() else { return };
    // A directory where every user can run the copy.
    let program = std::env::temp_dir().join(format!("net-traffic-{}", std::process::id()));
    std::fs::copy(net_traffic(&[]).get_program(), &program).unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--clear-groups", "--inh-caps=-all"])
        .arg(&program)
        .args(["capture", "-i", "lo"])
        .output();
    std::fs::remove_file(&program).unwrap();
    drop(network);
    let output = output.unwrap();
    let messages = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{messages}");
    for word in ["CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN", "CAP_NET_RAW", "setcap cap_"] {
        assert!(messages.contains(word), "{word}: {messages}");
    }
}

#[test]
fn xdp_captures_packets_dropped_later() {
    if !has("ping") || !has("nft") {
        return;
    }
    let Some(network) = TestNetwork::new() else { return };
    let rules = "table netdev t { chain c { type filter hook ingress device va priority 0; icmp type echo-reply drop; }; }";
    run("nft", &[rules]);
    let file = network.path("a.pcap");
    let arguments = ["-i", "va", "--xdp", "-w", file.to_str().unwrap(), "icmp[0] = 0 and len > 1000"];
    let capture = Running::start(&network, "capture", net_traffic(&arguments));
    let lost =
        Command::new("ping").args(["-n", "-c", "3", "-i", "0.05", "-W", "1", "-s", "1200", PEER]).output();
    assert!(text_of(&lost.unwrap()).contains("0 received"), "the rule does not drop");
    let (status, messages) = capture.end(Signal::SIGINT);
    assert_eq!((status, numbers(&messages)), (Some(0), (3, 3, 0)), "{messages}");
    let text = text_of(&net_traffic(&["-r", file.to_str().unwrap()]).output().unwrap());
    assert_eq!(text.matches("ICMP echo reply").count(), 3, "{text}");
    let left = Command::new("ip").args(["-details", "link", "show", "dev", "va"]).output().unwrap();
    assert!(!text_of(&left).contains("xdp"), "{}", text_of(&left));
}

#[test]
fn xdp_loopback_works_and_process_options_are_refused() {
    let Some(network) = TestNetwork::new() else { return };
    let file = network.path("a.pcapng");
    let arguments = ["-i", "lo", "--xdp", "-w", file.to_str().unwrap(), "udp port 7000"];
    let capture = Running::start(&network, "capture", net_traffic(&arguments));
    assert!(capture.messages().contains("lo: XDP in generic mode"), "{}", capture.messages());
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let receiver = std::net::UdpSocket::bind("127.0.0.1:7000").unwrap();
    // The longest spans several fragments (skb_shinfo).
    for length in [1, 1000, 20_000] {
        socket.send_to(&vec![7; length], "127.0.0.1:7000").unwrap();
        receiver.recv(&mut [0; 1]).unwrap();
    }
    let (status, messages) = capture.end(Signal::SIGINT);
    assert_eq!((status, numbers(&messages)), (Some(0), (3, 3, 0)), "{messages}");
    let text = text_of(&net_traffic(&["-r", file.to_str().unwrap()]).output().unwrap());
    assert!(text.contains("length 20000"), "{text}");
    for wrong in [["--direction", "out"], ["--pid", "1"]] {
        let output = net_traffic(&[&["-i", "lo", "--xdp"][..], &wrong].concat()).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
    }
}
