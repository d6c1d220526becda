//! The waveform frame: one UDP datagram of samples from a meter to the controller.
//!
//! Owns the byte layout (`docs/reference/waveform-frames.md`), [`encode`] and [`decode`]. Neither
//! allocates, so both fit the sample path. A datagram is taken whole or refused whole: every byte
//! is under the CRC-32C, every field is checked, and what a sender may not send is not encoded.

mod error;
mod samples;

pub use error::FrameError;
pub use samples::{SampleFormat, Samples};

use std::num::NonZeroU64;

use samples::{four, value};

/// First four bytes of every datagram.
pub const MAGIC: [u8; 4] = *b"KGWF";
/// Version of the layout.
pub const VERSION: u8 = 1;
/// Largest datagram, so that it passes an Ethernet path unfragmented with room for tunnels.
pub const DATAGRAM_MAX_BYTES: usize = 1400;
/// Longest meter id, in bytes.
pub const METER_MAX_BYTES: usize = 63;
/// Bytes before the samples.
pub const HEADER_BYTES: usize = 104;
/// Bytes of the checksum after the samples.
pub const CHECKSUM_BYTES: usize = 4;
/// Bytes that the samples of one datagram may take.
pub const SAMPLES_MAX_BYTES: usize = DATAGRAM_MAX_BYTES - HEADER_BYTES - CHECKSUM_BYTES;

/// A datagram holds at most 0.5 ms of signal: 1 / 2,000 s. More frames at once would add to the
/// age of the oldest one before anything is decided.
const DATAGRAMS_MIN_PER_S: f64 = 2_000.0;

const METER_FIELD_BYTES: usize = METER_MAX_BYTES + 1;
const AT_VERSION: usize = 4;
const AT_FORMAT: usize = 5;
const AT_CHANNELS: usize = 6;
const AT_FRAMES: usize = 8;
const AT_RESERVED: usize = 10;
const AT_INDEX: usize = 16;
const AT_UNIX: usize = 24;
const AT_RATE: usize = 32;
const AT_METER: usize = 40;

/// What a datagram says about its samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrameHeader<'a> {
    /// Id of the meter, `[a-z0-9][a-z0-9.-]{0,62}`.
    pub meter: &'a str,
    /// Absolute index of the first frame since the meter started: a gap to the last datagram's
    /// end is loss, a fall is a restart or a reordered datagram.
    pub first_index: u64,
    /// UTC of the first frame; `None` where the meter does not know it.
    pub first_unix_ns: Option<NonZeroU64>,
    /// Frames per second: finite, above 0.
    pub rate_hz: f64,
    /// Samples in a frame, one a channel.
    pub channels: u16,
}

/// A datagram that passed every check; borrows its bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Datagram<'a> {
    /// What the datagram says about its samples.
    pub header: FrameHeader<'a>,
    /// How the samples are written.
    pub format: SampleFormat,
    /// Number of frames, at least 1.
    pub frames: u16,
    samples: &'a [u8],
}

impl<'a> Datagram<'a> {
    /// The samples as numbers, frame after frame, not scaled. Exact for every format.
    pub fn values(&self) -> impl ExactSizeIterator<Item = f64> + 'a {
        let format = self.format;
        self.samples
            .chunks_exact(format.bytes())
            .map(move |bytes| value(format, bytes))
    }

    /// One sample, not scaled; `None` outside the datagram.
    #[must_use]
    pub fn value(&self, frame: usize, channel: usize) -> Option<f64> {
        let channels = usize::from(self.header.channels);
        if frame >= usize::from(self.frames) || channel >= channels {
            return None;
        }
        let at = (frame * channels + channel) * self.format.bytes();
        Some(value(
            self.format,
            &self.samples[at..at + self.format.bytes()],
        ))
    }

    /// The samples as sent, if they are 16-bit integers.
    #[must_use]
    pub fn i16s(&self) -> Option<impl ExactSizeIterator<Item = i16> + 'a> {
        (self.format == SampleFormat::I16).then(|| {
            self.samples
                .chunks_exact(2)
                .map(|bytes| i16::from_le_bytes([bytes[0], bytes[1]]))
        })
    }

    /// The samples as sent, if they are 32-bit integers.
    #[must_use]
    pub fn i32s(&self) -> Option<impl ExactSizeIterator<Item = i32> + 'a> {
        (self.format == SampleFormat::I32).then(|| {
            self.samples
                .chunks_exact(4)
                .map(|bytes| i32::from_le_bytes(four(bytes)))
        })
    }

    /// The samples as sent, if they are singles.
    #[must_use]
    pub fn f32s(&self) -> Option<impl ExactSizeIterator<Item = f32> + 'a> {
        (self.format == SampleFormat::F32).then(|| {
            self.samples
                .chunks_exact(4)
                .map(|bytes| f32::from_le_bytes(four(bytes)))
        })
    }

    /// Index that the meter's next datagram starts with, if none is lost.
    #[must_use]
    pub const fn next_index(&self) -> u64 {
        // Cannot overflow: `decode` refuses a datagram whose last index does not fit.
        self.header.first_index + self.frames as u64
    }
}

fn eight(bytes: &[u8], at: usize) -> [u8; 8] {
    let mut out = [0; 8];
    out.copy_from_slice(&bytes[at..at + 8]);
    out
}

/// Most frames that one datagram may carry; 0 where not even one fits or `rate_hz` is not a rate.
#[must_use]
pub fn frames_max(channels: u16, format: SampleFormat, rate_hz: f64) -> u16 {
    let frame_bytes = usize::from(channels) * format.bytes();
    if frame_bytes == 0 || !is_rate(rate_hz) {
        return 0;
    }
    let fits = SAMPLES_MAX_BYTES / frame_bytes;
    let timely = (rate_hz / DATAGRAMS_MIN_PER_S).max(1.0);
    // The cast saturates, and `fits` is at most 646.
    fits.min(timely as usize) as u16
}

/// Writes one datagram into `out` and returns the bytes to send.
///
/// # Errors
/// A [`FrameError`] naming the field that a receiver would refuse; `out` is then not to be sent.
pub fn encode<'o>(
    header: &FrameHeader<'_>,
    samples: Samples<'_>,
    out: &'o mut [u8; DATAGRAM_MAX_BYTES],
) -> Result<&'o [u8], FrameError> {
    let format = samples.format();
    if header.channels == 0 {
        return Err(FrameError::Channels { found: 0 });
    }
    let channels = usize::from(header.channels);
    if !samples.len().is_multiple_of(channels) {
        return Err(FrameError::Ragged {
            samples: samples.len(),
            channels: header.channels,
        });
    }
    let total = HEADER_BYTES + samples.len() * format.bytes() + CHECKSUM_BYTES;
    if total > DATAGRAM_MAX_BYTES {
        return Err(FrameError::TooLong { found: total });
    }
    let frames = samples.len() / channels;
    let frames = u16::try_from(frames).map_err(|_| FrameError::TooLong { found: total })?;
    check_header(header, frames)?;
    if let Samples::F32(values) = samples
        && let Some(sample) = values.iter().position(|value| !value.is_finite())
    {
        return Err(FrameError::NotFinite { sample });
    }

    let body_end = total - CHECKSUM_BYTES;
    out[..AT_VERSION].copy_from_slice(&MAGIC);
    out[AT_VERSION] = VERSION;
    out[AT_FORMAT] = format.code();
    out[AT_CHANNELS..AT_FRAMES].copy_from_slice(&header.channels.to_le_bytes());
    out[AT_FRAMES..AT_RESERVED].copy_from_slice(&frames.to_le_bytes());
    out[AT_RESERVED..AT_INDEX].fill(0);
    out[AT_INDEX..AT_UNIX].copy_from_slice(&header.first_index.to_le_bytes());
    let unix_ns = header.first_unix_ns.map_or(0, NonZeroU64::get);
    out[AT_UNIX..AT_RATE].copy_from_slice(&unix_ns.to_le_bytes());
    out[AT_RATE..AT_METER].copy_from_slice(&header.rate_hz.to_le_bytes());
    let meter = header.meter.as_bytes();
    out[AT_METER..AT_METER + meter.len()].copy_from_slice(meter);
    out[AT_METER + meter.len()..HEADER_BYTES].fill(0);
    samples.write(&mut out[HEADER_BYTES..body_end]);
    let checksum = crc32c::crc32c(&out[..body_end]);
    out[body_end..total].copy_from_slice(&checksum.to_le_bytes());
    Ok(&out[..total])
}

/// Reads one datagram. The checks run from "not ours" to "ours but wrong", so that the error says
/// which of the two it was.
///
/// # Errors
/// A [`FrameError`] naming what was found and what was expected.
pub fn decode(datagram: &[u8]) -> Result<Datagram<'_>, FrameError> {
    if datagram.len() < HEADER_BYTES + CHECKSUM_BYTES {
        return Err(FrameError::TooShort {
            found: datagram.len(),
        });
    }
    if datagram.len() > DATAGRAM_MAX_BYTES {
        return Err(FrameError::TooLong {
            found: datagram.len(),
        });
    }
    let magic = four(datagram);
    if magic != MAGIC {
        return Err(FrameError::Magic { found: magic });
    }
    // Before the checksum: another version may keep its checksum elsewhere.
    if datagram[AT_VERSION] != VERSION {
        return Err(FrameError::Version {
            found: datagram[AT_VERSION],
        });
    }
    let (body, checksum) = datagram.split_at(datagram.len() - CHECKSUM_BYTES);
    let (found, expected) = (u32::from_le_bytes(four(checksum)), crc32c::crc32c(body));
    if found != expected {
        return Err(FrameError::Checksum { found, expected });
    }
    let code = body[AT_FORMAT];
    let format = SampleFormat::from_code(code).ok_or(FrameError::Format { found: code })?;
    let channels = u16::from_le_bytes([body[AT_CHANNELS], body[AT_CHANNELS + 1]]);
    let frames = u16::from_le_bytes([body[AT_FRAMES], body[AT_FRAMES + 1]]);
    if let Some(at) = body[AT_RESERVED..AT_INDEX]
        .iter()
        .position(|byte| *byte != 0)
    {
        return Err(FrameError::Reserved {
            at: AT_RESERVED + at,
        });
    }
    let header = FrameHeader {
        meter: meter_id(&body[AT_METER..AT_METER + METER_FIELD_BYTES])?,
        first_index: u64::from_le_bytes(eight(body, AT_INDEX)),
        first_unix_ns: NonZeroU64::new(u64::from_le_bytes(eight(body, AT_UNIX))),
        rate_hz: f64::from_le_bytes(eight(body, AT_RATE)),
        channels,
    };
    check_header(&header, frames)?;
    let samples = &body[HEADER_BYTES..];
    let expected = usize::from(channels) * usize::from(frames) * format.bytes();
    if samples.len() != expected {
        return Err(FrameError::SampleBytes {
            found: samples.len(),
            expected,
        });
    }
    if format == SampleFormat::F32 {
        let mut values = samples
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes(four(bytes)));
        if let Some(sample) = values.position(|value| !value.is_finite()) {
            return Err(FrameError::NotFinite { sample });
        }
    }
    Ok(Datagram {
        header,
        format,
        frames,
        samples,
    })
}

fn is_rate(rate_hz: f64) -> bool {
    rate_hz.is_finite() && rate_hz > 0.0
}

fn check_header(header: &FrameHeader<'_>, frames: u16) -> Result<(), FrameError> {
    if header.channels == 0 {
        return Err(FrameError::Channels { found: 0 });
    }
    if frames == 0 {
        return Err(FrameError::Frames { found: 0 });
    }
    if !is_meter_id(header.meter.as_bytes()) {
        return Err(FrameError::Meter);
    }
    if !is_rate(header.rate_hz) {
        return Err(FrameError::Rate {
            found: header.rate_hz,
        });
    }
    if frames > 1 && f64::from(frames) * DATAGRAMS_MIN_PER_S > header.rate_hz {
        return Err(FrameError::Span {
            frames,
            rate_hz: header.rate_hz,
        });
    }
    if header.first_index.checked_add(frames.into()).is_none() {
        return Err(FrameError::Index {
            first_index: header.first_index,
            frames,
        });
    }
    Ok(())
}

fn is_meter_id(id: &[u8]) -> bool {
    let inner = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-');
    let first = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9');
    id.len() <= METER_MAX_BYTES && id.first().is_some_and(first) && id.iter().all(inner)
}

/// The id without its padding; a byte after the first zero makes it invalid, so that one id has
/// one spelling.
fn meter_id(field: &[u8]) -> Result<&str, FrameError> {
    let length = field
        .iter()
        .position(|byte| *byte == 0)
        .ok_or(FrameError::Meter)?;
    let (id, padding) = field.split_at(length);
    if padding.iter().any(|byte| *byte != 0) {
        return Err(FrameError::Meter);
    }
    std::str::from_utf8(id).map_err(|_| FrameError::Meter)
}
