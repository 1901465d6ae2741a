//! The programs, one family of hooks per file. A hook extracts, updates and returns.

mod calls;
mod capture;
mod cgroup;
mod iter;
mod kprobe;
mod pages;
mod process;
mod socket;
mod state;
mod transfer;
mod unheld;
mod wire;
