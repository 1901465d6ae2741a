//! The programs, one family of hooks per file. A hook extracts, updates and returns.

mod calls;
mod capture;
mod cgroup;
mod interface;
mod kprobe;
mod process;
mod release;
mod sendpage;
mod state;
mod transfer;
mod unaccepted;
mod walk;
