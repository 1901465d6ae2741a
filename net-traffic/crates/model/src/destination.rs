//! Bytes of ended connections by remote host. A view adds those of live connections.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::process::sum;
use net_traffic_snapshot::Bytes;

/// The folded totals, bounded: a scan of many addresses must not exhaust memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Destinations {
    known: BTreeMap<IpAddr, Bytes>,
    /// The sum over the hosts beyond the limit.
    beyond: Bytes,
}

impl Destinations {
    /// Adds the bytes of an ended connection. Beyond `limit` hosts, new ones share one sum.
    pub(crate) fn fold(&mut self, address: IpAddr, bytes: Bytes, limit: usize) {
        let full = self.known.len() >= limit;
        match self.known.get_mut(&address) {
            Some(known) => *known = sum(*known, bytes),
            None if full => self.beyond = sum(self.beyond, bytes),
            None => {
                self.known.insert(address, bytes);
            }
        }
    }

    /// The totals by host; `None` is the sum over the hosts beyond the limit.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Option<IpAddr>, Bytes)> + '_ {
        let beyond = Some((None, self.beyond)).filter(|(_, bytes)| *bytes != Bytes::default());
        self.known.iter().map(|(address, bytes)| (Some(*address), *bytes)).chain(beyond)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_beyond_the_limit_share_one_sum() {
        let mut destinations = Destinations::default();
        for last in 0..4u8 {
            destinations.fold(IpAddr::from([192, 0, 2, last]), Bytes { rx: 1, tx: 2 }, 2);
        }
        destinations.fold(IpAddr::from([192, 0, 2, 0]), Bytes { rx: 10, tx: 0 }, 2);
        let all: Vec<_> = destinations.iter().collect();
        assert_eq!(all.len(), 3);
        assert_eq!(all[0].1, Bytes { rx: 11, tx: 2 });
        assert_eq!(all[2], (None, Bytes { rx: 2, tx: 4 }));
    }
}
