//! Network adapters by the names that the rest of the system has for them.

use super::monitor::Adapter;
use crate::interfaces::{self, Known};
use net_traffic_capture::LiveCaptureOptions;
use net_traffic_snapshot::OpenError;
use pcap_io::Interface;
use pcap_io::LinkType;

/// The interfaces of this machine; those that the user named must be among them.
pub(super) fn known(wanted: &[String]) -> Result<Vec<Known>, OpenError> {
    let failed = |cause| OpenError::Failed { attempt: "list the interfaces".to_owned(), cause };
    let all = interfaces::hardware().map_err(failed)?;
    match wanted.iter().find(|name| !all.iter().any(|interface| interface.name == **name)) {
        Some(name) => Err(OpenError::Usage(format!("-i {name}: there is no such interface"))),
        None => Ok(all),
    }
}

/// The adapters that are wanted, and the interfaces that they are.
pub(super) fn choose(
    adapters: Vec<Adapter>,
    known: &[Known],
    options: &LiveCaptureOptions,
    expression: &str,
) -> Result<(Vec<Adapter>, Vec<Interface>), OpenError> {
    let chosen: (Vec<_>, Vec<_>) = adapters
        .into_iter()
        .map(|adapter| {
            let of_it = find(&adapter, known);
            let interface = Interface {
                index: of_it.map_or(0, |interface| interface.index),
                name: Some(
                    of_it.map_or_else(|| adapter.description.clone(), |interface| interface.name.clone()),
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
        let text = "the packet monitor does not know the interface; `pktmon list` has those that it knows";
        return Err(OpenError::Usage(text.to_owned()));
    }
    Ok(chosen)
}

/// The interface that an adapter is: the monitor has another name for it. Several may have one address (a virtual switch
/// has that of its card), and several one description.
fn find<'k>(adapter: &Adapter, known: &'k [Known]) -> Option<&'k Known> {
    let is_named = |interface: &&Known| interface.description == adapter.description;
    let is_there = |interface: &&Known| interface.address.is_some() && interface.address == adapter.hardware;
    known
        .iter()
        .find(|interface| is_there(interface) && is_named(interface))
        .or_else(|| known.iter().find(is_there))
        .or_else(|| known.iter().find(is_named))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(name: &str, description: &str, address: Option<u8>) -> Known {
        let address = address.map(|last| [2, 0, 0, 0, 0, last]);
        Known { index: 1, name: name.to_owned(), description: description.to_owned(), address }
    }

    #[test]
    fn of_interfaces_with_one_address_an_adapter_is_the_one_that_is_described_so() {
        let known = [
            interface("Loopback", "Software Loopback Interface 1", None),
            interface("vEthernet", "Hyper-V Virtual Ethernet Adapter", Some(1)),
            interface("Ethernet", "Card", Some(1)),
            interface("Ethernet 2", "Card", Some(2)),
            interface("VPN", "Tunnel", None),
        ];
        let name = |description: &str, last: Option<u8>| {
            let hardware = last.map(|last| [2, 0, 0, 0, 0, last]);
            let adapter = Adapter { description: description.to_owned(), hardware, ..Adapter::default() };
            find(&adapter, &known).map(|interface| interface.name.as_str())
        };
        assert_eq!(name("Card", Some(1)), Some("Ethernet"));
        assert_eq!(name("Card", Some(2)), Some("Ethernet 2"));
        assert_eq!(name("Hyper-V Virtual Ethernet Adapter", Some(1)), Some("vEthernet"));
        assert_eq!(name("Another word for it", Some(2)), Some("Ethernet 2"));
        // Those without an address are not each other.
        assert_eq!(name("Tunnel", None), Some("VPN"));
        assert_eq!(name("Unknown", None), None);
    }
}
