//! Who gets the next free place: a pure structure, without waiting and without a clock.
//!
//! Whoever asks has a key (here: the tenant). While places are free everybody gets one at once. When none is, those who wait are
//! served in turns, one key after the other, each key's own in their order: a key with two hundred waiting delays another key's only
//! one by one place's use. A key may be held back from the last places, so that it alone never has all of them.
//!
//! All that is asked of it takes constant time on average, or the logarithm of what one key has waiting.

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
    /// For one key at the same time; at least one.
    pub most_of_one_key: usize,
    /// How many of one key may wait.
    pub most_waiting_of_one_key: usize,
}

/// What somebody who asked gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A place, at once; to be given back with [`FairQueue::leave`].
    Enter,
    /// A turn later: [`FairQueue::leave`] hands out what was left here.
    Wait(Ticket),
    /// Too many of the same key wait already.
    Full,
}

/// What is known of a key that has a place or waits for one.
#[derive(Debug)]
struct Standing<W> {
    in_use: usize,
    waiting: BTreeMap<Ticket, W>,
    /// Whether it stands in `turns`.
    has_turn: bool,
}

impl<W> Default for Standing<W> {
    fn default() -> Self {
        Self { in_use: 0, waiting: BTreeMap::new(), has_turn: false }
    }
}

/// Places, who has them, and who waits for them. `W` is what a waiting one leaves behind, to be told by.
#[derive(Debug)]
pub struct FairQueue<K, W> {
    places: Places,
    free: usize,
    waiting: usize,
    next_ticket: Ticket,
    /// Keys to be served next, in this order. Empty while a place is free.
    turns: VecDeque<K>,
    /// Keys that have a place, or wait, or have a turn; nobody else is remembered.
    standings: HashMap<K, Standing<W>>,
}

impl<K: Copy + Eq + Hash, W> FairQueue<K, W> {
    /// Every place free.
    pub fn new(places: Places) -> Self {
        let places = Places {
            all: places.all.max(1),
            most_of_one_key: places.most_of_one_key.clamp(1, places.all.max(1)),
            most_waiting_of_one_key: places.most_waiting_of_one_key,
        };
        Self { places, free: places.all, waiting: 0, next_ticket: 0, turns: VecDeque::new(), standings: HashMap::new() }
    }

    /// Places in use.
    pub fn in_use(&self) -> usize {
        self.places.all - self.free
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Asks for a place. `waiter` is only called, and its result kept, when the answer is [`Answer::Wait`].
    pub fn ask(&mut self, key: K, waiter: impl FnOnce() -> W) -> Answer {
        let standing = self.standings.entry(key).or_default();
        if self.free > 0 && standing.in_use < self.places.most_of_one_key {
            standing.in_use += 1;
            self.free -= 1;
            return Answer::Enter;
        }
        // Somebody of this key has a place or waits, or others have every place: it is worth remembering, or refused.
        if standing.waiting.len() >= self.places.most_waiting_of_one_key {
            self.forget(key);
            return Answer::Full;
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        standing.waiting.insert(ticket, waiter());
        self.waiting += 1;
        if !standing.has_turn && standing.in_use < self.places.most_of_one_key {
            standing.has_turn = true;
            self.turns.push_back(key);
        }
        Answer::Wait(ticket)
    }

    /// Takes back a wish. `None` when its turn has come before: then the place is in use and must be given back.
    pub fn withdraw(&mut self, key: K, ticket: Ticket) -> Option<W> {
        let waiter = self.standings.get_mut(&key)?.waiting.remove(&ticket)?;
        self.waiting -= 1;
        self.forget(key);
        Some(waiter)
    }

    /// Gives a place back; returns whose turn it is now, and his key. He has his place already.
    pub fn leave(&mut self, key: K) -> Option<(K, W)> {
        let Entry::Occupied(mut left) = self.standings.entry(key) else { return None };
        let standing = left.get_mut();
        if standing.in_use == 0 {
            return None;
        }
        standing.in_use -= 1;
        self.free += 1;
        if !standing.waiting.is_empty() && !standing.has_turn {
            standing.has_turn = true;
            self.turns.push_back(key);
        }
        self.forget(key);
        self.serve()
    }

    /// Gives a free place to the first whose turn it is.
    fn serve(&mut self) -> Option<(K, W)> {
        while let Some(key) = self.turns.pop_front() {
            let Some(standing) = self.standings.get_mut(&key) else { continue };
            standing.has_turn = false;
            // Whoever withdrew leaves a turn that is nobody's.
            let Some((_, waiter)) = standing.waiting.pop_first() else {
                self.forget(key);
                continue;
            };
            standing.in_use += 1;
            self.free -= 1;
            self.waiting -= 1;
            if !standing.waiting.is_empty() && standing.in_use < self.places.most_of_one_key {
                standing.has_turn = true;
                self.turns.push_back(key);
            }
            return Some((key, waiter));
        }
        None
    }

    /// Forgets a key that has nothing and wants nothing.
    fn forget(&mut self, key: K) {
        if let Entry::Occupied(entry) = self.standings.entry(key) {
            let standing = entry.get();
            if standing.in_use == 0 && standing.waiting.is_empty() && !standing.has_turn {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashMap};

    use proptest::prelude::*;

    use super::*;

    fn places(all: usize, most_of_one_key: usize) -> Places {
        Places { all, most_of_one_key, most_waiting_of_one_key: 1_000 }
    }

    /// Asks for somebody who must wait.
    fn wait(queue: &mut FairQueue<char, u32>, key: char, name: u32) -> Ticket {
        match queue.ask(key, || name) {
            Answer::Wait(ticket) => ticket,
            other => panic!("{key} {name}: {other:?}"),
        }
    }

    #[test]
    fn free_places_are_given_at_once() {
        let mut queue = FairQueue::<char, u32>::new(places(2, 2));
        assert_eq!(queue.ask('a', || unreachable!()), Answer::Enter);
        assert_eq!(queue.ask('a', || unreachable!()), Answer::Enter);
        assert_eq!((queue.in_use(), queue.waiting()), (2, 0));
        assert_eq!(queue.leave('a'), None);
        assert_eq!(queue.ask('b', || unreachable!()), Answer::Enter);
    }

    #[test]
    fn keys_take_turns_and_each_keys_own_keep_their_order() {
        let mut queue = FairQueue::new(places(1, 1));
        assert_eq!(queue.ask('a', || 0), Answer::Enter);
        for name in 1..=3 {
            wait(&mut queue, 'a', name);
        }
        wait(&mut queue, 'b', 4);
        wait(&mut queue, 'c', 5);
        wait(&mut queue, 'b', 6);

        let mut served = Vec::new();
        let mut holder = 'a';
        while let Some((key, name)) = queue.leave(holder) {
            served.push((key, name));
            holder = key;
        }

        // 'a' has the place, so it has no turn before it gives it back.
        assert_eq!(served, [('b', 4), ('c', 5), ('a', 1), ('b', 6), ('a', 2), ('a', 3)]);
        assert!(queue.standings.is_empty() && queue.turns.is_empty());
    }

    #[test]
    fn one_key_never_has_the_places_that_are_kept_for_others() {
        let mut queue = FairQueue::new(places(4, 3));
        for _ in 0..3 {
            assert_eq!(queue.ask('a', || 0), Answer::Enter);
        }
        wait(&mut queue, 'a', 1);
        assert_eq!(queue.ask('b', || 0), Answer::Enter);
        assert_eq!(queue.leave('b'), None, "'a' has as many as it may");
        assert_eq!(queue.leave('a'), Some(('a', 1)));
    }

    #[test]
    fn too_many_of_one_key_are_refused_and_others_are_not() {
        let mut queue = FairQueue::new(Places { all: 1, most_of_one_key: 1, most_waiting_of_one_key: 1 });
        assert_eq!(queue.ask('a', || 0), Answer::Enter);
        let waiting = wait(&mut queue, 'a', 1);
        assert_eq!(queue.ask('a', || 2), Answer::Full);
        wait(&mut queue, 'b', 3);
        assert_eq!(queue.withdraw('a', waiting), Some(1));
        wait(&mut queue, 'a', 4);
    }

    #[test]
    fn who_withdraws_is_passed_over_and_who_was_served_cannot_withdraw() {
        let mut queue = FairQueue::new(places(1, 1));
        assert_eq!(queue.ask('a', || 0), Answer::Enter);
        let gone = wait(&mut queue, 'b', 1);
        let served = wait(&mut queue, 'c', 2);
        assert_eq!(queue.withdraw('b', gone), Some(1));
        assert_eq!(queue.withdraw('b', gone), None);
        assert_eq!(queue.leave('a'), Some(('c', 2)));
        assert_eq!(queue.withdraw('c', served), None);
        assert_eq!(queue.leave('c'), None);
        assert_eq!(queue.leave('c'), None, "what is not held cannot be given back");
        assert_eq!((queue.in_use(), queue.waiting()), (0, 0));
        assert!(queue.standings.is_empty());
    }

    #[derive(Clone, Copy, Debug)]
    enum Act {
        Ask(u8),
        /// Gives back the place of one who has it.
        Leave(usize),
        /// One who waits goes away.
        Withdraw(usize),
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let act = prop_oneof![
            4 => (0..5_u8).prop_map(Act::Ask),
            3 => (0..64_usize).prop_map(Act::Leave),
            1 => (0..64_usize).prop_map(Act::Withdraw),
        ];
        prop::collection::vec(act, 0..200)
    }

    proptest! {
        /// Whatever happens: no more places than there are, none lost, nobody waits while a place is there for him, nobody is
        /// overtaken by his own key, and every other key is served at most once before him.
        #[test]
        fn nothing_is_lost_and_everybody_has_his_turn(
            all in 1..6_usize,
            kept in 0..3_usize,
            waiting in 1..20_usize,
            acts in acts(),
        ) {
            let most = all.saturating_sub(kept).max(1);
            let mut queue =
                FairQueue::new(Places { all, most_of_one_key: most, most_waiting_of_one_key: waiting });
            let mut holders: Vec<u8> = Vec::new();
            // Who waits, and how often each other key was served since.
            let mut waits: Vec<(u8, Ticket, HashMap<u8, usize>)> = Vec::new();
            for act in acts {
                let mut served = None;
                match act {
                    Act::Ask(key) => {
                        let mine = waits.iter().filter(|(other, ..)| *other == key).count();
                        let held = holders.iter().filter(|other| **other == key).count();
                        match queue.ask(key, || ()) {
                            Answer::Enter => {
                                prop_assert!(holders.len() < all && held < most);
                                holders.push(key);
                            }
                            Answer::Wait(ticket) => {
                                prop_assert!(mine < waiting && (holders.len() == all || held == most));
                                waits.push((key, ticket, HashMap::new()));
                            }
                            Answer::Full => prop_assert_eq!(mine, waiting),
                        }
                    }
                    Act::Leave(index) if !holders.is_empty() => {
                        let key = holders.swap_remove(index % holders.len());
                        served = queue.leave(key).map(|(key, ())| key);
                    }
                    Act::Withdraw(index) if !waits.is_empty() => {
                        let (key, ticket, _) = waits.remove(index % waits.len());
                        prop_assert!(queue.withdraw(key, ticket).is_some());
                    }
                    Act::Leave(_) | Act::Withdraw(_) => {}
                }
                if let Some(key) = served {
                    holders.push(key);
                    // The first of its key.
                    let position = waits.iter().position(|(other, ..)| *other == key);
                    prop_assert!(position.is_some());
                    let (_, ticket, _) = waits.remove(position.unwrap_or_default());
                    prop_assert!(queue.withdraw(key, ticket).is_none());
                    let held = |key: u8| holders.iter().filter(|other| **other == key).count();
                    let mut firsts = BTreeSet::new();
                    for (other, _, passed) in &mut waits {
                        let is_first = firsts.insert(*other);
                        // Who may have no more, or stands behind one of his own, waits for himself.
                        if *other != key && is_first && held(*other) < most {
                            *passed.entry(key).or_default() += 1;
                            prop_assert!(passed[&key] <= 1, "{other} was passed over by {key}");
                        } else {
                            passed.clear();
                        }
                    }
                }
                prop_assert!(holders.len() <= all);
                prop_assert_eq!(queue.in_use(), holders.len());
                prop_assert_eq!(queue.waiting(), waits.len());
                for (key, ..) in &waits {
                    let held = holders.iter().filter(|other| *other == key).count();
                    prop_assert!(holders.len() == all || held == most, "{key} waits for nothing");
                }
            }
            for key in waits.iter().map(|(key, ticket, _)| (*key, *ticket)).collect::<Vec<_>>() {
                prop_assert!(queue.withdraw(key.0, key.1).is_some());
            }
            for key in holders {
                prop_assert!(queue.leave(key).is_none());
            }
            prop_assert_eq!(queue.in_use(), 0);
            prop_assert!(queue.standings.is_empty() && queue.turns.is_empty(), "something is remembered");
        }
    }
}
