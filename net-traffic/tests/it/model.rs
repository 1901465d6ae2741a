//! The model against arithmetic: random sockets open, close and miss snapshots; the totals equal the sums.

use std::net::IpAddr;

use net_traffic_model::{
    Bytes, Endpoint, Model, Process, ProcessId, Protocol, Retention, Selection, Snapshot, Socket, Time, sum,
};
use net_traffic_view::{Options, Top, Value, View};
use proptest::prelude::*;

const TICKS: u64 = 30;

/// A connection that is open for some ticks and transfers the same bytes in each.
#[derive(Clone, Debug)]
struct Life {
    born: u64,
    lives: u64,
    bytes: u64,
    protocol: Protocol,
    owner: u32,
    /// A tick before the last whose snapshot lacks the connection.
    missed: u64,
}

impl Life {
    fn ends(&self) -> u64 {
        self.born + self.lives
    }

    fn moved(&self, tick: u64) -> Bytes {
        let ticks = tick.min(self.ends()).saturating_sub(self.born) + 1;
        Bytes { rx: ticks * self.bytes, tx: ticks }
    }

    /// The entry in the snapshot of this tick: the open socket, or once its close record.
    fn socket(&self, id: u64, tick: u64) -> Option<Socket> {
        let missed = tick == self.missed && tick < self.ends();
        if tick < self.born || tick > self.ends() || missed {
            return None;
        }
        let remote = Endpoint { address: IpAddr::from([198, 51, 100, (id % 5) as u8]), port: 1 };
        Some(Socket {
            protocol: self.protocol,
            remote: Some(remote),
            owner: Some(ProcessId { pid: self.owner, start_ticks: 1 }),
            counted: Some(self.moved(tick)),
            closed: tick == self.ends(),
            ..net_traffic_testing::socket(id)
        })
    }
}

fn lives() -> impl Strategy<Value = Vec<Life>> {
    let protocol = prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp)];
    let life = (0..TICKS, 0..TICKS, 0..1_000_000u64, protocol, 1..4u32, 0..TICKS - 1);
    let life = life.prop_map(|(born, lives, bytes, protocol, owner, missed)| Life {
        born,
        lives,
        bytes,
        protocol,
        owner,
        missed,
    });
    prop::collection::vec(life, 0..40)
}

fn snapshot(lives: &[Life], tick: u64) -> Snapshot {
    let sockets = lives.iter().zip(1..).filter_map(|(life, id)| life.socket(id, tick)).collect();
    let processes = (1..4).map(|pid| process(pid, lives, tick)).collect();
    let at = Time { unix_ns: 0, monotonic_ns: tick * 1_000_000_000 };
    Snapshot { at, sockets, processes, ..Snapshot::default() }
}

fn process(pid: u32, lives: &[Life], tick: u64) -> Process {
    let own = lives.iter().filter(|life| life.owner == pid && life.born <= tick);
    Process {
        counted: Some(own.map(|life| life.moved(tick)).fold(Bytes::default(), sum)),
        ..net_traffic_testing::process(pid)
    }
}

/// The sum of a table's `rx_bytes` and `tx_bytes` in `top`.
fn shown(model: &Model, table: &str) -> Bytes {
    let report = Top.report(model, &Options::default());
    let table = report.tables.iter().find(|it| it.key == Some(table)).unwrap();
    let total = |key: &str| {
        let column = table.column(key).unwrap();
        table.rows().map(|row| if let Value::Bytes(bytes) = row[column] { bytes } else { 0 }).sum()
    };
    Bytes { rx: total("rx_bytes"), tx: total("tx_bytes") }
}

/// The sum over these lives.
fn truth<'l>(lives: impl Iterator<Item = &'l Life>) -> Bytes {
    lives.filter(|life| life.born < TICKS).map(|life| life.moved(TICKS - 1)).fold(Bytes::default(), sum)
}

proptest! {
    #[test]
    fn totals_equal_the_sums(lives in lives(), kept in 1..10usize) {
        let retention = Retention { connections: kept, ..Retention::default() };
        let mut model = Model::new(Selection::default(), retention);
        for tick in 0..TICKS {
            model.advance(snapshot(&lives, tick));
        }
        prop_assert_eq!(shown(&model, "destinations"), truth(lives.iter()));
        prop_assert_eq!(shown(&model, "processes"), truth(lives.iter()));
    }

    #[test]
    fn protocol_selection_limits_process_bytes(lives in lives()) {
        let selection = Selection { protocols: vec![Protocol::Udp], ..Selection::default() };
        let mut model = Model::new(selection, Retention::default());
        for tick in 0..TICKS {
            model.advance(snapshot(&lives, tick));
        }
        let udp = truth(lives.iter().filter(|life| life.protocol == Protocol::Udp));
        prop_assert_eq!(shown(&model, "destinations"), udp);
        prop_assert_eq!(shown(&model, "processes"), udp);
    }
}
