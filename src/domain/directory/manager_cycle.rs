//! Managers form chains that end; a circle of managers would leave affiliation (LC-RCM-07) without a top.

use crate::domain::ids::ObjectId;

/// The circles among `edges`, pairs of a user and the manager of that user; a user has at most one manager.
///
/// Each circle is told once, beginning with its smallest id and going from user to manager; circles are ordered by that id.
/// Takes time `n log n` and 25 bytes an edge.
pub fn manager_cycles(mut edges: Vec<(ObjectId, ObjectId)>) -> Vec<Vec<ObjectId>> {
    edges.sort_unstable();
    edges.dedup_by_key(|(user, _)| *user);
    let above = |position: usize| edges.binary_search_by_key(&edges[position].1, |(user, _)| *user).ok();

    let mut seen = vec![false; edges.len()];
    let mut cycles = Vec::new();
    let mut walk = Vec::new();
    for start in 0..edges.len() {
        walk.clear();
        let mut next = Some(start);
        while let Some(position) = next.filter(|position| !seen[*position]) {
            seen[position] = true;
            walk.push(position);
            next = above(position);
        }
        // a walk that ends at a user of this very walk has closed a circle; any other was walked before
        if let Some(first) = next.and_then(|end| walk.iter().position(|position| *position == end)) {
            let mut cycle: Vec<ObjectId> = walk[first..].iter().map(|position| edges[*position].0).collect();
            let smallest = (0..cycle.len()).min_by_key(|position| cycle[*position]).unwrap_or(0);
            cycle.rotate_left(smallest);
            cycles.push(cycle);
        }
    }
    cycles.sort_unstable();
    cycles
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn id(number: u128) -> ObjectId {
        ObjectId::new(Uuid::from_u128(number))
    }

    fn edges(pairs: &[(u128, u128)]) -> Vec<(ObjectId, ObjectId)> {
        pairs.iter().map(|(user, manager)| (id(*user), id(*manager))).collect()
    }

    #[test]
    fn a_chain_that_ends_is_no_circle() {
        assert_eq!(manager_cycles(edges(&[(1, 2), (2, 3), (4, 2)])), Vec::<Vec<ObjectId>>::new());
    }

    #[test]
    fn a_circle_is_told_once_from_its_smallest_id_and_without_those_who_only_lead_to_it() {
        assert_eq!(manager_cycles(edges(&[(1, 5), (5, 3), (3, 4), (4, 5)])), vec![vec![id(3), id(4), id(5)]]);
    }

    #[test]
    fn two_circles_are_told_in_order() {
        assert_eq!(
            manager_cycles(edges(&[(7, 8), (8, 7), (2, 1), (1, 2)])),
            vec![vec![id(1), id(2)], vec![id(7), id(8)]]
        );
    }

    proptest! {
        #[test]
        fn somebody_is_in_a_circle_exactly_when_climbing_from_him_leads_back_to_him(
            managers in prop::collection::vec(prop::option::of(0..40_u128), 40)
        ) {
            let all: Vec<(u128, u128)> =
                managers.iter().enumerate().filter_map(|(user, manager)| Some((user as u128, (*manager)?))).collect();
            let told: std::collections::BTreeSet<ObjectId> = manager_cycles(edges(&all)).into_iter().flatten().collect();

            for user in 0..40_u128 {
                let mut at = user;
                let mut returns = false;
                for _ in 0..40 {
                    let Some(manager) = managers[at as usize] else { break };
                    at = manager;
                    returns |= at == user;
                }
                prop_assert_eq!(told.contains(&id(user)), returns);
            }
        }
    }
}
