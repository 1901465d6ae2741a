//! Projects the model into reports of typed values. A view looks nothing up: what it shows, the model knows.

#![forbid(unsafe_code)]

mod bandwidth;
mod connections;
mod doctor;
mod filter;
mod labels;
mod live;
mod options;
mod order;
mod report;
mod rows;
mod run;
pub mod selftest;
pub mod throughput;
mod top;

pub use self::bandwidth::Bandwidth;
pub use self::connections::Connections;
pub use self::doctor::Doctor;
pub use self::filter::{Filter, PREFIXES};
pub use self::live::{Details, Live, RateSeries, RowId, Rows, Screen, details, live};
pub use self::options::{Options, States, TableId};
pub use self::report::{
    CellPart, Column, ColumnKind, ColumnSpec, Facts, Label, Presence, Report, Series, Table, Value,
};
pub use self::run::Run;
pub use self::top::Top;

use net_traffic_model::Model;

/// One way to look at the model.
pub trait View: Sync {
    /// The subcommand, the tab, and `report` in JSON.
    fn name(&self) -> &'static str;

    /// What the view says about the model as it is now.
    fn report<'m>(&self, model: &'m Model, options: &Options) -> Report<'m>;
}

/// The keys of the tables and columns that a view has: what `--by` and `--sort` may name.
#[must_use]
pub fn columns(view: &dyn View) -> Vec<(&'static str, Vec<&'static str>)> {
    let model = Model::default();
    let report = view.report(&model, &Options::default());
    let keys = |table: &Table<'_>| table.columns.iter().map(|column| column.key).collect();
    report.tables.iter().filter_map(|table| Some((table.key?, keys(table)))).collect()
}
