//! One session of event tracing, whose name is always the same.
//!
//! A session outlives the process that made it. Hence it is stopped in every way in which this process may end that
//! lets it do anything, and one that was left behind is stopped before a new one is made. A named object tells
//! whether there is a living process behind a session.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use ferrisetw::provider::Provider;
use ferrisetw::trace::{LoggingMode, TraceError, TraceProperties, TraceTrait, UserTrace, stop_trace_by_name};
use ferrisetw::{EventRecord, SchemaLocator};
use windows_sys::Win32::Foundation::{ERROR_ACCESS_DENIED, ERROR_ALREADY_EXISTS, GetLastError};
use windows_sys::Win32::System::Diagnostics::Etw::{
    CONTROLTRACE_HANDLE, ControlTraceW, EVENT_RECORD, EVENT_TRACE_CONTROL, EVENT_TRACE_CONTROL_FLUSH,
    EVENT_TRACE_CONTROL_QUERY, EVENT_TRACE_PROPERTIES,
};
use windows_sys::Win32::System::Threading::CreateMutexW;

use super::Refusal;
use crate::source::etw::Callback;
use crate::source::etw::kernel_network::{KEYWORDS, LEVEL, PROVIDER, is_wanted};
use crate::source::windows::processes::Handle;
use crate::source::windows::{rights, size, wide};

const NAME: &str = "net-traffic";
/// Exists as long as a process that counts.
const ONLY_ONE: &str = r"Global\net-traffic-counting";

/// 64 MB at most. With the usual 24 buffers of 32 KB most of a burst is lost.
const BUFFER_KIB: u32 = 256;
const LEAST_BUFFERS: u32 = 64;
const MOST_BUFFERS: u32 = 256;

/// A running session.
#[derive(Debug)]
pub(super) struct Session {
    trace: Option<UserTrace>,
    reader: Option<JoinHandle<()>>,
    _only_one: Handle,
}

/// Whether a session runs that is this process's.
static RUNNING: AtomicBool = AtomicBool::new(false);

impl Session {
    /// Starts it; from here on events come.
    pub(super) fn start(callback: Callback) -> Result<Self, Refusal> {
        let only_one = only_one()?;
        if rights::is_wine() {
            // Wine has these functions by name only.
            return Err(Refusal::Privilege);
        }
        // Of a process that could not stop it. That there is none is the usual case.
        drop(stop_trace_by_name(NAME));
        stop_at_exit();
        let provider = Provider::by_guid(PROVIDER)
            .any(KEYWORDS)
            .level(LEVEL)
            .add_callback(move |record: &EventRecord, _: &SchemaLocator| take(&callback, record))
            .build();
        let properties = TraceProperties {
            buffer_size: BUFFER_KIB,
            min_buffer: LEAST_BUFFERS,
            max_buffer: MOST_BUFFERS,
            flush_timer: Duration::from_secs(1),
            log_file_mode: LoggingMode::EVENT_TRACE_REAL_TIME_MODE,
        };
        let started =
            UserTrace::new().named(NAME.to_owned()).set_trace_properties(properties).enable(provider).start();
        let (trace, handle) = started.map_err(|error| {
            // It may have been made before what failed.
            drop(stop_trace_by_name(NAME));
            Refusal::of(native(error))
        })?;
        RUNNING.store(true, Ordering::SeqCst);
        let read = move || drop(UserTrace::process_from_handle(handle));
        let reader = std::thread::Builder::new().name("etw-session".into()).spawn(read);
        let reader = reader.map_err(Refusal::Failed)?;
        Ok(Self { trace: Some(trace), reader: Some(reader), _only_one: only_one })
    }

    /// Has the system hand over what it holds; whether it will.
    pub(super) fn flush() -> bool {
        control(EVENT_TRACE_CONTROL_FLUSH).is_ok()
    }

    /// Events, and buffers of events, that found no room.
    pub(super) fn lost() -> u64 {
        match control(EVENT_TRACE_CONTROL_QUERY) {
            Ok(said) => u64::from(said.EventsLost) + u64::from(said.RealTimeBuffersLost),
            Err(_) => 0,
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(trace) = self.trace.take() {
            // The reader ends when the session does.
            drop(trace.stop());
            drop(stop_trace_by_name(NAME));
        }
        RUNNING.store(false, Ordering::SeqCst);
        if let Some(reader) = self.reader.take() {
            let _ended = reader.join();
        }
    }
}

/// A panic in here would end the process, so that nothing in here may panic.
fn take(callback: &Callback, record: &EventRecord) {
    if !is_wanted(record.event_id()) {
        return;
    }
    let record: *const EventRecord = record;
    // SAFETY: the one type is transparently the other, which the system filled in and keeps while it calls.
    let raw = unsafe { &*record.cast::<EVENT_RECORD>() };
    let payload = if raw.UserData.is_null() {
        &[][..]
    } else {
        // SAFETY: the system says how many octets there are, and keeps them while it calls.
        unsafe { std::slice::from_raw_parts(raw.UserData.cast::<u8>(), raw.UserDataLength.into()) }
    };
    callback.take(raw.EventHeader.EventDescriptor.Id, raw.EventHeader.TimeStamp, payload);
}

/// Tells whether another process counts; the object goes when its last process does, however that ends.
fn only_one() -> Result<Handle, Refusal> {
    let name = wide(ONLY_ONE);
    // SAFETY: the name has an end; nobody is given other rights than usual.
    let raw = unsafe { CreateMutexW(std::ptr::null(), 0, name.as_ptr()) };
    // SAFETY: takes nothing.
    let code = unsafe { GetLastError() };
    if raw.is_null() {
        // Somebody else's, which may not even be looked at.
        let error = io::Error::from_raw_os_error(code.cast_signed());
        return Err(if code == ERROR_ACCESS_DENIED { Refusal::Second } else { Refusal::Failed(error) });
    }
    // SAFETY: it was opened here.
    let handle = unsafe { Handle::new(raw) };
    if code == ERROR_ALREADY_EXISTS { Err(Refusal::Second) } else { Ok(handle) }
}

/// The properties of a session, with room for its name and its file's.
#[repr(C)]
#[derive(Clone, Copy)]
struct Properties {
    fixed: EVENT_TRACE_PROPERTIES,
    names: [u16; 2048],
}

/// Has something done to the session, by its name; what the system says of it.
fn control(what: EVENT_TRACE_CONTROL) -> io::Result<EVENT_TRACE_PROPERTIES> {
    let mut properties = Properties { fixed: EVENT_TRACE_PROPERTIES::default(), names: [0; 2048] };
    let fixed = size::<EVENT_TRACE_PROPERTIES>();
    properties.fixed.Wnode.BufferSize = size::<Properties>();
    properties.fixed.LoggerNameOffset = fixed;
    properties.fixed.LogFileNameOffset = fixed + 2048;
    let name = wide(NAME);
    let none = CONTROLTRACE_HANDLE { Value: 0 };
    // SAFETY: the name has an end; the structure is writable and says how large it is.
    let code = unsafe { ControlTraceW(none, name.as_ptr(), (&raw mut properties).cast(), what) };
    crate::source::windows::check(code)?;
    Ok(properties.fixed)
}

/// The error of the system in one of the library's.
fn native(error: TraceError) -> io::Error {
    use ferrisetw::native::EvntraceNativeError;
    match error {
        TraceError::EtwNativeError(EvntraceNativeError::IoError(error)) => error,
        TraceError::EtwNativeError(EvntraceNativeError::AlreadyExist) => {
            io::Error::from_raw_os_error(ERROR_ALREADY_EXISTS.cast_signed())
        }
        other => io::Error::other(format!("{other:?}")),
    }
}

/// Also where no destructor runs any more: the C library calls this when the process exits by itself.
fn stop_at_exit() {
    unsafe extern "C" {
        fn atexit(function: extern "C" fn()) -> i32;
    }
    extern "C" fn stop() {
        if RUNNING.swap(false, Ordering::SeqCst) {
            drop(stop_trace_by_name(NAME));
        }
    }
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        // SAFETY: the function lives as long as the program, and needs nothing but the system.
        // Without it an orphan is stopped by the next start.
        let _registered = unsafe { atexit(stop) };
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::etw::queue;

    /// Calls back as the system does, with an event of this number.
    fn tell(callback: &Callback, id: u16, octets: &[u8]) {
        let mut raw = EVENT_RECORD::default();
        raw.EventHeader.EventDescriptor.Id = id;
        raw.EventHeader.TimeStamp = 77;
        // The header names whoever ran at that moment.
        raw.EventHeader.ProcessId = 4;
        raw.UserDataLength = u16::try_from(octets.len()).unwrap();
        raw.UserData =
            if octets.is_empty() { std::ptr::null_mut() } else { octets.as_ptr().cast_mut().cast() };
        let raw: *const EVENT_RECORD = &raw const raw;
        // SAFETY: the one type is transparently the other, and it lives until the end of the call.
        take(callback, unsafe { &*raw.cast::<EventRecord>() });
    }

    /// Process 812 sent 1460 octets from 192.0.2.1:40000 to 198.51.100.7:443.
    const SENT: [u8; 20] =
        [0x2c, 0x03, 0, 0, 0xb4, 0x05, 0, 0, 198, 51, 100, 7, 192, 0, 2, 1, 0x01, 0xbb, 0x9c, 0x40];

    #[test]
    fn an_event_of_the_system_reaches_the_queue() {
        let (callback, queue) = queue(8);
        tell(&callback, 10, &SENT);
        tell(&callback, 18, &SENT);
        tell(&callback, 10, &SENT[..19]);
        tell(&callback, 10, &[]);
        let events: Vec<_> = queue.events.try_iter().collect();
        assert_eq!(events.len(), 1);
        assert_eq!((events[0].pid, events[0].bytes, events[0].time), (812, 1460, 77));
        assert_eq!(events[0].source.to_string(), "192.0.2.1:40000");
        assert_eq!(queue.losses.malformed.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_million_events_of_the_system_are_in_the_queue_or_counted() {
        let (callback, queue) = queue(1000);
        for _ in 0..1_000_000 {
            tell(&callback, 10, &SENT);
        }
        assert_eq!(queue.events.try_iter().count(), 1000);
        assert_eq!(queue.losses.queue_full.load(Ordering::Relaxed), 999_000);
    }
}
