//! Reads the TCP and UDP sockets from the tables of IP Helper. Unprivileged processes can read them
//! (<https://learn.microsoft.com/en-us/windows/win32/api/iphlpapi/nf-iphlpapi-getextendedtcptable>).

mod rows;

use std::ffi::c_void;
use std::io;

use windows_sys::Win32::Foundation::{ERROR_INSUFFICIENT_BUFFER, ERROR_SUCCESS};
use windows_sys::Win32::NetworkManagement::IpHelper::{
    GetExtendedTcpTable, GetExtendedUdpTable, MIB_TCP6ROW_OWNER_MODULE, MIB_TCPROW_OWNER_MODULE,
    MIB_UDP6ROW_OWNER_MODULE, MIB_UDPROW_OWNER_MODULE, TCP_TABLE_OWNER_MODULE_ALL, UDP_TABLE_OWNER_MODULE,
};
use windows_sys::Win32::Networking::WinSock::{AF_INET, AF_INET6};

use self::rows::Row;
use super::error;
use crate::events::Entry;
use net_traffic_snapshot::SocketFilter;

/// The sockets of the protocols and address families in `wanted`.
///
/// # Errors
/// When a table cannot be read.
pub fn read(wanted: SocketFilter) -> io::Result<Vec<Entry>> {
    let SocketFilter { tcp, udp, ipv4, ipv6, .. } = wanted;
    let mut entries = Vec::new();
    if tcp && ipv4 {
        append::<MIB_TCPROW_OWNER_MODULE>(&mut entries, |buffer, size| tcp_table(buffer, size, AF_INET))?;
    }
    if tcp && ipv6 {
        append::<MIB_TCP6ROW_OWNER_MODULE>(&mut entries, |buffer, size| tcp_table(buffer, size, AF_INET6))?;
    }
    if udp && ipv4 {
        append::<MIB_UDPROW_OWNER_MODULE>(&mut entries, |buffer, size| udp_table(buffer, size, AF_INET))?;
    }
    if udp && ipv6 {
        append::<MIB_UDP6ROW_OWNER_MODULE>(&mut entries, |buffer, size| udp_table(buffer, size, AF_INET6))?;
    }
    Ok(entries)
}

/// A function of IP Helper that writes a table into a buffer. The number is the buffer's size in octets. If the buffer
/// is too small, the function sets the number to the required size.
type ReadTable = fn(*mut c_void, &mut u32) -> u32;

fn tcp_table(buffer: *mut c_void, size: &mut u32, family: u16) -> u32 {
    // SAFETY: the buffer has `size` octets.
    unsafe { GetExtendedTcpTable(buffer, size, 0, family.into(), TCP_TABLE_OWNER_MODULE_ALL, 0) }
}

fn udp_table(buffer: *mut c_void, size: &mut u32, family: u16) -> u32 {
    // SAFETY: as for TCP.
    unsafe { GetExtendedUdpTable(buffer, size, 0, family.into(), UDP_TABLE_OWNER_MODULE, 0) }
}

fn append<R: Row>(entries: &mut Vec<Entry>, read_table: ReadTable) -> io::Result<()> {
    let table = read_with_growing_buffer(read_table)?;
    entries.extend(rows::<R>(&table).into_iter().map(R::entry));
    Ok(())
}

/// Reads a table. The buffer grows with each attempt, because the table can grow between two calls.
fn read_with_growing_buffer(read_table: ReadTable) -> io::Result<Vec<u64>> {
    const ATTEMPTS: u32 = 16;
    let mut size = 0;
    let mut buffer: Vec<u64> = Vec::new();
    for _ in 0..ATTEMPTS {
        let code = read_table(buffer.as_mut_ptr().cast(), &mut size);
        match code {
            ERROR_SUCCESS => return Ok(buffer),
            ERROR_INSUFFICIENT_BUFFER => {
                let octets = (size as usize).saturating_add(4096);
                buffer = vec![0; octets.div_ceil(size_of::<u64>())];
                size = u32::try_from(buffer.len() * size_of::<u64>()).unwrap_or(u32::MAX);
            }
            code => return Err(error(code)),
        }
    }
    Err(error(ERROR_INSUFFICIENT_BUFFER))
}

/// The rows of a table. A table starts with the number of rows (`u32`) and padding to the alignment of a row.
fn rows<R: Row>(table: &[u64]) -> Vec<R> {
    let octets = size_of_val(table);
    let Some(first) = table.first() else { return Vec::new() };
    let first: *const u64 = first;
    // SAFETY: the buffer has at least eight octets.
    let count = unsafe { first.cast::<u32>().read() } as usize;
    let rows_offset = align_of::<R>().max(size_of::<u32>());
    let capacity = octets.saturating_sub(rows_offset) / size_of::<R>();
    let row = |index: usize| {
        // SAFETY: `count.min(capacity)` rows lie within the buffer, and every bit pattern is a valid row.
        unsafe { first.cast::<u8>().add(rows_offset + index * size_of::<R>()).cast::<R>().read_unaligned() }
    };
    (0..count.min(capacity)).map(row).collect()
}
