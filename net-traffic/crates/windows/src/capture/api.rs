//! The functions of PktMonApi.dll, loaded at run time: mingw has no import library for it, and older versions of Windows have no
//! such DLL. The structures are those of `PktMonApi.h` in the Windows SDK.

use std::ffi::c_void;
use std::io;

use windows_sys::Win32::Foundation::{FreeLibrary, HMODULE};
use windows_sys::Win32::System::LibraryLoader::{
    GetProcAddress, LOAD_LIBRARY_SEARCH_SYSTEM32, LoadLibraryExW,
};

use crate::wide;

/// `PACKETMONITOR_API_VERSION_1_0`.
pub(super) const VERSION: u32 = 0x0001_0000;
/// `PacketMonitorDataSourceKindNetworkInterface`.
pub(super) const ADAPTERS: u32 = 1;

pub(super) type Object = *mut c_void;
/// An `HRESULT`: negative for a failure.
pub(super) type Outcome = i32;

/// `PACKETMONITOR_STREAM_DATA_DESCRIPTOR`: one packet.
#[repr(C)]
pub(super) struct Descriptor {
    pub(super) data: *const u8,
    pub(super) data_size: u32,
    pub(super) metadata_offset: u32,
    pub(super) packet_offset: u32,
    pub(super) packet_length: u32,
    pub(super) missed_writes: u32,
    pub(super) missed_reads: u32,
}

#[repr(C)]
pub(super) struct StreamConfiguration {
    pub(super) context: *mut c_void,
    pub(super) on_event: Option<unsafe extern "system" fn(*mut c_void, *const StreamEvent, u32)>,
    pub(super) on_packet: Option<unsafe extern "system" fn(*mut c_void, *const Descriptor)>,
    pub(super) buffer_multiplier: u16,
    pub(super) truncation: u16,
}

/// The kinds of stream events that are handled.
pub(super) const STOPPED: u32 = 1;
pub(super) const FATAL_ERROR: u32 = 2;
pub(super) const PROCESS_INFO: u32 = 3;

/// The data of these events: a flag and a Win32 error code. For `STOPPED` the flag marks an error, for `PROCESS_INFO` a
/// warning; the length of a packet follows.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct StreamEvent {
    pub(super) flag: u8,
    pub(super) reason: u32,
}

/// `PACKETMONITOR_DATA_SOURCE_SPECIFICATION`: a component that reports packets.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct DataSource {
    pub(super) kind: u32,
    pub(super) name: [u16; 64],
    pub(super) description: [u16; 128],
    pub(super) id: u32,
    pub(super) secondary_id: u32,
    pub(super) parent_id: u32,
    /// The members that `detail` has; [`HAS_MAC`] if a MAC address.
    pub(super) present: u32,
    padding: u32,
    pub(super) detail: [u8; 16],
}

/// `IsPresent.MacAddress`.
pub(super) const HAS_MAC: u32 = 1 << 3;

const _: () = assert!(size_of::<DataSource>() == 424);

macro_rules! functions {
    ($($(#[$about:meta])* $field:ident = $name:literal: fn($($argument:ty),*) -> $result:ty;)*) => {
        /// The loaded DLL and its functions.
        pub(super) struct Api {
            _library: Loaded,
            $($(#[$about])* pub(super) $field: unsafe extern "system" fn($($argument),*) -> $result,)*
        }

        impl Api {
            /// # Errors
            /// When the DLL does not exist or lacks a function.
            pub(super) fn load() -> io::Result<Self> {
                let library = load_library()?;
                let api = Self {
                    _library: Loaded(library),
                    $($field: {
                        // SAFETY: the DLL is loaded; the name is null-terminated.
                        let found = unsafe { GetProcAddress(library, concat!($name, "\0").as_ptr()) };
                        let found = found.ok_or_else(|| {
                            io::Error::new(io::ErrorKind::Unsupported, concat!($name, " is missing"))
                        })?;
                        // SAFETY: PktMonApi.h declares the function with this type.
                        unsafe {
                            std::mem::transmute::<
                                unsafe extern "system" fn() -> isize,
                                unsafe extern "system" fn($($argument),*) -> $result,
                            >(found)
                        }
                    },)*
                };
                Ok(api)
            }
        }
    };
}

functions! {
    initialize = "PacketMonitorInitialize": fn(u32, Object, *mut Object) -> Outcome;
    uninitialize = "PacketMonitorUninitialize": fn(Object) -> ();
    /// Arguments: kind, whether to list hidden sources, buffer size, needed size, buffer.
    enumerate = "PacketMonitorEnumDataSources": fn(Object, u32, u8, usize, *mut usize, *mut c_void) -> Outcome;
    create_session = "PacketMonitorCreateLiveSession": fn(Object, *const u16, *mut Object) -> Outcome;
    close_session = "PacketMonitorCloseSessionHandle": fn(Object) -> ();
    add_source = "PacketMonitorAddSingleDataSourceToSession": fn(Object, *const DataSource) -> Outcome;
    create_stream = "PacketMonitorCreateRealtimeStream":
        fn(Object, *const StreamConfiguration, *mut Object) -> Outcome;
    close_stream = "PacketMonitorCloseRealtimeStream": fn(Object) -> ();
    attach = "PacketMonitorAttachOutputToSession": fn(Object, Object) -> Outcome;
    set_active = "PacketMonitorSetSessionActive": fn(Object, u8) -> Outcome;
}

/// Loads the DLL from the System32 directory only.
fn load_library() -> io::Result<HMODULE> {
    let name = wide("PktMonApi.dll");
    let from = LOAD_LIBRARY_SEARCH_SYSTEM32;
    // SAFETY: the name is null-terminated; only System32 is searched, so that no other code runs.
    let library = unsafe { LoadLibraryExW(name.as_ptr(), std::ptr::null_mut(), from) };
    if library.is_null() { Err(io::Error::last_os_error()) } else { Ok(library) }
}

/// Unloads the DLL on drop.
struct Loaded(HMODULE);

impl Drop for Loaded {
    fn drop(&mut self) {
        // SAFETY: the DLL was loaded once; the function pointers are dropped with it.
        unsafe { FreeLibrary(self.0) };
    }
}
