//! Indices into a [`crate::topology::Topology`]: cheap, typed, in file order. Records that leave
//! the core carry the ids, never these positions.

use serde::{Deserialize, Serialize};

macro_rules! index {
    ($name:ident, $what:literal) => {
        #[doc = concat!("Position of ", $what, " in file order.")]
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        pub struct $name(pub u32);

        impl $name {
            /// As an index into a slice.
            pub fn at(self) -> usize {
                self.0 as usize
            }

            /// From a position in a slice.
            pub fn of(position: usize) -> $name {
                $name(position as u32)
            }
        }
    };
}

index!(ElementIx, "an element");
index!(RackIx, "a rack");
index!(HostIx, "a host (one server and its agent)");
index!(DeviceIx, "a controllable device");
index!(MeterIx, "a meter");
index!(ContingencyIx, "a contingency");

/// Whether `id` follows the rule for ids: `[a-z0-9][a-z0-9.-]{0,62}`.
pub fn is_valid_id(id: &str) -> bool {
    let bytes = id.as_bytes();
    let word = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (1..=63).contains(&bytes.len())
        && word(&bytes[0])
        && bytes.iter().all(|b| word(b) || *b == b'.' || *b == b'-')
}
