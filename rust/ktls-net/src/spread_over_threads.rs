//! Spreads the parts of one call over several threads.

use std::sync::Mutex;
use std::thread;

use crate::mutex::lock;

/// Calls `work` for every part, in the caller's thread and in up to `threads - 1` others. Each
/// thread takes the next part when it is free. All parts are done when the call returns. If fewer
/// threads can be started, the others do all the work.
pub fn spread<T: Send>(
    parts: impl Iterator<Item = T> + Send,
    threads: usize,
    work: impl Fn(T) + Sync,
) {
    let parts = Mutex::new(parts);
    let next = || lock(&parts).next();
    let run = || {
        while let Some(part) = next() {
            work(part);
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            let thread = thread::Builder::new().name("ktls-batch".into());
            if thread.spawn_scoped(scope, run).is_err() {
                break;
            }
        }
        run();
    });
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn every_part_is_done_once_and_by_as_many_threads_as_asked_for() {
        let (done, threads) = (Mutex::new(Vec::new()), Mutex::new(HashSet::new()));
        let all_there = Barrier::new(3);
        spread(0..30, 3, |part| {
            if part < 3 {
                all_there.wait();
            }
            lock(&done).push(part);
            lock(&threads).insert(thread::current().id());
        });
        let mut done = done.into_inner().unwrap();
        done.sort_unstable();
        assert!(done.into_iter().eq(0..30));
        assert_eq!(threads.into_inner().unwrap().len(), 3);
    }

    #[test]
    fn without_threads_the_caller_does_it_all() {
        let caller = thread::current().id();
        spread(0..5, 0, |_| assert_eq!(thread::current().id(), caller));
    }
}
