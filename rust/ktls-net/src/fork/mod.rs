//! One connection and two processes: after a fork, the first of the two to use it has it.
//!
//! Keys, record numbers and bytes half way are memory, so a fork copies them. Two processes that
//! went on from there would seal different plaintexts under one nonce, and tear the stream apart.

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError, Weak};

use crate::Error;
use crate::background_sender;
use crate::descriptor::guard;

/// A number in memory that a fork does not copy: 0 at first, changed by one process at a time.
pub trait SharedNumber: fmt::Debug + Send + Sync {
    /// The number now.
    fn load(&self) -> u64;

    /// Puts `new` in the place of `old`; false when another number is there.
    fn replace(&self, old: u64, new: u64) -> bool;
}

/// Whether this process may use what the owner guards.
///
/// It may while no fork has come since it last knew that it may. After a fork both processes ask the
/// number, of which they have seen the same value: the first to change it goes on, the other is
/// refused for ever. Without a number (no memory was to be had) the parent goes on.
#[derive(Debug)]
pub struct Ownership {
    /// The process that made it.
    born: u32,
    /// The era in which this process was last known to have it; [`LOST`] once it has not.
    era: AtomicU64,
    /// Calls under way, and the era of the last that began: [`Calls`].
    calls: AtomicU64,
    claim: Mutex<Claim>,
}

/// What decides between two processes.
#[derive(Debug, Default)]
struct Claim {
    /// None before the first fork, and where no memory could be had for it.
    number: Option<Box<dyn SharedNumber>>,
    /// What we saw there last: who finds something else has come too late.
    seen: u64,
}

/// Why a process may not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Forked {
    /// This process uses it.
    UsedBy(u32),
    /// A thread of the parent was in a call at the fork: its locks may be held for ever.
    InCall,
    /// Its threads are in this process.
    Threads(u32),
}

/// A call under way.
#[derive(Debug)]
pub struct Call(Arc<Ownership>);

/// Counts the forks that this process has seen, as parent or child.
static ERA: AtomicU64 = AtomicU64::new(1);
/// The era in which this process was born.
static BIRTH: AtomicU64 = AtomicU64::new(0);
/// Forks under way, from before until after: hooks of others run in between.
static FORKING: AtomicUsize = AtomicUsize::new(0);
/// The process that they copy.
static PARENT: AtomicU32 = AtomicU32::new(0);
/// What may need a number. Nobody waits for this lock: a fork may copy it locked.
static LIVE: Mutex<Vec<Weak<Ownership>>> = Mutex::new(Vec::new());

const LOST: u64 = u64::MAX;
/// Tries to get the lock, with a pause between two.
const TRIES: usize = 1000;

/// An era and how many calls, in one number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Calls {
    era: u64,
    count: u64,
}

impl Ownership {
    /// Ours until a fork.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let owner = Arc::new(Self {
            born: std::process::id(),
            era: AtomicU64::new(era()),
            calls: AtomicU64::new(0),
            claim: Mutex::default(),
        });
        if let Some(mut live) = try_live() {
            if live.len() == live.capacity() {
                live.retain(|other| other.strong_count() > 0);
            }
            live.push(Arc::downgrade(&owner));
        }
        owner
    }

    /// Begins a call, and with the first one after a fork takes what it is about.
    ///
    /// # Errors
    /// EBUSY when the other process was first, or could not let go.
    pub fn enter(self: &Arc<Self>) -> Result<Call, Error> {
        let now = era();
        let call = self.begin(now)?;
        match self.era.load(Ordering::SeqCst) {
            known if known == now => Ok(call),
            LOST => Err(refusal_of(&guard(&self.claim))),
            _ => self.claim(now).map(|()| call),
        }
    }

    /// Begins something that only an owner has to do, and has asked for.
    pub(crate) fn work(self: &Arc<Self>) -> Call {
        self.calls.fetch_add(1, Ordering::SeqCst);
        Call(Arc::clone(self))
    }

    /// True while no fork has made a second owner possible, or this process has claimed it since.
    pub(crate) fn is_ours(&self) -> bool {
        self.era.load(Ordering::SeqCst) == era()
    }

    /// True when this process has to end what was begun: the last one that used it, if `left` says
    /// that something is to be done. A child that never used it just lets go.
    pub(crate) fn has_to_finish(&self, left: impl FnOnce() -> bool) -> bool {
        let now = era();
        match self.era.load(Ordering::SeqCst) {
            known if known == now => true,
            LOST => false,
            known => !self.is_inherited(known) && left() && self.claim(now).is_ok(),
        }
    }

    /// True in a child whose copy was in the middle of a call.
    pub(crate) fn is_stuck(&self) -> bool {
        let calls = Calls::from(self.calls.load(Ordering::SeqCst));
        calls.era != era() && calls.count > 0 && self.is_inherited(calls.era)
    }

    /// # Errors
    /// EBUSY in such a child: not even a lock may be tried.
    pub(crate) fn check_not_stuck(&self) -> Result<(), Error> {
        if self.is_stuck() {
            return Err(Forked::InCall.into());
        }
        Ok(())
    }

    /// Counts a call, unless those that a child finds counted are of threads it does not have.
    fn begin(self: &Arc<Self>, now: u64) -> Result<Call, Error> {
        let counted = self
            .calls
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |calls| {
                let calls = Calls::from(calls);
                let stuck = calls.era != now && calls.count > 0 && self.is_inherited(calls.era);
                let count = calls.count + 1;
                (!stuck).then(|| Calls { era: now, count }.into())
            });
        match counted {
            Ok(_) => Ok(Call(Arc::clone(self))),
            Err(_) => Err(Forked::InCall.into()),
        }
    }

    /// True for what another process has done in `era`, or made.
    fn is_inherited(&self, era: u64) -> bool {
        era < BIRTH.load(Ordering::SeqCst) && self.born != std::process::id()
    }

    fn claim(&self, now: u64) -> Result<(), Error> {
        let mut claim = guard(&self.claim);
        let known = self.era.load(Ordering::SeqCst);
        if known == now {
            // Another thread of ours was faster.
            return Ok(());
        }
        let mine = u64::from(std::process::id()) << 32 | (claim.seen.wrapping_add(1) & LOW);
        let won = match &claim.number {
            _ if known == LOST => false,
            Some(number) => number.replace(claim.seen, mine),
            None => !self.is_inherited(known),
        };
        if !won {
            self.era.store(LOST, Ordering::SeqCst);
            return Err(refusal_of(&claim));
        }
        if claim.number.is_some() {
            claim.seen = mine;
        }
        self.era.store(now, Ordering::SeqCst);
        Ok(())
    }

    /// True for what would have to be decided after a fork, and cannot be for want of a number.
    fn needs_number(&self) -> bool {
        let known = self.era.load(Ordering::SeqCst);
        // Who claims it right now goes on without one: the parent keeps it then.
        let without = self
            .claim
            .try_lock()
            .is_ok_and(|claim| claim.number.is_none());
        without && known != LOST && !self.is_inherited(known)
    }
}

const LOW: u64 = u32::MAX as u64;

impl From<u64> for Calls {
    fn from(packed: u64) -> Self {
        Self {
            era: packed >> 32,
            count: packed & LOW,
        }
    }
}

impl From<Calls> for u64 {
    fn from(Calls { era, count }: Calls) -> Self {
        era << 32 | count
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Before a fork, in the thread that forks; `make` gives so many numbers, or fewer where it cannot.
pub fn before(make: impl FnOnce(usize) -> Vec<Box<dyn SharedNumber>>) {
    if let Some(mut live) = try_live() {
        live.retain(|owner| owner.strong_count() > 0);
        let owners: Vec<_> = live.iter().filter_map(Weak::upgrade).collect();
        give_numbers(&owners, make);
    }
    PARENT.store(std::process::id(), Ordering::SeqCst);
    FORKING.fetch_add(1, Ordering::SeqCst);
}

/// After it, in the same thread of the parent.
pub fn after_in_parent() {
    ERA.fetch_add(1, Ordering::SeqCst);
    FORKING.fetch_sub(1, Ordering::SeqCst);
}

/// After it, in the only thread of the child; again, it does nothing.
pub fn after_in_child() {
    if PARENT.swap(std::process::id(), Ordering::SeqCst) != std::process::id() {
        BIRTH.store(ERA.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        FORKING.store(0, Ordering::SeqCst);
        background_sender::forget_after_fork(BIRTH.load(Ordering::SeqCst));
    }
}

/// Tells this process from its ancestors: it grows from parent to child.
pub(crate) fn birth() -> u64 {
    era();
    BIRTH.load(Ordering::SeqCst)
}

/// The era now. In a child whose other hooks run before ours, it begins here.
fn era() -> u64 {
    if FORKING.load(Ordering::SeqCst) > 0 {
        after_in_child();
    }
    ERA.load(Ordering::SeqCst)
}

fn try_live() -> Option<MutexGuard<'static, Vec<Weak<Ownership>>>> {
    for _ in 0..TRIES {
        match LIVE.try_lock() {
            Ok(live) => return Some(live),
            Err(TryLockError::Poisoned(live)) => return Some(live.into_inner()),
            Err(TryLockError::WouldBlock) => std::thread::yield_now(),
        }
    }
    None
}

fn give_numbers(owners: &[Arc<Ownership>], make: impl FnOnce(usize) -> Vec<Box<dyn SharedNumber>>) {
    let without: Vec<_> = owners.iter().filter(|owner| owner.needs_number()).collect();
    if without.is_empty() {
        return;
    }
    for (owner, number) in without.iter().zip(make(without.len())) {
        if let Ok(mut claim) = owner.claim.try_lock() {
            *claim = Claim {
                number: Some(number),
                seen: 0,
            };
        }
    }
}

fn refusal_of(claim: &Claim) -> Error {
    let number = claim.number.as_ref().map_or(0, |number| number.load());
    // Without one the parent keeps it.
    let user = if number == 0 {
        parent()
    } else {
        (number >> 32) as u32
    };
    Forked::UsedBy(user).into()
}

fn parent() -> u32 {
    std::os::unix::process::parent_id()
}

impl fmt::Display for Forked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UsedBy(pid) => write!(
                f,
                "process {pid} has used it since the fork: only one of the two processes may"
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

impl From<Forked> for Error {
    fn from(forked: Forked) -> Self {
        Self::Forked(forked)
    }
}

#[cfg(test)]
mod tests;
