//! Breadth-first search: every state that can be reached, and the shortest way to a broken invariant.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Debug;
use std::hash::Hash;

/// Something with states, and steps between them.
pub trait StateModel {
    /// A state; equal ones are visited once.
    type State: Clone + Debug + Eq + Hash;
    /// What leads from one to the next.
    type Step: Clone + Debug;

    /// Where it begins.
    fn start(&self) -> Self::State;

    /// Every step that there is at a state, whether it can be taken or not.
    fn steps(&self, state: &Self::State) -> Vec<Self::Step>;

    /// The state after a step, or the invariant that it breaks; none if it cannot be taken.
    fn after(&self, state: Self::State, step: &Self::Step) -> Option<Result<Self::State, String>>;
}

/// What a search has found.
#[derive(Clone, Debug)]
pub struct ExploredStates<S> {
    /// States visited.
    pub states: usize,
    /// Steps taken.
    pub steps: usize,
    /// The broken invariant, and the shortest way to it.
    pub violation: Option<(String, Vec<S>)>,
}

/// Visits every state, nearest first, until an invariant breaks or none is left.
pub fn search<M: StateModel>(model: &M) -> ExploredStates<M::Step> {
    let mut known = HashMap::from([(model.start(), 0)]);
    // State, the number of the state before it, the step between.
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
                    let mut way = way_to(&order, next);
                    way.push(step);
                    return ExploredStates {
                        states: order.len(),
                        steps,
                        violation: Some((broken, way)),
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

fn way_to<T, S: Clone>(order: &[(T, usize, Option<S>)], mut at: usize) -> Vec<S> {
    let mut way = Vec::new();
    while let Some(step) = &order[at].2 {
        way.push(step.clone());
        at = order[at].1;
    }
    way.reverse();
    way
}
