//! Sequences of snapshots, and the state of the model after them.

use std::net::IpAddr;

use super::*;
use net_traffic_snapshot::{Interface, InterfaceCounters};

const SECOND: u64 = 1_000_000_000;

fn socket(id: u64, rx: u64, tx: u64) -> Socket {
    let bytes = Some(Bytes { rx, tx });
    Socket {
        id: SocketId(id),
        protocol: Protocol::Tcp,
        local: Endpoint { address: IpAddr::from([192, 0, 2, 1]), port: 443 },
        remote: Some(Endpoint { address: IpAddr::from([198, 51, 100, 7]), port: 5000 }),
        state: State::Established,
        owner: Some(ProcessId { pid: 7, start_ticks: 1 }),
        lifetime: bytes,
        counted: bytes,
        ..Socket::default()
    }
}

fn closed(id: u64, rx: u64, tx: u64) -> Socket {
    Socket { closed: true, state: State::Closed, ..socket(id, rx, tx) }
}

fn process(pid: u32, rx: u64, tx: u64) -> Process {
    Process {
        id: ProcessId { pid, start_ticks: 1 },
        name: format!("p{pid}"),
        command: None,
        uid: None,
        user: None,
        container: None,
        cgroup: None,
        counted: Some(Bytes { rx, tx }),
        exited: false,
    }
}

fn at(second: u64, sockets: Vec<Socket>, processes: Vec<Process>) -> Snapshot {
    let time = Time { unix_ns: 0, monotonic_ns: second * SECOND };
    Snapshot { at: time, sockets, processes, ..Snapshot::default() }
}

fn advanced(snapshots: impl IntoIterator<Item = Snapshot>) -> Model {
    let mut model = Model::new(Selection::default(), Retention::default());
    for snapshot in snapshots {
        model.advance(snapshot);
    }
    model
}

fn total(model: &Model) -> Bytes {
    let live = model.flows().filter_map(|flow| flow.connection.socket.counted);
    let folded = model.folded_destinations().map(|(_, bytes)| bytes);
    live.chain(folded).fold(Bytes::default(), sum)
}

#[test]
fn rates_use_the_monotonic_clock() {
    let model = advanced([at(1, vec![socket(1, 0, 0)], vec![]), at(3, vec![socket(1, 1000, 2000)], vec![])]);
    let flow = model.flows().next().unwrap();
    assert_eq!(flow.connection.rates, Rates { rx_bps: Some(4000), tx_bps: Some(8000) });
    assert_eq!(model.elapsed_ns(), 2 * SECOND);
}

#[test]
fn zero_elapsed_time_gives_no_rate() {
    let model = advanced([at(1, vec![socket(1, 0, 0)], vec![]), at(1, vec![socket(1, 9, 9)], vec![])]);
    assert_eq!(model.flows().next().unwrap().connection.rates, Rates::default());
}

#[test]
fn connection_between_snapshots_stays_in_the_totals() {
    let mut model = advanced([at(1, vec![], vec![]), at(2, vec![closed(9, 70, 80)], vec![])]);
    let flow = model.flows().next().unwrap();
    assert_eq!(flow.connection.ended, Some(0));
    for second in 3..20 {
        model.advance(at(second, vec![], vec![]));
        assert_eq!(total(&model), Bytes { rx: 70, tx: 80 });
    }
    assert_eq!(model.flows().count(), 0, "the connection is folded into a sum");
}

#[test]
fn last_bytes_before_close_count() {
    let model = advanced([at(1, vec![socket(1, 10, 10)], vec![]), at(2, vec![closed(1, 50, 60)], vec![])]);
    assert_eq!(total(&model), Bytes { rx: 50, tx: 60 });
    assert_eq!(model.flows().next().unwrap().connection.rates.rx_bps, Some(320));
}

#[test]
fn close_record_wins_over_open_socket() {
    for sockets in [vec![socket(1, 5, 5), closed(1, 6, 6)], vec![closed(1, 6, 6), socket(1, 5, 5)]] {
        let mut model = advanced([at(1, sockets, vec![])]);
        model.advance(at(2, vec![], vec![]));
        assert_eq!(total(&model), Bytes { rx: 6, tx: 6 });
    }
}

#[test]
fn incomplete_snapshot_leaves_totals_exact() {
    let model = advanced([
        at(1, vec![socket(1, 10, 10)], vec![]),
        at(2, vec![], vec![]),
        at(3, vec![socket(1, 20, 20)], vec![]),
    ]);
    assert_eq!(total(&model), Bytes { rx: 20, tx: 20 });
    assert_eq!(model.flows().next().unwrap().connection.ended, None);
}

#[test]
fn late_close_record_corrects_the_counters() {
    let model = advanced([
        at(1, vec![socket(1, 10, 10)], vec![]),
        at(2, vec![], vec![]),
        at(3, vec![closed(1, 15, 15)], vec![]),
    ]);
    assert_eq!(total(&model), Bytes { rx: 15, tx: 15 });
}

#[test]
fn close_record_keeps_owner_and_lifetime() {
    let end = Socket { lifetime: None, owner: None, ..closed(1, 15, 15) };
    let before = Socket { lifetime: Some(Bytes { rx: 1010, tx: 10 }), ..socket(1, 10, 10) };
    let model = advanced([at(1, vec![before], vec![process(7, 0, 0)]), at(2, vec![end], vec![])]);
    let flow = model.flows().next().unwrap();
    assert_eq!(flow.connection.bytes(), Some(Bytes { rx: 1015, tx: 15 }));
    assert_eq!(flow.pid(), Some(7));
}

#[test]
fn ended_connections_are_bounded_and_exact() {
    let retention = Retention { connections: 10, destinations: 3, ..Retention::default() };
    let mut model = Model::new(Selection::default(), retention);
    for second in 0..100u64 {
        let sockets = (0..20u8).map(|place| {
            let mut ended = closed(second * 20 + u64::from(place) + 1, 1, 2);
            ended.remote = Some(Endpoint { address: IpAddr::from([10, 0, 0, place]), port: 1 });
            ended
        });
        model.advance(at(second, sockets.collect(), vec![]));
        assert!(model.flows().count() <= 30, "{} are kept", model.flows().count());
    }
    assert_eq!(total(&model), Bytes { rx: 2000, tx: 4000 });
    assert!(model.folded_destinations().count() <= 4);
}

#[test]
fn unselected_connections_enter_no_sum() {
    let selection = Selection { ports: vec![80], ..Selection::default() };
    let mut model = Model::new(selection, Retention::default());
    let mut other = closed(2, 100, 100);
    other.local.port = 80;
    model.advance(at(1, vec![closed(1, 1, 1), other], vec![]));
    for second in 2..20 {
        model.advance(at(second, vec![], vec![]));
    }
    assert_eq!(total(&model), Bytes { rx: 100, tx: 100 });
}

#[test]
fn ended_process_stays_in_the_totals() {
    let mut model =
        advanced([at(1, vec![], vec![process(7, 0, 0)]), at(2, vec![], vec![process(7, 1000, 0)])]);
    assert_eq!(model.processes().next().unwrap().rates.rx_bps, Some(8000));
    model.advance(at(3, vec![], vec![]));
    let state = model.processes().next().unwrap();
    assert_eq!(state.process.counted, Some(Bytes { rx: 1000, tx: 0 }));
    assert_eq!(state.rates, Rates::default(), "an ended process has no rate");
}

#[test]
fn thousand_ended_processes_are_bounded_and_exact() {
    let mut model = Model::new(Selection::default(), Retention { processes: 10, ..Retention::default() });
    for second in 0..100u32 {
        let mut processes: Vec<Process> =
            (0..10).map(|place| process(second * 10 + place + 1, 3, 4)).collect();
        for process in &mut processes {
            process.container = (process.id.pid % 2 == 0).then(|| "box".to_owned());
        }
        model.advance(at(u64::from(second), vec![], processes));
        assert!(model.processes().count() <= 40, "{} are kept", model.processes().count());
    }
    let counted = |state: &ProcessState| state.process.counted.unwrap_or_default();
    let all = model.processes().map(counted).fold(Bytes::default(), sum);
    assert_eq!(all, Bytes { rx: 3000, tx: 4000 });
    let boxed = model.processes().filter(|state| state.process.container.is_some()).map(counted);
    assert_eq!(boxed.fold(Bytes::default(), sum), Bytes { rx: 1500, tx: 2000 });
}

#[test]
fn reused_pid_is_another_process() {
    let mut again = process(7, 1, 1);
    again.id.start_ticks = 2;
    let model = advanced([at(1, vec![], vec![process(7, 500, 500)]), at(2, vec![], vec![again])]);
    assert_eq!(model.processes().count(), 2);
    assert!(model.processes().all(|state| state.rates == Rates::default()));
}

#[test]
fn interface_rate_uses_its_own_reading_times() {
    let with = |second, bytes, read_ns| {
        let rx = InterfaceCounters { bytes, ..InterfaceCounters::default() };
        let interfaces = vec![Interface { index: 2, name: "eth0".to_owned(), rx, ..Interface::default() }];
        Snapshot { interfaces, interfaces_at_ns: Some(read_ns), ..at(second, vec![], vec![]) }
    };
    // In the second snapshot, the readings before that of the interfaces took a second.
    let mut model = advanced([with(1, 0, SECOND), with(2, 2000, 3 * SECOND)]);
    assert_eq!(model.interfaces().next().unwrap().rates.rx_bps, Some(8000));
    model.advance(with(3, 3000, 7 * SECOND / 2));
    let state = model.interfaces().next().unwrap();
    assert_eq!((state.rates.rx_bps, state.average.rx_bps), (Some(16_000), Some(9600)));
    model.reset();
    model.advance(with(4, 3500, 4 * SECOND));
    assert_eq!(model.interfaces().next().unwrap().average.rx_bps, Some(8000));
}

#[test]
fn interface_has_average_and_maximum_rates() {
    let interface = |bytes| Interface {
        index: 2,
        name: "eth0".to_owned(),
        rx: InterfaceCounters { bytes, ..InterfaceCounters::default() },
        ..Interface::default()
    };
    let with = |second, bytes| Snapshot { interfaces: vec![interface(bytes)], ..at(second, vec![], vec![]) };
    let model = advanced([with(0, 0), with(1, 1000), with(2, 1000), with(3, 10)]);
    let state = model.interfaces().next().unwrap();
    assert_eq!(state.rates.rx_bps, None, "the counter went backwards");
    assert_eq!(state.most.rx_bps, Some(8000));
    assert_eq!(state.average.rx_bps, Some(26));
    assert_eq!(state.history.iter().len(), 3);
}

#[test]
fn reset_restarts_totals_and_keeps_rates() {
    let mut model = advanced([
        at(1, vec![socket(1, 100, 200), socket(2, 1, 1)], vec![process(7, 100, 200)]),
        at(2, vec![socket(1, 300, 400), closed(2, 9, 9)], vec![process(7, 300, 400)]),
    ]);
    let read = |model: &Model| {
        let counted = model.flows().map(|flow| flow.connection.socket.counted.unwrap_or_default());
        let process = model.processes().next().unwrap();
        (counted.fold(Bytes::default(), sum), process.process.counted.unwrap(), process.rates)
    };
    for second in 2..5 {
        model.reset();
        assert_eq!(model.elapsed_ns(), 0);
        let (sockets, process_bytes, _) = read(&model);
        assert_eq!((sockets, process_bytes), (Bytes::default(), Bytes::default()), "after the reset");
        let (rx, tx) = (300 + (second - 1) * 10, 400 + (second - 1) * 20);
        model.advance(at(second + 1, vec![socket(1, rx, tx)], vec![process(7, rx, tx)]));
        let (sockets, process_bytes, rates) = read(&model);
        assert_eq!(sockets, Bytes { rx: 10, tx: 20 }, "connections that ended before the reset do not count");
        assert_eq!(process_bytes, Bytes { rx: 10, tx: 20 });
        assert_eq!(rates, Rates { rx_bps: Some(80), tx_bps: Some(160) });
        assert_eq!(model.folded_destinations().count(), 0);
    }
    let flow = model.flows().next().unwrap();
    assert_eq!(
        flow.connection.bytes(),
        Some(Bytes { rx: 330, tx: 460 }),
        "lifetime bytes belong to the kernel"
    );
}

#[test]
fn connection_without_process_has_the_socket_user() {
    let mut model = Model::default();
    let made = Socket { uid: Some(33), owner: None, ..socket(1, 0, 0) };
    model.advance(Snapshot {
        users: [(33, "www-data".to_owned())].into(),
        ..at(1, vec![made.clone()], vec![])
    });
    assert_eq!(model.flows().next().unwrap().user, Some("www-data"));
    let unnamed = Socket { uid: Some(34), ..made };
    model.advance(at(2, vec![unnamed], vec![]));
    assert_eq!(model.flows().next().unwrap().user, None);
}
