//! This process and the host: signals, child processes, the host's name and clocks.
//!
//! Three modules handle signals, because their callers wait in different ways:
//!
//! | module | mechanism | caller |
//! |---|---|---|
//! | [`stop`] | tokio | the views, which wait in an async runtime |
//! | [`signals`] | a thread in `sigwait(3)` | captures, which have no runtime and may block in a write |
//! | [`children`] | `signalfd(2)` | `run`, which polls for signals and ended children together |

pub mod children;
pub mod host;
pub mod lookup;
pub mod signals;
pub mod stop;
