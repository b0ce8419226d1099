//! In which order the requests of a batch run.

use super::{BatchItem, MAX_REQUESTS};
use crate::http::json_reader::Faults;

/// Positions in the order given, except that a request waits for those it depends on. `None`, with the fault told, when some
/// wait for each other.
pub fn in_order(items: &[BatchItem], faults: &Faults) -> Option<Vec<usize>> {
    let mut order = Vec::with_capacity(items.len());
    // Each round finds the first request that waits for nothing; there are MAX_REQUESTS at most.
    while order.len() < items.len() {
        let ready = (0..items.len()).find(|position| {
            !order.contains(position)
                && items
                    .get(*position)
                    .is_some_and(|item| item.depends_on.iter().all(|dependency| order.contains(dependency)))
        });
        match ready {
            Some(position) => order.push(position),
            None => {
                let circle = (0..items.len().min(MAX_REQUESTS)).find(|position| !order.contains(position)).unwrap_or(0);
                faults
                    .report(format!("requests[{circle}].dependsOn"), "goes round in a circle: it never gets its turn");
                return None;
            }
        }
    }
    Some(order)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn item(depends_on: Vec<usize>) -> BatchItem {
        BatchItem { id: String::new(), depends_on, request: Err(crate::http::error::ApiError::not_found()) }
    }

    #[test]
    fn requests_run_as_given_but_after_those_they_depend_on() {
        let items = [item(vec![2]), item(vec![]), item(vec![1]), item(vec![0, 1])];
        assert_eq!(in_order(&items, &Faults::default()), Some(vec![1, 2, 0, 3]));
    }

    #[test]
    fn a_circle_is_a_fault() {
        for items in [vec![item(vec![0])], vec![item(vec![]), item(vec![2]), item(vec![1])]] {
            let faults = Faults::default();
            assert_eq!(in_order(&items, &faults), None);
            assert!(!faults.is_empty());
        }
    }

    proptest! {
        #[test]
        fn any_graph_without_a_circle_has_an_order(
            dependencies in prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..4), 1..20),
            shuffle in any::<u64>(),
        ) {
            // Without a circle: in some numbering everybody depends on smaller numbers only.
            let count = dependencies.len();
            let number = |position: usize| (position * 7 + usize::try_from(shuffle % 20).unwrap()) % count;
            let distinct: std::collections::BTreeSet<_> = (0..count).map(number).collect();
            prop_assume!(distinct.len() == count);
            let items: Vec<_> = dependencies.iter().enumerate().map(|(position, wanted)| {
                let smaller: Vec<_> = (0..count).filter(|other| number(*other) < number(position)).collect();
                let wanted = if smaller.is_empty() { Vec::new() } else { wanted.iter().map(|index| *index.get(&smaller)).collect() };
                item(wanted)
            }).collect();

            let order = in_order(&items, &Faults::default()).unwrap();

            for (turn, position) in order.iter().enumerate() {
                prop_assert!(items[*position].depends_on.iter().all(|dependency| order[..turn].contains(dependency)));
            }
            prop_assert_eq!(order.len(), count);
        }
    }
}
