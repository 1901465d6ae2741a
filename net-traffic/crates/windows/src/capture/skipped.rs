//! Counts the reports that are not shown, by reason.

use crate::events::wifi::WifiError;

/// Why a report is skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SkipReason {
    /// The component belongs to no adapter.
    Foreign,
    /// The 802.11 frame cannot be converted. Management frames are no loss.
    Wifi(WifiError),
    /// The packet type has no link type in capture files.
    PacketType(u16),
    /// The filter does not compile for this link type.
    Filter(String),
    /// A process is selected, and the tables have no owner of the packet.
    Unowned,
}

#[derive(Debug, Default)]
pub(super) struct Skipped {
    foreign: u64,
    management: u64,
    unreadable: u64,
    of_other_types: u64,
    packet_type: u16,
    unfiltered: u64,
    filter: String,
    unowned: u64,
}

impl Skipped {
    pub(super) fn count(&mut self, reason: SkipReason) {
        match reason {
            SkipReason::Foreign => self.foreign += 1,
            SkipReason::Wifi(WifiError::Management) => self.management += 1,
            SkipReason::Wifi(WifiError::Unreadable) => self.unreadable += 1,
            SkipReason::PacketType(number) => {
                self.of_other_types += 1;
                self.packet_type = number;
            }
            SkipReason::Filter(error) => {
                self.unfiltered += 1;
                self.filter = error;
            }
            SkipReason::Unowned => self.unowned += 1,
        }
    }

    /// Packets that the filter could not decide.
    pub(super) fn lost(&self) -> u64 {
        self.unreadable + self.of_other_types + self.unfiltered
    }

    /// One remark per reason that occurred.
    pub(super) fn remarks(&self) -> Vec<String> {
        let Self {
            foreign,
            management,
            unreadable,
            of_other_types,
            packet_type,
            unfiltered,
            filter,
            unowned,
        } = self;
        let remarks = [
            (*foreign, "reports were of no adapter that the packet monitor lists".to_owned()),
            (*management, "802.11 frames carried no packet, and are not shown".to_owned()),
            (*unreadable, "802.11 frames could not be read, and are lost (copy_failed)".to_owned()),
            (
                *of_other_types,
                format!(
                    "packets are of a type that cannot be shown ({packet_type}), and are lost (copy_failed)"
                ),
            ),
            (*unfiltered, format!("packets could not be filtered, and are lost (copy_failed): {filter}")),
            (*unowned, "packets have no owner in the socket tables, and are left out".to_owned()),
        ];
        remarks
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect()
    }
}
