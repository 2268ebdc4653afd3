//! Breadth-first search of every reachable state, for the shortest path to a broken invariant.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Debug;
use std::hash::Hash;

/// A model with states, and steps between them.
pub trait StateModel {
    /// A state. Equal states are visited once.
    type State: Clone + Debug + Eq + Hash;
    /// A step from one state to the next.
    type Step: Clone + Debug;

    /// Returns the first state.
    fn start(&self) -> Self::State;

    /// Returns every step to try at a state, whether it is possible or not.
    fn steps(&self, state: &Self::State) -> Vec<Self::Step>;

    /// Returns the state after a step, or the invariant that the step breaks. Returns `None` if the
    /// step is not possible at this state.
    fn after(&self, state: Self::State, step: &Self::Step) -> Option<Result<Self::State, String>>;
}

/// The result of a search.
#[derive(Clone, Debug)]
pub struct ExploredStates<S> {
    /// Number of states visited.
    pub states: usize,
    /// Number of steps taken.
    pub steps: usize,
    /// The broken invariant, if any, and the shortest path to it.
    pub violation: Option<(String, Vec<S>)>,
}

/// Visits every reachable state, nearest first, until an invariant breaks or no state is left.
pub fn search<M: StateModel>(model: &M) -> ExploredStates<M::Step> {
    let mut known = HashMap::from([(model.start(), 0)]);
    // Each entry: a state, the index of the state before it, and the step between them.
    let mut order = vec![(model.start(), 0, None)];
    let (mut next, mut steps) = (0, 0);
    while next < order.len() {
        let state = order[next].0.clone();
        for step in model.steps(&state) {
            let Some(after) = model.after(state.clone(), &step) else {
                continue;
            };
            steps += 1;
            match after {
                Err(broken) => {
                    let mut path = path_to(&order, next);
                    path.push(step);
                    return ExploredStates {
                        states: order.len(),
                        steps,
                        violation: Some((broken, path)),
                    };
                }
                Ok(after) => {
                    if let Entry::Vacant(place) = known.entry(after) {
                        order.push((place.key().clone(), next, Some(step)));
                        place.insert(order.len() - 1);
                    }
                }
            }
        }
        next += 1;
    }
    ExploredStates {
        states: order.len(),
        steps,
        violation: None,
    }
}

fn path_to<T, S: Clone>(order: &[(T, usize, Option<S>)], mut at: usize) -> Vec<S> {
    let mut path = Vec::new();
    while let Some(step) = &order[at].2 {
        path.push(step.clone());
        at = order[at].1;
    }
    path.reverse();
    path
}
