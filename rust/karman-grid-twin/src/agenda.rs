//! What will happen and when: messages on their way, writes in a driver, looks at the clock.
//!
//! Owns the order of simultaneous things: that in which they were foreseen.

use crate::scenario::EventKind;
use karman_grid_core::command::{FromAgent, ToAgent};
use karman_grid_core::ids::{DeviceIx, HostIx};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Something that will happen.
#[derive(Clone, Debug)]
pub(crate) enum Due {
    /// A message reaches an agent.
    ToAgent(HostIx, ToAgent),
    /// A message reaches the controller.
    FromAgent(FromAgent),
    /// A driver answers, or its time is up.
    Written(DeviceIx),
    /// An agent looks at its clock.
    Poll(HostIx),
    /// Something was done to the plant; only the record waits for its turn.
    Done {
        kind: EventKind,
        devices: Vec<DeviceIx>,
        duration_ns: Option<u64>,
    },
}

/// What will happen, in order of time; ties in the order in which they were foreseen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Agenda {
    heap: BinaryHeap<Reverse<Entry>>,
    count: u64,
}

#[derive(Clone, Debug)]
struct Entry {
    at_ns: u64,
    order: u64,
    due: Due,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        (self.at_ns, self.order) == (other.at_ns, other.order)
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> std::cmp::Ordering {
        (self.at_ns, self.order).cmp(&(other.at_ns, other.order))
    }
}

impl Agenda {
    pub(crate) fn push(&mut self, at_ns: u64, due: Due) {
        self.heap.push(Reverse(Entry {
            at_ns,
            order: self.count,
            due,
        }));
        self.count += 1;
    }

    /// The next one, if it lies at or before `until_ns`.
    pub(crate) fn pop(&mut self, until_ns: u64) -> Option<(u64, Due)> {
        if self.heap.peek()?.0.at_ns > until_ns {
            return None;
        }
        self.heap
            .pop()
            .map(|Reverse(entry)| (entry.at_ns, entry.due))
    }
}
