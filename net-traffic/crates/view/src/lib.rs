//! Projects the model into reports of typed values.
//!
//! Data flows one way: collector -> snapshot -> [`Model`] -> [`View`] -> [`Report`] -> output. A view reads the model
//! only: it looks up nothing, it formats nothing, and it cannot fail. A [`Report`] is tables of [`Value`]s; a
//! [`Column`] names a value for programs, a [`ColumnSpec`] shows it to people.
//!
//! - To add a view: write one file here that implements [`View`], and list it in [`VIEWS`].
//! - To add a column: add it to `COLUMNS` and to `row` of a file in `rows`, and to the column specs of each layout that
//!   shows it. Every output then has it.
//! - The full screen takes the same rows from [`live()`], which computes the cells of visible rows only.
//!
//! ```
//! use net_traffic_model::Model;
//! use net_traffic_view::{Options, Top, View};
//!
//! let model = Model::default();
//! let report = Top.report(&model, &Options::default());
//! let keys: Vec<_> = report.tables.iter().filter_map(|table| table.key).collect();
//! assert_eq!(keys, ["connections", "processes", "containers", "destinations"]);
//! ```

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
    CellPart, Column, ColumnKind, ColumnSpec, Facts, Label, Presence, Report, Scalar, Series, Table, Value,
};
pub use self::run::Run;
pub use self::top::Top;

use net_traffic_model::Model;

/// The views that need nothing but the model. [`Run`] needs an exit status, too.
pub const VIEWS: &[&dyn View] = &[&Connections, &Top, &Bandwidth, &Doctor];

/// A projection of the model.
pub trait View: Sync {
    /// The subcommand, and `report` in JSON.
    fn name(&self) -> &'static str;

    /// Projects the model after its last snapshot.
    fn report<'m>(&self, model: &'m Model, options: &Options) -> Report<'m>;
}

/// The keys of a view's tables and columns, the values of `--by` and `--sort`.
#[must_use]
pub fn columns(view: &dyn View) -> Vec<(&'static str, Vec<&'static str>)> {
    let model = Model::default();
    let report = view.report(&model, &Options::default());
    let keys = |table: &Table<'_>| table.columns.iter().map(|column| column.key).collect();
    report.tables.iter().filter_map(|table| Some((table.key?, keys(table)))).collect()
}
