//! What the monitor reported and nobody gets: counted by cause, and said.

use crate::events::wifi::NoPacket;

/// Why a report does not become a packet that is wanted or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// It is of a component that is none of the adapters.
    Foreign,
    /// It is of the air; those that carry nothing are no loss.
    Air(NoPacket),
    /// It begins with what no file has a number for; the monitor's number for it.
    Kind(u16),
    /// The filter cannot be asked of packets of this kind.
    Filter(String),
    /// Packets of some processes are wanted, and the tables do not tell whose it is.
    Unowned,
}

#[derive(Debug, Default)]
pub(super) struct PassedOver {
    foreign: u64,
    management: u64,
    unreadable: u64,
    of_other_kinds: u64,
    kind: u16,
    unfiltered: u64,
    filter: String,
    unowned: u64,
}

impl PassedOver {
    pub(super) fn count(&mut self, why: Why) {
        match why {
            Why::Foreign => self.foreign += 1,
            Why::Air(NoPacket::Management) => self.management += 1,
            Why::Air(NoPacket::Unreadable) => self.unreadable += 1,
            Why::Kind(kind) => {
                self.of_other_kinds += 1;
                self.kind = kind;
            }
            Why::Filter(error) => {
                self.unfiltered += 1;
                self.filter = error;
            }
            Why::Unowned => self.unowned += 1,
        }
    }

    /// Packets that nobody knows whether they were wanted.
    pub(super) fn lost(&self) -> u64 {
        self.unreadable + self.of_other_kinds + self.unfiltered
    }

    /// What of that happened, in words.
    pub(super) fn remarks(&self) -> Vec<String> {
        let Self { foreign, management, unreadable, of_other_kinds, kind, unfiltered, filter, unowned } =
            self;
        let said = [
            (*foreign, "reports were of no adapter that the packet monitor lists".to_owned()),
            (*management, "frames of the air carried no packet, and are not shown".to_owned()),
            (*unreadable, "frames of the air could not be read, and are lost (copy_failed)".to_owned()),
            (
                *of_other_kinds,
                format!("packets are of a kind that cannot be shown ({kind}), and are lost (copy_failed)"),
            ),
            (*unfiltered, format!("packets could not be filtered, and are lost (copy_failed): {filter}")),
            (*unowned, "packets are of no process that the tables know, and are left out".to_owned()),
        ];
        said.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect()
    }
}
