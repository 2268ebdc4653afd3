//! Devices around a device: one that fails on purpose, one that writes down what it is asked.

mod fault;
mod trace;

pub use fault::FaultyDevice;
pub use trace::{TraceDevice, TraceLog};
