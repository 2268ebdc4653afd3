//! One connection and two processes: after a fork, the first of the two to use it has it.
//!
//! Keys, record numbers and bytes half way are memory, so a fork copies them. Two processes that
//! went on from there would seal different plaintexts under one nonce, and tear the stream apart.

use std::cell::RefCell;
use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use crate::Error;
use crate::descriptor::guard;

/// A number in memory that a fork does not copy: 0 at first, changed by one process at a time.
pub trait SharedNumber: fmt::Debug + Send + Sync {
    /// The number now.
    fn load(&self) -> u64;

    /// Puts `new` in the place of `old`; false when another number is there.
    fn replace(&self, old: u64, new: u64) -> bool;
}

/// Whether this process may use what the owner guards.
#[derive(Debug, Default)]
pub struct Ownership {
    standing: AtomicU8,
    /// Calls under way. The copy that a child finds counts those of threads it does not have.
    calls: AtomicUsize,
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

/// | standing | a fork: parent, child | first to use | second to use |
/// |----------|-----------------------|--------------|---------------|
/// | Ours     | Parent, Child         |              |               |
/// | Parent   | Parent, Child         | Ours         | Lost          |
/// | Child    | Child, Child          | Ours         | Lost          |
/// | Lost     | Lost, Lost            |              |               |
/// | Stuck    | Stuck, Stuck          |              |               |
///
/// A child gets Stuck in place of Child when a call was under way: locks may be held for ever.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Standing {
    Ours,
    Parent,
    Child,
    Lost,
    Stuck,
}

/// Why a process may not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Forked {
    /// This process uses it.
    UsedBy(u32),
    /// A thread of the parent was in a call at the fork.
    InCall,
    /// Its threads are in this process.
    Threads(u32),
}

/// A call under way.
#[derive(Debug)]
pub struct Call(Arc<Ownership>);

static LIVE: Mutex<Vec<Weak<Ownership>>> = Mutex::new(Vec::new());

thread_local! {
    /// Held from before a fork until after it, so that no other thread of the parent holds it then.
    static HELD: RefCell<Option<Live>> = const { RefCell::new(None) };
}

type Live = MutexGuard<'static, Vec<Weak<Ownership>>>;

impl Ownership {
    /// Ours until a fork.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let owner = Arc::new(Self::default());
        let mut live = guard(&LIVE);
        if live.len() == live.capacity() {
            live.retain(|other| other.strong_count() > 0);
        }
        live.push(Arc::downgrade(&owner));
        owner
    }

    /// Begins a call, and with the first one after a fork takes what it is about.
    ///
    /// # Errors
    /// EBUSY when the other process was first, or could not let go.
    pub fn enter(self: &Arc<Self>) -> Result<Call, Error> {
        let call = self.work();
        match self.standing() {
            Standing::Ours => Ok(call),
            Standing::Parent | Standing::Child => self.claim().map(|()| call),
            Standing::Lost | Standing::Stuck => Err(self.refusal()),
        }
    }

    /// Begins something that only an owner has to do, and has asked for.
    pub(crate) fn work(self: &Arc<Self>) -> Call {
        self.calls.fetch_add(1, Ordering::SeqCst);
        Call(Arc::clone(self))
    }

    /// True while no fork has made a second owner possible, or this process has claimed it since.
    pub(crate) fn is_ours(&self) -> bool {
        self.standing() == Standing::Ours
    }

    /// True when this process has to end what was begun: the last one that used it, if `left` says
    /// that something is to be done. A child that never used it just lets go.
    pub(crate) fn has_to_finish(&self, left: impl FnOnce() -> bool) -> bool {
        match self.standing() {
            Standing::Ours => true,
            Standing::Parent => left() && self.claim().is_ok(),
            Standing::Child | Standing::Lost | Standing::Stuck => false,
        }
    }

    /// True in a child whose copy was in the middle of a call.
    pub(crate) fn is_stuck(&self) -> bool {
        self.standing() == Standing::Stuck
    }

    fn claim(&self) -> Result<(), Error> {
        let mut claim = guard(&self.claim);
        let standing = self.standing();
        if !matches!(standing, Standing::Parent | Standing::Child) {
            // Another thread of ours was faster.
            return (standing == Standing::Ours)
                .then_some(())
                .ok_or_else(|| refusal_of(&claim));
        }
        let mine = u64::from(pid()) << 32 | (claim.seen.wrapping_add(1) & u64::from(u32::MAX));
        let won = match &claim.number {
            Some(number) => number.replace(claim.seen, mine),
            None => standing == Standing::Parent,
        };
        if !won {
            self.set(Standing::Lost);
            return Err(refusal_of(&claim));
        }
        claim.seen = mine;
        self.set(Standing::Ours);
        Ok(())
    }

    fn inherit(&self) {
        match self.standing() {
            Standing::Parent | Standing::Child if self.calls.load(Ordering::SeqCst) > 0 => {
                self.set(Standing::Stuck);
            }
            Standing::Parent => self.set(Standing::Child),
            Standing::Ours | Standing::Child | Standing::Lost | Standing::Stuck => {}
        }
    }

    fn refusal(&self) -> Error {
        if self.is_stuck() {
            return Forked::InCall.into();
        }
        refusal_of(&guard(&self.claim))
    }

    fn standing(&self) -> Standing {
        let number = self.standing.load(Ordering::SeqCst);
        ALL.into_iter()
            .find(|&standing| standing as u8 == number)
            .unwrap_or(Standing::Lost)
    }

    fn set(&self, standing: Standing) {
        self.standing.store(standing as u8, Ordering::SeqCst);
    }
}

const ALL: [Standing; 5] = [
    Standing::Ours,
    Standing::Parent,
    Standing::Child,
    Standing::Lost,
    Standing::Stuck,
];

impl Drop for Call {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Before a fork, in the thread that forks; `make` gives so many numbers, or fewer where it cannot.
pub fn before(make: impl FnOnce(usize) -> Vec<Box<dyn SharedNumber>>) {
    let mut live = guard(&LIVE);
    live.retain(|owner| owner.strong_count() > 0);
    for_both(
        &live.iter().filter_map(Weak::upgrade).collect::<Vec<_>>(),
        make,
    );
    HELD.set(Some(live));
}

/// After it, in the same thread of the parent.
pub fn after_in_parent() {
    HELD.take();
}

/// After it, in the only thread of the child.
pub fn after_in_child() {
    if let Some(live) = HELD.take() {
        live.iter()
            .filter_map(Weak::upgrade)
            .for_each(|owner| owner.inherit());
    }
}

fn for_both(owners: &[Arc<Ownership>], make: impl FnOnce(usize) -> Vec<Box<dyn SharedNumber>>) {
    let without: Vec<_> = owners
        .iter()
        .filter(|owner| guard(&owner.claim).number.is_none())
        .collect();
    if !without.is_empty() {
        for (owner, number) in without.iter().zip(make(without.len())) {
            guard(&owner.claim).number = Some(number);
        }
    }
    for owner in owners {
        if owner.standing() == Standing::Ours {
            owner.set(Standing::Parent);
        }
    }
}

fn refusal_of(claim: &Claim) -> Error {
    let number = claim.number.as_ref().map_or(0, |number| number.load());
    // Without a number the parent keeps it.
    let user = if number == 0 {
        parent()
    } else {
        (number >> 32) as u32
    };
    Forked::UsedBy(user).into()
}

fn pid() -> u32 {
    std::process::id()
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
