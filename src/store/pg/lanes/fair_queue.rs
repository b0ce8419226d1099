//! Who gets the next free place: a pure structure, without waiting and without a clock.
//!
//! Whoever asks has a key (here: the tenant). A key that is alone may have all places but the last few, which are kept for others
//! to come. Beside other keys it may have no more than its share, so that it leaves places, and whatever is behind them, to keys
//! that ask seldom. Others are there while they have a place or wait for one, and for as many grants afterwards as are
//! remembered: grants are all that time is told by.
//!
//! Those who wait are served in turns, one key after the other, each key's own in their order: a key with two hundred waiting
//! delays another key's only by one place's use. A key that has its share stands back until it gives a place back or its share
//! grows.
//!
//! All that is asked of it takes constant time on average, or the logarithm of what one key has waiting; besides, each key that
//! stands back is looked at, and each of them has a place.

use std::{
    collections::{BTreeMap, HashMap, VecDeque, hash_map::Entry},
    hash::Hash,
};

/// Names one who waits; later ones are greater.
pub type Ticket = u64;

/// How many places there are, and how much of them one key may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// In all; at least one.
    pub all: usize,
    /// For one key at the same time when no other is there; at least one.
    pub most_of_one_key: usize,
    /// For one key at the same time however many others are there; at least one. Who has as many as `most_of_one_key` here
    /// divides nothing.
    pub least_share: usize,
    /// After so many grants a key that has nothing and wants nothing is not there any more.
    pub grants_remembered: usize,
    /// How many of one key may wait.
    pub most_waiting_of_one_key: usize,
}

/// What somebody who asked gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A place, at once; to be given back with [`FairQueue::leave`].
    Enter,
    /// A turn later: [`FairQueue::serve`] hands out what was left here.
    Wait(Ticket),
    /// Too many of the same key wait already.
    Full,
}

/// A key that takes part.
pub trait Key: Copy + Eq + Hash {
    /// Whether it is one of those that share. What is nobody's own makes nobody's share smaller, and has none itself.
    fn shares(&self) -> bool;
}

/// Where a key that waits is remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stand {
    /// Nowhere: it does not wait.
    #[default]
    Nowhere,
    /// In `turns`.
    InTurns,
    /// In `held_back`: it had its share when it was looked at last.
    HeldBack,
}

/// What is known of a key that is there.
#[derive(Debug)]
struct Standing<W> {
    in_use: usize,
    waiting: BTreeMap<Ticket, W>,
    stand: Stand,
    /// How many of the grants remembered were its own.
    recent: usize,
    /// Whether it is counted in `active`.
    is_active: bool,
}

impl<W> Default for Standing<W> {
    fn default() -> Self {
        Self { in_use: 0, waiting: BTreeMap::new(), stand: Stand::Nowhere, recent: 0, is_active: false }
    }
}

/// Places, who has them, and who waits for them. `W` is what a waiting one leaves behind, to be told by.
///
/// Each of [`ask`](Self::ask), [`withdraw`](Self::withdraw) and [`leave`](Self::leave) may make room for somebody who waits:
/// [`serve`](Self::serve) is to be called after it until it has nobody.
#[derive(Debug)]
pub struct FairQueue<K, W> {
    places: Places,
    free: usize,
    waiting: usize,
    next_ticket: Ticket,
    /// Keys to be served next, in this order.
    turns: VecDeque<K>,
    /// Keys that wait and have their share.
    held_back: VecDeque<K>,
    /// Whose the last grants were, the latest last.
    grants: VecDeque<K>,
    /// Keys that share and are there.
    active: usize,
    /// Keys that have a place, or wait, or were served lately, or stand somewhere; nobody else is remembered.
    standings: HashMap<K, Standing<W>>,
}

impl<K: Key, W> FairQueue<K, W> {
    /// Every place free.
    pub fn new(places: Places) -> Self {
        let all = places.all.max(1);
        let most_of_one_key = places.most_of_one_key.clamp(1, all);
        let least_share = places.least_share.clamp(1, most_of_one_key);
        Self {
            places: Places { all, most_of_one_key, least_share, ..places },
            free: all,
            waiting: 0,
            next_ticket: 0,
            turns: VecDeque::new(),
            held_back: VecDeque::new(),
            grants: VecDeque::new(),
            active: 0,
            standings: HashMap::new(),
        }
    }

    /// Places in use.
    pub fn in_use(&self) -> usize {
        self.places.all - self.free
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// How many places this key may have as things stand.
    pub fn most_of(&self, key: K) -> usize {
        let Places { all, most_of_one_key, least_share, .. } = self.places;
        if !key.shares() || self.active <= 1 {
            return most_of_one_key;
        }
        (all / self.active).clamp(least_share, most_of_one_key)
    }

    /// Asks for a place. `waiter` is only called, and its result kept, when the answer is [`Answer::Wait`].
    pub fn ask(&mut self, key: K, waiter: impl FnOnce() -> W) -> Answer {
        // Whoever asks is there from now on: it counts for its own share.
        let standing = self.standings.entry(key).or_default();
        let (in_use, waiting) = (standing.in_use, standing.waiting.len());
        if key.shares() && !standing.is_active {
            standing.is_active = true;
            self.active += 1;
        }
        let may_have_more = in_use < self.most_of(key);
        if self.free > 0 && may_have_more {
            self.grant(key);
            return Answer::Enter;
        }
        if waiting >= self.places.most_waiting_of_one_key {
            self.settle(key);
            return Answer::Full;
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.waiting += 1;
        if let Some(standing) = self.standings.get_mut(&key) {
            standing.waiting.insert(ticket, waiter());
            if standing.stand == Stand::Nowhere {
                self.stand(key, may_have_more);
            }
        }
        Answer::Wait(ticket)
    }

    /// Takes back a wish. `None` when its turn has come before: then the place is in use and must be given back.
    pub fn withdraw(&mut self, key: K, ticket: Ticket) -> Option<W> {
        let waiter = self.standings.get_mut(&key)?.waiting.remove(&ticket)?;
        self.waiting -= 1;
        self.settle(key);
        Some(waiter)
    }

    /// Gives a place back. What is not held cannot be given back.
    pub fn leave(&mut self, key: K) {
        let Some(standing) = self.standings.get_mut(&key).filter(|standing| standing.in_use > 0) else { return };
        standing.in_use -= 1;
        self.free += 1;
        self.settle(key);
    }

    /// Gives a free place to the first whose turn it is, and tells who that is: he has his place already. `None` when nobody
    /// waits who may have one.
    pub fn serve(&mut self) -> Option<(K, W)> {
        self.call_back();
        while self.free > 0 {
            let key = self.turns.pop_front()?;
            let most = self.most_of(key);
            let Some(standing) = self.standings.get_mut(&key) else { continue };
            standing.stand = Stand::Nowhere;
            if standing.in_use >= most && !standing.waiting.is_empty() {
                self.stand(key, false);
                continue;
            }
            // Whoever withdrew leaves a turn that is nobody's.
            let Some((_, waiter)) = standing.waiting.pop_first() else {
                self.settle(key);
                continue;
            };
            let may_have_more = standing.in_use + 1 < most;
            if !standing.waiting.is_empty() {
                self.stand(key, may_have_more);
            }
            self.waiting -= 1;
            self.grant(key);
            return Some((key, waiter));
        }
        None
    }

    /// Gives those that were held back, and may have more by now, a turn.
    fn call_back(&mut self) {
        for _ in 0..self.held_back.len() {
            let Some(key) = self.held_back.pop_front() else { return };
            let most = self.most_of(key);
            let Some(standing) = self.standings.get_mut(&key) else { continue };
            if standing.in_use >= most && !standing.waiting.is_empty() {
                self.held_back.push_back(key);
                continue;
            }
            standing.stand = Stand::Nowhere;
            if standing.waiting.is_empty() {
                self.settle(key);
            } else {
                self.stand(key, true);
            }
        }
    }

    /// Puts a key that waits where it belongs.
    fn stand(&mut self, key: K, may_have_more: bool) {
        let (stand, line) = match may_have_more {
            true => (Stand::InTurns, &mut self.turns),
            false => (Stand::HeldBack, &mut self.held_back),
        };
        line.push_back(key);
        if let Some(standing) = self.standings.get_mut(&key) {
            standing.stand = stand;
        }
    }

    /// Puts a key into a free place, and remembers that.
    fn grant(&mut self, key: K) {
        self.free -= 1;
        let is_remembered = key.shares() && self.places.grants_remembered > 0;
        if let Some(standing) = self.standings.get_mut(&key) {
            standing.in_use += 1;
            standing.recent += usize::from(is_remembered);
        }
        if !is_remembered {
            return;
        }
        self.grants.push_back(key);
        if self.grants.len() > self.places.grants_remembered
            && let Some(oldest) = self.grants.pop_front()
        {
            if let Some(standing) = self.standings.get_mut(&oldest) {
                standing.recent -= 1;
            }
            self.settle(oldest);
        }
    }

    /// Counts a key as there or not, and forgets it when there is nothing to know of it.
    fn settle(&mut self, key: K) {
        let Entry::Occupied(mut entry) = self.standings.entry(key) else { return };
        let standing = entry.get_mut();
        let is_there = standing.in_use > 0 || !standing.waiting.is_empty() || standing.recent > 0;
        match (standing.is_active, is_there && key.shares()) {
            (true, false) => self.active -= 1,
            (false, true) => self.active += 1,
            (true, true) | (false, false) => {}
        }
        standing.is_active = is_there && key.shares();
        if !is_there && standing.stand == Stand::Nowhere {
            entry.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashMap};

    use proptest::prelude::*;

    use super::*;

    impl Key for char {
        fn shares(&self) -> bool {
            *self != COMMON
        }
    }

    /// Nobody's own.
    const COMMON: char = '-';

    /// One key may have as many beside others as alone.
    fn undivided(all: usize, most_of_one_key: usize) -> Places {
        Places {
            all,
            most_of_one_key,
            least_share: most_of_one_key,
            grants_remembered: 0,
            most_waiting_of_one_key: 1_000,
        }
    }

    /// Asks for somebody who must wait.
    fn wait(queue: &mut FairQueue<char, u32>, key: char, name: u32) -> Ticket {
        match queue.ask(key, || name) {
            Answer::Wait(ticket) => ticket,
            other => panic!("{key} {name}: {other:?}"),
        }
    }

    /// Asks for so many who need not wait.
    fn enter(queue: &mut FairQueue<char, u32>, key: char, count: usize) {
        for _ in 0..count {
            assert_eq!(queue.ask(key, || unreachable!()), Answer::Enter);
        }
    }

    /// Gives a place back and tells who have one now.
    fn leave(queue: &mut FairQueue<char, u32>, key: char) -> Vec<(char, u32)> {
        queue.leave(key);
        std::iter::from_fn(|| queue.serve()).collect()
    }

    #[test]
    fn free_places_are_given_at_once() {
        let mut queue = FairQueue::new(undivided(2, 2));
        enter(&mut queue, 'a', 2);
        assert_eq!((queue.in_use(), queue.waiting()), (2, 0));
        assert_eq!(leave(&mut queue, 'a'), []);
        enter(&mut queue, 'b', 1);
    }

    #[test]
    fn keys_take_turns_and_each_keys_own_keep_their_order() {
        let mut queue = FairQueue::new(undivided(1, 1));
        enter(&mut queue, 'a', 1);
        for name in 1..=3 {
            wait(&mut queue, 'a', name);
        }
        // It has the place, so it has no turn before it gives it back.
        assert_eq!(queue.serve(), None);
        wait(&mut queue, 'b', 4);
        wait(&mut queue, 'c', 5);
        wait(&mut queue, 'b', 6);

        let mut served = Vec::new();
        let mut holder = 'a';
        while let [next] = leave(&mut queue, holder)[..] {
            served.push(next);
            holder = next.0;
        }

        assert_eq!(served, [('b', 4), ('c', 5), ('a', 1), ('b', 6), ('a', 2), ('a', 3)]);
        assert!(queue.standings.is_empty() && queue.turns.is_empty());
    }

    #[test]
    fn one_key_never_has_the_places_that_are_kept_for_others() {
        let mut queue = FairQueue::new(undivided(4, 3));
        enter(&mut queue, 'a', 3);
        wait(&mut queue, 'a', 1);
        enter(&mut queue, 'b', 1);
        assert_eq!(leave(&mut queue, 'b'), [], "'a' has as many as it may");
        assert_eq!(leave(&mut queue, 'a'), [('a', 1)]);
    }

    #[test]
    fn beside_others_a_key_has_its_share_and_more_of_it_when_they_are_gone() {
        let places = Places { least_share: 2, ..undivided(20, 17) };
        let mut queue = FairQueue::new(places);
        enter(&mut queue, 'a', 1);
        assert_eq!(queue.most_of('a'), 17);
        enter(&mut queue, 'b', 1);
        enter(&mut queue, 'a', 9);
        for name in 1..=3 {
            wait(&mut queue, 'a', name);
        }
        assert_eq!((queue.serve(), queue.most_of('a')), (None, 10));
        for key in "cdefghi".chars() {
            enter(&mut queue, key, 1);
        }
        assert_eq!(queue.most_of('a'), 2, "never less, though there are nine");

        assert_eq!(leave(&mut queue, 'a'), [], "what it has beyond its share is not taken, but not given anew either");
        let served: Vec<_> = "cdefghi".chars().flat_map(|key| leave(&mut queue, key)).collect();
        assert_eq!((served, queue.most_of('a')), (vec![('a', 1)], 10));
        assert_eq!(leave(&mut queue, 'b'), [('a', 2), ('a', 3)]);
        assert_eq!(queue.most_of('a'), 17);
    }

    #[test]
    fn who_was_served_lately_is_there_for_some_grants_more() {
        let places = Places { least_share: 1, grants_remembered: 3, ..undivided(4, 3) };
        let mut queue = FairQueue::new(places);
        enter(&mut queue, 'b', 1);
        leave(&mut queue, 'b');
        enter(&mut queue, 'a', 2);
        wait(&mut queue, 'a', 1);
        wait(&mut queue, 'a', 2);
        assert_eq!(queue.serve(), None, "'b' may come again");

        // The third grant since; the fourth makes 'b' a thing of the past.
        assert_eq!(leave(&mut queue, 'a'), [('a', 1), ('a', 2)]);
        assert_eq!(queue.most_of('a'), 3);
        assert_eq!(queue.standings.len(), 1);
    }

    #[test]
    fn what_is_nobodys_own_makes_no_share_smaller_and_has_none() {
        let places = Places { least_share: 1, grants_remembered: 8, ..undivided(4, 3) };
        let mut queue = FairQueue::new(places);
        enter(&mut queue, COMMON, 1);
        enter(&mut queue, 'a', 3);
        assert_eq!(leave(&mut queue, COMMON), []);
        leave(&mut queue, 'a');
        leave(&mut queue, 'a');
        enter(&mut queue, COMMON, 3);
    }

    #[test]
    fn too_many_of_one_key_are_refused_and_others_are_not() {
        let mut queue = FairQueue::new(Places { most_waiting_of_one_key: 1, ..undivided(1, 1) });
        enter(&mut queue, 'a', 1);
        let waiting = wait(&mut queue, 'a', 1);
        assert_eq!(queue.ask('a', || 2), Answer::Full);
        wait(&mut queue, 'b', 3);
        assert_eq!(queue.withdraw('a', waiting), Some(1));
        wait(&mut queue, 'a', 4);
    }

    #[test]
    fn who_withdraws_is_passed_over_and_who_was_served_cannot_withdraw() {
        let mut queue = FairQueue::new(undivided(1, 1));
        enter(&mut queue, 'a', 1);
        let gone = wait(&mut queue, 'b', 1);
        let served = wait(&mut queue, 'c', 2);
        assert_eq!(queue.withdraw('b', gone), Some(1));
        assert_eq!(queue.withdraw('b', gone), None);
        assert_eq!(leave(&mut queue, 'a'), [('c', 2)]);
        assert_eq!(queue.withdraw('c', served), None);
        assert_eq!(leave(&mut queue, 'c'), []);
        assert_eq!(leave(&mut queue, 'c'), [], "what is not held cannot be given back");
        assert_eq!((queue.in_use(), queue.waiting()), (0, 0));
        assert!(queue.standings.is_empty());
    }

    #[derive(Clone, Copy, Debug)]
    enum Act {
        Ask(char),
        /// Gives back the place of one who has it.
        Leave(usize),
        /// One who waits goes away.
        Withdraw(usize),
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let act = prop_oneof![
            4 => prop::sample::select(vec![COMMON, 'a', 'b', 'c', 'd', 'e']).prop_map(Act::Ask),
            3 => (0..64_usize).prop_map(Act::Leave),
            1 => (0..64_usize).prop_map(Act::Withdraw),
        ];
        prop::collection::vec(act, 0..200)
    }

    /// What was done so far, and what follows from it by the rule.
    struct Model {
        places: Places,
        holders: Vec<char>,
        /// Who waits, and how often each other key was served since.
        waits: Vec<(char, Ticket, HashMap<char, usize>)>,
        /// Of keys that share.
        grants: Vec<char>,
    }

    impl Model {
        fn held(&self, key: char) -> usize {
            self.holders.iter().filter(|other| **other == key).count()
        }

        fn waiting(&self, key: char) -> usize {
            self.waits.iter().filter(|(other, ..)| *other == key).count()
        }

        /// How many `key` may have; it is there itself.
        fn most(&self, key: char) -> usize {
            let lately = self.grants.iter().rev().take(self.places.grants_remembered);
            let mut there: BTreeSet<char> = self.holders.iter().chain(lately).copied().collect();
            there.extend(self.waits.iter().map(|(other, ..)| *other).chain([key]));
            there.remove(&COMMON);
            match there.len() {
                2.. if key != COMMON => {
                    (self.places.all / there.len()).max(self.places.least_share).min(self.places.most_of_one_key)
                }
                _ => self.places.most_of_one_key,
            }
        }

        /// Whether a place is there that this key may have.
        fn may_enter(&self, key: char) -> bool {
            self.holders.len() < self.places.all && self.held(key) < self.most(key)
        }

        fn granted(&mut self, key: char) {
            self.holders.push(key);
            if key != COMMON {
                self.grants.push(key);
            }
        }
    }

    proptest! {
        /// Whatever happens: no more places than there are, none lost, nobody has more than his share anew, nobody waits while a
        /// place is there that he may have, nobody is overtaken by his own key, and every other key is served at most once before
        /// him.
        #[test]
        fn nothing_is_lost_and_everybody_has_his_turn(
            all in 1..9_usize,
            kept in 0..3_usize,
            least_share in 1..9_usize,
            grants_remembered in 0..20_usize,
            most_waiting in 1..20_usize,
            acts in acts(),
        ) {
            let most_of_one_key = all.saturating_sub(kept).max(1);
            let least_share = least_share.min(most_of_one_key);
            let places = Places {
                all,
                most_of_one_key,
                least_share,
                grants_remembered,
                most_waiting_of_one_key: most_waiting,
            };
            let mut queue = FairQueue::new(places);
            let mut model = Model { places, holders: Vec::new(), waits: Vec::new(), grants: Vec::new() };
            for act in acts {
                match act {
                    Act::Ask(key) => {
                        let may_enter = model.may_enter(key);
                        match queue.ask(key, || ()) {
                            Answer::Enter => {
                                prop_assert!(may_enter);
                                model.granted(key);
                            }
                            Answer::Wait(ticket) => {
                                prop_assert!(model.waiting(key) < most_waiting && !may_enter);
                                model.waits.push((key, ticket, HashMap::new()));
                            }
                            Answer::Full => prop_assert_eq!(model.waiting(key), most_waiting),
                        }
                    }
                    Act::Leave(index) if !model.holders.is_empty() => {
                        let key = model.holders.swap_remove(index % model.holders.len());
                        queue.leave(key);
                    }
                    Act::Withdraw(index) if !model.waits.is_empty() => {
                        let (key, ticket, _) = model.waits.remove(index % model.waits.len());
                        prop_assert!(queue.withdraw(key, ticket).is_some());
                    }
                    Act::Leave(_) | Act::Withdraw(_) => {}
                }
                loop {
                    // Who may have no more, or stands behind one of his own, waits for himself.
                    let mut firsts = BTreeSet::new();
                    let waits_for_others: Vec<bool> = (model.waits.iter())
                        .map(|(key, ..)| firsts.insert(*key) && model.held(*key) < model.most(*key))
                        .collect();
                    for ((.., passed), for_others) in model.waits.iter_mut().zip(&waits_for_others) {
                        if !for_others {
                            passed.clear();
                        }
                    }
                    let Some((key, ())) = queue.serve() else { break };
                    prop_assert!(model.may_enter(key));
                    // The first of its key.
                    let position = model.waits.iter().position(|(other, ..)| *other == key);
                    prop_assert!(position.is_some());
                    for ((other, _, passed), for_others) in model.waits.iter_mut().zip(&waits_for_others) {
                        if *for_others && *other != key {
                            *passed.entry(key).or_default() += 1;
                            prop_assert!(passed[&key] <= 1, "{other} was passed over by {key}");
                        }
                    }
                    let (_, ticket, _) = model.waits.remove(position.unwrap_or_default());
                    prop_assert!(queue.withdraw(key, ticket).is_none());
                    model.granted(key);
                }
                prop_assert!(model.holders.len() <= all);
                prop_assert_eq!(queue.in_use(), model.holders.len());
                prop_assert_eq!(queue.waiting(), model.waits.len());
                for (key, ..) in &model.waits {
                    prop_assert_eq!(queue.most_of(*key), model.most(*key));
                    prop_assert!(!model.may_enter(*key), "{key} waits for nothing");
                }
            }
            for (key, ticket, _) in std::mem::take(&mut model.waits) {
                prop_assert!(queue.withdraw(key, ticket).is_some());
            }
            for key in model.holders {
                queue.leave(key);
                prop_assert!(queue.serve().is_none());
            }
            prop_assert_eq!(queue.in_use(), 0);
            prop_assert!(queue.turns.is_empty() && queue.held_back.is_empty(), "somebody has a turn for nothing");
            let lately: BTreeSet<_> = model.grants.iter().rev().take(grants_remembered).collect();
            prop_assert_eq!(queue.standings.len(), lately.len(), "something is remembered");
            prop_assert_eq!(queue.active, lately.len());
        }
    }
}
