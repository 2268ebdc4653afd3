//! Deframing, sealing and opening records in order, one by one or many at once.

mod deframe;
pub(crate) mod group;
mod open;
mod parts;
mod previous_keys;
mod seal;

pub use crate::wire::WireRecord;
pub use deframe::Framing;
pub use open::{BatchEnd, BatchStop, OpenedRecord, Opener};
pub use parts::{OpenPart, SealPart};
pub use seal::{NextKey, RecordPlaintext, Sealer};

pub(crate) use group::{GroupSize, MAX_GROUP};
pub(crate) use open::OpenedData;
