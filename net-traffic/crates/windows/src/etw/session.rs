//! One session of event tracing, whose name is always the same.
//!
//! A session outlives the process that made it. Hence it is stopped in every way in which this process may end that
//! lets it do anything (`at_end`), and one that was left behind is stopped before a new one is made. A named object tells
//! whether there is a living process behind a session.

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
use crate::at_end::AtEnd;
use crate::events::kernel_network::{KEYWORDS, LEVEL, PROVIDER, is_wanted};
use crate::events::{Callback, STOPPED};
use crate::processes::Handle;
use crate::{rights, size, wide};

const NAME: &str = "net-traffic";
/// Exists as long as a process that counts.
const ONLY_ONE: &str = r"Global\net-traffic-counting";

/// 64 MB at most. With the usual 24 buffers of 32 KB most of a burst is lost.
const BUFFER_KIB: u32 = 256;
const LEAST_BUFFERS: u32 = 64;
const MOST_BUFFERS: u32 = 256;

/// A session, as much as counting asks of it; a test has one of its own.
pub(super) trait Tracing: std::fmt::Debug + Send {
    /// Has the system hand over what it holds, and waits until it may have.
    fn hand_over(&self);

    /// Events, and buffers of events, that found no room.
    ///
    /// # Errors
    /// When the session cannot be asked; [`io::ErrorKind::NotFound`] when there is none any more.
    fn lost(&self) -> io::Result<u64>;

    /// Why no more events will come, if that is so.
    fn ended(&self) -> Option<String>;
}

/// A running session.
#[derive(Debug)]
pub(super) struct Session {
    trace: Option<UserTrace>,
    reader: Option<JoinHandle<()>>,
    /// Set when the system has no more events to hand over: how that came.
    ended: Arc<OnceLock<String>>,
    at_end: Option<AtEnd>,
    _only_one: Handle,
}

impl Session {
    /// Starts it; from here on events come.
    pub(super) fn start(callback: Callback) -> Result<Self, Refusal> {
        let only_one = only_one()?;
        // Of a process that could not stop it. That there is none is the usual case.
        stop();
        let at_end = AtEnd::new(|| _ = stop()).map_err(Refusal::Failed)?;
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
            stop();
            Refusal::of(native(error), rights::may_trace())
        })?;
        let ended = Arc::new(OnceLock::new());
        let said = Arc::clone(&ended);
        let read = move || {
            // Returns when the session ends, whoever ends it.
            let result = UserTrace::process_from_handle(handle);
            said.get_or_init(|| why(result));
        };
        let reader = std::thread::Builder::new().name("etw-session".into()).spawn(read);
        let reader = reader.map_err(|error| {
            stop();
            Refusal::Failed(error)
        })?;
        Ok(Self {
            trace: Some(trace),
            reader: Some(reader),
            ended,
            at_end: Some(at_end),
            _only_one: only_one,
        })
    }
}

impl Tracing for Session {
    fn hand_over(&self) {
        /// How long the system may take to hand over what it was told to.
        const PATIENCE: Duration = Duration::from_millis(20);
        if control(EVENT_TRACE_CONTROL_FLUSH).is_ok() {
            std::thread::sleep(PATIENCE);
        }
    }

    fn lost(&self) -> io::Result<u64> {
        let said = control(EVENT_TRACE_CONTROL_QUERY).map_err(gone)?;
        Ok(u64::from(said.EventsLost) + u64::from(said.RealTimeBuffersLost))
    }

    fn ended(&self) -> Option<String> {
        self.ended.get().cloned()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // The reader ends when the session does, and uses the trace until then.
        let is_over = stop();
        drop(self.at_end.take());
        if let Some(reader) = self.reader.take().filter(|_| is_over) {
            let _ended = reader.join();
        }
        drop(self.trace.take());
    }
}

/// Whether there is none of this name any more. That there was none is no error: whoever stops it may come twice, or
/// too late.
fn stop() -> bool {
    match stop_trace_by_name(NAME).map_err(native).map_err(gone) {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// The system has an error of its own for a session that is not there; the library has it within an `HRESULT`.
fn gone(error: io::Error) -> io::Error {
    const CODE: u32 = 0xffff;
    let code = error.raw_os_error().map(|raw| raw.cast_unsigned() & CODE);
    let is_gone = code == Some(ERROR_WMI_INSTANCE_NOT_FOUND);
    if is_gone { io::ErrorKind::NotFound.into() } else { error }
}

fn why(result: Result<(), TraceError>) -> String {
    match result {
        Ok(()) => STOPPED.to_owned(),
        Err(error) => format!("the session of event tracing broke off: {}", native(error)),
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
    crate::check(code)?;
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

#[cfg(test)]
mod tests;
