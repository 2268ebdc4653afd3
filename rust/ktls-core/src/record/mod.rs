//! Records in order: deframe, seal, open, one or many.

mod deframe;
mod open;
mod seal;

pub use deframe::{Frame, Framing};
pub use open::{BatchEnd, Opened, Opener, Stop};
pub use seal::{NextKey, Piece, Sealer};
