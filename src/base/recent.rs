//! A map of bounded size: when it is full, the entry that was written longest ago goes.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
};

/// The entries that were written last, at most as many as [`Recent::new`] says.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    most: usize,
    entries: HashMap<K, (u64, V)>,
    /// The keys by the number of their last write.
    order: BTreeMap<u64, K>,
    writes: u64,
}

impl<K: Clone + Eq + Hash, V> Recent<K, V> {
    /// An empty map for `most` entries.
    pub(crate) fn new(most: usize) -> Recent<K, V> {
        Recent { most, entries: HashMap::new(), order: BTreeMap::new(), writes: 0 }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|(_, value)| value)
    }

    /// Writes an entry. It is the newest now.
    pub(crate) fn put(&mut self, key: K, value: V) {
        self.writes += 1;
        self.order.insert(self.writes, key.clone());
        if let Some((write, _)) = self.entries.insert(key, (self.writes, value)) {
            self.order.remove(&write);
        }
        if self.entries.len() > self.most
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.entries.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_first() {
        let mut recent = Recent::new(2);
        recent.put("a", 1);
        recent.put("b", 2);
        recent.put("a", 3);
        recent.put("c", 4);
        assert_eq!((recent.get(&"a"), recent.get(&"b"), recent.get(&"c")), (Some(&3), None, Some(&4)));
        (0..1_000).for_each(|number| recent.put("a", number));
        assert_eq!((recent.entries.len(), recent.order.len()), (2, 2));
    }
}
