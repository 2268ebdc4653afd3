//! Exhaustive search of a small model: a few records and rekeys, with everything that can go wrong at any step.
//!
//! The models keep the books that the sockets keep, with records for bytes and generations for keys, and ask
//! the sockets' own machines ([`ktls_core::offload::TxPhase`], [`ktls_core::offload::RxPhase`]) what to do.

mod rx;
mod search;
mod tx;

pub use rx::RxModel;
pub use search::{ExploredStates, StateModel, search};
pub use tx::TxModel;
