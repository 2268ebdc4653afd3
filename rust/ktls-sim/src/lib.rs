//! A connection over devices and a bad link, in virtual time: to watch key updates under offload, and to
//! prove that they keep the stream whole.
//!
//! Both ends run the socket code of `ktls-core`; only TCP, the link and the devices are simulated. There is
//! no clock and no thread: [`run`] gives the same [`Report`] for the same [`Scenario`].
#![forbid(unsafe_code)]

pub mod device;
pub mod model;
mod oracle;
pub mod pcap;
mod report;
mod scenario;
mod tcp;
mod world;

pub use oracle::{Broken, Violation};
pub use report::{Event, EventKind, Packet, Report, SealedBy, Summary};
pub use scenario::{Detail, Device, Link, Scenario, Ways};
pub use world::{run, run_traced, run_while, secrets};
