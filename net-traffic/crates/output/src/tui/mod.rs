//! The full screen: events change the state, and a frame is drawn from the state and a projection of the model.
//!
//! [`update`] and [`draw`] are pure. The application reads keys, collects snapshots and writes frames.

mod bandwidth;
mod canvas;
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

/// The projection of the model for one frame: the lists, and the open row.
#[derive(Debug)]
pub struct Picture<'m> {
    pub live: Live<'m>,
    /// `None` if no row is open, or if the model no longer keeps it.
    pub details: Option<Details<'m>>,
}
