//! Records in order: deframe, seal, open, one or many.

mod deframe;
mod group;
mod open;
mod parts;
mod seal;

pub use deframe::{Frame, Framing};
pub use open::{BatchEnd, Opened, Opener, Stop};
pub use parts::{OpenPart, SealPart};
pub use seal::{NextKey, Piece, Sealer};

/// Records handed to an interleaved key in one go.
const TOGETHER: usize = 16;
