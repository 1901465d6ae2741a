//! Observations with a known cause, and the verdict on them.

use super::*;
use net_traffic_snapshot::*;

/// A stream that was busy for ten seconds and limited by nothing on this host.
fn stream() -> StreamStats {
    let end = Endpoint { address: [192, 0, 2, 1].into(), port: 1 };
    StreamStats {
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

fn interface() -> InterfaceDelta {
    InterfaceDelta {
        name: "eth0".to_owned(),
        rx_bytes: 0,
        tx_bytes: 1_000_000_000,
        dropped: 0,
        queue: Some("fq_codel".to_owned()),
        queue_drops: 0,
        queue_overlimits: 0,
    }
}

fn limit(change: impl FnOnce(&mut Observations, &mut TestRequest)) -> Limit {
    let core = |id, busy| CpuLoad { id, busy, softirq: 0.1 };
    let mut seen = Observations {
        seconds: 10.0,
        streams: vec![stream()],
        interfaces: vec![interface()],
        other_processes: vec![],
        cores: vec![core(0, 0.3), core(1, 0.2)],
    };
    let mut request = TestRequest::default();
    change(&mut seen, &mut request);
    verdict(&seen, &request).limit
}

#[test]
fn largest_part_of_the_time_decides() {
    assert_eq!(limit(|_, _| ()), Limit::CongestionWindow);
    assert_eq!(limit(|seen, _| seen.streams[0].rwnd_limited_us = Some(6_000_000)), Limit::ReceiverWindow);
    assert_eq!(limit(|seen, _| seen.streams[0].sndbuf_limited_us = Some(6_000_000)), Limit::SendBuffer);
    assert_eq!(limit(|seen, _| seen.streams[0].busy_us = Some(3_000_000)), Limit::SenderApplication);
    assert_eq!(limit(|seen, _| seen.streams[0].rwnd_limited_us = Some(4_000_000)), Limit::CongestionWindow);
}

#[test]
fn closing_window_means_slow_receiver() {
    let closing = |seen: &mut Observations, _: &mut TestRequest| {
        seen.streams[0].rwnd_limited_us = Some(9_000_000);
        seen.streams[0].rwnd_min_bytes = Some(0);
    };
    assert_eq!(limit(closing), Limit::ReceiverApplication);
    // No reading found the window open; its scale still allows a wide one.
    let closed = |seen: &mut Observations, request: &mut TestRequest| {
        closing(seen, request);
        seen.streams[0].rwnd_max_bytes = Some(2000);
    };
    assert_eq!(limit(closed), Limit::ReceiverApplication);
}

#[test]
fn full_receiver_drops_are_not_path_loss() {
    let dropping = |seen: &mut Observations, least| {
        seen.streams[0].rwnd_limited_us = Some(4_200_000);
        seen.streams[0].rwnd_min_bytes = Some(least);
        seen.streams[0].retransmitted_bytes = Some(8_000_000);
    };
    assert_eq!(limit(|seen, _| dropping(seen, 0)), Limit::ReceiverApplication);
    assert_eq!(limit(|seen, _| dropping(seen, 5_000_000)), Limit::Loss);
}

#[test]
fn narrow_window_is_not_a_slow_receiver() {
    let narrow = |seen: &mut Observations, _: &mut TestRequest| {
        (seen.streams[0].busy_us, seen.streams[0].rwnd_limited_us) = (Some(4_500_000), Some(4_000_000));
        (seen.streams[0].rwnd_min_bytes, seen.streams[0].rwnd_max_bytes) = (Some(0), Some(10_000));
        seen.streams[0].rwnd_possible_bytes = Some(65_535);
    };
    assert_eq!(limit(narrow), Limit::ReceiverWindow);
}

#[test]
fn full_path_gives_its_own_cause() {
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
    let other = OtherProcess { pid: Some(7), process: Some("curl".to_owned()), bytes: 400_000_000 };
    assert_eq!(limit(|seen, _| seen.other_processes.push(other.clone())), Limit::OtherTraffic);
    let shared = |seen: &mut Observations, _: &mut TestRequest| {
        seen.other_processes.push(other.clone());
        (seen.interfaces[0].queue_overlimits, seen.interfaces[0].queue_drops) = (500, 20);
        seen.streams[0].retransmitted_bytes = Some(8_000_000);
    };
    assert_eq!(limit(shared), Limit::OtherTraffic);
}

#[test]
fn requested_rate_that_is_reached_is_the_cause() {
    let paced = |bps| {
        limit(|seen, request| {
            seen.streams[0].busy_us = Some(2_000_000);
            request.bps = Some(bps);
        })
    };
    assert_eq!(paced(800_000_000), Limit::RequestedRate);
    assert_eq!(paced(8_000_000_000), Limit::SenderApplication);
}

#[test]
fn receiver_observes_only_its_own_side() {
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
fn udp_verdict_ignores_tcp_windows() {
    let udp = |bps, datagrams| {
        limit(|seen, request| {
            seen.streams[0].busy_us = None;
            *request = TestRequest { udp: true, bps: Some(bps), datagrams };
        })
    };
    assert_eq!(udp(800_000_000, Some((0, 1000))), Limit::RequestedRate);
    assert_eq!(udp(800_000_000, Some((50, 1000))), Limit::Loss);
    assert_eq!(udp(9_000_000_000, None), Limit::SenderApplication);
}

#[test]
fn test_without_streams_has_unknown_cause() {
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
        owner: Some(ProcessId { pid, start_ticks: 1 }),
        lifetime: Some(Bytes { rx: 0, tx: sent }),
        tcp: Some(TcpInfo { busy_us: Some(sent), snd_wnd: Some(50), ..TcpInfo::default() }),
        rx_queue: Some(0),
        tx_queue: Some(0),
        ..Socket::default()
    }
}

fn reading(second: u64, sockets: Vec<Socket>, dropped: u64, softirq: u64) -> (Snapshot, HostLoad) {
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
    (Snapshot { at, sockets, interfaces: vec![eth0], ..Snapshot::default() }, HostLoad { cpus, queues })
}

#[test]
fn monitor_separates_streams_control_and_other_sockets() {
    let mut monitor = TestMonitor::new(7, 5201);
    let sockets = |factor: u64| {
        vec![
            socket(1, 7, 5201, 300),
            socket(2, 7, 5201, 5_000 * factor),
            socket(3, 9, 443, 1_000 + 50 * factor),
            // The remote side of the test, on the same host.
            socket(4, 8, 5201, 5_000 * factor),
        ]
    };
    for (second, factor) in [(1, 0), (2, 10), (3, 20)] {
        let (snapshot, load) = reading(second, sockets(factor), second, second * 20);
        monitor.advance(snapshot, load);
    }
    let seen = monitor.observations();
    assert!((seen.seconds - 2.0).abs() < 1e-9);
    assert_eq!(seen.streams.len(), 1);
    assert_eq!((seen.streams[0].sent_bytes, seen.streams[0].busy_us), (100_000, Some(100_000)));
    assert_eq!(seen.other_processes, [OtherProcess { pid: Some(9), process: None, bytes: 1000 }]);
    let eth0 = &seen.interfaces[0];
    assert_eq!((eth0.dropped, eth0.queue_drops, eth0.queue_overlimits), (2, 0, 20));
    assert!((seen.cores[0].busy - 0.9).abs() < 1e-9 && (seen.cores[0].softirq - 0.2).abs() < 1e-9);
}

/// The last reading is taken some time after the last byte, so its rate is too low.
#[test]
fn reached_rate_counts_at_the_reading_before_last() {
    let mut monitor = TestMonitor::new(7, 5201);
    for (second, sent) in [(1, 500), (2, 1500), (3, 2500), (5, 3000)] {
        let sockets = vec![socket(1, 7, 5201, 3), socket(2, 7, 5201, sent)];
        let (snapshot, load) = reading(second, sockets, 0, 0);
        monitor.advance(snapshot, load);
    }
    let mut seen = monitor.observations();
    let before = seen.streams[0].before;
    assert_eq!(before, Some(Transfer { sent_bytes: 2000, received_bytes: 0, seconds: 2.0 }));
    let request = |bps| TestRequest { bps: Some(bps), ..TestRequest::default() };
    assert_eq!(verdict(&seen, &request(8000)).limit, Limit::RequestedRate);
    assert_ne!(verdict(&seen, &request(10_000)).limit, Limit::RequestedRate);
    seen.streams[0].before = None;
    assert_ne!(verdict(&seen, &request(8000)).limit, Limit::RequestedRate, "3000 bytes in 4 seconds");
}

#[test]
fn close_record_keeps_earlier_fields() {
    let mut monitor = TestMonitor::new(7, 5201);
    let control = socket(1, 7, 5201, 3);
    let (snapshot, load) = reading(1, vec![control.clone(), socket(2, 7, 5201, 900)], 0, 0);
    monitor.advance(snapshot, load);
    let mut closed = socket(2, 7, 5201, 1000);
    (closed.closed, closed.tcp) = (true, None);
    let (snapshot, load) = reading(2, vec![control.clone(), closed], 0, 0);
    monitor.advance(snapshot, load);
    // A socket in TIME_WAIT has no byte counts.
    let mut waiting = socket(2, 7, 5201, 0);
    waiting.lifetime = None;
    let (snapshot, load) = reading(3, vec![control, waiting], 0, 0);
    monitor.advance(snapshot, load);
    let seen = monitor.observations();
    assert_eq!((seen.streams[0].sent_bytes, seen.streams[0].busy_us), (1000, Some(900)));
}
