//! This process and the host: the console, child processes, the host's name and clocks.
//!
//! Four modules handle Ctrl-C or the end of a process. They differ in the mechanism that their caller permits:
//!
//! | module | mechanism | caller |
//! |---|---|---|
//! | [`stop`] | tokio | the views, which wait in an async runtime |
//! | [`signals`] | a thread that polls `console` | captures, which have no runtime and may block in a write |
//! | [`children`] | `console` and a job object | `run`, which polls for Ctrl-C and for ended processes |
//! | `at_end` | a console handler, `atexit`, a panic hook | the ETW session, which must be stopped |

pub(crate) mod at_end;
pub mod children;
pub(crate) mod console;
pub(crate) mod descendants;
pub mod host;
pub mod lookup;
pub mod signals;
pub mod stop;
