//! Reads the network interfaces, their addresses, and the counters that `Get-NetAdapterStatistics` prints.

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

/// The collector of interfaces.
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

/// An interface with its MAC address.
#[derive(Clone, Debug)]
pub(super) struct Adapter {
    pub(super) index: u32,
    pub(super) name: String,
    pub(super) description: String,
    /// `None` if the MAC address does not have six octets.
    pub(super) mac: Option<[u8; 6]>,
}

/// All interfaces with their MAC addresses.
pub(super) fn adapters() -> io::Result<Vec<Adapter>> {
    read_rows(|row| Adapter {
        index: row.InterfaceIndex,
        name: narrow(&row.Alias),
        description: narrow(&row.Description),
        mac: row.PhysicalAddress.first_chunk().copied().filter(|_| row.PhysicalAddressLength == 6),
    })
}

/// All interfaces with their counters.
pub(super) fn read() -> io::Result<Vec<Interface>> {
    let addresses = addresses().unwrap_or_default();
    read_rows(|row| interface(row, &addresses))
}

/// Calls `build` for each row of `GetIfTable2` except filter interfaces. A filter interface repeats the counters of
/// the adapter below it (<https://learn.microsoft.com/en-us/windows/win32/api/netioapi/ns-netioapi-mib_if_row2>).
fn read_rows<T>(build: impl Fn(&MIB_IF_ROW2) -> T) -> io::Result<Vec<T>> {
    /// The bit `FilterInterface` of `InterfaceAndOperStatusFlags`.
    const FILTER_INTERFACE: u8 = 1 << 1;
    let mut table: *mut MIB_IF_TABLE2 = std::ptr::null_mut();
    // SAFETY: `table` is writable; the table is freed below.
    check(unsafe { GetIfTable2(&raw mut table) })?;
    // SAFETY: the call has succeeded: the table has `NumEntries` consecutive rows.
    let rows = unsafe { table_rows(&raw const (*table).Table, (*table).NumEntries) };
    let kept = rows.iter().filter(|row| row.InterfaceAndOperStatusFlags._bitfield & FILTER_INTERFACE == 0);
    let result = kept.map(build).collect();
    // SAFETY: the table comes from IP Helper, and no reference to it remains.
    unsafe { FreeMibTable(table.cast()) };
    Ok(result)
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
        addresses: addresses
            .iter()
            .filter(|(owner, _)| *owner == index)
            .map(|(_, address)| *address)
            .collect(),
        behind: Vec::new(),
    }
}

/// Unicast addresses with the index of their interface.
fn addresses() -> io::Result<Vec<(u32, IpAddr)>> {
    let mut table: *mut MIB_UNICASTIPADDRESS_TABLE = std::ptr::null_mut();
    // SAFETY: `table` is writable; the table is freed below.
    check(unsafe { GetUnicastIpAddressTable(AF_UNSPEC, &raw mut table) })?;
    // SAFETY: as in `read_rows`.
    let rows = unsafe { table_rows(&raw const (*table).Table, (*table).NumEntries) };
    let with_index = |row: &MIB_UNICASTIPADDRESS_ROW| Some((row.InterfaceIndex, ip_address(&row.Address)?));
    let addresses = rows.iter().filter_map(with_index).collect();
    // SAFETY: the table comes from IP Helper, and no reference to it remains.
    unsafe { FreeMibTable(table.cast()) };
    Ok(addresses)
}

/// All rows of a table. The C type declares an array of one row; the other rows follow it in memory.
///
/// # Safety
/// `first` must point to `count` consecutive rows that stay valid for `'t`.
unsafe fn table_rows<'t, T>(first: *const [T; 1], count: u32) -> &'t [T] {
    // SAFETY: the caller guarantees `count` consecutive rows.
    unsafe { std::slice::from_raw_parts(first.cast(), count as usize) }
}

fn ip_address(socket_address: &SOCKADDR_INET) -> Option<IpAddr> {
    // SAFETY: every member of the union begins with the address family.
    match unsafe { socket_address.si_family } {
        AF_INET => {
            // SAFETY: the family selects the member of the union.
            let octets = unsafe { socket_address.Ipv4.sin_addr.S_un.S_addr }.to_ne_bytes();
            Some(Ipv4Addr::from(octets).into())
        }
        // SAFETY: as above.
        AF_INET6 => Some(Ipv6Addr::from(unsafe { socket_address.Ipv6.sin6_addr.u.Byte }).into()),
        _ => None,
    }
}
