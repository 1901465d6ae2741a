//! The figures of a test and the decision on them, with known causes.

use super::*;
use net_traffic_snapshot::*;

/// A stream that sent for ten seconds, always had something to send, and was held back by nothing here.
fn stream() -> StreamSeen {
    let end = Endpoint { address: [192, 0, 2, 1].into(), port: 1 };
    StreamSeen {
        local: end,
        remote: Some(end),
        local_port: 1,
        remote_port: Some(5201),
        sent_bytes: 1_000_000_000,
        received_bytes: 0,
        seconds: 10.0,
        before: None,
        busy_us: Some(10_000_000),
        rwnd_limited_us: Some(0),
        sndbuf_limited_us: Some(0),
        retransmits: Some(0),
        retransmitted_bytes: Some(0),
        rtt_min_us: Some(1000),
        rtt_max_us: Some(1500),
        rwnd_max_bytes: Some(6_000_000),
        rwnd_min_bytes: Some(5_000_000),
        rwnd_possible_bytes: Some(65_535 << 7),
        unread_max_bytes: 0,
    }
}

fn interface() -> InterfaceSeen {
    InterfaceSeen {
        name: "eth0".to_owned(),
        rx_bytes: 0,
        tx_bytes: 1_000_000_000,
        dropped: 0,
        queue: Some("fq_codel".to_owned()),
        queue_drops: 0,
        queue_overlimits: 0,
    }
}

fn limit(change: impl FnOnce(&mut Observations, &mut Asked)) -> Limit {
    let core = |id, busy| Core { id, busy, softirq: 0.1 };
    let mut seen = Observations {
        seconds: 10.0,
        streams: vec![stream()],
        interfaces: vec![interface()],
        other_processes: vec![],
        cores: vec![core(0, 0.3), core(1, 0.2)],
    };
    let mut asked = Asked::default();
    change(&mut seen, &mut asked);
    verdict(&seen, &asked).limit
}

#[test]
fn the_larger_part_of_the_time_decides() {
    assert_eq!(limit(|_, _| ()), Limit::CongestionWindow);
    assert_eq!(limit(|seen, _| seen.streams[0].rwnd_limited_us = Some(6_000_000)), Limit::ReceiverWindow);
    assert_eq!(limit(|seen, _| seen.streams[0].sndbuf_limited_us = Some(6_000_000)), Limit::SendBuffer);
    assert_eq!(limit(|seen, _| seen.streams[0].busy_us = Some(3_000_000)), Limit::SenderApplication);
    assert_eq!(limit(|seen, _| seen.streams[0].rwnd_limited_us = Some(4_000_000)), Limit::CongestionWindow);
}

#[test]
fn a_window_that_closes_is_a_slow_reader() {
    let closing = |seen: &mut Observations, _: &mut Asked| {
        seen.streams[0].rwnd_limited_us = Some(9_000_000);
        seen.streams[0].rwnd_min_bytes = Some(0);
    };
    assert_eq!(limit(closing), Limit::ReceiverApplication);
    // Nobody looked while it was open: it could have been wide all the same.
    let closed = |seen: &mut Observations, asked: &mut Asked| {
        closing(seen, asked);
        seen.streams[0].rwnd_max_bytes = Some(2000);
    };
    assert_eq!(limit(closed), Limit::ReceiverApplication);
}

#[test]
fn what_a_full_receiver_drops_is_not_lost_on_the_way() {
    let dropping = |seen: &mut Observations, least| {
        seen.streams[0].rwnd_limited_us = Some(4_200_000);
        seen.streams[0].rwnd_min_bytes = Some(least);
        seen.streams[0].retransmitted_bytes = Some(8_000_000);
    };
    assert_eq!(limit(|seen, _| dropping(seen, 0)), Limit::ReceiverApplication);
    assert_eq!(limit(|seen, _| dropping(seen, 5_000_000)), Limit::Loss);
}

#[test]
fn a_narrow_window_is_no_slow_reader() {
    let narrow = |seen: &mut Observations, _: &mut Asked| {
        (seen.streams[0].busy_us, seen.streams[0].rwnd_limited_us) = (Some(4_500_000), Some(4_000_000));
        (seen.streams[0].rwnd_min_bytes, seen.streams[0].rwnd_max_bytes) = (Some(0), Some(10_000));
        seen.streams[0].rwnd_possible_bytes = Some(65_535);
    };
    assert_eq!(limit(narrow), Limit::ReceiverWindow);
}

#[test]
fn a_path_that_is_full_shows_how() {
    assert_eq!(limit(|seen, _| seen.interfaces[0].queue_overlimits = 5), Limit::InterfaceQueue);
    assert_eq!(limit(|seen, _| seen.streams[0].retransmitted_bytes = Some(8_000_000)), Limit::Loss);
    assert_eq!(limit(|seen, _| seen.streams[0].retransmitted_bytes = Some(500_000)), Limit::CongestionWindow);
    assert_eq!(limit(|seen, _| seen.streams[0].rtt_max_us = Some(40_000)), Limit::Bottleneck);
    assert_eq!(limit(|seen, _| seen.cores[1].busy = 0.97), Limit::Processor);
    let far = |seen: &mut Observations, least| {
        seen.cores[1].busy = 0.97;
        (seen.streams[0].rtt_min_us, seen.streams[0].rtt_max_us) = (Some(least), Some(60_000));
    };
    assert_eq!(limit(|seen, _| far(seen, 10)), Limit::Processor);
    assert_eq!(limit(|seen, _| far(seen, 5000)), Limit::Bottleneck);
    let other = OtherSeen { pid: Some(7), process: Some("curl".to_owned()), bytes: 400_000_000 };
    assert_eq!(limit(|seen, _| seen.other_processes.push(other.clone())), Limit::OtherTraffic);
    let shared = |seen: &mut Observations, _: &mut Asked| {
        seen.other_processes.push(other.clone());
        (seen.interfaces[0].queue_overlimits, seen.interfaces[0].queue_drops) = (500, 20);
        seen.streams[0].retransmitted_bytes = Some(8_000_000);
    };
    assert_eq!(limit(shared), Limit::OtherTraffic);
}

#[test]
fn a_rate_that_was_asked_for_is_no_defect() {
    let paced = |bps| {
        limit(|seen, asked| {
            seen.streams[0].busy_us = Some(2_000_000);
            asked.bps = Some(bps);
        })
    };
    assert_eq!(paced(800_000_000), Limit::RequestedRate);
    assert_eq!(paced(8_000_000_000), Limit::SenderApplication);
}

#[test]
fn who_receives_sees_its_own_side_only() {
    let receive = |unread| {
        limit(|seen, _| {
            (seen.streams[0].sent_bytes, seen.streams[0].received_bytes) = (0, 1_000_000_000);
            seen.streams[0].unread_max_bytes = unread;
        })
    };
    assert_eq!(receive(100), Limit::RemoteSender);
    assert_eq!(receive(1 << 20), Limit::ReceiverApplication);
}

#[test]
fn datagrams_have_no_windows() {
    let udp = |bps, datagrams| {
        limit(|seen, asked| {
            seen.streams[0].busy_us = None;
            *asked = Asked { udp: true, bps: Some(bps), datagrams };
        })
    };
    assert_eq!(udp(800_000_000, Some((0, 1000))), Limit::RequestedRate);
    assert_eq!(udp(800_000_000, Some((50, 1000))), Limit::Loss);
    assert_eq!(udp(9_000_000_000, None), Limit::SenderApplication);
}

#[test]
fn without_a_stream_nothing_is_said() {
    assert_eq!(limit(|seen, _| seen.streams.clear()), Limit::Unknown);
}

fn socket(id: u64, pid: u32, remote_port: u16, sent: u64) -> Socket {
    let end = |port| Endpoint { address: [192, 0, 2, 1].into(), port };
    Socket {
        id: SocketId(id),
        protocol: Protocol::Tcp,
        local: end(1000),
        remote: Some(Endpoint { address: [192, 0, 2, 9].into(), port: remote_port }),
        state: State::Established,
        netns: None,
        ifindex: None,
        owner: Some(ProcessId { pid, start_ticks: 1 }),
        uid: None,
        inode: None,
        lifetime: Some(Bytes { rx: 0, tx: sent }),
        counted: None,
        tcp: Some(TcpInfo { busy_us: Some(sent), snd_wnd: Some(50), ..TcpInfo::default() }),
        rx_queue: Some(0),
        tx_queue: Some(0),
        opened_ns: None,
        closed: false,
    }
}

fn reading(second: u64, sockets: Vec<Socket>, dropped: u64, softirq: u64) -> (Snapshot, Surroundings) {
    let mut eth0 = Interface {
        index: 2,
        name: "eth0".to_owned(),
        addresses: vec![[192, 0, 2, 1].into()],
        ..Interface::default()
    };
    eth0.tx.dropped = dropped;
    let at = Time { unix_ns: 0, monotonic_ns: second * 1_000_000_000 };
    let cpus = vec![Cpu { id: 0, total: second * 100, idle: second * 10, softirq }];
    let queues = vec![Queue {
        ifindex: 2,
        kind: "tbf".to_owned(),
        drops: 1,
        overlimits: 10 * u32::try_from(second).unwrap(),
    }];
    (Snapshot { at, sockets, interfaces: vec![eth0], ..Snapshot::default() }, Surroundings { cpus, queues })
}

#[test]
fn a_watch_tells_streams_from_the_control_connection_and_from_others() {
    let mut watch = Watch::new(7, 5201);
    let sockets = |factor: u64| {
        vec![
            socket(1, 7, 5201, 300),
            socket(2, 7, 5201, 5_000 * factor),
            socket(3, 9, 443, 1_000 + 50 * factor),
            // The other end of the test, on the same machine.
            socket(4, 8, 5201, 5_000 * factor),
        ]
    };
    for (second, factor) in [(1, 0), (2, 10), (3, 20)] {
        let (snapshot, around) = reading(second, sockets(factor), second, second * 20);
        watch.advance(snapshot, around);
    }
    let seen = watch.observations();
    assert!((seen.seconds - 2.0).abs() < 1e-9);
    assert_eq!(seen.streams.len(), 1);
    assert_eq!((seen.streams[0].sent_bytes, seen.streams[0].busy_us), (100_000, Some(100_000)));
    assert_eq!(seen.other_processes, [OtherSeen { pid: Some(9), process: None, bytes: 1000 }]);
    let eth0 = &seen.interfaces[0];
    assert_eq!((eth0.dropped, eth0.queue_drops, eth0.queue_overlimits), (2, 0, 20));
    assert!((seen.cores[0].busy - 0.9).abs() < 1e-9 && (seen.cores[0].softirq - 0.2).abs() < 1e-9);
}

/// The last reading comes when the test is long quiet: its time is not the test's.
#[test]
fn a_rate_that_was_reached_is_seen_by_the_reading_before_the_last() {
    let mut watch = Watch::new(7, 5201);
    for (second, sent) in [(1, 500), (2, 1500), (3, 2500), (5, 3000)] {
        let sockets = vec![socket(1, 7, 5201, 3), socket(2, 7, 5201, sent)];
        let (snapshot, around) = reading(second, sockets, 0, 0);
        watch.advance(snapshot, around);
    }
    let mut seen = watch.observations();
    let before = seen.streams[0].before;
    assert_eq!(before, Some(Moved { sent_bytes: 2000, received_bytes: 0, seconds: 2.0 }));
    let asked = |bps| Asked { bps: Some(bps), ..Asked::default() };
    assert_eq!(verdict(&seen, &asked(8000)).limit, Limit::RequestedRate);
    assert_ne!(verdict(&seen, &asked(10_000)).limit, Limit::RequestedRate);
    seen.streams[0].before = None;
    assert_ne!(verdict(&seen, &asked(8000)).limit, Limit::RequestedRate, "3000 bytes in 4 seconds");
}

#[test]
fn the_last_words_of_a_socket_do_not_hide_what_was_known() {
    let mut watch = Watch::new(7, 5201);
    let control = socket(1, 7, 5201, 3);
    let (snapshot, around) = reading(1, vec![control.clone(), socket(2, 7, 5201, 900)], 0, 0);
    watch.advance(snapshot, around);
    let mut closed = socket(2, 7, 5201, 1000);
    (closed.closed, closed.tcp) = (true, None);
    let (snapshot, around) = reading(2, vec![control.clone(), closed], 0, 0);
    watch.advance(snapshot, around);
    // In TIME_WAIT it knows no bytes any more.
    let mut waiting = socket(2, 7, 5201, 0);
    waiting.lifetime = None;
    let (snapshot, around) = reading(3, vec![control, waiting], 0, 0);
    watch.advance(snapshot, around);
    let seen = watch.observations();
    assert_eq!((seen.streams[0].sent_bytes, seen.streams[0].busy_us), (1000, Some(900)));
}
