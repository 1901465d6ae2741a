//! Reads the counters of every interface, as `ip -s -s link` prints them: from rtnetlink, or from /proc/net/dev if
//! rtnetlink fails.

mod addresses;
pub(super) mod link;
mod peers;
mod proc_net_dev;
mod stacked;

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;

use nix::sys::socket::SockProtocol;

use self::peers::PeerNamespaces;
use self::stacked::StackedInterfaces;
use super::netlink::Netlink;
use super::netns::NetNs;
use crate::platform::host;
use net_traffic_snapshot::{CollectError, Collector};
use net_traffic_snapshot::{Interface, Snapshot, Status};

/// Reads the interfaces of one network namespace.
pub struct Interfaces {
    netns: NetNs,
    netlink: io::Result<Netlink>,
    peers: PeerNamespaces,
    /// Set if the snapshot covers the sockets of every namespace.
    stacked: Option<StackedInterfaces>,
}

const NAME: &str = "interfaces";
const RTM_GETLINK: u16 = libc::RTM_GETLINK;
const RTM_GETADDR: u16 = libc::RTM_GETADDR;
/// `struct ifaddrmsg`, all zero: selects every address of every family.
const EVERY_ADDRESS: [u8; 8] = [0; 8];
/// `struct ifinfomsg`, all zero: selects every interface.
const EVERY_INTERFACE: [u8; 16] = [0; 16];

impl Interfaces {
    /// Opens the netlink socket in `netns`. If the kernel refuses the socket, /proc/net/dev is read.
    ///
    /// # Errors
    /// When the namespace cannot be entered.
    pub fn new(netns: NetNs) -> io::Result<Self> {
        let netlink = netns.run(|| Netlink::open(SockProtocol::NetlinkRoute))?;
        Ok(Self { netns, netlink, peers: PeerNamespaces::default(), stacked: None })
    }

    /// Also searches other namespaces for interfaces stacked on those of this namespace.
    #[must_use]
    pub fn with_stacked(self) -> Self {
        Self { stacked: Some(StackedInterfaces::default()), ..self }
    }

    /// Returns the time at which the counters were read. The search of other namespaces comes later and takes long.
    fn dump(&mut self, interfaces: &mut Vec<Interface>) -> io::Result<u64> {
        let netns = self.netns.inode();
        let netlink = match &mut self.netlink {
            Ok(netlink) => netlink,
            Err(refusal) => return Err(io::Error::new(refusal.kind(), refusal.to_string())),
        };
        let mut found = Vec::new();
        netlink.dump(RTM_GETLINK, &EVERY_INTERFACE, &mut found, |answer| {
            let relations = link::relations(answer)?;
            Ok(link::interface(answer, netns)?.map(|interface| (interface, relations)))
        })?;
        let read_ns = host::now().monotonic_ns;
        let (mut listed, relations): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        let stacked = self.stacked.as_mut().map(|stacked| stacked.poll(&self.netns)).unwrap_or_default();
        self.peers.fill(netlink, &relations, stacked, &mut listed);
        interfaces.extend(listed);
        Ok(read_ns)
    }

    /// The addresses attribute a socket without `SO_BINDTODEVICE` to an interface.
    fn add_addresses(&mut self, interfaces: &mut [Interface]) -> io::Result<()> {
        let Ok(netlink) = &mut self.netlink else { return Ok(()) };
        let mut found = Vec::new();
        netlink.dump(RTM_GETADDR, &EVERY_ADDRESS, &mut found, addresses::address)?;
        let mut by_index: HashMap<u32, Vec<IpAddr>> = HashMap::new();
        for (index, address) in found {
            by_index.entry(index).or_default().push(address);
        }
        for interface in interfaces {
            interface.addresses = by_index.remove(&interface.index).unwrap_or_default();
        }
        Ok(())
    }

    /// The file has names without indices; each index is looked up in the same namespace.
    fn read_proc(&self) -> io::Result<Vec<Interface>> {
        let netns = self.netns.inode();
        self.netns.run(|| {
            let text = std::fs::read_to_string("/proc/thread-self/net/dev")?;
            let mut interfaces = proc_net_dev::parse(&text);
            for interface in &mut interfaces {
                interface.index = nix::net::if_::if_nametoindex(interface.name.as_str())?;
                interface.netns = Some(netns);
            }
            Ok(interfaces)
        })?
    }
}

impl Collector for Interfaces {
    fn name(&self) -> &'static str {
        NAME
    }

    fn collect(&mut self, snapshot: &mut Snapshot) -> Result<(), CollectError> {
        let refusal = match self.dump(&mut snapshot.interfaces) {
            Ok(read_ns) => {
                snapshot.interfaces_at_ns = Some(read_ns);
                None
            }
            Err(refusal) => {
                let read = self.read_proc();
                snapshot.interfaces_at_ns = Some(host::now().monotonic_ns);
                snapshot.interfaces.extend(read.map_err(|cause| CollectError {
                    collector: NAME,
                    attempt: "read the interface counters",
                    cause,
                })?);
                Some(refusal)
            }
        };
        let unaddressed = self.add_addresses(&mut snapshot.interfaces);
        snapshot.status.push(status(refusal));
        unaddressed.map_err(|cause| CollectError { collector: NAME, attempt: "read the addresses", cause })
    }
}

fn status(refusal: Option<io::Error>) -> Status {
    let program = if refusal.is_some() { "/proc/net/dev" } else { "rtnetlink" };
    Status {
        slot: NAME.to_owned(),
        tier: Some("polling".to_owned()),
        program: Some(program.to_owned()),
        covers: Some("every counter of the interfaces".to_owned()),
        reason: refusal.map(|refusal| format!("rtnetlink: {refusal}; some error causes are missing")),
        remedy: None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use net_traffic_snapshot::Time;
    use net_traffic_snapshot::collect_all;

    #[test]
    fn proc_net_dev_and_netlink_list_same_interfaces() {
        let mut collector = Interfaces::new(NetNs::own().unwrap()).unwrap();
        let by_index = |interfaces: Vec<Interface>| {
            interfaces.into_iter().map(|each| (each.index, each.name)).collect::<BTreeMap<_, _>>()
        };
        // Other processes may add or remove an interface between the two reads.
        let same = (0..20).find_map(|_| {
            let mut by_netlink = Vec::new();
            collector.dump(&mut by_netlink).unwrap();
            let (by_netlink, in_proc) = (by_index(by_netlink), by_index(collector.read_proc().ok()?));
            (by_netlink == in_proc).then_some(in_proc)
        });
        assert!(same.unwrap().values().any(|name| name == "lo"));
    }

    #[test]
    fn loopback_interface_has_its_address() {
        let mut collector = Interfaces::new(NetNs::own().unwrap()).unwrap();
        let mut snapshot = Snapshot::default();
        collector.collect(&mut snapshot).unwrap();
        let lo = snapshot.interfaces.iter().find(|interface| interface.name == "lo").unwrap();
        // A loopback interface that is down has no address.
        assert!(!lo.up || lo.addresses.contains(&IpAddr::from([127, 0, 0, 1])), "{:?}", lo.addresses);
    }

    /// A collector that runs first and stores the time.
    struct Before(Arc<AtomicU64>);

    impl Collector for Before {
        fn name(&self) -> &'static str {
            "before"
        }

        fn collect(&mut self, _snapshot: &mut Snapshot) -> Result<(), CollectError> {
            self.0.store(host::now().monotonic_ns, Ordering::Relaxed);
            Ok(())
        }
    }

    #[test]
    fn counters_have_the_time_of_their_own_dump() {
        let ended = Arc::new(AtomicU64::new(0));
        let interfaces = Interfaces::new(NetNs::own().unwrap()).unwrap().with_stacked();
        let mut collectors: Vec<Box<dyn Collector>> =
            vec![Box::new(Before(Arc::clone(&ended))), Box::new(interfaces)];
        // The snapshot's own time stays 0.
        let mut snapshot = Snapshot::default();
        collect_all(&mut collectors, &mut snapshot);
        let read = snapshot.interfaces_at_ns.unwrap();
        assert!(read >= ended.load(Ordering::Relaxed) && read <= host::now().monotonic_ns, "{read}");
        assert_eq!(snapshot.at, Time::default());
    }

    #[test]
    fn refused_socket_falls_back_to_proc_net_dev() {
        let refused = Err(io::ErrorKind::PermissionDenied.into());
        let mut collector = Interfaces {
            netns: NetNs::own().unwrap(),
            netlink: refused,
            peers: PeerNamespaces::default(),
            stacked: None,
        };
        let mut snapshot = Snapshot::default();
        collector.collect(&mut snapshot).unwrap();
        assert!(snapshot.interfaces.iter().any(|interface| interface.name == "lo"));
        assert_eq!(snapshot.status[0].program.as_deref(), Some("/proc/net/dev"));
        assert!(snapshot.status[0].reason.as_deref().unwrap().contains("permission denied"));
    }
}
