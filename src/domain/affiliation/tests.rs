use std::collections::BTreeMap;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn id(number: usize) -> ObjectId {
    ObjectId::new(Uuid::from_u128(number as u128 + 1))
}

fn person(number: usize, manager: Option<usize>, is_member: bool) -> ManagedPerson {
    ManagedPerson { id: id(number), manager: manager.map(id), is_member }
}

/// Members all of them, each with the number of his manager.
fn members(managers: &[Option<usize>]) -> Vec<ManagedPerson> {
    managers.iter().enumerate().map(|(number, manager)| person(number, *manager, true)).collect()
}

fn outliers(people: Vec<ManagedPerson>) -> Vec<ObjectId> {
    affiliations(people).into_iter().filter(|found| found.is_outlier).map(|found| found.member).collect()
}

/// LC-RCM-06, LC-RCM-07: the guide's example: somebody of another department in a group of one department.
#[test]
fn the_member_of_a_far_branch_is_the_outlier() {
    // 0 at the top; 1 leads eight people, 2 leads 3 who leads 4
    let mut people = vec![person(0, None, false), person(1, Some(0), false), person(2, Some(0), false)];
    people.extend([person(3, Some(2), false), person(4, Some(3), true)]);
    people.extend((5..13).map(|number| person(number, Some(1), true)));

    let found = affiliations(people.clone());

    assert_eq!(found.len(), 9);
    assert_eq!(outliers(people), [id(4)]);
}

/// LC-RCM-07
#[test]
fn members_who_are_equally_far_from_each_other_are_no_outliers() {
    let people: Vec<_> =
        std::iter::once(person(0, None, false)).chain((1..9).map(|number| person(number, Some(0), true))).collect();

    let found = affiliations(people);

    assert_eq!(found.len(), 8);
    assert!(found.iter().all(|found| !found.is_outlier));
}

/// LC-RCM-07
#[test]
fn fewer_than_four_members_in_the_tree_tell_nothing() {
    let of = |count: usize| members(&[vec![None], vec![Some(0); count - 1]].concat());

    assert_eq!(affiliations(of(3)), []);
    assert_eq!(affiliations(of(4)).len(), 4);
    assert_eq!(affiliations(Vec::new()), []);
}

/// LC-RCM-07
#[test]
fn of_members_without_a_common_ancestor_with_the_others_nothing_is_known() {
    let mut people = members(&[None, Some(0), Some(0), Some(0), None, None, Some(5)]);
    let known =
        |people: &[ManagedPerson]| affiliations(people.to_vec()).iter().map(|found| found.member).collect::<Vec<_>>();

    assert_eq!(known(&people), [0, 1, 2, 3].map(id));
    people.extend([person(7, Some(5), true), person(8, Some(5), true)]);
    assert_eq!(known(&people), [], "two trees of four: neither is the group's own");
    people.push(person(9, Some(7), true));
    assert_eq!(known(&people), [5, 6, 7, 8, 9].map(id));
}

/// LC-RCM-07
#[test]
fn a_circle_of_managers_has_no_top_and_neither_has_who_is_below_it() {
    let circle = members(&[Some(1), Some(2), Some(0), Some(0), Some(3), Some(5)]);
    assert_eq!(affiliations(circle), []);

    let mut people = members(&[Some(1), Some(0), Some(0), Some(2), None, Some(4), Some(4)]);
    people.push(person(7, Some(5), true));
    assert_eq!(affiliations(people).iter().map(|found| found.member).collect::<Vec<_>>(), [4, 5, 6, 7].map(id));
}

/// LC-RCM-07: of `n` members `k` have one sum of distances and the others a smaller one; they cross the line when n > 3.25 k,
/// whatever the sums are.
#[test]
fn exactly_on_the_line_is_no_outlier() {
    let line = |count: i128, far: i128| {
        let (far_sum, near_sum) = (7, 2);
        let sum = far * far_sum + (count - far) * near_sum;
        let squares = far * far_sum * far_sum + (count - far) * near_sum * near_sum;
        Line { count, sum, nine_spreads: 9 * (count * squares - sum * sum) }
    };

    assert!(!line(13, 4).is_crossed_by(7));
    assert!(line(13, 4).is_crossed_by(8));
    assert!(line(14, 4).is_crossed_by(7));
    assert!(!line(12, 4).is_crossed_by(7));
    assert!(!line(13, 4).is_crossed_by(2), "nearer than the others");
}

#[test]
fn a_chain_of_managers_as_long_as_the_company_is_climbed_in_no_time_and_without_a_stack() {
    const LENGTH: usize = 100_000;
    let people: Vec<_> = (0..LENGTH).map(|number| person(number, number.checked_sub(1), true)).collect();

    let found = affiliations(people);

    assert_eq!(found.len(), LENGTH);
    // the ends are farthest from everybody
    assert!(found[0].is_outlier && found[LENGTH - 1].is_outlier && !found[LENGTH / 2].is_outlier);
}

/// The rule word for word: every distance walked, every mean a fraction of its own.
fn oracle(people: &[ManagedPerson]) -> BTreeMap<ObjectId, bool> {
    let manager = |id: ObjectId| people.iter().find(|person| person.id == id).and_then(|person| person.manager);
    let above = |id: ObjectId| -> Option<Vec<ObjectId>> {
        let mut line = vec![id];
        while let Some(next) =
            manager(*line.last().unwrap()).filter(|next| people.iter().any(|person| person.id == *next))
        {
            if line.contains(&next) {
                return None;
            }
            line.push(next);
        }
        Some(line)
    };
    let lines: BTreeMap<ObjectId, Vec<ObjectId>> = people
        .iter()
        .filter(|person| person.is_member)
        .filter_map(|person| Some((person.id, above(person.id)?)))
        .collect();
    let mut trees: BTreeMap<ObjectId, Vec<ObjectId>> = BTreeMap::new();
    for (member, line) in &lines {
        trees.entry(*line.last().unwrap()).or_default().push(*member);
    }
    let largest = trees.values().map(Vec::len).max().unwrap_or(0);
    let own: Vec<_> = trees.values().filter(|tree| tree.len() == largest).collect();
    let [own] = own.as_slice() else { return BTreeMap::new() };
    if own.len() < 4 {
        return BTreeMap::new();
    }
    let distance = |one: ObjectId, other: ObjectId| {
        let (up, down) = (&lines[&one], &lines[&other]);
        up.iter()
            .enumerate()
            .find_map(|(steps, common)| Some(steps + down.iter().position(|at| at == common)?))
            .unwrap()
    };
    let count = own.len() as i128;
    let sums: Vec<i128> = own.iter().map(|one| own.iter().map(|other| distance(*one, *other) as i128).sum()).collect();
    // d(u) = sums[u] / (n-1); everything over the common denominator n (n-1), squares over its square
    let total: i128 = sums.iter().sum();
    let variance: i128 = sums.iter().map(|sum| (sum * count - total).pow(2)).sum::<i128>(); // over n · (n (n-1))²
    own.iter()
        .zip(&sums)
        .map(|(member, sum)| {
            let excess = sum * count - total;
            let exact = excess > 0 && 4 * count * excess.pow(2) > 9 * variance;
            let mean = |sum: i128| sum as f64 / (count - 1) as f64;
            let middle = sums.iter().map(|sum| mean(*sum)).sum::<f64>() / count as f64;
            let deviation = (sums.iter().map(|sum| (mean(*sum) - middle).powi(2)).sum::<f64>() / count as f64).sqrt();
            let over = mean(*sum) - (middle + 1.5 * deviation);
            assert!(over.abs() < 1e-9 || exact == (over > 0.0), "{over}");
            (*member, exact)
        })
        .collect()
}

/// Forests, and circles too.
fn any_people() -> impl Strategy<Value = Vec<ManagedPerson>> {
    (1..40_usize, 1..=6_usize).prop_flat_map(|(count, spread)| {
        let manager = move |number: usize| {
            prop_oneof![
                1 => Just(None),
                // mostly somebody shortly before, so that trees are deep
                12 => (1..=spread).prop_map(move |back| number.checked_sub(back)),
                1 => (0..count).prop_map(Some),
            ]
        };
        let people: Vec<_> = (0..count)
            .map(|number| {
                (manager(number), prop::bool::weighted(0.7))
                    .prop_map(move |(manager, is_member)| person(number, manager, is_member))
            })
            .collect();
        people.prop_shuffle()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// LC-RCM-06, LC-RCM-07
    #[test]
    fn outliers_are_those_whom_the_rule_finds_by_walking_every_distance(people in any_people()) {
        let found: BTreeMap<_, _> =
            affiliations(people.clone()).into_iter().map(|found| (found.member, found.is_outlier)).collect();
        prop_assert_eq!(found, oracle(&people));
    }
}
