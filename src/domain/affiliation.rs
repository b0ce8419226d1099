//! Who stands far from the other members of a group in the tree of managers. LC-RCM-06, LC-RCM-07
//!
//! The distance of two people is the number of manager edges between them, by their lowest common ancestor. A member is an
//! outlier when his mean distance to the other members is larger than the mean of these means by more than one and a half of
//! their (population) standard deviations; exactly on that line he is none.
//!
//! Whoever has no common ancestor with the others cannot be compared. Where the members are spread over several trees, the group's
//! own tree is the one with most of them, and nothing is known of members elsewhere; where two trees share that place, or the tree
//! has fewer than [`FEWEST_MEMBERS`], nothing is known of anybody. People whose managers form a circle, and everybody below them,
//! stand in no tree: a circle has no top from which to count.
//!
//! Time is `n log n` for the sort and linear else, whatever the size and the depth; memory is 65 bytes a person. All arithmetic is in
//! integers, so that the line is exact.

use crate::domain::ids::ObjectId;

/// With fewer members than this in its tree nothing is told of a group. LC-RCM-07
pub const FEWEST_MEMBERS: u32 = 4;

/// Somebody of the tree: a member of the group, or a manager above one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ManagedPerson {
    pub id: ObjectId,
    /// `None` at the top. One who is not among the people given counts as none.
    pub manager: Option<ObjectId>,
    /// Whether he counts: managers who are only above members do not.
    pub is_member: bool,
}

/// What is known of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Affiliation {
    pub member: ObjectId,
    /// Low affiliation, which recommends `Deny`; else `Approve`. LC-RCM-06
    pub is_outlier: bool,
}

const NOBODY: u32 = u32::MAX;
const UNSEEN: u32 = u32::MAX;
/// Leads into a circle.
const ENDLESS: u32 = u32::MAX - 1;

/// The members of the group's tree; those left out are `NoInfoAvailable`. In the order of their ids.
///
/// `people` are the members and everybody above them, each at least once.
pub fn affiliations(mut people: Vec<ManagedPerson>) -> Vec<Affiliation> {
    people.sort_unstable();
    people.dedup_by(|again, kept| {
        kept.is_member |= again.is_member && again.id == kept.id;
        again.id == kept.id
    });
    let tree = Tree::of(&people);
    let Some(top) = tree.groups_own() else { return Vec::new() };
    let members: Vec<u32> = (0..tree.size())
        .filter(|position| tree.tops[*position as usize] == top && people[*position as usize].is_member)
        .collect();
    let Some(line) = tree.line(&members) else { return Vec::new() };
    let judge = |position: &u32| Affiliation {
        member: people[*position as usize].id,
        is_outlier: line.is_crossed_by(tree.distances[*position as usize]),
    };
    members.iter().map(judge).collect()
}

/// Everybody by position.
struct Tree {
    /// Position of who is at the top above him; [`ENDLESS`] below a circle.
    tops: Vec<u32>,
    /// Members at or below him.
    members_below: Vec<u32>,
    /// Sum of his distances to all members of his tree.
    distances: Vec<u64>,
}

impl Tree {
    fn of(people: &[ManagedPerson]) -> Self {
        let managers: Vec<u32> = people.iter().map(|person| position_of(people, person.manager)).collect();
        let (tops, depths) = climb(&managers);
        let order = by_depth(&tops, &depths);

        let mut members_below: Vec<u32> = people.iter().map(|person| u32::from(person.is_member)).collect();
        for position in order.iter().rev().map(|position| *position as usize) {
            if managers[position] != NOBODY {
                members_below[managers[position] as usize] += members_below[position];
            }
        }
        let mut distances = vec![0_u64; people.len()];
        for (position, person) in people.iter().enumerate() {
            if person.is_member && tops[position] < ENDLESS {
                distances[tops[position] as usize] += u64::from(depths[position]);
            }
        }
        // One step down from a manager comes one nearer to those below, and one farther from everybody else.
        for position in order.iter().map(|position| *position as usize) {
            if managers[position] != NOBODY {
                let all = u64::from(members_below[tops[position] as usize]);
                let below = u64::from(members_below[position]);
                distances[position] = distances[managers[position] as usize] + all - 2 * below;
            }
        }
        Self { tops, members_below, distances }
    }

    #[expect(clippy::cast_possible_truncation, reason = "people are numbered by u32")]
    fn size(&self) -> u32 {
        self.tops.len() as u32
    }

    /// The top of the tree that has more members than any other, if it has enough.
    fn groups_own(&self) -> Option<u32> {
        let tops = (0..self.size()).filter(|position| self.tops[*position as usize] == *position);
        let mut best: Option<u32> = None;
        let mut shared = false;
        for top in tops {
            let members = self.members_below[top as usize];
            match best.map(|best| self.members_below[best as usize].cmp(&members)) {
                None | Some(std::cmp::Ordering::Less) => (best, shared) = (Some(top), false),
                Some(std::cmp::Ordering::Equal) => shared = true,
                Some(std::cmp::Ordering::Greater) => {}
            }
        }
        best.filter(|best| !shared && self.members_below[*best as usize] >= FEWEST_MEMBERS)
    }

    /// `None` where the numbers leave 128 bits, which takes a chain of millions of managers.
    fn line(&self, members: &[u32]) -> Option<Line> {
        let count = i128::try_from(members.len()).ok()?;
        let mut sum = 0_i128;
        let mut squares = 0_i128;
        for member in members {
            let distance = i128::from(self.distances[*member as usize]);
            sum = sum.checked_add(distance)?;
            squares = squares.checked_add(distance.checked_mul(distance)?)?;
        }
        let spread = count.checked_mul(squares)?.checked_sub(sum.checked_mul(sum)?)?;
        Some(Line { count, sum, nine_spreads: spread.checked_mul(9)? })
    }
}

/// The line between those who belong and the outliers.
///
/// With `n` members, `s` the sum of a member's distances and `S` the sum of these sums, `s/(n-1) > m + 1.5 σ` is
/// `n s - S > 1.5 √(n Σs² - S²)`; both sides not below zero, it is `4 (n s - S)² > 9 (n Σs² - S²)`.
struct Line {
    count: i128,
    sum: i128,
    nine_spreads: i128,
}

impl Line {
    fn is_crossed_by(&self, distance: u64) -> bool {
        let Some(excess) = self.count.checked_mul(i128::from(distance)).map(|product| product - self.sum) else {
            return false;
        };
        excess > 0
            && excess
                .checked_mul(excess)
                .and_then(|square| square.checked_mul(4))
                .is_some_and(|square| square > self.nine_spreads)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "people are numbered by u32")]
fn position_of(people: &[ManagedPerson], manager: Option<ObjectId>) -> u32 {
    let found = manager.and_then(|manager| people.binary_search_by_key(&manager, |person| person.id).ok());
    found.map_or(NOBODY, |position| position as u32)
}

/// Everybody's top and how many edges below it he is; each edge is walked twice at most.
#[expect(clippy::cast_possible_truncation, reason = "people are numbered by u32")]
fn climb(managers: &[u32]) -> (Vec<u32>, Vec<u32>) {
    /// On the way up right now.
    const ON_THE_WAY: u32 = u32::MAX - 2;
    let mut tops = vec![UNSEEN; managers.len()];
    let mut depths = vec![0_u32; managers.len()];
    let mut walk: Vec<u32> = Vec::new();
    for start in 0..managers.len() as u32 {
        let mut at = start;
        while at != NOBODY && tops[at as usize] == UNSEEN {
            tops[at as usize] = ON_THE_WAY;
            walk.push(at);
            at = managers[at as usize];
        }
        let (mut top, mut depth) = match at {
            NOBODY => (NOBODY, 0),
            _ if tops[at as usize] == ON_THE_WAY => (ENDLESS, 0),
            _ => (tops[at as usize], depths[at as usize] + 1),
        };
        for position in walk.drain(..).rev() {
            if top == NOBODY {
                top = position;
            }
            tops[position as usize] = top;
            depths[position as usize] = depth;
            depth += 1;
        }
    }
    (tops, depths)
}

/// Everybody who stands in a tree, managers before those they manage.
fn by_depth(tops: &[u32], depths: &[u32]) -> Vec<u32> {
    let mut begins = vec![0_u32; depths.iter().max().map_or(1, |deepest| *deepest as usize + 2)];
    let in_trees = || (0_u32..).zip(tops.iter().zip(depths)).filter(|(_, (top, _))| **top < ENDLESS);
    for (_, (_, depth)) in in_trees() {
        begins[*depth as usize + 1] += 1;
    }
    for depth in 1..begins.len() {
        begins[depth] += begins[depth - 1];
    }
    let mut order = vec![0_u32; *begins.last().unwrap_or(&0) as usize];
    for (position, (_, depth)) in in_trees() {
        let place = &mut begins[*depth as usize];
        order[*place as usize] = position;
        *place += 1;
    }
    order
}

#[cfg(test)]
mod tests;
