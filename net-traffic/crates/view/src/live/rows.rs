//! The rows of a list by place. Cells are computed when they are read.

use std::net::IpAddr;

use crate::rows::containers::ContainerUsage;
use crate::rows::usage::{HostUsage, ProcessUsage};
use crate::rows::{connections, containers, destinations, interfaces, processes};
use crate::{Column, ColumnSpec, TableId, Value};
use net_traffic_model::{AttributedFlow, InterfaceState, ProcessId, SocketId};

/// The identity of a row, stable while the list changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowId {
    Connection(SocketId),
    /// The container distinguishes the sums of processes that ended long ago.
    Process(ProcessId, Option<String>),
    Container(String),
    /// `None` is the sum of the hosts beyond the model's limit.
    Destination(Option<IpAddr>),
    Interface(String),
}

/// A list in order.
#[derive(Debug)]
pub struct Rows<'m> {
    items: Items<'m>,
    /// Places in `items`; `None` if `items` is in order itself.
    order: Option<Vec<usize>>,
    /// The number of rows without the filter.
    total: usize,
}

#[derive(Debug)]
pub(super) enum Items<'m> {
    Connections(Vec<AttributedFlow<'m>>),
    Processes(Vec<ProcessUsage<'m>>),
    Containers(Vec<ContainerUsage<'m>>),
    Destinations(Vec<(Option<IpAddr>, HostUsage<'m>)>),
    Interfaces(Vec<&'m InterfaceState>),
}

impl<'m> Rows<'m> {
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.as_ref().map_or(self.items.len(), Vec::len)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of rows without the filter.
    #[must_use]
    pub fn total(&self) -> usize {
        self.total
    }

    /// The table that the rows belong to.
    #[must_use]
    pub fn table(&self) -> TableId {
        match self.items {
            Items::Connections(_) => TableId::Connection,
            Items::Processes(_) => TableId::Process,
            Items::Containers(_) => TableId::Container,
            Items::Destinations(_) => TableId::Destination,
            Items::Interfaces(_) => TableId::Interface,
        }
    }

    #[must_use]
    pub fn columns(&self) -> &'static [Column] {
        match self.items {
            Items::Connections(_) => connections::COLUMNS,
            Items::Processes(_) => processes::COLUMNS,
            Items::Containers(_) => containers::COLUMNS,
            Items::Destinations(_) => destinations::LIVE_COLUMNS,
            Items::Interfaces(_) => interfaces::COLUMNS,
        }
    }

    /// The columns of the screen, in order. On a narrow screen, `totals` keeps totals and drops rates.
    #[must_use]
    pub fn layout(&self, totals: bool) -> Vec<ColumnSpec> {
        let layout = match self.items {
            Items::Connections(_) => connections::LIVE,
            Items::Processes(_) => processes::LIVE,
            Items::Containers(_) => containers::LIVE,
            Items::Destinations(_) => destinations::LIVE,
            Items::Interfaces(_) => interfaces::LIVE,
        };
        let swap_ranks = |spec: &ColumnSpec| match spec.key {
            "rx_bps" | "tx_bps" if totals => ColumnSpec { rank: 8, ..*spec },
            "rx_bytes" | "tx_bytes" if totals => ColumnSpec { rank: 0, ..*spec },
            _ => *spec,
        };
        layout.iter().map(swap_ranks).collect()
    }

    /// The cells of the row at a place, in the order of the columns; empty beyond the end.
    #[must_use]
    pub fn cells(&self, place: usize) -> Vec<Value<'m>> {
        let mut cells = Vec::new();
        self.write_cells(place, &mut cells);
        cells
    }

    /// Whether the row's connection or process has ended.
    #[must_use]
    pub fn has_ended(&self, place: usize) -> bool {
        let place = self.place(place);
        match &self.items {
            Items::Connections(flows) => flows.get(place).is_some_and(|flow| flow.connection.ended.is_some()),
            Items::Processes(usages) => usages.get(place).is_some_and(|usage| usage.state.process.exited),
            Items::Containers(_) | Items::Destinations(_) | Items::Interfaces(_) => false,
        }
    }

    /// The identity of the row at a place.
    #[must_use]
    pub fn id(&self, place: usize) -> Option<RowId> {
        let place = self.place(place);
        Some(match &self.items {
            Items::Connections(flows) => RowId::Connection(flows.get(place)?.connection.socket.id),
            Items::Processes(usages) => {
                let process = &usages.get(place)?.state.process;
                RowId::Process(process.id, process.container.clone())
            }
            Items::Containers(usages) => RowId::Container(usages.get(place)?.id.to_owned()),
            Items::Destinations(hosts) => RowId::Destination(hosts.get(place)?.0),
            Items::Interfaces(states) => RowId::Interface(states.get(place)?.interface.name.clone()),
        })
    }

    /// The place of the row with this identity.
    #[must_use]
    pub fn position(&self, id: &RowId) -> Option<usize> {
        (0..self.len()).find(|place| self.is(self.place(*place), id))
    }

    pub(super) fn new(items: Items<'m>, total: usize) -> Self {
        Self { items, order: None, total }
    }

    pub(super) fn ordered(self, order: Vec<usize>) -> Self {
        Self { order: Some(order), ..self }
    }

    pub(super) fn write_cells(&self, place: usize, cells: &mut Vec<Value<'m>>) {
        cells.clear();
        let place = self.place(place);
        match &self.items {
            Items::Connections(flows) => extend(cells, flows.get(place).map(connections::row)),
            Items::Processes(usages) => extend(cells, usages.get(place).map(processes::row)),
            Items::Containers(usages) => extend(cells, usages.get(place).map(containers::row)),
            Items::Destinations(hosts) => extend(cells, hosts.get(place).map(destinations::live_row)),
            Items::Interfaces(states) => extend(cells, states.get(place).map(|state| interfaces::row(state))),
        }
    }

    /// The place in `items`, or `usize::MAX` beyond the end.
    fn place(&self, place: usize) -> usize {
        match &self.order {
            Some(order) => order.get(place).copied().unwrap_or(usize::MAX),
            None => place,
        }
    }

    fn is(&self, place: usize, id: &RowId) -> bool {
        match (&self.items, id) {
            (Items::Connections(flows), RowId::Connection(id)) => {
                flows.get(place).is_some_and(|flow| flow.connection.socket.id == *id)
            }
            (Items::Processes(usages), RowId::Process(id, container)) => {
                usages.get(place).is_some_and(|usage| {
                    usage.state.process.id == *id && usage.state.process.container == *container
                })
            }
            (Items::Containers(usages), RowId::Container(id)) => {
                usages.get(place).is_some_and(|usage| usage.id == id)
            }
            (Items::Destinations(hosts), RowId::Destination(address)) => {
                hosts.get(place).is_some_and(|(known, _)| known == address)
            }
            (Items::Interfaces(states), RowId::Interface(name)) => {
                states.get(place).is_some_and(|state| state.interface.name == *name)
            }
            _ => false,
        }
    }
}

impl Items<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Connections(flows) => flows.len(),
            Self::Processes(usages) => usages.len(),
            Self::Containers(usages) => usages.len(),
            Self::Destinations(hosts) => hosts.len(),
            Self::Interfaces(states) => states.len(),
        }
    }
}

fn extend<'m, const N: usize>(cells: &mut Vec<Value<'m>>, row: Option<[Value<'m>; N]>) {
    cells.extend(row.into_iter().flatten());
}
