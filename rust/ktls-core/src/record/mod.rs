//! Records in order: deframe, seal, open, one or many.

mod deframe;
pub(crate) mod group;
mod open;
mod pace;
mod parts;
mod past;
mod seal;

pub use deframe::{Frame, Framing};
pub use open::{BatchEnd, Opened, Opener, Stop};
pub use parts::{OpenPart, SealPart};
pub use seal::{NextKey, Piece, Sealer};

pub(crate) use open::Data;
pub(crate) use pace::Pace;

/// Records handed to an interleaved key in one go.
pub(crate) const TOGETHER: usize = 16;
