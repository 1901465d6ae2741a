//! What a screen shows: one long list in order, of which only the visible rows become values.
//!
//! A report holds every value of every row. A screen is drawn many times a second and shows a few dozen rows, so that
//! here only the order is worked out for all rows.

mod details;
mod rows;
mod sorted;

use std::collections::HashSet;

pub use self::details::{Details, RateSeries, details};
pub use self::rows::{RowId, Rows};

use super::rows::usage::Usage;
use super::rows::{containers, interfaces, ledger, usage};
use super::top::moved;
use super::{Bandwidth, Options, Report, States, TableId, View};
use net_traffic_model::{AttributedFlow, Model, ProcessId, UNOWNED};

/// The two screens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Screen {
    Top,
    Bandwidth,
}

impl Screen {
    /// The lists that it has, in the order of their tabs.
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

/// What one screen says of the model.
#[derive(Debug)]
pub struct Live<'m> {
    /// Everything but the lists: host, loss, cost, sources, the interfaces' history; and the balance, if there is one.
    pub report: Report<'m>,
    /// The list that has the keys.
    pub rows: Rows<'m>,
    /// The list that is shown beside it.
    pub beside: Option<Rows<'m>>,
    /// The machine's interfaces, the busiest first.
    pub interfaces: Rows<'m>,
    /// By slot, what the user can do so that something better counts.
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
        TableId::Connection => sorted::connections(shown(flows, &options.states), options),
        TableId::Process => {
            let mut usages = usage::processes(model, flows);
            let of = usages.len();
            keep_wanted(&mut usages, flows, options);
            sorted::processes(usages, of, options)
        }
        TableId::Container => {
            let mut usages = usage::processes(model, flows);
            let of = containers::sums(model, &usages).len();
            keep_wanted(&mut usages, flows, options);
            sorted::containers(containers::sums(model, &usages), of, options)
        }
        TableId::Destination => {
            let mut hosts = usage::since_start(model, flows);
            let of = hosts.len();
            if options.filter.is_about_connections() || options.filter.is_about_processes() {
                let wanted: HashSet<_> = flows
                    .iter()
                    .filter(|flow| options.filter.wants_flow(flow))
                    .filter_map(|flow| flow.connection.socket.remote)
                    .map(|remote| Some(remote.address.to_canonical()))
                    .collect();
                hosts.retain(|address, _| wanted.contains(address));
            }
            sorted::destinations(hosts, of, options)
        }
        TableId::Interface => sorted::interfaces(model, options),
    }
}

/// Keeps the processes that the filter names, and of those the owners of the connections that it describes.
fn keep_wanted(usages: &mut Vec<Usage<'_>>, flows: &[AttributedFlow<'_>], options: &Options) {
    let filter = &options.filter;
    let owners: Option<HashSet<ProcessId>> = filter.is_about_connections().then(|| {
        let wanted = flows.iter().filter(|flow| filter.wants_flow(flow));
        wanted.map(|flow| flow.connection.socket.owner.unwrap_or(UNOWNED)).collect()
    });
    usages.retain(|usage| {
        filter.wants_process(usage.state)
            && owners.as_ref().is_none_or(|owners| owners.contains(&usage.state.process.id))
    });
}

/// Connected sockets, and those without a peer once they move something, unless other states are asked for.
fn shown<'m>(flows: &[AttributedFlow<'m>], states: &States) -> Vec<AttributedFlow<'m>> {
    let unasked = *states == States::default();
    flows.iter().filter(|flow| states.wants(flow) || (unasked && moved(flow))).copied().collect()
}
