//! Maps the adapters of the packet monitor to the interfaces of IP Helper, whose names users know.

use super::monitor::Adapter as MonitorAdapter;
use crate::interfaces::{self, Adapter};
use net_traffic_capture::LiveCaptureOptions;
use net_traffic_snapshot::OpenError;
use pcap_io::Interface;
use pcap_io::LinkType;

/// The interfaces of this machine. Fails if a wanted name is not among them.
pub(super) fn interfaces(wanted: &[String]) -> Result<Vec<Adapter>, OpenError> {
    let failed = |cause| OpenError::Failed { attempt: "list the interfaces".to_owned(), cause };
    let all = interfaces::adapters().map_err(failed)?;
    match wanted.iter().find(|name| !all.iter().any(|interface| interface.name == **name)) {
        Some(name) => Err(OpenError::Usage(format!("-i {name}: there is no such interface"))),
        None => Ok(all),
    }
}

/// Selects the wanted adapters; returns them with their interfaces.
pub(super) fn choose(
    adapters: Vec<MonitorAdapter>,
    interfaces: &[Adapter],
    options: &LiveCaptureOptions,
    expression: &str,
) -> Result<(Vec<MonitorAdapter>, Vec<Interface>), OpenError> {
    let chosen: (Vec<_>, Vec<_>) = adapters
        .into_iter()
        .map(|adapter| {
            let found = find(&adapter, interfaces);
            let interface = Interface {
                index: found.map_or(0, |interface| interface.index),
                name: Some(
                    found.map_or_else(|| adapter.description.clone(), |interface| interface.name.clone()),
                ),
                link: LinkType::ETHERNET,
                snaplen: options.snaplen,
                filter: (!expression.is_empty()).then(|| expression.to_owned()),
                ..Interface::default()
            };
            (adapter, interface)
        })
        .filter(|(_, interface)| {
            let is_it = |name| interface.name.as_ref() == Some(name);
            options.interfaces.is_empty() || options.interfaces.iter().any(is_it)
        })
        .unzip();
    if chosen.0.is_empty() {
        let text = "the packet monitor has no such adapter; `pktmon list` prints its adapters";
        return Err(OpenError::Usage(text.to_owned()));
    }
    Ok(chosen)
}

/// The interface of an adapter, by MAC address and description: the monitor has no interface names. Interfaces may share
/// a MAC address, as a virtual switch and its network card do, or a description.
fn find<'i>(adapter: &MonitorAdapter, interfaces: &'i [Adapter]) -> Option<&'i Adapter> {
    let has_description = |interface: &&Adapter| interface.description == adapter.description;
    let has_mac = |interface: &&Adapter| interface.mac.is_some() && interface.mac == adapter.mac;
    interfaces
        .iter()
        .find(|interface| has_mac(interface) && has_description(interface))
        .or_else(|| interfaces.iter().find(has_mac))
        .or_else(|| interfaces.iter().find(has_description))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(name: &str, description: &str, mac: Option<u8>) -> Adapter {
        let mac = mac.map(|last| [2, 0, 0, 0, 0, last]);
        Adapter { index: 1, name: name.to_owned(), description: description.to_owned(), mac }
    }

    #[test]
    fn description_decides_between_equal_mac_addresses() {
        let interfaces = [
            interface("Loopback", "Software Loopback Interface 1", None),
            interface("vEthernet", "Hyper-V Virtual Ethernet Adapter", Some(1)),
            interface("Ethernet", "Card", Some(1)),
            interface("Ethernet 2", "Card", Some(2)),
            interface("VPN", "Tunnel", None),
        ];
        let name = |description: &str, last: Option<u8>| {
            let mac = last.map(|last| [2, 0, 0, 0, 0, last]);
            let adapter =
                MonitorAdapter { description: description.to_owned(), mac, ..MonitorAdapter::default() };
            find(&adapter, &interfaces).map(|interface| interface.name.as_str())
        };
        assert_eq!(name("Card", Some(1)), Some("Ethernet"));
        assert_eq!(name("Card", Some(2)), Some("Ethernet 2"));
        assert_eq!(name("Hyper-V Virtual Ethernet Adapter", Some(1)), Some("vEthernet"));
        assert_eq!(name("Another description", Some(2)), Some("Ethernet 2"));
        // A missing MAC address matches nothing.
        assert_eq!(name("Tunnel", None), Some("VPN"));
        assert_eq!(name("Unknown", None), None);
    }
}
