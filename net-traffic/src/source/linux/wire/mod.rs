//! How programs are attached to interfaces.

mod clsact;
pub(super) mod end;
