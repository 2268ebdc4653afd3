//! Exhaustive search of a small model: a few records and rekeys, with every fault possible at every
//! step.
//!
//! The models keep the state that the sockets keep, with records in place of bytes and generations
//! in place of keys. They use the state machines of the sockets ([`ktls_core::offload::TxPhase`],
//! [`ktls_core::offload::RxPhase`]) to decide what to do.

mod rx;
mod search;
mod tx;

pub use rx::RxModel;
pub use search::{ExploredStates, StateModel, search};
pub use tx::TxModel;
