//! The data of the full screen: long lists in order, with cells of the visible rows only.
//!
//! A report holds every cell of every row. The screen is drawn several times a second and shows a few dozen rows, so
//! only the order is computed for all rows.

mod details;
mod rows;
mod sorted;

use std::collections::HashSet;

pub use self::details::{Details, RateSeries, details};
pub use self::rows::{RowId, Rows};

use super::rows::usage::ProcessUsage;
use super::rows::{containers, interfaces, ledger, usage};
use super::top::with_traffic_or_state;
use super::{Bandwidth, Options, Report, TableId, View};
use net_traffic_model::{AttributedFlow, Model, ProcessId, UNOWNED};

/// The two screens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Screen {
    Top,
    Bandwidth,
}

impl Screen {
    /// The lists, in the order of their tabs.
    #[must_use]
    pub fn tabs(self) -> &'static [TableId] {
        match self {
            Self::Top => &[TableId::Connection, TableId::Process, TableId::Container, TableId::Destination],
            Self::Bandwidth => &[TableId::Interface, TableId::Process],
        }
    }

    /// The subcommand.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Top => "top",
            Self::Bandwidth => "bandwidth",
        }
    }
}

/// The projection of the model onto one screen.
#[derive(Debug)]
pub struct Live<'m> {
    /// Everything but the lists: host, loss, cost, sources, rate series of the interfaces, and their balance, if any.
    pub report: Report<'m>,
    /// The list with the keyboard focus.
    pub rows: Rows<'m>,
    /// The second list on the screen.
    pub beside: Option<Rows<'m>>,
    /// The interfaces, the busiest first.
    pub interfaces: Rows<'m>,
    /// By slot, the remedy that allows a better tier.
    pub remedies: Vec<(&'m str, &'m str)>,
}

/// Projects the model onto a screen. `options.table` chooses the list.
#[must_use]
pub fn live<'m>(model: &'m Model, screen: Screen, options: &Options) -> Live<'m> {
    let tabs = screen.tabs();
    let tab = options.table.filter(|by| tabs.contains(by)).unwrap_or(tabs[0]);
    let flows: Vec<AttributedFlow<'m>> = model.flows().collect();
    let beside = match (screen, tab) {
        (Screen::Top, _) => None,
        (Screen::Bandwidth, TableId::Interface) => Some(TableId::Process),
        (Screen::Bandwidth, _) => Some(TableId::Interface),
    };
    let mut tables = Vec::new();
    if screen == Screen::Bandwidth {
        let whole = Bandwidth.report(model, &Options { limit: Some(1), ..Options::default() });
        tables.extend(whole.tables.into_iter().filter(|table| table.key == Some("balance")));
    }
    let mut report = ledger::report(screen.name(), model, tables);
    report.series = interfaces::series(model);
    let unsorted = Options { totals: options.totals, ..Options::default() };
    Live {
        report,
        rows: list(model, &flows, tab, options),
        beside: beside.map(|by| list(model, &flows, by, &unsorted)),
        interfaces: sorted::busiest_interfaces(model),
        remedies: model
            .status()
            .iter()
            .filter_map(|status| Some((status.slot.as_str(), status.remedy.as_deref()?)))
            .collect(),
    }
}

fn list<'m>(model: &'m Model, flows: &[AttributedFlow<'m>], by: TableId, options: &Options) -> Rows<'m> {
    match by {
        TableId::Connection => sorted::connections(with_traffic_or_state(flows, &options.states), options),
        TableId::Process => {
            let mut usages = usage::processes(model, flows);
            let total = usages.len();
            retain_matching(&mut usages, flows, options);
            sorted::processes(usages, total, options)
        }
        TableId::Container => {
            let mut usages = usage::processes(model, flows);
            let total = containers::sums(model, &usages).len();
            retain_matching(&mut usages, flows, options);
            sorted::containers(containers::sums(model, &usages), total, options)
        }
        TableId::Destination => {
            let mut hosts = usage::since_start(model, flows);
            let total = hosts.len();
            let criteria = options.filter.selection();
            if criteria.splits_processes() || criteria.names_processes() {
                let wanted: HashSet<_> = flows
                    .iter()
                    .filter(|flow| criteria.wants_flow(flow))
                    .filter_map(|flow| flow.connection.socket.remote)
                    .map(|remote| Some(remote.address.to_canonical()))
                    .collect();
                hosts.retain(|address, _| wanted.contains(address));
            }
            sorted::destinations(hosts, total, options)
        }
        TableId::Interface => sorted::interfaces(model, options),
    }
}

/// Keeps the processes that match the filter and, if the filter has criteria for connections, own a matching one.
fn retain_matching(usages: &mut Vec<ProcessUsage<'_>>, flows: &[AttributedFlow<'_>], options: &Options) {
    let criteria = options.filter.selection();
    let owners: Option<HashSet<ProcessId>> = criteria.splits_processes().then(|| {
        let wanted = flows.iter().filter(|flow| criteria.wants_flow(flow));
        wanted.map(|flow| flow.connection.socket.owner.unwrap_or(UNOWNED)).collect()
    });
    usages.retain(|usage| {
        criteria.wants_process(usage.state)
            && owners.as_ref().is_none_or(|owners| owners.contains(&usage.state.process.id))
    });
}
