//! One connection and two processes: after a fork, the first of the two to use it has it.
//!
//! Keys, record numbers and bytes half way are memory, so a fork copies them. Two processes that
//! went on from there would seal different plaintexts under one nonce, and tear the stream apart.

mod process;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError, Weak};

use crate::NetError;
use crate::background_sender;
use crate::descriptor::lock;

use process::ForkMoment;
pub use process::HomeProcess;
pub(crate) use process::birth;

/// A number in memory that a fork does not copy: 0 at first, changed by one process at a time.
pub trait SharedNumber: fmt::Debug + Send + Sync {
    /// The number now.
    fn load(&self) -> u64;

    /// Puts `new` in the place of `old`; false when another number is there.
    fn replace(&self, old: u64, new: u64) -> bool;
}

/// Whether this process may use what the owner guards.
///
/// It may while no fork has come since it last knew that it may. After a fork that [`before`] announced
/// both processes ask the number, of which they have seen the same value: the first to change it goes
/// on, the other is refused for ever. The parent goes on without a number (no memory was to be had),
/// and after a fork that nobody announced: it cannot know of that one, but the child does.
#[derive(Debug)]
pub struct Ownership {
    /// The process that made it, by the era with which that began.
    born: u64,
    /// The era in which this process was last known to have it; [`LOST`] once it has not.
    era: AtomicU64,
    /// Calls under way, and the era of the last that began: [`EraCalls`].
    calls: AtomicU64,
    claim: Mutex<ForkClaim>,
}

/// What decides between two processes.
#[derive(Debug, Default)]
struct ForkClaim {
    /// None before the first fork, and where no memory could be had for it.
    number: Option<Box<dyn SharedNumber>>,
    /// What we saw there last: who finds something else has come too late.
    seen: u64,
}

/// Why a process may not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ForkRefusal {
    /// This process uses it.
    UsedBy(u32),
    /// Nobody announced the fork that made this process, so that its parent uses it.
    Unannounced,
    /// A thread of the parent was in a call at the fork: its locks may be held for ever.
    InCall,
    /// Its threads are in this process.
    Threads(u32),
}

/// A call under way.
#[derive(Debug)]
pub struct CountedCall(Arc<Ownership>);

/// What may need a number. Nobody waits for this lock: a fork may copy it locked.
static LIVE: Mutex<Vec<Weak<Ownership>>> = Mutex::new(Vec::new());

const LOST: u64 = u64::MAX;
/// Tries to get the lock, with a pause between two.
const TRIES: usize = 1000;

/// An era and how many calls, in one number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct EraCalls {
    era: u64,
    count: u64,
}

impl Ownership {
    /// Ours until a fork.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let owner = Arc::new(Self {
            born: process::birth(),
            era: AtomicU64::new(ForkMoment::now().era()),
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
    pub fn enter(self: &Arc<Self>) -> Result<CountedCall, NetError> {
        let call = self.begin(ForkMoment::now().era())?;
        // Again: a fork that came before the call was counted does not know of it.
        let now = ForkMoment::now();
        if self.is_known(now) {
            return Ok(call);
        }
        self.claim(now).map(|()| call)
    }

    /// Begins something that only an owner has to do, and has asked for.
    pub(crate) fn work(self: &Arc<Self>) -> CountedCall {
        self.calls.fetch_add(1, Ordering::SeqCst);
        CountedCall(Arc::clone(self))
    }

    /// True while no fork has made a second owner possible, or this process has claimed it since.
    pub(crate) fn is_ours(&self) -> bool {
        self.is_known(ForkMoment::now())
    }

    /// True when this process has to end what was begun: the last one that used it, if `left` says
    /// that something is to be done. A child that never used it just lets go.
    pub(crate) fn has_to_finish(&self, left: impl FnOnce() -> bool) -> bool {
        let now = ForkMoment::now();
        match self.era.load(Ordering::SeqCst) {
            LOST => false,
            _ if self.is_known(now) => true,
            known => !self.is_inherited(known) && left() && self.claim(now).is_ok(),
        }
    }

    /// True in a child whose copy was in the middle of a call.
    pub(crate) fn is_stuck(&self) -> bool {
        let calls = EraCalls::from(self.calls.load(Ordering::SeqCst));
        calls.era != ForkMoment::now().era() && calls.count > 0 && self.is_inherited(calls.era)
    }

    /// # Errors
    /// EBUSY in such a child: not even a lock may be tried.
    pub(crate) fn check_not_stuck(&self) -> Result<(), NetError> {
        if self.is_stuck() {
            return Err(ForkRefusal::InCall.into());
        }
        Ok(())
    }

    /// Checks, without a lock, that this process may use it at all.
    ///
    /// # Errors
    /// EBUSY in a child of a fork that came during a call, and in a child of an unannounced fork. Python does
    /// not know of the latter either: it would wait for the parent's threads wherever it takes the GIL.
    pub fn check_reachable(&self) -> Result<(), NetError> {
        self.check_not_stuck()?;
        if process::is_cut_off(self.era.load(Ordering::SeqCst)) {
            return Err(ForkRefusal::Unannounced.into());
        }
        Ok(())
    }

    /// Counts a call, unless those that a child finds counted are of threads it does not have.
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

    /// True when this process was last known to have it in this era, and no fork is under way.
    fn is_known(&self, now: ForkMoment) -> bool {
        now.is_quiet_in(self.era.load(Ordering::SeqCst))
    }

    /// True for what another process has done in `era`, or made.
    fn is_inherited(&self, era: u64) -> bool {
        let birth = process::birth();
        era < birth && self.born != birth
    }

    fn claim(&self, now: ForkMoment) -> Result<(), NetError> {
        // Nor may its lock be tried: the fork may have come in the middle of anything.
        self.check_reachable()?;
        let mut claim = lock(&self.claim);
        if self.is_known(now) {
            // Another thread of ours was faster.
            return Ok(());
        }
        let known = self.era.load(Ordering::SeqCst);
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
        self.era.store(now.era(), Ordering::SeqCst);
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

impl From<u64> for EraCalls {
    fn from(packed: u64) -> Self {
        Self {
            era: packed >> 32,
            count: packed & LOW,
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

/// Before a fork, in the thread that forks; `make` gives so many numbers, or fewer where it cannot.
pub fn before(make: impl FnOnce(usize) -> Vec<Box<dyn SharedNumber>>) {
    if let Some(mut live) = try_live() {
        live.retain(|owner| owner.strong_count() > 0);
        let owners: Vec<_> = live.iter().filter_map(Weak::upgrade).collect();
        give_numbers(&owners, make);
    }
    background_sender::pause_for_fork();
    process::announce();
}

/// After it, in the same thread of the parent.
pub fn after_in_parent() {
    process::next_era();
    background_sender::go_on_after_fork();
}

/// After it, in the child, which would find out by itself when it uses something: a fork of its own
/// before that is then not taken for a part of this one.
pub fn after_in_child() {
    background_sender::forget_after_fork(process::birth());
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
            *claim = ForkClaim {
                number: Some(number),
                seen: 0,
            };
        }
    }
}

fn refusal_of(claim: &ForkClaim) -> NetError {
    let number = claim.number.as_ref().map_or(0, |number| number.load());
    // Without one the parent keeps it.
    let user = if number == 0 {
        parent()
    } else {
        (number >> 32) as u32
    };
    ForkRefusal::UsedBy(user).into()
}

fn parent() -> u32 {
    std::os::unix::process::parent_id()
}

impl fmt::Display for ForkRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UsedBy(pid) => write!(
                f,
                "process {pid} has used it since the fork: only one of the two processes may"
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

impl From<ForkRefusal> for NetError {
    fn from(forked: ForkRefusal) -> Self {
        Self::Forked(forked)
    }
}

#[cfg(test)]
mod tests;
