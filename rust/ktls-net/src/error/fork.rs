//! Errors of objects that another process of a fork uses.

use std::fmt;

/// The reason why a process may not use an object.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ForkRefusal {
    /// The process with this id uses it.
    UsedBy(u32),
    /// The fork that made this process was not announced, so the parent keeps the object.
    Unannounced,
    /// A thread of the parent was in a call at the time of the fork, so its locks may stay locked
    /// forever.
    InCall,
    /// The threads of the object run in the process with this id.
    Threads(u32),
}

impl fmt::Display for ForkRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UsedBy(pid) => write!(
                f,
                "process {pid} has used it since the fork: only one of the two processes may use it"
            ),
            Self::Unannounced => f.write_str(
                "this process was forked without the hooks of os.fork: only the parent can go on with it",
            ),
            Self::Threads(pid) => write!(
                f,
                "its threads are in process {pid}: a fork does not copy them"
            ),
            Self::InCall => f.write_str(
                "another thread was in a call on it at the fork: only the parent can go on with it",
            ),
        }
    }
}
