//! The installed libpcap, loaded at run time. It compiles and runs filters and captures nothing.

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::path::PathBuf;

use libloading::Library;
use pcap_filter::Insn;

use super::data;

#[repr(C)]
struct Program {
    len: c_uint,
    insns: *mut RawInsn,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct RawInsn {
    code: u16,
    jt: u8,
    jf: u8,
    k: u32,
}

/// libpcap with an open handle, which determines the link type.
pub(crate) struct Libpcap {
    library: Library,
    handle: *mut c_void,
}

impl Libpcap {
    /// Opens a capture file of this link type. `Err`: libpcap is not installed, or is of another version than 1.10.3.
    pub(crate) fn open(linktype: &str) -> Result<Self, String> {
        let library = load()?;
        let thread = std::thread::current().id();
        let name = format!("frames-{linktype}-{}-{thread:?}.pcap", std::process::id());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&path, data::capture_file(linktype)).unwrap();
        let name = CString::new(path.to_str().unwrap()).unwrap();
        let mut error: [c_char; 256] = [0; 256];
        // SAFETY: the prototype is pcap_open_offline(3PCAP)'s.
        let open = unsafe {
            library
                .get::<unsafe extern "C" fn(*const c_char, *mut c_char) -> *mut c_void>(b"pcap_open_offline")
        };
        // SAFETY: both strings outlive the call; the buffer is PCAP_ERRBUF_SIZE long.
        let handle = unsafe { open.unwrap()(name.as_ptr(), error.as_mut_ptr()) };
        assert!(!handle.is_null(), "{}", path.display());
        std::fs::remove_file(&path).unwrap();
        Ok(Self { library, handle })
    }

    /// Opens the loopback interface, whose link type is Ethernet. For a live handle libpcap compiles with metadata.
    pub(crate) fn open_live() -> Result<Self, String> {
        let library = load()?;
        let mut error: [c_char; 256] = [0; 256];
        // SAFETY: the prototype is pcap_create(3PCAP)'s.
        let create = unsafe {
            library.get::<unsafe extern "C" fn(*const c_char, *mut c_char) -> *mut c_void>(b"pcap_create")
        };
        // SAFETY: both strings outlive the call; the buffer is PCAP_ERRBUF_SIZE long.
        let handle = unsafe { create.unwrap()(c"lo".as_ptr(), error.as_mut_ptr()) };
        assert!(!handle.is_null());
        let live = Self { library, handle };
        // SAFETY: the prototype is pcap_activate(3PCAP)'s.
        let activate =
            unsafe { live.library.get::<unsafe extern "C" fn(*mut c_void) -> c_int>(b"pcap_activate") };
        // SAFETY: the handle was just created.
        let status = unsafe { activate.unwrap()(live.handle) };
        if status < 0 { Err(live.error()) } else { Ok(live) }
    }

    /// The text that libpcap prints for an instruction.
    pub(crate) fn image(&self, insn: Insn, at: usize) -> String {
        type Image = unsafe extern "C" fn(*const RawInsn, c_int) -> *const c_char;
        let raw = RawInsn { code: insn.code, jt: insn.jt, jf: insn.jf, k: insn.k };
        // SAFETY: the prototype is bpf_image(3PCAP)'s.
        let image = unsafe { self.library.get::<Image>(b"bpf_image") }.unwrap();
        // SAFETY: the text is in a static buffer, and is copied before the next call.
        let text = unsafe { CStr::from_ptr(image(&raw const raw, c_int::try_from(at).unwrap())) };
        text.to_string_lossy().into_owned()
    }

    /// Compiles with an unknown netmask. `Err`: the message of libpcap.
    pub(crate) fn compile(&self, expression: &str, optimize: bool) -> Result<Vec<Insn>, String> {
        self.compile_within(expression, optimize, None)
    }

    /// Compiles for a network with this netmask.
    pub(crate) fn compile_within(
        &self,
        expression: &str,
        optimize: bool,
        netmask: Option<u32>,
    ) -> Result<Vec<Insn>, String> {
        type Compile = unsafe extern "C" fn(*mut c_void, *mut Program, *const c_char, c_int, c_uint) -> c_int;
        const NETMASK_UNKNOWN: c_uint = 0xffff_ffff;
        let netmask = netmask.unwrap_or(NETMASK_UNKNOWN);
        let text = CString::new(expression).unwrap();
        let mut program = Program { len: 0, insns: std::ptr::null_mut() };
        // SAFETY: the prototype is pcap_compile(3PCAP)'s.
        let compile = unsafe { self.library.get::<Compile>(b"pcap_compile") }.unwrap();
        // SAFETY: the handle is open, and everything outlives the call.
        let failed =
            unsafe { compile(self.handle, &raw mut program, text.as_ptr(), optimize.into(), netmask) };
        if failed != 0 {
            return Err(self.error());
        }
        // SAFETY: libpcap filled in the program, which lives until it is freed below.
        let raw = unsafe { std::slice::from_raw_parts(program.insns, program.len as usize) };
        let insns = raw.iter().map(|raw| Insn { code: raw.code, jt: raw.jt, jf: raw.jf, k: raw.k }).collect();
        // SAFETY: the prototype is pcap_freecode(3PCAP)'s.
        let free =
            unsafe { self.library.get::<unsafe extern "C" fn(*mut Program)>(b"pcap_freecode") }.unwrap();
        // SAFETY: pcap_compile made the program, and nothing uses it after this call.
        unsafe { free(&raw mut program) };
        Ok(insns)
    }

    /// Runs a program in the interpreter of libpcap, which does not end if the program loops.
    pub(crate) fn run(&self, insns: &[Insn], frame: &data::Frame) -> u32 {
        type Filter = unsafe extern "C" fn(*const RawInsn, *const u8, c_uint, c_uint) -> c_uint;
        let raw: Vec<RawInsn> = insns
            .iter()
            .map(|insn| RawInsn { code: insn.code, jt: insn.jt, jf: insn.jf, k: insn.k })
            .collect();
        // SAFETY: the prototype is bpf_filter(3PCAP)'s.
        let filter = unsafe { self.library.get::<Filter>(b"bpf_filter") }.unwrap();
        let captured = c_uint::try_from(frame.data.len()).unwrap();
        // SAFETY: the program is libpcap's own, and the frame is as long as its length says.
        unsafe { filter(raw.as_ptr(), frame.data.as_ptr(), frame.wire_length, captured) }
    }

    fn error(&self) -> String {
        // SAFETY: the prototype is pcap_geterr(3PCAP)'s.
        let error =
            unsafe { self.library.get::<unsafe extern "C" fn(*mut c_void) -> *const c_char>(b"pcap_geterr") };
        // SAFETY: the handle is open, and the text is copied before the next call.
        unsafe { CStr::from_ptr(error.unwrap()(self.handle)) }.to_string_lossy().into_owned()
    }
}

/// Loads libpcap, if it is the version that the compiler agrees with.
fn load() -> Result<Library, String> {
    // SAFETY: the initializers of libpcap have no effect on other threads.
    let library = unsafe { Library::new("libpcap.so.0.8") };
    let library = library.map_err(|error| format!("libpcap0.8 is not installed: {error}"))?;
    let version = version(&library);
    if version.contains("version 1.10.3") {
        Ok(library)
    } else {
        Err(format!("the reference is libpcap 1.10.3, not {version}"))
    }
}

fn version(library: &Library) -> String {
    // SAFETY: the prototype is pcap_lib_version(3PCAP)'s.
    let version = unsafe { library.get::<unsafe extern "C" fn() -> *const c_char>(b"pcap_lib_version") };
    // SAFETY: the string is static.
    unsafe { CStr::from_ptr(version.unwrap()()) }.to_string_lossy().into_owned()
}

impl Drop for Libpcap {
    fn drop(&mut self) {
        // SAFETY: the prototype is pcap_close(3PCAP)'s.
        let close = unsafe { self.library.get::<unsafe extern "C" fn(*mut c_void)>(b"pcap_close") };
        // SAFETY: the handle is open, and nothing uses it after this call.
        unsafe { close.unwrap()(self.handle) };
    }
}
