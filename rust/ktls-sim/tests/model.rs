//! Exhaustive search of the small models.

use ktls_core::offload::InstallPolicy;
use ktls_sim::model::{RxModel, TxModel, search};

fn sender(policy: InstallPolicy) -> TxModel {
    TxModel {
        policy,
        records: 2,
        rekeys: 2,
    }
}

/// R-TX-3, V-TX-9.
#[test]
fn a_sender_holds_the_invariants_in_every_state() {
    for policy in [InstallPolicy::CoverLetter, InstallPolicy::V17] {
        let explored = search(&sender(policy));
        assert_eq!(explored.violation, None, "{policy}");
        println!("{policy}: {} states", explored.states);
    }
}

/// R-RX-1, V-RX-4.
#[test]
fn a_receiver_holds_the_invariants_in_every_state() {
    for policy in [InstallPolicy::CoverLetter, InstallPolicy::V17] {
        let explored = search(&RxModel { policy, rekeys: 2 });
        assert_eq!(explored.violation, None, "{policy}");
        println!("{policy}: {} states", explored.states);
    }
}

#[test]
fn the_search_finds_the_shortest_path_to_a_fault_of_the_naive_policy() {
    let (broken, way) = search(&sender(InstallPolicy::Naive)).violation.unwrap();
    println!("{broken}: {way:#?}");
    assert!(broken.contains("now under key"), "{broken}");
    assert!(way.len() <= 5, "{way:?}");
}
