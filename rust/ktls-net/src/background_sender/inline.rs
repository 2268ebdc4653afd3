//! A lingering close in the thread of its caller.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use super::lingering_close::{LingerContext, LingeringClose};
use super::{AfterTurn, INLINE, LIMITS};
use crate::Wait;
use crate::wait::wait;

/// Bytes of the buffer for discarded data: enough for session tickets and a close_notify.
const SINK_LEN: usize = 4 << 10;

/// Does what can be done without waiting, which often completes the close.
pub(super) fn first_turn(close: &mut LingeringClose, fd: &Arc<OwnedFd>) -> AfterTurn {
    close.turn(&mut LingerContext {
        fd,
        sink: &mut [0; SINK_LEN],
        now: Instant::now(),
        limits: LIMITS,
        shared: Arc::strong_count(fd) > 1,
    })
}

/// Completes the close, or gives it up after [`INLINE`].
pub(super) fn finish(close: &mut LingeringClose, fd: &Arc<OwnedFd>) {
    let end = Instant::now() + INLINE;
    while let AfterTurn::Wait { events, look_at } = first_turn(close, fd) {
        if Instant::now() >= end {
            return close.give_up(fd);
        }
        // Any result will do: the next turn finds out what can be done.
        let _seen = wait(fd.as_fd(), events, Wait::Until(look_at.min(end)));
    }
}
