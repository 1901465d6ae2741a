//! The interfaces of this machine, with their counters and addresses, as Get-NetAdapterStatistics has them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use windows_sys::Win32::NetworkManagement::IpHelper::{
    FreeMibTable, GetIfTable2, GetUnicastIpAddressTable, MIB_IF_ROW2, MIB_IF_TABLE2,
    MIB_UNICASTIPADDRESS_ROW, MIB_UNICASTIPADDRESS_TABLE,
};
use windows_sys::Win32::NetworkManagement::Ndis::IfOperStatusUp;
use windows_sys::Win32::Networking::WinSock::{AF_INET, AF_INET6, AF_UNSPEC, SOCKADDR_INET};

use super::{check, narrow};
use net_traffic_snapshot::{CollectError, Collector};
use net_traffic_snapshot::{Interface, InterfaceCounters, Snapshot, Status};

/// Reads the interfaces.
#[derive(Debug)]
pub(super) struct Interfaces;

const NAME: &str = "interfaces";

impl Collector for Interfaces {
    fn name(&self) -> &'static str {
        NAME
    }

    fn collect(&mut self, snapshot: &mut Snapshot) -> Result<(), CollectError> {
        let failed = |attempt| move |cause| CollectError { collector: NAME, attempt, cause };
        snapshot.interfaces = read().map_err(failed("list the interfaces"))?;
        snapshot.status.push(Status {
            slot: NAME.to_owned(),
            tier: Some("polling".to_owned()),
            program: Some("GetIfTable2".to_owned()),
            covers: Some("every counter of the interfaces".to_owned()),
            reason: None,
            remedy: None,
        });
        Ok(())
    }
}

/// An interface by its hardware's address.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) index: u32,
    pub(super) name: String,
    pub(super) description: String,
    /// `None` where there is none, or none of this length.
    pub(super) address: Option<[u8; 6]>,
}

/// All interfaces with the addresses of their hardware.
pub(super) fn hardware() -> io::Result<Vec<Known>> {
    each(|row| Known {
        index: row.InterfaceIndex,
        name: narrow(&row.Alias),
        description: narrow(&row.Description),
        address: row.PhysicalAddress.first_chunk().copied().filter(|_| row.PhysicalAddressLength == 6),
    })
}

/// All interfaces with their counters.
pub(super) fn read() -> io::Result<Vec<Interface>> {
    let addresses = addresses().unwrap_or_default();
    each(|row| interface(row, &addresses))
}

/// What is made of each interface; the layers that drivers put above one of them repeat it and are left out.
fn each<T>(build: impl Fn(&MIB_IF_ROW2) -> T) -> io::Result<Vec<T>> {
    /// `FilterInterface` of `InterfaceAndOperStatusFlags`.
    const FILTER: u8 = 1 << 1;
    let mut table: *mut MIB_IF_TABLE2 = std::ptr::null_mut();
    // SAFETY: `table` is writable; what it points to afterwards is freed below.
    check(unsafe { GetIfTable2(&raw mut table) })?;
    // SAFETY: the system filled the table in; `NumEntries` rows follow each other in it until it is freed.
    let rows = unsafe { listed(&raw const (*table).Table, (*table).NumEntries) };
    let wanted = rows.iter().filter(|row| row.InterfaceAndOperStatusFlags._bitfield & FILTER == 0);
    let made = wanted.map(build).collect();
    // SAFETY: it comes from the system and is not used any more.
    unsafe { FreeMibTable(table.cast()) };
    Ok(made)
}

fn interface(row: &MIB_IF_ROW2, addresses: &[(u32, IpAddr)]) -> Interface {
    let counters = |bytes, packets: [u64; 2], errors, dropped| InterfaceCounters {
        bytes,
        packets: packets[0].saturating_add(packets[1]),
        errors,
        dropped,
        detail: Vec::new(),
    };
    let index = row.InterfaceIndex;
    Interface {
        index,
        name: narrow(&row.Alias),
        netns: None,
        up: row.OperStatus == IfOperStatusUp,
        mtu: Some(row.Mtu),
        rx: counters(row.InOctets, [row.InUcastPkts, row.InNUcastPkts], row.InErrors, row.InDiscards),
        tx: counters(row.OutOctets, [row.OutUcastPkts, row.OutNUcastPkts], row.OutErrors, row.OutDiscards),
        multicast: row.InNUcastPkts,
        collisions: 0,
        addresses: addresses.iter().filter(|(of, _)| *of == index).map(|(_, address)| *address).collect(),
        behind: Vec::new(),
    }
}

/// Which interface holds which address.
fn addresses() -> io::Result<Vec<(u32, IpAddr)>> {
    let mut table: *mut MIB_UNICASTIPADDRESS_TABLE = std::ptr::null_mut();
    // SAFETY: `table` is writable; what it points to afterwards is freed below.
    check(unsafe { GetUnicastIpAddressTable(AF_UNSPEC, &raw mut table) })?;
    // SAFETY: as for the interfaces.
    let rows = unsafe { listed(&raw const (*table).Table, (*table).NumEntries) };
    let address = |row: &MIB_UNICASTIPADDRESS_ROW| Some((row.InterfaceIndex, address(&row.Address)?));
    let addresses = rows.iter().filter_map(address).collect();
    // SAFETY: it comes from the system and is not used any more.
    unsafe { FreeMibTable(table.cast()) };
    Ok(addresses)
}

/// The rows of a table that is declared with one row and has as many as it says.
///
/// # Safety
/// So many rows must follow each other there, and stay while they are used.
unsafe fn listed<'t, T>(first: *const [T; 1], count: u32) -> &'t [T] {
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(first.cast(), count as usize) }
}

fn address(of: &SOCKADDR_INET) -> Option<IpAddr> {
    // SAFETY: every variant begins with the family.
    match unsafe { of.si_family } {
        // SAFETY: the family says which variant it is, and each of its octets is a number.
        AF_INET => Some(Ipv4Addr::from(unsafe { of.Ipv4.sin_addr.S_un.S_addr }.to_ne_bytes()).into()),
        // SAFETY: the same.
        AF_INET6 => Some(Ipv6Addr::from(unsafe { of.Ipv6.sin6_addr.u.Byte }).into()),
        _ => None,
    }
}
