//! A ring of fixed size, read by distance from the newest entry. Owns nothing but its slots;
//! allocates once, never in use.

/// Ring of at least `span` entries that forgets the oldest.
#[derive(Clone, Debug)]
pub struct Ring<T> {
    slots: Vec<T>,
    next: usize,
}

impl<T: Copy + Default> Ring<T> {
    /// A ring filled with default values; `back` reaches `span` entries.
    pub fn with_span(span: usize) -> Ring<T> {
        // A power of two turns the wrap into a mask.
        let slots = vec![T::default(); span.max(1).next_power_of_two()];
        Ring { slots, next: 0 }
    }

    /// Entry put `distance` puts ago; 1 is the newest. Beyond the span it wraps.
    #[inline(always)]
    pub fn back(&self, distance: usize) -> T {
        let mask = self.slots.len() - 1;
        self.slots[self.next.wrapping_sub(distance) & mask]
    }

    /// Appends, forgetting the oldest.
    #[inline(always)]
    pub fn put(&mut self, value: T) {
        let mask = self.slots.len() - 1;
        self.slots[self.next & mask] = value;
        self.next = self.next.wrapping_add(1);
    }

    /// Sets every slot to `value`.
    pub fn fill(&mut self, value: T) {
        self.slots.fill(value);
    }
}

#[cfg(test)]
mod tests {
    use super::Ring;

    #[test]
    fn back_counts_from_the_newest() {
        let mut ring = Ring::with_span(3);
        for value in 1..=9 {
            ring.put(value);
        }
        assert_eq!(
            [ring.back(1), ring.back(2), ring.back(3), ring.back(4)],
            [9, 8, 7, 6]
        );
        ring.fill(0);
        assert_eq!(ring.back(1), 0);
    }
}
