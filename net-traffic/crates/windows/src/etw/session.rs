//! One ETW session with a fixed name.
//!
//! A session outlives its process (<https://learn.microsoft.com/en-us/windows/win32/etw/about-event-tracing>). So
//! [`AtEnd`] stops it when this process ends, and the next start stops a session that a killed process has left. A named
//! mutex shows whether a running process owns the session.

use std::io;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use ferrisetw::provider::Provider;
use ferrisetw::trace::{LoggingMode, TraceError, TraceProperties, TraceTrait, UserTrace, stop_trace_by_name};
use ferrisetw::{EventRecord, SchemaLocator};
use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_ALREADY_EXISTS, ERROR_WMI_INSTANCE_NOT_FOUND, GetLastError,
};
use windows_sys::Win32::System::Diagnostics::Etw::{
    CONTROLTRACE_HANDLE, ControlTraceW, EVENT_RECORD, EVENT_TRACE_CONTROL, EVENT_TRACE_CONTROL_FLUSH,
    EVENT_TRACE_CONTROL_QUERY, EVENT_TRACE_PROPERTIES,
};
use windows_sys::Win32::System::Threading::CreateMutexW;

use super::Refusal;
use crate::events::kernel_network::{KEYWORDS, LEVEL, PROVIDER, is_wanted};
use crate::events::{Callback, STOPPED};
use crate::platform::at_end::AtEnd;
use crate::processes::Handle;
use crate::{rights, size, wide};

const NAME: &str = "net-traffic";
/// Exists while a process counts.
const MUTEX_NAME: &str = r"Global\net-traffic-counting";

/// At most 64 MB. The default of 24 buffers of 32 KB loses most of a burst.
const BUFFER_KIB: u32 = 256;
const MIN_BUFFERS: u32 = 64;
const MAX_BUFFERS: u32 = 256;

/// The calls to a session. Tests have another implementation.
pub(super) trait TraceSession: std::fmt::Debug + Send {
    /// Flushes the buffers of the session, and waits a moment for the events.
    fn flush(&self);

    /// The number of lost events and of lost buffers.
    ///
    /// # Errors
    /// When the query fails; [`io::ErrorKind::NotFound`] if the session does not exist any more.
    fn lost(&self) -> io::Result<u64>;

    /// Why the session has ended; `None` while it runs.
    fn ended(&self) -> Option<String>;
}

/// A running session.
#[derive(Debug)]
pub(super) struct Session {
    trace: Option<UserTrace>,
    reader: Option<JoinHandle<()>>,
    /// Set when `ProcessTrace` returns: the reason.
    ended: Arc<OnceLock<String>>,
    at_end: Option<AtEnd>,
    _mutex: Handle,
}

impl Session {
    /// Starts the session.
    pub(super) fn start(callback: Callback) -> Result<Self, Refusal> {
        let mutex = create_mutex()?;
        // A killed process may have left its session. Usually there is none.
        stop();
        let at_end = AtEnd::new(|| _ = stop()).map_err(Refusal::Failed)?;
        let provider = Provider::by_guid(PROVIDER)
            .any(KEYWORDS)
            .level(LEVEL)
            .add_callback(move |record: &EventRecord, _: &SchemaLocator| on_event(&callback, record))
            .build();
        let properties = TraceProperties {
            buffer_size: BUFFER_KIB,
            min_buffer: MIN_BUFFERS,
            max_buffer: MAX_BUFFERS,
            flush_timer: Duration::from_secs(1),
            log_file_mode: LoggingMode::EVENT_TRACE_REAL_TIME_MODE,
        };
        let started =
            UserTrace::new().named(NAME.to_owned()).set_trace_properties(properties).enable(provider).start();
        let (trace, handle) = started.map_err(|error| {
            // ferrisetw does not stop the session if a later step of the start fails.
            stop();
            Refusal::of(native(error), rights::may_trace())
        })?;
        let ended = Arc::new(OnceLock::new());
        let reason = Arc::clone(&ended);
        let read = move || {
            // Returns when any process stops the session.
            let result = UserTrace::process_from_handle(handle);
            reason.get_or_init(|| why(result));
        };
        let reader = std::thread::Builder::new().name("etw-session".into()).spawn(read);
        let reader = reader.map_err(|error| {
            stop();
            Refusal::Failed(error)
        })?;
        Ok(Self { trace: Some(trace), reader: Some(reader), ended, at_end: Some(at_end), _mutex: mutex })
    }
}

impl TraceSession for Session {
    fn flush(&self) {
        /// How long ETW may take to deliver the flushed events.
        const DELIVERY_TIME: Duration = Duration::from_millis(20);
        if control(EVENT_TRACE_CONTROL_FLUSH).is_ok() {
            std::thread::sleep(DELIVERY_TIME);
        }
    }

    fn lost(&self) -> io::Result<u64> {
        let properties = control(EVENT_TRACE_CONTROL_QUERY).map_err(with_not_found)?;
        Ok(u64::from(properties.EventsLost) + u64::from(properties.RealTimeBuffersLost))
    }

    fn ended(&self) -> Option<String> {
        self.ended.get().cloned()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // The reader uses the trace until the session ends.
        let is_over = stop();
        drop(self.at_end.take());
        if let Some(reader) = self.reader.take().filter(|_| is_over) {
            let _ended = reader.join();
        }
        drop(self.trace.take());
    }
}

/// Stops the session; true if no session of this name exists afterwards.
fn stop() -> bool {
    match stop_trace_by_name(NAME).map_err(native).map_err(with_not_found) {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// Converts `ERROR_WMI_INSTANCE_NOT_FOUND`, also in an `HRESULT`, to `NotFound`.
fn with_not_found(error: io::Error) -> io::Error {
    const CODE: u32 = 0xffff;
    let code = error.raw_os_error().map(|raw| raw.cast_unsigned() & CODE);
    let is_missing = code == Some(ERROR_WMI_INSTANCE_NOT_FOUND);
    if is_missing { io::ErrorKind::NotFound.into() } else { error }
}

fn why(result: Result<(), TraceError>) -> String {
    match result {
        Ok(()) => STOPPED.to_owned(),
        Err(error) => format!("the ETW session broke off: {}", native(error)),
    }
}

/// Must not panic: the caller is a callback of Windows, so that a panic would abort the process.
fn on_event(callback: &Callback, record: &EventRecord) {
    if !is_wanted(record.event_id()) {
        return;
    }
    let record: *const EventRecord = record;
    // SAFETY: EventRecord is `repr(transparent)` over EVENT_RECORD, which stays valid during the callback.
    let raw = unsafe { &*record.cast::<EVENT_RECORD>() };
    let payload = if raw.UserData.is_null() {
        &[][..]
    } else {
        // SAFETY: UserData has UserDataLength octets, which stay valid during the callback.
        unsafe { std::slice::from_raw_parts(raw.UserData.cast::<u8>(), raw.UserDataLength.into()) }
    };
    callback.push(raw.EventHeader.EventDescriptor.Id, raw.EventHeader.TimeStamp, payload);
}

/// Creates the mutex, or fails if another process has it. Windows deletes the mutex with its last handle, which a killed
/// process closes, too (<https://learn.microsoft.com/en-us/windows/win32/api/synchapi/nf-synchapi-createmutexw>).
fn create_mutex() -> Result<Handle, Refusal> {
    let name = wide(MUTEX_NAME);
    // SAFETY: the name is null-terminated; a null pointer stands for the default security.
    let raw = unsafe { CreateMutexW(std::ptr::null(), 0, name.as_ptr()) };
    // SAFETY: the call has no arguments.
    let code = unsafe { GetLastError() };
    if raw.is_null() {
        // Access is denied if a process of another user has the mutex.
        let error = io::Error::from_raw_os_error(code.cast_signed());
        return Err(if code == ERROR_ACCESS_DENIED { Refusal::Second } else { Refusal::Failed(error) });
    }
    // SAFETY: the handle was opened here.
    let handle = unsafe { Handle::new(raw) };
    if code == ERROR_ALREADY_EXISTS { Err(Refusal::Second) } else { Ok(handle) }
}

/// `EVENT_TRACE_PROPERTIES` with room for the names of the session and of its log file
/// (<https://learn.microsoft.com/en-us/windows/win32/api/evntrace/ns-evntrace-event_trace_properties>).
#[repr(C)]
#[derive(Clone, Copy)]
struct Properties {
    fixed: EVENT_TRACE_PROPERTIES,
    names: [u16; 2048],
}

/// Sends a control command to the session by its name; returns its properties.
fn control(command: EVENT_TRACE_CONTROL) -> io::Result<EVENT_TRACE_PROPERTIES> {
    let mut properties = Properties { fixed: EVENT_TRACE_PROPERTIES::default(), names: [0; 2048] };
    let fixed = size::<EVENT_TRACE_PROPERTIES>();
    properties.fixed.Wnode.BufferSize = size::<Properties>();
    properties.fixed.LoggerNameOffset = fixed;
    properties.fixed.LogFileNameOffset = fixed + 2048;
    let name = wide(NAME);
    let none = CONTROLTRACE_HANDLE { Value: 0 };
    // SAFETY: the name is null-terminated; the structure is writable and BufferSize has its size.
    let code = unsafe { ControlTraceW(none, name.as_ptr(), (&raw mut properties).cast(), command) };
    crate::check(code)?;
    Ok(properties.fixed)
}

/// The Win32 error of a ferrisetw error.
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

#[cfg(test)]
mod tests;
