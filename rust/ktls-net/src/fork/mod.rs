//! Ownership of an object across forks: of the two processes, the first to use the object keeps it.
//!
//! Keys, record numbers and half-processed bytes are memory, so a fork copies them. If both
//! processes went on, they would seal different plaintexts under one nonce and corrupt the stream.

pub(crate) mod process;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError, Weak};

use crate::NetError;
use crate::error::ForkRefusal;
use crate::mutex::lock;

use process::ForkMoment;
pub use process::HomeProcess;
pub(crate) use process::birth;

/// A number in memory that both processes of a fork share. It starts at 0 and is changed by one
/// process at a time.
pub trait SharedNumber: fmt::Debug + Send + Sync {
    /// Returns the current number.
    fn load(&self) -> u64;

    /// Replaces `old` by `new`, and returns `old`.
    ///
    /// # Errors
    /// Returns the current number if it is not `old`. Then it is not replaced.
    fn compare_exchange(&self, old: u64, new: u64) -> Result<u64, u64>;
}

/// Decides whether this process may use the object to which this belongs.
///
/// A process may use it as long as no fork has happened since it was last known to be the owner.
/// After a fork that was announced with [`crate::fork_hooks::before`], both processes compare the
/// shared number with the value that they saw before the fork. The first to change it becomes the
/// owner; the other is refused forever. The parent remains the owner in two cases: if there was no
/// memory for a number, and after an unannounced fork, which the child detects and the parent
/// cannot.
#[derive(Debug)]
pub struct Ownership {
    /// The process that created this, identified by its first era.
    born: u64,
    /// The era in which this process was last known to be the owner, or [`NOT_OWNER`] if it is not.
    era: AtomicU64,
    /// The number of running calls, and the era of the last that began, packed as [`EraCalls`].
    calls: AtomicU64,
    claim: Mutex<ForkClaim>,
}

/// The state that decides between two processes.
#[derive(Debug, Default)]
struct ForkClaim {
    /// `None` before the first fork, and if there was no memory for a number.
    number: Option<Box<dyn SharedNumber>>,
    /// The number that we saw last. If it has changed, the other process has claimed the object.
    last_seen: u64,
}

/// Counts a running call until it is dropped.
#[derive(Debug)]
pub struct CountedCall(Arc<Ownership>);

/// All owners that may need a number. Only tried, never waited for: a fork may copy this lock while
/// it is locked.
static OWNERS: Mutex<Vec<Weak<Ownership>>> = Mutex::new(Vec::new());

const NOT_OWNER: u64 = u64::MAX;
/// The number of attempts to lock [`OWNERS`], with a pause between two.
const LOCK_ATTEMPTS: usize = 1000;

/// An era and a number of calls, packed into one `u64`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct EraCalls {
    era: u64,
    count: u64,
}

impl Ownership {
    /// Creates an owner that belongs to this process until a fork.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let owner = Arc::new(Self {
            born: process::birth(),
            era: AtomicU64::new(ForkMoment::now().era()),
            calls: AtomicU64::new(0),
            claim: Mutex::default(),
        });
        if let Some(mut owners) = try_lock_owners() {
            if owners.len() == owners.capacity() {
                owners.retain(|other| other.strong_count() > 0);
            }
            owners.push(Arc::downgrade(&owner));
        }
        owner
    }

    /// Begins a call. The first call after a fork claims the object for this process.
    ///
    /// # Errors
    /// Returns EBUSY if the other process has claimed the object, or was in a call when it was
    /// forked.
    pub fn enter(self: &Arc<Self>) -> Result<CountedCall, NetError> {
        let call = self.begin(ForkMoment::now().era())?;
        // Checked again: a fork before the call was counted does not know about the call.
        let now = ForkMoment::now();
        if self.is_known(now) {
            return Ok(call);
        }
        self.claim(now).map(|()| call)
    }

    /// Counts work of a process that is known to be the owner.
    pub(crate) fn work(self: &Arc<Self>) -> CountedCall {
        self.calls.fetch_add(1, Ordering::SeqCst);
        CountedCall(Arc::clone(self))
    }

    /// Returns `true` if this process is the owner, and no fork is in progress or has happened
    /// since then.
    pub(crate) fn is_ours(&self) -> bool {
        self.is_known(ForkMoment::now())
    }

    /// Returns `true` if this process has to finish pending work: if it is known to be the owner,
    /// or if `left` returns `true` and it can claim the object. A child that has not used the
    /// object only drops its copy.
    pub(crate) fn has_to_finish(&self, left: impl FnOnce() -> bool) -> bool {
        let now = ForkMoment::now();
        match self.era.load(Ordering::SeqCst) {
            NOT_OWNER => false,
            _ if self.is_known(now) => true,
            known => !self.is_inherited(known) && left() && self.claim(now).is_ok(),
        }
    }

    /// Returns `true` in a child whose copy was made in the middle of a call.
    pub(crate) fn is_stuck(&self) -> bool {
        let calls = EraCalls::from(self.calls.load(Ordering::SeqCst));
        calls.era != ForkMoment::now().era() && calls.count > 0 && self.is_inherited(calls.era)
    }

    /// Checks that this copy was not made in the middle of a call.
    ///
    /// # Errors
    /// Returns EBUSY in a child whose copy was. Such a child must not even try a lock.
    pub(crate) fn check_not_stuck(&self) -> Result<(), NetError> {
        if self.is_stuck() {
            return Err(ForkRefusal::InCall.into());
        }
        Ok(())
    }

    /// Checks, without taking a lock, that this process can use the object at all.
    ///
    /// # Errors
    /// Returns EBUSY in a child of a fork that happened during a call, and in a child of an
    /// unannounced fork. Python does not know about the latter either: the child would wait for the
    /// parent's threads whenever it takes the GIL.
    pub fn check_reachable(&self) -> Result<(), NetError> {
        self.check_not_stuck()?;
        if process::is_cut_off(self.era.load(Ordering::SeqCst)) {
            return Err(ForkRefusal::Unannounced.into());
        }
        Ok(())
    }

    /// Counts a call, unless the count was inherited by a child and stands for threads that the
    /// child does not have.
    fn begin(self: &Arc<Self>, now: u64) -> Result<CountedCall, NetError> {
        let counted = self
            .calls
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |calls| {
                let calls = EraCalls::from(calls);
                let stuck = calls.era != now && calls.count > 0 && self.is_inherited(calls.era);
                let count = calls.count + 1;
                (!stuck).then(|| EraCalls { era: now, count }.into())
            });
        match counted {
            Ok(_) => Ok(CountedCall(Arc::clone(self))),
            Err(_) => Err(ForkRefusal::InCall.into()),
        }
    }

    /// Returns `true` if this process was last known to be the owner in this era, and no fork is in
    /// progress.
    fn is_known(&self, now: ForkMoment) -> bool {
        now.is_quiet_in(self.era.load(Ordering::SeqCst))
    }

    /// Returns `true` if another process did this in `era`, or created the object.
    fn is_inherited(&self, era: u64) -> bool {
        let birth = process::birth();
        era < birth && self.born != birth
    }

    fn claim(&self, now: ForkMoment) -> Result<(), NetError> {
        // Before the lock is taken: the fork may have happened while a thread held it.
        self.check_reachable()?;
        let mut claim = lock(&self.claim);
        if self.is_known(now) {
            // Another thread of this process has claimed it.
            return Ok(());
        }
        let known = self.era.load(Ordering::SeqCst);
        let mine =
            u64::from(std::process::id()) << 32 | (claim.last_seen.wrapping_add(1) & LOW_HALF);
        let won = match &claim.number {
            _ if known == NOT_OWNER => false,
            Some(number) => number.compare_exchange(claim.last_seen, mine).is_ok(),
            None => !self.is_inherited(known),
        };
        if !won {
            self.era.store(NOT_OWNER, Ordering::SeqCst);
            return Err(refusal_of(&claim));
        }
        if claim.number.is_some() {
            claim.last_seen = mine;
        }
        self.era.store(now.era(), Ordering::SeqCst);
        Ok(())
    }

    /// Returns `true` if this process is the owner and has no number by which a fork could be
    /// decided.
    fn needs_number(&self) -> bool {
        let known = self.era.load(Ordering::SeqCst);
        // If it is being claimed right now, it gets no number: then the parent keeps it.
        let without = self
            .claim
            .try_lock()
            .is_ok_and(|claim| claim.number.is_none());
        without && known != NOT_OWNER && !self.is_inherited(known)
    }
}

const LOW_HALF: u64 = u32::MAX as u64;

impl From<u64> for EraCalls {
    fn from(packed: u64) -> Self {
        Self {
            era: packed >> 32,
            count: packed & LOW_HALF,
        }
    }
}

impl From<EraCalls> for u64 {
    fn from(EraCalls { era, count }: EraCalls) -> Self {
        era << 32 | count
    }
}

impl Drop for CountedCall {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Announces a fork, in the thread that forks. `make` returns up to this many new numbers, or fewer
/// if there is no memory.
pub(crate) fn announce(make: impl FnOnce(usize) -> Vec<Box<dyn SharedNumber>>) {
    if let Some(mut owners) = try_lock_owners() {
        owners.retain(|owner| owner.strong_count() > 0);
        let owners: Vec<_> = owners.iter().filter_map(Weak::upgrade).collect();
        assign_numbers(&owners, make);
    }
}

fn try_lock_owners() -> Option<MutexGuard<'static, Vec<Weak<Ownership>>>> {
    for _ in 0..LOCK_ATTEMPTS {
        match OWNERS.try_lock() {
            Ok(owners) => return Some(owners),
            Err(TryLockError::Poisoned(owners)) => return Some(owners.into_inner()),
            Err(TryLockError::WouldBlock) => std::thread::yield_now(),
        }
    }
    None
}

fn assign_numbers(
    owners: &[Arc<Ownership>],
    make: impl FnOnce(usize) -> Vec<Box<dyn SharedNumber>>,
) {
    let without: Vec<_> = owners.iter().filter(|owner| owner.needs_number()).collect();
    if without.is_empty() {
        return;
    }
    for (owner, number) in without.iter().zip(make(without.len())) {
        if let Ok(mut claim) = owner.claim.try_lock() {
            *claim = ForkClaim {
                number: Some(number),
                last_seen: 0,
            };
        }
    }
}

fn refusal_of(claim: &ForkClaim) -> NetError {
    let number = claim.number.as_ref().map_or(0, |number| number.load());
    // Without a number the parent is the owner.
    let user = if number == 0 {
        parent_pid()
    } else {
        (number >> 32) as u32
    };
    ForkRefusal::UsedBy(user).into()
}

fn parent_pid() -> u32 {
    std::os::unix::process::parent_id()
}

#[cfg(test)]
mod tests;
