//! Why a waveform datagram is refused.
//!
//! Owns the error of both directions: a sender gets for its header what a receiver would say to
//! the bytes. Values are `Copy`, so that counting refusals on the sample path allocates nothing.

use std::fmt;

use super::{DATAGRAM_MAX_BYTES, MAGIC, VERSION};

/// One reason, with what was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FrameError {
    /// Fewer bytes than header and checksum take.
    TooShort {
        /// Bytes in the datagram.
        found: usize,
    },
    /// More bytes than a datagram may have.
    TooLong {
        /// Bytes in the datagram, or that it would take.
        found: usize,
    },
    /// The first four bytes are another protocol's.
    Magic {
        /// Those bytes.
        found: [u8; 4],
    },
    /// A layout version that this reader does not know.
    Version {
        /// The version byte.
        found: u8,
    },
    /// The bytes were changed on the way, or never had a checksum.
    Checksum {
        /// Checksum in the datagram.
        found: u32,
        /// Checksum of its bytes.
        expected: u32,
    },
    /// An unknown sample format.
    Format {
        /// The format byte.
        found: u8,
    },
    /// No channel.
    Channels {
        /// The channel count.
        found: u16,
    },
    /// No frame.
    Frames {
        /// The frame count.
        found: u16,
    },
    /// A reserved byte is not 0.
    Reserved {
        /// Offset of that byte.
        at: usize,
    },
    /// The meter id does not match `[a-z0-9][a-z0-9.-]{0,62}`, or its padding is not zero.
    Meter,
    /// The rate is not a finite number above 0.
    Rate {
        /// The rate.
        found: f64,
    },
    /// More than 0.5 ms of signal in more than one frame.
    Span {
        /// Frames in the datagram.
        frames: u16,
        /// Its rate.
        rate_hz: f64,
    },
    /// The index after the last frame does not fit 64 bits.
    Index {
        /// Index of the first frame.
        first_index: u64,
        /// Frames in the datagram.
        frames: u16,
    },
    /// The sample bytes are not channels × frames × sample size.
    SampleBytes {
        /// Bytes between header and checksum.
        found: usize,
        /// Bytes that the header demands.
        expected: usize,
    },
    /// The samples to send do not fill whole frames.
    Ragged {
        /// Number of samples.
        samples: usize,
        /// Channels in a frame.
        channels: u16,
    },
    /// A single that is NaN or infinite.
    NotFinite {
        /// Position of the sample, frame after frame.
        sample: usize,
    },
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { found } => {
                write!(
                    f,
                    "datagram: found {found} bytes, expected header and checksum"
                )
            }
            Self::TooLong { found } => {
                write!(
                    f,
                    "datagram: found {found} bytes, expected at most {DATAGRAM_MAX_BYTES}"
                )
            }
            Self::Magic { found } => {
                write!(f, "magic: found {found:02x?}, expected {MAGIC:02x?}")
            }
            Self::Version { found } => write!(f, "version: found {found}, expected {VERSION}"),
            Self::Checksum { found, expected } => {
                write!(f, "checksum: found {found:08x}, expected {expected:08x}")
            }
            Self::Format { found } => {
                write!(
                    f,
                    "format: found {found}, expected 1 (i16), 2 (i32) or 3 (f32)"
                )
            }
            Self::Channels { found } => write!(f, "channels: found {found}, expected 1 or more"),
            Self::Frames { found } => write!(f, "frames: found {found}, expected 1 or more"),
            Self::Reserved { at } => write!(f, "reserved byte {at}: found other than 0"),
            Self::Meter => {
                write!(
                    f,
                    "meter: expected [a-z0-9][a-z0-9.-]{{0,62}}, padded with zero bytes"
                )
            }
            Self::Rate { found } => {
                write!(
                    f,
                    "rate: found {found} Hz, expected a finite number above 0"
                )
            }
            Self::Span { frames, rate_hz } => write!(
                f,
                "frames: found {frames} at {rate_hz} Hz, expected one, or 0.5 ms of signal at most"
            ),
            Self::Index {
                first_index,
                frames,
            } => write!(
                f,
                "index: found {first_index} before {frames} frames, expected their sum in 64 bits"
            ),
            Self::SampleBytes { found, expected } => {
                write!(f, "samples: found {found} bytes, expected {expected}")
            }
            Self::Ragged { samples, channels } => {
                write!(
                    f,
                    "samples: found {samples}, expected whole frames of {channels}"
                )
            }
            Self::NotFinite { sample } => {
                write!(
                    f,
                    "sample {sample}: found NaN or infinity, expected a finite number"
                )
            }
        }
    }
}

impl std::error::Error for FrameError {}
