//! The functions of PktMonApi.dll, found at run time: there is no library to link, and older systems have none.
//!
//! The structures are those of Microsoft's reference of the packet monitor.

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
/// Negative for a failure.
pub(super) type Outcome = i32;

/// One packet as the callback is given it.
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

/// The kinds of events that are heard.
pub(super) const STOPPED: u32 = 1;
pub(super) const FATAL_ERROR: u32 = 2;
pub(super) const PROCESS_INFO: u32 = 3;

/// What comes with these: a sign, and an error code of the system. Of a stop the sign is that it is an error, of the last
/// kind that it is a warning, and the length of a packet follows.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct StreamEvent {
    pub(super) sign: u8,
    pub(super) reason: u32,
}

/// Something that reports packets.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct DataSource {
    pub(super) kind: u32,
    pub(super) name: [u16; 64],
    pub(super) description: [u16; 128],
    pub(super) id: u32,
    pub(super) secondary_id: u32,
    pub(super) parent_id: u32,
    /// What `detail` is; [`HARDWARE`] if it begins with the hardware's address.
    pub(super) present: u32,
    padding: u32,
    pub(super) detail: [u8; 16],
}

/// `IsPresent.MacAddress`.
pub(super) const HARDWARE: u32 = 1 << 3;

const _: () = assert!(size_of::<DataSource>() == 424);

macro_rules! functions {
    ($($(#[$about:meta])* $field:ident = $name:literal: fn($($argument:ty),*) -> $result:ty;)*) => {
        /// The library, as long as it is loaded.
        pub(super) struct Api {
            _library: Loaded,
            $($(#[$about])* pub(super) $field: unsafe extern "system" fn($($argument),*) -> $result,)*
        }

        impl Api {
            /// # Errors
            /// When it is not there, or lacks one of the functions.
            pub(super) fn load() -> io::Result<Self> {
                let library = library()?;
                let api = Self {
                    _library: Loaded(library),
                    $($field: {
                        // SAFETY: the library is loaded; the name has an end.
                        let found = unsafe { GetProcAddress(library, concat!($name, "\0").as_ptr()) };
                        let found = found.ok_or_else(|| {
                            io::Error::new(io::ErrorKind::Unsupported, concat!($name, " is missing"))
                        })?;
                        // SAFETY: the function of this name is documented to be of this type.
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
    /// Kind, hidden ones too, size of the buffer, size that it takes, buffer.
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

/// Loads the library from the system's own directory.
fn library() -> io::Result<HMODULE> {
    let name = wide("PktMonApi.dll");
    let from = LOAD_LIBRARY_SEARCH_SYSTEM32;
    // SAFETY: the name has an end; a library of the system runs nothing of anybody else's.
    let library = unsafe { LoadLibraryExW(name.as_ptr(), std::ptr::null_mut(), from) };
    if library.is_null() { Err(io::Error::last_os_error()) } else { Ok(library) }
}

/// Lets go of the library: of the functions, none is used any more.
struct Loaded(HMODULE);

impl Drop for Loaded {
    fn drop(&mut self) {
        // SAFETY: it was loaded once, and nothing of it is used any more.
        unsafe { FreeLibrary(self.0) };
    }
}
