//! Checks the proof itself: random runs find every fault that is planted in the driver of key
//! updates.

use ktls_core::Direction;
use ktls_core::offload::InstallPolicy;
use ktls_sim::{FaultKind, PlantedFault, Scenario, run, run_planted};

/// More runs than any fault has needed; `make proof` does a hundred times as many.
const RUNS: u64 = 1000;

/// Faults of calls that only the sending direction has.
const SENDING: [FaultKind; 6] = [
    FaultKind::AssumesAcknowledged,
    FaultKind::AsksNothing,
    FaultKind::LeavesRecordOpen,
    FaultKind::InstallsNothing,
    FaultKind::KeepsDeviceSealing,
    FaultKind::KeepsSoftwareSealing,
];

/// Returns the number of runs before the fault is found, or `None` if it is not found.
fn runs_until_found(policy: InstallPolicy, fault: PlantedFault) -> Option<u64> {
    let found = |&seed: &u64| {
        let report = run_planted(&Scenario::random(seed, policy), fault);
        if let Some(violation) = &report.violation {
            println!("{policy}, {fault:?}: {violation}");
        }
        report.violation.is_some()
    };
    (0..RUNS).find(found)
}

fn faults() -> impl Iterator<Item = PlantedFault> {
    FaultKind::ALL.into_iter().flat_map(|kind| {
        let directions = if SENDING.contains(&kind) {
            &[Direction::Tx][..]
        } else {
            &[Direction::Tx, Direction::Rx]
        };
        directions
            .iter()
            .map(move |&direction| PlantedFault { direction, kind })
    })
}

/// Returns `false` for a fault without effect: under V17 the receive key is deleted at the
/// KeyUpdate, before the next key comes, so it cannot be deleted late.
fn changes_something(policy: InstallPolicy, fault: PlantedFault) -> bool {
    let late = PlantedFault {
        direction: Direction::Rx,
        kind: FaultKind::DeletesLate,
    };
    policy != InstallPolicy::V17 || fault != late
}

#[test]
fn random_runs_find_every_planted_fault() {
    for policy in [InstallPolicy::CoverLetter, InstallPolicy::V17] {
        for fault in faults().filter(|&fault| changes_something(policy, fault)) {
            let found = runs_until_found(policy, fault);
            assert!(found.is_some(), "{policy}: {RUNS} runs hold with {fault:?}");
        }
    }
}

#[test]
fn runs_without_a_fault_hold_the_invariants() {
    for policy in [InstallPolicy::CoverLetter, InstallPolicy::V17] {
        for seed in 0..100 {
            let report = run(&Scenario::random(seed, policy));
            assert_eq!(report.violation, None, "{policy}, seed {seed}");
        }
    }
}
