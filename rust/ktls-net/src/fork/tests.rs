use std::sync::atomic::AtomicU64;

use super::*;

/// In one process a fork is two owners over one number.
#[derive(Clone, Debug, Default)]
struct Number(Arc<AtomicU64>);

impl SharedNumber for Number {
    fn load(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    fn replace(&self, old: u64, new: u64) -> bool {
        let (success, failure) = (Ordering::SeqCst, Ordering::SeqCst);
        self.0.compare_exchange(old, new, success, failure).is_ok()
    }
}

fn copy(number: &Number, standing: Standing, calls: usize) -> Arc<Ownership> {
    let owner = Ownership {
        calls: AtomicUsize::new(calls),
        claim: Mutex::new(Claim {
            number: Some(Box::new(number.clone())),
            seen: 0,
        }),
        ..Ownership::default()
    };
    owner.set(standing);
    Arc::new(owner)
}

fn both(calls: usize) -> (Arc<Ownership>, Arc<Ownership>) {
    let number = Number::default();
    let parent = copy(&number, Standing::Parent, calls);
    let child = if calls == 0 {
        Standing::Child
    } else {
        Standing::Stuck
    };
    (parent, copy(&number, child, calls))
}

fn refused(owner: &Arc<Ownership>) -> bool {
    matches!(owner.enter(), Err(Error::Forked(Forked::UsedBy(by))) if by == pid())
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
            assert!(refused(&second));
        }
        assert!(first.has_to_finish(|| false));
        assert!(!second.has_to_finish(|| true));
    }
}

#[test]
fn a_second_fork_asks_again() {
    let (parent, child) = both(0);
    assert!(parent.enter().is_ok());
    parent.set(Standing::Parent);
    let seen = guard(&parent.claim).seen;
    guard(&child.claim).seen = seen;
    assert!(child.enter().is_ok());
    assert!(refused(&parent));
}

#[test]
fn a_child_forked_in_the_middle_of_a_call_never_has_it() {
    let (parent, child) = both(1);
    assert!(matches!(child.enter(), Err(Error::Forked(Forked::InCall))));
    assert!(!child.has_to_finish(|| true));
    assert!(parent.enter().is_ok());
}

#[test]
fn an_unused_copy_is_let_go_without_a_claim() {
    let (parent, child) = both(0);
    assert!(!child.has_to_finish(|| true));
    assert!(!parent.has_to_finish(|| false));
    assert!(child.enter().is_ok());
}

#[test]
fn a_fork_marks_what_lives_and_gives_it_a_number_once() {
    let owners = [
        Arc::new(Ownership::default()),
        Arc::new(Ownership::default()),
    ];
    let call = owners[1].enter();
    let standings = || owners.each_ref().map(|owner| owner.standing());
    for_both(&owners, |count| {
        (0..count)
            .map(|_| Box::new(Number::default()) as _)
            .collect()
    });
    assert_eq!(standings(), [Standing::Parent, Standing::Parent]);
    for_both(&owners, |_| panic!("they have numbers"));
    owners.iter().for_each(|owner| owner.inherit());
    assert_eq!(standings(), [Standing::Child, Standing::Stuck]);
    drop(call);
}

#[test]
fn without_a_number_the_parent_keeps_it() {
    let (parent, child) = both(0);
    for owner in [&parent, &child] {
        guard(&owner.claim).number = None;
    }
    assert!(matches!(
        child.enter(),
        Err(Error::Forked(Forked::UsedBy(_)))
    ));
    assert!(parent.enter().is_ok());
}
