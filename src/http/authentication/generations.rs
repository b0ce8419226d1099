//! A map that forgets: bounded without scanning.

use std::{collections::HashMap, hash::Hash, mem};

/// A map in two generations of at most `limit` entries each. When the young one is full the old one is dropped whole and
/// they move on, so an insert costs the same always and an entry outlives at least `limit` others.
pub(in crate::http) struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    limit: usize,
}

impl<K: Eq + Hash, V> Generations<K, V> {
    /// An empty map of at most twice `limit` entries.
    pub(in crate::http) fn new(limit: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), limit }
    }

    /// The value, unless it was never there or has been forgotten.
    pub(in crate::http) fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    /// The key as it is remembered, which may know more than what it is found by.
    pub(in crate::http) fn get_key<Q>(&self, key: &Q) -> Option<&K>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.young.get_key_value(key).or_else(|| self.old.get_key_value(key)).map(|(key, _)| key)
    }

    /// Remembers the value in place of an earlier one.
    pub(in crate::http) fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.limit && !self.young.contains_key(&key) {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    /// Forgets the value.
    pub(in crate::http) fn remove<Q>(&mut self, key: &Q)
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.young.remove(key);
        self.old.remove(key);
    }

    #[cfg(test)]
    pub(in crate::http) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_holds_more_than_twice_its_limit_and_keeps_the_latest() {
        let mut map = Generations::new(10);

        for key in 0..1_000 {
            map.insert(key, key);
            assert!(map.len() <= 20);
            for recent in (key - 9).max(0)..=key {
                assert_eq!(map.get(&recent), Some(&recent));
            }
        }
        assert_eq!(map.get(&0), None);
    }

    #[test]
    fn a_later_value_replaces_an_earlier_one_of_either_generation() {
        let mut map = Generations::new(1);
        map.insert("a", 1);
        map.insert("b", 1);
        map.insert("a", 2);

        assert_eq!(map.get("a"), Some(&2));
    }
}
