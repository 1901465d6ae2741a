//! What crosses the boundary between the kernel's and the user's side: keys, values and records, and nothing else.
#![no_std]
