//! Simulates a connection over network devices and a bad link, in virtual time. It shows how key
//! updates proceed under TLS offload, and proves that they keep the stream intact.
//!
//! Both ends run the socket code of `ktls-core`; only TCP, the link and the devices are simulated.
//! There is no clock and no thread: [`run`] returns the same [`RunReport`] for the same
//! [`Scenario`].
#![forbid(unsafe_code)]

pub mod device;
pub mod device_socket;
mod faulty_device;
pub mod model;
pub mod nic;
mod oracle;
pub mod pcap;
mod planted_faults;
mod report;
mod scenario;
mod tcp;
mod world;

pub use oracle::{BrokenInvariant, InvariantViolation, WrongBook};
pub use planted_faults::{FaultKind, PlantedFault};
pub use report::{EventKind, RunEvent, RunReport, RunSummary, SealedBy, WirePacket};
pub use scenario::{AckNotice, DeviceSettings, LinkSettings, ReportDetail, Scenario, SendingSides};
pub use world::{run, run_planted, run_traced, run_while, secrets};
