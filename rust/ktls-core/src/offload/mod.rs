//! Key updates while a device does the cryptography (`docs/offload.md`).
//!
//! [`TxPhase`] and [`RxPhase`] are pure state machines that hold every rule of a rekey.
//! [`OffloadDriver`] acts on them; keys reach a device only through it. A device is anything that
//! implements [`KeySlots`]: `ktls-net` has one made of threads, and `ktls-sim` a simulated network
//! card. Offsets into a stream are 64 bits long and do not wrap.

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
pub use rx::{KeyAction, RxOffloadEvent, RxPhase, RxStep, UnreadStream};
pub use tx::{StreamPosition, TxOffloadEvent, TxPhase, TxStep};
