//! The comparison finds known errors in snapshots.

use libtest_mimic::{Failed, Trial};
use net_traffic_selftest::traffic::Transfer;
use net_traffic_snapshot::{Bytes, Endpoint, Process, ProcessId, Protocol, Snapshot, Socket, SocketId};

use super::compare::{Observed, Phase, compare};
use super::tracer::Tier;

const CLIENT: ProcessId = ProcessId { pid: 10, start_ticks: 100 };
const SERVER: ProcessId = ProcessId { pid: 11, start_ticks: 100 };

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("compare::equal_is_no_difference", |_| {}, &[]),
        trial(
            "compare::one_byte_too_few_on_a_process",
            |snapshot| snapshot.processes[0].counted = Some(Bytes { rx: 0, tx: 999 }),
            &[
                "process 10 (client), started at tick 100: sent 1000, counted 999, error -1",
                "processes together, against their sockets: sent 1000, counted 999, error -1",
            ],
        ),
        trial(
            "compare::a_process_id_used_again",
            |snapshot| snapshot.processes[1].id.start_ticks = 101,
            &[
                "process 11 (server), started at tick 100: received 1000, counted nothing",
                "processes together, against their sockets: received 1000, counted 0, error -1000",
            ],
        ),
        trial(
            "compare::a_fin_counted_as_a_byte",
            |snapshot| snapshot.sockets[1].counted = Some(Bytes { rx: 1001, tx: 0 }),
            &[
                "socket 2 Tcp 127.0.0.1.2 to * (server): received 1000, counted 1001, error +1",
                "processes together, against their sockets: received 1001, counted 1000, error -1",
            ],
        ),
        trial(
            "compare::a_socket_that_was_not_counted",
            |snapshot| snapshot.sockets[0].counted = None,
            &[
                "socket 1 Tcp 127.0.0.1.1 to * (client): sent 1000, counted nothing",
                "processes together, against their sockets: sent 0, counted 1000, error +1000",
            ],
        ),
        trial(
            "compare::a_subflow_counted_besides_its_socket",
            |snapshot| snapshot.sockets.push(socket(3, CLIENT, Bytes { rx: 0, tx: 1000 })),
            &["socket 3 (Tcp), which no call used: sent 0, counted 1000, error +1000"],
        ),
        trial(
            "compare::others_do_not_matter",
            |snapshot| {
                let other = ProcessId { pid: 1, start_ticks: 1 };
                snapshot.sockets.push(socket(3, other, Bytes { rx: 7, tx: 7 }));
            },
            &[],
        ),
        Trial::test("compare::polling_is_held_to_open_tcp_sockets_only", polling),
    ]
}

/// A client that sent 1000 bytes to a server; `change` changes the exact snapshot.
fn trial(name: &str, change: fn(&mut Snapshot), expected: &'static [&'static str]) -> Trial {
    Trial::test(name, move || {
        let mut snapshot = exact();
        change(&mut snapshot);
        same(&snapshot, Tier::TpBtf, Phase::Closed, expected)
    })
}

fn polling() -> Result<(), Failed> {
    let mut snapshot = exact();
    snapshot.processes.clear();
    same(&snapshot, Tier::Polling, Phase::Open, &[])?;
    snapshot.sockets[0].counted = Some(Bytes { rx: 0, tx: 998 });
    let error = "socket 1 Tcp 127.0.0.1.1 to * since the tracer started: sent 1000, counted 998, error -2";
    same(&snapshot, Tier::Polling, Phase::Open, &[error])?;
    same(&snapshot, Tier::Polling, Phase::Closed, &[])
}

fn same(snapshot: &Snapshot, tier: Tier, phase: Phase, expected: &[&str]) -> Result<(), Failed> {
    let mut observed = Observed::default();
    observed.add(snapshot.clone());
    let found: Vec<String> =
        compare(&truth(), &observed, tier.hooks(), phase).iter().map(ToString::to_string).collect();
    if found == expected { Ok(()) } else { Err(format!("found {found:#?}, expected {expected:#?}").into()) }
}

fn truth() -> Vec<Transfer> {
    let moved = |worker: &str, process, socket, counted| Transfer {
        worker: worker.to_owned(),
        process,
        socket: SocketId(socket),
        protocol: Protocol::Tcp,
        local: endpoint(socket),
        remote: None,
        counted,
        lifetime: counted,
        framing: Bytes::default(),
        open: true,
    };
    vec![
        moved("client", CLIENT, 1, Bytes { rx: 0, tx: 1000 }),
        moved("server", SERVER, 2, Bytes { rx: 1000, tx: 0 }),
    ]
}

fn exact() -> Snapshot {
    let (sent, received) = (Bytes { rx: 0, tx: 1000 }, Bytes { rx: 1000, tx: 0 });
    Snapshot {
        sockets: vec![socket(1, CLIENT, sent), socket(2, SERVER, received)],
        processes: vec![process(CLIENT, sent), process(SERVER, received)],
        ..Snapshot::default()
    }
}

fn socket(id: u64, owner: ProcessId, counted: Bytes) -> Socket {
    Socket {
        local: endpoint(id),
        remote: None,
        owner: Some(owner),
        counted: Some(counted),
        ..net_traffic_testing::socket(id)
    }
}

fn process(id: ProcessId, counted: Bytes) -> Process {
    Process { id, counted: Some(counted), ..net_traffic_testing::process(id.pid) }
}

fn endpoint(port: u64) -> Endpoint {
    net_traffic_testing::endpoint("127.0.0.1", u16::try_from(port).expect("a small number"))
}
