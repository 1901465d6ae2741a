//! The full-screen output: state changed by events, frames drawn from state and a projection of the model.
//!
//! `update` and `draw` are pure. Reading keys, asking for snapshots and writing frames are the application's.

mod bandwidth;
mod details;
mod draw;
mod fit;
mod graph;
mod header;
mod help;
mod hit_map;
mod state;
mod table;
pub mod terminal;
mod theme;
mod update;

pub use self::draw::draw;
pub use self::hit_map::HitMap;
pub use self::state::{Change, Event, Mode, State};
pub use self::update::update;

use net_traffic_view::{Details, Live};

/// What the model says for one screen: the lists, and the row that was opened.
#[derive(Debug)]
pub struct Picture<'m> {
    pub live: Live<'m>,
    /// `None` where no row is open, or the open one is forgotten.
    pub details: Option<Details<'m>>,
}
