//! Key updates while a device does the cryptography (`docs/offload.md`).
//!
//! [`TxPhase`] and [`RxPhase`] hold every rule of a rekey, as pure state machines. [`OffloadDriver`] acts on
//! them: it is the one place where a key reaches a device. A device is anything that implements
//! [`KeySlots`]; `ktls-net` has one made of threads, and `ktls-sim` a simulated network card.
//! Offsets into a stream are 64 bits long and do not wrap.

mod driver;
mod gauges;
mod policy;
mod rx;
mod tx;

pub use driver::{
    GaugeReading, KeySlots, MachineStep, OffloadDriver, OffloadMachine, RxMachine, SendingStream,
    TxMachine,
};
pub use gauges::{Carrier, OffloadGauges};
pub use policy::{InstallPolicy, RekeyOutcome};
pub use rx::{KeyDeed, RxOffloadEvent, RxPhase, RxStep, UnreadStream};
pub use tx::{StreamPosition, TxOffloadEvent, TxPhase, TxStep};
