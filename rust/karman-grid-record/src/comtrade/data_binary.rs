//! Binary data files: BINARY (i16), BINARY32 (i32) and FLOAT32, all little-endian.
//!
//! Owns the fixed-size sample: u32 number, u32 time stamp, one value an analog channel, one u16
//! for each sixteen digital channels (first channel in the lowest bit). A file that does not end
//! on a whole sample was cut; the whole samples are the record.

use super::config::{Config, DataFormat};
use super::defect::{Defect, DefectKind, Place, RecordFile};
use super::{Data, Stamp, fields, note_sequence};

/// Bytes of number and time stamp.
const HEAD_BYTES: usize = 8;
/// Time stamp that marks a missing one.
const STAMP_MISSING: u32 = u32::MAX;
/// Samples moved per pass over the channels: the block stays in the first-level cache while its
/// channels are gathered one after the other.
const BLOCK_SAMPLES: usize = 64;

pub(super) fn read(config: &Config, dat: &[u8], notes: &mut Vec<Defect>) -> Result<Data, Defect> {
    let value_bytes = if config.format == DataFormat::Binary {
        2
    } else {
        4
    };
    let words = config.digital_words();
    let sample_bytes = HEAD_BYTES + config.analog.len() * value_bytes + 2 * words;
    let count = whole_samples(config, dat, sample_bytes, notes);
    let body = &dat[..count * sample_bytes];

    let samples = match config.format {
        DataFormat::Binary => gather(config, body, sample_bytes, count, |bytes| {
            let stored = i16::from_le_bytes(bytes);
            (f64::from(stored), stored == i16::MIN)
        }),
        DataFormat::Binary32 => gather(config, body, sample_bytes, count, |bytes| {
            let stored = i32::from_le_bytes(bytes);
            (f64::from(stored), stored == i32::MIN)
        }),
        // A float has no integer mark: what is not finite is missing.
        _ => gather(config, body, sample_bytes, count, |bytes| {
            let stored = f32::from_le_bytes(bytes);
            (f64::from(stored), !stored.is_finite())
        }),
    };
    let digital_words = body
        .chunks_exact(sample_bytes)
        .flat_map(|sample| sample[sample_bytes - 2 * words..].chunks_exact(2))
        .map(|word| u16::from_le_bytes([word[0], word[1]]))
        .collect();
    check_sequence(body, sample_bytes, notes);
    let stamps = (!config.has_rates()).then(|| stamps(body, sample_bytes));
    Ok(Data {
        count,
        samples,
        digital_words,
        stamps,
    })
}

/// Number of samples to read; notes what is cut or left over.
fn whole_samples(
    config: &Config,
    dat: &[u8],
    sample_bytes: usize,
    notes: &mut Vec<Defect>,
) -> usize {
    let whole = dat.len() / sample_bytes;
    let count = config
        .declared_samples()
        .map_or(whole, |declared| declared.min(whole));
    let rest = &dat[count * sample_bytes..];
    let at_end = Place::Byte(count * sample_bytes);
    let mut note = |kind, found: String, expected: String| {
        notes.push(Defect::new(
            kind,
            RecordFile::Dat,
            at_end,
            &found,
            &expected,
        ));
    };
    match config.declared_samples() {
        Some(declared) if declared > count => note(
            DefectKind::Truncated,
            format!("{count} whole samples and {} bytes", rest.len()),
            format!("{declared} samples of {sample_bytes} bytes"),
        ),
        _ if !rest.is_empty() && rest != [fields::END_OF_FILE] => note(
            DefectKind::Surplus,
            format!("{} more bytes", rest.len()),
            format!("the end of the file after {count} samples of {sample_bytes} bytes"),
        ),
        _ => {}
    }
    count
}

/// Collects every channel's values; `decode` gives a stored value and whether its bits are the
/// format's mark for a missing one.
fn gather<const BYTES: usize>(
    config: &Config,
    body: &[u8],
    sample_bytes: usize,
    count: usize,
    decode: impl Fn([u8; BYTES]) -> (f64, bool) + Copy,
) -> Vec<Vec<f64>> {
    let mut samples: Vec<Vec<f64>> = config
        .analog
        .iter()
        .map(|_| Vec::with_capacity(count))
        .collect();
    for block in body.chunks(BLOCK_SAMPLES * sample_bytes) {
        for (at, (values, channel)) in samples.iter_mut().zip(&config.analog).enumerate() {
            let offset = HEAD_BYTES + at * BYTES;
            let (a, b) = (channel.a, channel.b);
            // Some recorders use the whole range, and declare it: then the mark is a value.
            let range_min = channel.stored_min.unwrap_or(0.0);
            values.extend(block.chunks_exact(sample_bytes).map(|sample| {
                let mut bytes = [0; BYTES];
                bytes.copy_from_slice(&sample[offset..offset + BYTES]);
                let (stored, marked) = decode(bytes);
                let missing = marked && !(stored.is_finite() && stored >= range_min);
                if missing { f64::NAN } else { a * stored + b }
            }));
        }
    }
    samples
}

fn head(sample: &[u8]) -> (u32, u32) {
    let number = u32::from_le_bytes([sample[0], sample[1], sample[2], sample[3]]);
    (
        number,
        u32::from_le_bytes([sample[4], sample[5], sample[6], sample[7]]),
    )
}

fn check_sequence(body: &[u8], sample_bytes: usize, notes: &mut Vec<Defect>) {
    let mut next: Option<u32> = None;
    let mut breaks = 0;
    let mut first = None;
    for (at, sample) in body.chunks_exact(sample_bytes).enumerate() {
        let (number, _) = head(sample);
        if let Some(expected) = next.filter(|expected| *expected != number) {
            breaks += 1;
            first.get_or_insert((at * sample_bytes, number, expected));
        }
        next = Some(number.wrapping_add(1));
    }
    if let Some((byte, found, expected)) = first {
        note_sequence(
            notes,
            Place::Byte(byte),
            breaks,
            found.to_string(),
            expected.into(),
        );
    }
}

/// A stamp is 32 bits of ticks, which nanoseconds overrun after 4.3 s: where it falls, one turn
/// is added.
fn stamps(body: &[u8], sample_bytes: usize) -> Vec<Stamp> {
    const TURN: f64 = 4_294_967_296.0;
    let mut turns = 0.0;
    let mut before = 0;
    let ticks = body
        .chunks_exact(sample_bytes)
        .enumerate()
        .map(|(at, sample)| {
            let (_, stamp) = head(sample);
            let place = Place::Byte(at * sample_bytes + 4);
            if stamp == STAMP_MISSING {
                return Stamp {
                    ticks: f64::NAN,
                    place,
                };
            }
            if stamp < before {
                turns += TURN;
            }
            before = stamp;
            Stamp {
                ticks: turns + f64::from(stamp),
                place,
            }
        });
    ticks.collect()
}
