//! Runs random scenarios and the exhaustive search. The exit status is 1 after the first broken
//! invariant.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use ktls_core::offload::InstallPolicy;
use ktls_sim::model::{ExploredStates, RxModel, TxModel, search};
use ktls_sim::{InvariantViolation, RunReport, Scenario, run};

/// The options of the command line.
struct ProofOptions {
    runs: u64,
    seed: u64,
    policies: Vec<InstallPolicy>,
}

/// The state that all threads of a proof share.
#[derive(Default)]
struct ProofTally {
    next: AtomicU64,
    stop: AtomicBool,
    segments: AtomicU64,
    rekeys: AtomicU64,
    bytes: AtomicU64,
    failure: Mutex<Option<(u64, InvariantViolation)>>,
}

fn main() -> ExitCode {
    let options = match parse_options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("proof: {error}\nusage: proof [--runs N] [--seed N] [--policy NAME]");
            return ExitCode::from(2);
        }
    };
    let holds = |&policy: &InstallPolicy| explore(policy) && prove(policy, &options);
    if options.policies.iter().all(holds) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn parse_options(mut args: impl Iterator<Item = String>) -> Result<ProofOptions, String> {
    let mut options = ProofOptions {
        runs: 1000,
        seed: 0,
        policies: vec![InstallPolicy::CoverLetter, InstallPolicy::V17],
    };
    while let Some(name) = args.next() {
        let value = args.next().ok_or(format!("{name} needs a value"))?;
        match name.as_str() {
            "--runs" => options.runs = parse_number(&value)?,
            "--seed" => options.seed = parse_number(&value)?,
            "--policy" => options.policies = vec![parse_policy(&value)?],
            _ => return Err(format!("unknown option {name}")),
        }
    }
    Ok(options)
}

fn parse_number(value: &str) -> Result<u64, String> {
    value
        .parse()
        .map_err(|_| format!("{value:?} is not a number"))
}

fn parse_policy(value: &str) -> Result<InstallPolicy, String> {
    InstallPolicy::named(value).ok_or(format!("{value:?} is not cover-letter, v17 or naive"))
}

/// Explores every state of the small models. Returns `true` if the invariants hold in all of them.
fn explore(policy: InstallPolicy) -> bool {
    let (records, rekeys) = (2, 2);
    let sender = search(&TxModel {
        policy,
        records,
        rekeys,
    });
    let receiver = search(&RxModel { policy, rekeys });
    print_explored(policy, "sender", &sender) && print_explored(policy, "receiver", &receiver)
}

fn print_explored<S: std::fmt::Debug>(
    policy: InstallPolicy,
    side: &str,
    found: &ExploredStates<S>,
) -> bool {
    let (states, steps) = (found.states, found.steps);
    let Some((broken, path)) = &found.violation else {
        println!("{policy}: a {side} holds in {states} states and {steps} steps");
        return true;
    };
    println!("{policy}: a {side} breaks an invariant after {path:?}: {broken}");
    false
}

/// Runs random scenarios of one policy; the runs are divided evenly among the policies. Returns
/// `true` if all invariants hold.
fn prove(policy: InstallPolicy, options: &ProofOptions) -> bool {
    let runs = options.runs / options.policies.len() as u64;
    let tally = ProofTally::default();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let show_progress = std::io::stderr().is_terminal();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let tally = &tally;
            scope.spawn(move || run_seeds(policy, options.seed, runs, tally, show_progress));
        }
    });
    if show_progress {
        eprint!("\r\x1b[K");
    }
    print_outcome(policy, runs, &tally)
}

fn run_seeds(
    policy: InstallPolicy,
    first: u64,
    runs: u64,
    tally: &ProofTally,
    show_progress: bool,
) {
    while !tally.stop.load(Ordering::Relaxed) {
        let number = tally.next.fetch_add(1, Ordering::Relaxed);
        if number >= runs {
            return;
        }
        let seed = first + number;
        let report = run(&Scenario::random(seed, policy));
        tally.add(&report);
        if let Some(violation) = report.violation {
            tally.fail(seed, violation);
        }
        if show_progress && number.is_multiple_of(1000) {
            eprint!("\r{policy}: {number} of {runs} runs");
        }
    }
}

impl ProofTally {
    fn add(&self, report: &RunReport) {
        let summary = &report.summary;
        let rekeys: u64 = summary.tx_rekeys.iter().sum();
        self.segments.fetch_add(summary.segments, Ordering::Relaxed);
        self.rekeys.fetch_add(rekeys, Ordering::Relaxed);
        self.bytes.fetch_add(summary.bytes, Ordering::Relaxed);
    }

    /// Records a failure and stops all threads. Of several failures, the one with the smallest seed
    /// is kept.
    fn fail(&self, seed: u64, violation: InvariantViolation) {
        self.stop.store(true, Ordering::Relaxed);
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        if failure.as_ref().is_none_or(|(other, _)| seed < *other) {
            *failure = Some((seed, violation));
        }
    }
}

fn print_outcome(policy: InstallPolicy, runs: u64, tally: &ProofTally) -> bool {
    let failure = tally.failure.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((seed, violation)) = &*failure {
        println!("{policy}: seed {seed} breaks an invariant {violation}");
        println!(
            "to repeat it: cargo run --release -p ktls-sim --bin proof -- --runs 1 --seed {seed} --policy {policy}"
        );
        return false;
    }
    let count = |number: &AtomicU64| number.load(Ordering::Relaxed);
    println!(
        "{policy}: {runs} runs hold the invariants: {} key updates, {} segments, {} bytes",
        count(&tally.rekeys),
        count(&tally.segments),
        count(&tally.bytes)
    );
    true
}
