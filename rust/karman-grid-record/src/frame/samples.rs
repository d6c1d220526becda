//! The samples of a waveform datagram and how they are written.
//!
//! Owns the three sample formats and their bytes, little-endian throughout.

/// How each sample is written; all little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleFormat {
    /// 16-bit signed integer, scaled by the meter's `scale` in the site file.
    I16,
    /// 32-bit signed integer, scaled likewise.
    I32,
    /// IEEE 754 single.
    F32,
}

impl SampleFormat {
    /// Bytes of one sample.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::I16 => 2,
            Self::I32 | Self::F32 => 4,
        }
    }

    pub(super) const fn code(self) -> u8 {
        match self {
            Self::I16 => 1,
            Self::I32 => 2,
            Self::F32 => 3,
        }
    }

    pub(super) const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::I16),
            2 => Some(Self::I32),
            3 => Some(Self::F32),
            _ => None,
        }
    }
}

/// Samples to send, frame after frame, each frame in channel order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Samples<'a> {
    /// 16-bit integers.
    I16(&'a [i16]),
    /// 32-bit integers.
    I32(&'a [i32]),
    /// Singles, each finite.
    F32(&'a [f32]),
}

impl Samples<'_> {
    /// The format these are sent in.
    #[must_use]
    pub const fn format(&self) -> SampleFormat {
        match self {
            Self::I16(_) => SampleFormat::I16,
            Self::I32(_) => SampleFormat::I32,
            Self::F32(_) => SampleFormat::F32,
        }
    }

    /// Number of samples over all channels.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::I16(values) => values.len(),
            Self::I32(values) => values.len(),
            Self::F32(values) => values.len(),
        }
    }

    /// True without samples.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn write(&self, out: &mut [u8]) {
        match self {
            Self::I16(values) => {
                for (to, value) in out.chunks_exact_mut(2).zip(*values) {
                    to.copy_from_slice(&value.to_le_bytes());
                }
            }
            Self::I32(values) => {
                for (to, value) in out.chunks_exact_mut(4).zip(*values) {
                    to.copy_from_slice(&value.to_le_bytes());
                }
            }
            Self::F32(values) => {
                for (to, value) in out.chunks_exact_mut(4).zip(*values) {
                    to.copy_from_slice(&value.to_le_bytes());
                }
            }
        }
    }
}

pub(super) fn value(format: SampleFormat, bytes: &[u8]) -> f64 {
    match format {
        SampleFormat::I16 => i16::from_le_bytes([bytes[0], bytes[1]]).into(),
        SampleFormat::I32 => i32::from_le_bytes(four(bytes)).into(),
        SampleFormat::F32 => f32::from_le_bytes(four(bytes)).into(),
    }
}

pub(super) fn four(bytes: &[u8]) -> [u8; 4] {
    [bytes[0], bytes[1], bytes[2], bytes[3]]
}
