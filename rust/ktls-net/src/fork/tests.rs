use super::*;
use crate::fork_hooks::{after_in_parent, before};

/// Within one process, a fork is simulated by two owners with one number and two eras.
#[derive(Clone, Debug, Default)]
struct Number(Arc<AtomicU64>);

impl SharedNumber for Number {
    fn load(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    fn compare_exchange(&self, old: u64, new: u64) -> Result<u64, u64> {
        let (success, failure) = (Ordering::SeqCst, Ordering::SeqCst);
        self.0.compare_exchange(old, new, success, failure)
    }
}

/// The birth of another process: no era is 0.
const ELSEWHERE: u64 = 0;

/// Creates an owner that was last used in an old era.
fn owner_of(born: u64, number: Option<&Number>, count: u64) -> Arc<Ownership> {
    Arc::new(Ownership {
        born,
        era: AtomicU64::new(0),
        calls: AtomicU64::new(EraCalls { era: 0, count }.into()),
        claim: Mutex::new(ForkClaim {
            number: number.map(|number| Box::new(number.clone()) as _),
            last_seen: 0,
        }),
    })
}

/// Creates the owners of one object in a parent and in its child.
fn both(count: u64) -> (Arc<Ownership>, Arc<Ownership>) {
    let number = Number::default();
    let parent = owner_of(process::birth(), Some(&number), count);
    (parent, owner_of(ELSEWHERE, Some(&number), count))
}

fn is_refused(owner: &Arc<Ownership>) -> bool {
    matches!(owner.enter(), Err(NetError::Forked(ForkRefusal::UsedBy(_))))
}

#[test]
fn the_first_to_use_it_has_it_and_the_second_is_refused() {
    for child_first in [false, true] {
        let (parent, child) = both(0);
        let (first, second) = if child_first {
            (child, parent)
        } else {
            (parent, child)
        };
        for _ in 0..2 {
            assert!(first.enter().is_ok());
            assert!(is_refused(&second));
        }
        assert!(first.has_to_finish(|| false));
        assert!(!second.has_to_finish(|| true));
    }
}

#[test]
fn each_fork_asks_again() {
    let (parent, child) = both(0);
    assert!(parent.enter().is_ok());
    // The next fork: both have seen what the parent put there.
    parent.era.store(0, Ordering::SeqCst);
    lock(&child.claim).last_seen = lock(&parent.claim).last_seen;
    assert!(child.enter().is_ok());
    assert!(is_refused(&parent));
}

#[test]
fn a_child_forked_in_the_middle_of_a_call_never_has_it() {
    let (parent, child) = both(1);
    assert!(child.is_stuck() && !parent.is_stuck());
    for _ in 0..2 {
        assert!(matches!(
            child.enter(),
            Err(NetError::Forked(ForkRefusal::InCall))
        ));
    }
    assert!(!child.has_to_finish(|| true));
    assert!(parent.enter().is_ok());
}

#[test]
fn calls_of_our_own_make_no_object_stuck() {
    let (_, child) = both(0);
    let calls = [child.enter(), child.enter()];
    assert!(!child.is_stuck());
    drop(calls);
    assert_eq!(EraCalls::from(child.calls.load(Ordering::SeqCst)).count, 0);
}

#[test]
fn an_unused_copy_is_let_go_without_a_claim() {
    let (parent, child) = both(0);
    assert!(!child.has_to_finish(|| true));
    assert!(!parent.has_to_finish(|| false));
    assert!(child.enter().is_ok());
}

#[test]
fn numbers_are_given_once_and_only_to_what_is_ours() {
    let ours = owner_of(process::birth(), None, 0);
    let (lost, foreign) = (
        owner_of(process::birth(), None, 0),
        owner_of(ELSEWHERE, None, 0),
    );
    lost.era.store(NOT_OWNER, Ordering::SeqCst);
    let owners = [ours, lost, foreign];
    let make = |count| {
        (0..count)
            .map(|_| Box::new(Number::default()) as _)
            .collect()
    };
    assign_numbers(&owners, make);
    let have = || {
        owners
            .each_ref()
            .map(|one| lock(&one.claim).number.is_some())
    };
    assert_eq!(have(), [true, false, false]);
    assign_numbers(&owners, |_| panic!("the others must not have any"));
}

#[test]
fn without_a_number_the_parent_keeps_it_through_the_next_fork() {
    let (parent, child) = (
        owner_of(process::birth(), None, 0),
        owner_of(ELSEWHERE, None, 0),
    );
    assert!(is_refused(&child));
    assert!(parent.enter().is_ok());
    assign_numbers(&[Arc::clone(&parent), Arc::clone(&child)], |count| {
        (0..count)
            .map(|_| Box::new(Number::default()) as _)
            .collect()
    });
    parent.era.store(0, Ordering::SeqCst);
    assert!(is_refused(&child));
    assert!(parent.enter().is_ok());
}

#[test]
fn a_call_in_the_middle_of_a_fork_is_decided_as_well() {
    for child_first in [false, true] {
        let (parent, child) = both(0);
        assert!(parent.enter().is_ok());
        lock(&child.claim).last_seen = lock(&parent.claim).last_seen;

        // The other process may exist already, while this one does not know yet that it does.
        before(|_| Vec::new());
        let (first, second) = if child_first {
            (child, parent)
        } else {
            (parent, child)
        };
        assert!(first.enter().is_ok());
        assert!(is_refused(&second));
        after_in_parent();
        assert!(first.enter().is_ok());
        assert!(is_refused(&second));
    }
}

#[test]
fn two_forks_at_once_are_over_when_both_are() {
    let (parent, _) = both(0);
    let last_seen = || lock(&parent.claim).last_seen;
    before(|_| Vec::new());
    before(|_| Vec::new());
    after_in_parent();
    for _ in 0..2 {
        let last = last_seen();
        assert!(parent.enter().is_ok());
        assert_ne!(last_seen(), last);
    }
    after_in_parent();
    assert!(parent.enter().is_ok());
    let last = last_seen();
    assert!(parent.enter().is_ok());
    assert_eq!(last_seen(), last);
}
