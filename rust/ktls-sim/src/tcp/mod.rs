//! The parts of TCP that the rules of a rekey depend on: segments, acknowledgements and
//! retransmission.

mod receiver;
mod sender;

pub(crate) use receiver::TcpReceiver;
pub(crate) use sender::{AckEffect, CutSegment, TcpSender};
