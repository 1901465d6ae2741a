//! Parses /proc/net/dev. The file has sums of some error causes
//! (<https://github.com/gregkh/linux/blob/v6.12.117/net/core/net-procfs.c#L44>). Pure: text in, interfaces out.

use net_traffic_snapshot::{Interface, InterfaceCounters};

/// The interfaces in the file's order. The file has no index, state or MTU.
pub(super) fn parse(text: &str) -> Vec<Interface> {
    text.lines().filter_map(line).collect()
}

/// `name: bytes packets errs drop fifo frame compressed multicast  bytes packets errs drop fifo colls carrier compressed`
fn line(line: &str) -> Option<Interface> {
    // The name of an alias contains a colon; a counter does not.
    let (name, numbers) = line.rsplit_once(':')?;
    let numbers: Vec<u64> = numbers.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
    let (rx, tx) = (numbers.first_chunk::<8>()?, numbers.get(8..)?.first_chunk::<8>()?);
    let counters = |numbers: &[u64; 8], causes: &[(&str, u64)]| InterfaceCounters {
        bytes: numbers[0],
        packets: numbers[1],
        errors: numbers[2],
        dropped: numbers[3],
        detail: causes.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
    };
    Some(Interface {
        name: name.trim().to_owned(),
        rx: counters(rx, &[("fifo", rx[4]), ("frame", rx[5]), ("compressed", rx[6])]),
        tx: counters(tx, &[("fifo", tx[4]), ("carrier", tx[6]), ("compressed", tx[7])]),
        multicast: rx[7],
        collisions: tx[5],
        ..Interface::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:  1000      10    0    0    0     0          0         0     1000      10    0    0    0     0       0          0
eth0:1: 1 2 3 4 5 6 7 8 11 12 13 14 15 16 17 18
";

    #[test]
    fn columns_are_decoded_and_headings_skipped() {
        let interfaces = parse(TEXT);
        assert_eq!(interfaces.len(), 2);
        assert_eq!((interfaces[0].name.as_str(), interfaces[0].rx.bytes), ("lo", 1000));
        let alias = &interfaces[1];
        assert_eq!(alias.name, "eth0:1");
        assert_eq!((alias.rx.packets, alias.rx.errors, alias.rx.dropped, alias.multicast), (2, 3, 4, 8));
        assert_eq!((alias.tx.bytes, alias.tx.packets, alias.collisions), (11, 12, 16));
        assert_eq!(alias.tx.detail[1], ("carrier".to_owned(), 17));
    }

    #[test]
    fn cut_line_is_left_out() {
        assert!(parse("eth0: 1 2 3\n").is_empty());
        assert!(parse("eth0: 1 2 3 4 5 6 7 8 11 12 13 14 15 16 17 x\n").is_empty());
    }
}
