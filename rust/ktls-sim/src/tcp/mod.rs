//! As much of TCP as the rules of a rekey depend on: segments, acknowledgements, sending again.

mod receiver;
mod sender;

pub(crate) use receiver::TcpReceiver;
pub(crate) use sender::{AckEffect, CutSegment, TcpSender};
