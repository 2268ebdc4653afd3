//! Key slots with generations: a device has few slots for keys, and a handle must not outlive its
//! key.

use crate::error::Error;

/// A table of at most `capacity` keys.
#[derive(Debug)]
pub struct SlotTable<K> {
    slots: Vec<KeySlot<K>>,
    capacity: usize,
}

#[derive(Debug)]
struct KeySlot<K> {
    generation: u64,
    key: Option<K>,
}

/// The handle of one key. It becomes stale when the key is deleted or replaced.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct SlotId {
    index: usize,
    generation: u64,
}

impl<K> SlotTable<K> {
    /// Creates an empty table.
    #[must_use]
    pub const fn new(capacity: usize) -> Self {
        Self {
            slots: Vec::new(),
            capacity,
        }
    }

    /// Puts a key into a free slot and returns its handle.
    ///
    /// # Errors
    /// Returns [`Error::SlotsFull`] if there is no free slot.
    pub fn add(&mut self, key: K) -> Result<SlotId, Error> {
        let index = self.free_index()?;
        let slot = &mut self.slots[index];
        slot.key = Some(key);
        Ok(SlotId {
            index,
            generation: slot.generation,
        })
    }

    /// Returns the key of a handle.
    ///
    /// # Errors
    /// Returns [`Error::StaleSlot`] if the key was deleted or replaced.
    pub fn key(&self, id: SlotId) -> Result<&K, Error> {
        let slot = self
            .slots
            .get(id.index)
            .filter(|slot| slot.generation == id.generation);
        slot.and_then(|slot| slot.key.as_ref())
            .ok_or(Error::StaleSlot { index: id.index })
    }

    /// Returns the key of a handle, to be changed.
    ///
    /// # Errors
    /// Returns [`Error::StaleSlot`] if the key was deleted or replaced.
    pub fn key_mut(&mut self, id: SlotId) -> Result<&mut K, Error> {
        let slot = self
            .slots
            .get_mut(id.index)
            .filter(|slot| slot.generation == id.generation);
        slot.and_then(|slot| slot.key.as_mut())
            .ok_or(Error::StaleSlot { index: id.index })
    }

    /// Returns an iterator over all handles and their keys.
    pub fn iter(&self) -> impl Iterator<Item = (SlotId, &K)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| {
            let generation = slot.generation;
            slot.key
                .as_ref()
                .map(|key| (SlotId { index, generation }, key))
        })
    }

    /// Replaces the key of a handle and returns the new handle. The old handle becomes stale.
    ///
    /// # Errors
    /// Returns [`Error::StaleSlot`] if the key was deleted or replaced. Then nothing changes.
    pub fn replace(&mut self, id: SlotId, key: K) -> Result<SlotId, Error> {
        self.delete(id)?;
        let slot = &mut self.slots[id.index];
        slot.key = Some(key);
        Ok(SlotId {
            index: id.index,
            generation: slot.generation,
        })
    }

    /// Removes the key and returns it. The handle becomes stale.
    ///
    /// # Errors
    /// Returns [`Error::StaleSlot`] if the key was deleted or replaced.
    pub fn delete(&mut self, id: SlotId) -> Result<K, Error> {
        let stale = Error::StaleSlot { index: id.index };
        let slot = self.slots.get_mut(id.index).ok_or(stale)?;
        if slot.generation != id.generation {
            return Err(stale);
        }
        let key = slot.key.take().ok_or(stale)?;
        slot.generation += 1;
        Ok(key)
    }

    /// Returns the number of keys in the table.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.iter().filter(|slot| slot.key.is_some()).count()
    }

    /// Returns `true` if the table has no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn free_index(&mut self) -> Result<usize, Error> {
        if let Some(index) = self.slots.iter().position(|slot| slot.key.is_none()) {
            return Ok(index);
        }
        if self.slots.len() == self.capacity {
            return Err(Error::SlotsFull {
                capacity: self.capacity,
            });
        }
        self.slots.push(KeySlot {
            generation: 0,
            key: None,
        });
        Ok(self.slots.len() - 1)
    }
}

impl std::fmt::Display for SlotId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.index, self.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// State of a slot × event: free, taken, and a handle of an earlier generation.
    #[test]
    fn every_state_answers_every_event() {
        let mut table = SlotTable::new(1);
        let first = table.add("a").unwrap();
        assert_eq!(table.add("b"), Err(Error::SlotsFull { capacity: 1 }));
        assert_eq!(table.key(first), Ok(&"a"));

        let second = table.replace(first, "b").unwrap();
        let stale = Error::StaleSlot { index: 0 };
        assert_eq!(table.key(first), Err(stale));
        assert_eq!(table.replace(first, "c"), Err(stale));
        assert_eq!(table.delete(first), Err(stale));
        assert_eq!(
            table.key(second),
            Ok(&"b"),
            "a refused replace changes nothing"
        );

        assert_eq!(table.delete(second), Ok("b"));
        assert!(table.is_empty());
        assert_eq!(table.delete(second), Err(stale));
        assert_eq!(table.replace(second, "d"), Err(stale));
        let third = table.add("e").unwrap();
        assert_ne!(third, second, "a slot used again has another handle");
    }
}
