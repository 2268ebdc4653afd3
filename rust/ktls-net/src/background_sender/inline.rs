//! A lingering close in the thread of its caller.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use super::lingering_close::{LingerContext, LingeringClose};
use super::{AfterTurn, INLINE, LIMITS};
use crate::Wait;
use crate::wait::wait;

/// Tickets and a close_notify fit.
const SINK: usize = 4 << 10;

/// What can be done without waiting, which is often everything.
pub(super) fn first_turn(close: &mut LingeringClose, fd: &Arc<OwnedFd>) -> AfterTurn {
    close.turn(&mut LingerContext {
        fd,
        sink: &mut [0; SINK],
        now: Instant::now(),
        limits: LIMITS,
        shared: Arc::strong_count(fd) > 1,
    })
}

/// All of it, or as much as can be done in [`INLINE`].
pub(super) fn finish(close: &mut LingeringClose, fd: &Arc<OwnedFd>) {
    let end = Instant::now() + INLINE;
    while let AfterTurn::Wait { events, look_at } = first_turn(close, fd) {
        if Instant::now() >= end {
            return close.give_up(fd);
        }
        // Whatever ends the wait, the next turn sees what can be done.
        let _seen = wait(fd.as_fd(), events, Wait::Until(look_at.min(end)));
    }
}
