//! The messages are from Linux 6.18, of loopback sockets with known traffic.

use proptest::prelude::*;

use super::*;
use net_traffic_snapshot::Bytes;

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn decode(hex: &str, queried: Protocol) -> Socket {
    socket(&bytes(hex), queried, Some(77)).unwrap().unwrap()
}

fn endpoint(text: &str) -> Endpoint {
    let text: std::net::SocketAddr = text.parse().unwrap();
    Endpoint { address: text.ip(), port: text.port() }
}

#[test]
fn fin_wait_2_of_connecting_side_is_decoded() {
    let socket = decode(FIN_WAIT_2, Protocol::Tcp);
    assert_eq!(socket.state, State::FinWait2);
    assert_eq!(socket.local, endpoint("127.0.0.1:51206"));
    assert_eq!(socket.remote, Some(endpoint("127.0.0.1:42419")));
    assert_eq!((socket.id, socket.inode, socket.uid), (SocketId(4116), Some(58904), Some(0)));
    assert_eq!((socket.netns, socket.ifindex, socket.owner), (Some(77), None, None));
    // The application wrote 300 bytes and closed, and read 50.
    assert_eq!(socket.lifetime, Some(Bytes { rx: 50, tx: 300 }));
    let tcp = socket.tcp.unwrap();
    assert_eq!((tcp.rtt_us, tcp.rtt_var_us), (Some(5410), Some(10755)));
    assert_eq!((tcp.cwnd, tcp.mss), (Some(12), Some(32768)));
    assert_eq!((tcp.retransmits, tcp.retransmitted_bytes), (Some(0), Some(0)));
}

#[test]
fn unread_data_and_fin_are_not_received() {
    let socket = decode(CLOSE_WAIT, Protocol::Tcp);
    assert_eq!((socket.state, socket.rx_queue), (State::CloseWait, Some(201)));
    assert_eq!(socket.lifetime, Some(Bytes { rx: 100, tx: 50 }));
}

#[test]
fn mapped_address_becomes_ipv4() {
    let socket = decode(MAPPED, Protocol::Tcp);
    assert_eq!(socket.local, endpoint("127.0.0.1:53821"));
    assert_eq!(socket.remote, Some(endpoint("127.0.0.1:56664")));
    assert_eq!((socket.lifetime, socket.rx_queue), (Some(Bytes { rx: 0, tx: 0 }), Some(7)));
}

#[test]
fn listener_has_backlog_and_no_peer() {
    let socket = decode(LISTEN_V6, Protocol::Tcp);
    assert_eq!((socket.state, socket.local), (State::Listen, endpoint("[::1]:53079")));
    assert_eq!((socket.rx_queue, socket.tx_queue), (Some(0), Some(7)));
    assert_eq!((socket.remote, socket.lifetime, socket.tcp), (None, None, None));
}

#[test]
fn time_wait_has_no_inode_and_no_user() {
    let socket = decode(TIME_WAIT, Protocol::Tcp);
    assert_eq!(socket.state, State::TimeWait);
    assert_eq!((socket.inode, socket.uid, socket.lifetime), (None, None, None));
    assert!(socket.remote.is_some());
    assert_ne!(socket.id, SocketId(0));
}

#[test]
fn udp_has_peer_only_when_connected() {
    let bound = decode(UDP_BOUND, Protocol::Udp);
    assert_eq!((bound.state, bound.remote, bound.protocol), (State::Closed, None, Protocol::Udp));
    let connected = decode(UDP_CONNECTED_V6, Protocol::Udp);
    assert_eq!((connected.state, connected.remote), (State::Established, Some(endpoint("[::1]:9"))));
    assert_eq!((connected.lifetime, connected.tcp), (None, None));
}

#[test]
fn mptcp_info_is_not_read_as_tcp_info() {
    let socket = decode(MPTCP_LISTEN, Protocol::Mptcp);
    assert_eq!((socket.protocol, socket.state), (Protocol::Mptcp, State::Listen));
    assert_eq!((socket.lifetime, socket.tcp), (None, None));
}

#[test]
fn shorter_tcp_info_leaves_later_fields_unknown() {
    let whole = bytes(FIN_WAIT_2);
    let at = whole.len() - 284 + 4;
    let cut = |length: u16| {
        let mut cut = whole[..at + usize::from(length)].to_vec();
        cut[at - 4..at - 2].copy_from_slice(&(length + 4).to_ne_bytes());
        socket(&cut, Protocol::Tcp, None).unwrap().unwrap()
    };
    // Before 4.19 the SYN of the connecting side counts as a byte.
    assert_eq!(cut(192).lifetime, Some(Bytes { rx: 50, tx: 301 }));
    assert_eq!(cut(192).tcp.unwrap().retransmitted_bytes, None);
    // Before 4.2 tcp_info has no byte counters.
    assert_eq!(cut(104).lifetime, None);
    assert_eq!(cut(104).tcp.unwrap().cwnd, Some(12));
    assert_eq!(cut(0).tcp.unwrap(), TcpInfo::default());
}

#[test]
fn longer_tcp_info_decodes_to_known_fields() {
    let mut longer = bytes(FIN_WAIT_2);
    let at = longer.len() - 284;
    longer[at..at + 2].copy_from_slice(&(284_u16 + 40).to_ne_bytes());
    longer.extend([0xff; 40]);
    assert_eq!(socket(&longer, Protocol::Tcp, Some(77)).unwrap().unwrap(), decode(FIN_WAIT_2, Protocol::Tcp));
}

#[test]
fn sender_limits_are_read_where_present() {
    let mut info = [0; 232];
    for (at, value) in [(168, 10_u64), (176, 7), (184, 2)] {
        info[at..at + 8].copy_from_slice(&value.to_ne_bytes());
    }
    for (at, value) in [(148, 33_u32), (228, 65_536)] {
        info[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    }
    // The upper four bits are the scale of the receive window.
    info[6] = 0x27;
    let tcp = tcp_info(&info);
    assert_eq!(tcp.snd_wscale, Some(7));
    assert_eq!((tcp.busy_us, tcp.rwnd_limited_us, tcp.sndbuf_limited_us), (Some(10), Some(7), Some(2)));
    assert_eq!((tcp.min_rtt_us, tcp.snd_wnd), (Some(33), Some(65_536)));
    // No round-trip sample, and a shorter tcp_info.
    info[148..152].copy_from_slice(&[0xff; 4]);
    let tcp = tcp_info(&info[..180]);
    assert_eq!((tcp.min_rtt_us, tcp.busy_us, tcp.rwnd_limited_us, tcp.snd_wnd), (None, Some(10), None, None));
}

#[test]
fn sctp_association_state_is_mapped() {
    let mut association = bytes(UDP_BOUND);
    association[1] = 3;
    association.extend([4, 0, 13, 0]);
    let socket = socket(&association, Protocol::Sctp, None).unwrap().unwrap();
    assert_eq!(socket.state, State::Established);
}

#[test]
fn raw_socket_of_icmp_is_named_icmp() {
    let mut raw = bytes(UDP_BOUND);
    let named = |raw: &[u8]| socket(raw, Protocol::Raw, None).unwrap().unwrap().protocol;
    raw[4..6].copy_from_slice(&[0, 1]);
    assert_eq!(named(&raw), Protocol::Icmp);
    raw[4..6].copy_from_slice(&[0, 58]);
    assert_eq!(named(&raw), Protocol::Raw);
    raw[0] = 10;
    assert_eq!(named(&raw), Protocol::Icmpv6);
}

#[test]
fn cut_message_is_error_unknown_family_is_none() {
    let mut bytes = bytes(CLOSE_WAIT);
    assert!(socket(&bytes[..MESSAGE - 1], Protocol::Tcp, None).is_err());
    assert!(socket(&bytes[..bytes.len() - 1], Protocol::Tcp, None).is_err());
    bytes[0] = 1;
    assert_eq!(socket(&bytes, Protocol::Tcp, None), Ok(None));
    bytes[0] = 2;
    bytes[1] = 99;
    assert_eq!(socket(&bytes, Protocol::Tcp, None), Ok(None));
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
        drop(socket(&bytes, Protocol::Tcp, None));
    }

    #[test]
    fn damaged_message_does_not_panic(damage in proptest::collection::vec((0_usize..392, any::<u8>()), 1..20)) {
        let mut bytes = bytes(FIN_WAIT_2);
        for (at, value) in damage {
            bytes[at] = value;
        }
        drop(socket(&bytes, Protocol::Tcp, None));
    }
}

const FIN_WAIT_2: &str = "\
    02050000c806a5b37f0000010000000000000000000000007f0000010000000000000000000000000000000014100000\
    000000000000000000000000000000000000000018e60000050008000200000008000f00000000000c00150001000000\
    0000000006001600520000001c010200050000000007aa00802c0300409c000000800000180200000000000000000000\
    0000000000000000000000009800000000000000980000006c000000ffff0000d7ff000022150000032a0000ffffff7f\
    0c000000cbff00000300000000000000d7ff00000000000043665dd704000000ffffffffffffffff2e01000000000000\
    32000000000000000500000004000000000000000c000000010000000100000028a10b0000000000e0ab000000000000\
    0000000000000000000000000000000003000000000000002c0100000000000000000000000000000000000000000000\
    000000000000010000000100000000000000000000000000000000000000000000000000000000000000000000000000\
    0000000000000000";
const CLOSE_WAIT: &str = "\
    02080000a5b3c8067f0000010000000000000000000000007f0000010000000000000000000000000000000013100000\
    0000000000000000c9000000000000000000000019e60000050008000100000008000f00000000000c00150001000000\
    0000000006001600520000001c010200080000000007aa01e01c0300409c000000800000180200000000000000000000\
    00000000000000000000000098000000000000009800000098000000ffff0000cbff0000190000000e000000ffffff7f\
    0b000000cbff00000300000000000000cbff0000000000002b907ac907000000ffffffffffffffff3200000000000000\
    2d0100000000000003000000050000000000000006000000010000000100000055558545010000000000000000000000\
    000000000000000000000000000000000200000000000000320000000000000000000000000000000000000000000000\
    000000000000010000000100000000000000000000000000000000000000000000000000000000000000000000000000\
    0000000000000000";
const TIME_WAIT: &str = "\
    02060300c112d6417f0000010000000000000000000000007f0000010000000000000000000000000000000015100000\
    00000000fce900000000000000000000000000000000000008000f0000000000";
const LISTEN_V6: &str = "\
    0a0a0000cf57000000000000000000000000000000000001000000000000000000000000000000000000000017100000\
    00000000000000000000000007000000000000001de60000050008000000000005000b000100000008000f0000000000\
    0c001500010000000000000006001600120000001c0102000a0000000000000000000000000000000000000000000000\
    000000000700000000000000000000000000000000000000000000000000000000000000000000000000000000000000\
    00000000000000000a0000000000000003000000000000000000000000000000ffffffffffffffffffffffffffffffff\
    000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000\
    000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000\
    000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000\
    00000000000000000000000000000000";
const MAPPED: &str = "\
    0a010000d23ddd5800000000000000000000ffff7f00000100000000000000000000ffff7f000001000000001a100000\
    00000000000000000700000000000000000000001ce60000050008000000000008000f00000000000c00150001000000\
    0000000006001600120000001c010200010000000007aa01e01c0300409c000000800000180200000000000000000000\
    00000000000000000000000098000000000000009800000098000000ffff0000cbff00004700000023000000ffffff7f\
    0a000000cbff00000300000000000000cbff0000000000004d23291203000000ffffffffffffffff0000000000000000\
    070000000000000001000000030000000000000047000000010000000000000000000000000000000000000000000000\
    000000000000000000000000000000000100000000000000000000000000000000000000000000000000000000000000\
    000000000000010000000100000000000000000000000000000000000000000000000000000000000000000000000000\
    0000000000000000";
const UDP_BOUND: &str = "\
    0207000087e700007f000001000000000000000000000000000000000000000000000000000000000000000016100000\
    000000000000000000000000000000000000000020e60000050008000000000008000f00000000000c00150001000000\
    000000000600160050000000";
const UDP_CONNECTED_V6: &str = "\
    0a0100009be700090000000000000000000000000000000100000000000000000000000000000001000000001d100000\
    000000000000000000000000000000000000000021e60000050008000000000008000f00000000000c00150001000000\
    000000000600160010000000";
const MPTCP_LISTEN: &str = "\
    020a0000d86500007f00000100000000000000000000000000000000000000000000000000000000000000001e100000\
    00000000000000000000000001000000000000002be60000050008000000000008000f00000000000c00150001000000\
    000000000600160052000000640002000000000000000000000000000000000000000000000000000000000000000000\
    000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000\
    00000000000000000000000000000000";
