//! The hooks around `fork`: they announce the fork, and stop the background thread meanwhile.

use crate::background_sender;
use crate::fork::{self, SharedNumber, process};

/// Prepares for a fork, in the thread that forks. `make` returns up to this many new numbers, or
/// fewer if there is no memory.
pub fn before(make: impl FnOnce(usize) -> Vec<Box<dyn SharedNumber>>) {
    fork::announce(make);
    background_sender::pause_for_fork();
    process::announce();
}

/// Ends the preparations after a fork, in the same thread of the parent.
pub fn after_in_parent() {
    process::next_era();
    background_sender::go_on_after_fork();
}

/// Ends the preparations after a fork, in the child.
///
/// The child would also notice the fork at the first use of an object. Doing it now keeps the fork
/// apart from the forks that the child makes itself before that.
pub fn after_in_child() {
    background_sender::forget_after_fork(process::birth());
}
