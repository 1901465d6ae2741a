//! The packets of XDP compared with the packets that reach the stack.

use net_traffic_model::Direction;

use super::device::Losses;
use super::sheet::Tool;
use super::traffic::{tcp, udp};
use super::{MB, ip, pair};
use crate::suite::skips::Reason;

/// Without drops both counts are equal, also for large packets, and the balance does not change.
pub(super) fn arrivals() -> Result<(), Reason> {
    let (one, other) = pair()?;
    let mut tool = Tool::watch_arrivals(&one);
    tcp(&other, &one, ip("10.7.0.1"), 2 * MB, MB);
    udp(&one, &other, ip("10.7.0.2"), 1000, 100);
    tool.read().carries("a", 2 * MB + 100_000, MB + 100_000);
    let model = tool.rest();
    let arrived = model.xdp_rx().find(|arrivals| arrivals.interface == "a").unwrap();
    assert!(!arrived.native && arrived.bytes > 2 * MB as u64 + 100_000, "{arrived:?}");
    assert_eq!((arrived.dropped_packets, arrived.dropped_bytes), (0, 0), "{arrived:?}");
    Ok(())
}

/// Packets that an earlier program drops are missing in the balance; the XDP count includes them.
pub(super) fn dropped_before_the_stack() -> Result<(), Reason> {
    let (one, other) = pair()?;
    let mut tool = Tool::watch_arrivals(&one);
    let losses = Losses::new();
    losses.before_all(&one, "a");
    tcp(&other, &one, ip("10.7.0.1"), 8 * MB, 5);
    let model = tool.rest();
    let arrived = model.xdp_rx().find(|arrivals| arrivals.interface == "a").unwrap();
    let is_rx = |interface: &str, direction| interface == "a" && direction == Direction::Rx;
    let balance = model.balance().find(|balance| is_rx(balance.interface, balance.direction)).unwrap();
    assert!(arrived.dropped_packets > 0, "nothing was lost: {arrived:?}");
    assert_eq!(arrived.bytes, balance.interface_bytes);
    assert_eq!(
        Ok(arrived.dropped_bytes),
        u64::try_from(balance.unattributed_bytes),
        "{arrived:?} {balance:?}"
    );
    assert_eq!(balance.process_payload_bytes, 8 * MB as u64, "{arrived:?} {balance:?}");
    Ok(())
}
