//! Records in order: deframe, seal, open, one or many.

mod deframe;
pub(crate) mod group;
mod open;
mod pace;
mod parts;
mod past;
mod seal;

pub use deframe::{Framing, WireRecord};
pub use open::{BatchEnd, BatchStop, OpenedRecord, Opener};
pub use parts::{OpenPart, SealPart};
pub use seal::{NextKey, RecordPlaintext, Sealer};

pub(crate) use open::OpenedData;
pub(crate) use pace::GroupSize;

/// Records handed to an interleaved key in one go.
pub(crate) const MAX_GROUP: usize = 16;
