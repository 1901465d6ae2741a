//! What is typed, and which rows it leaves.
