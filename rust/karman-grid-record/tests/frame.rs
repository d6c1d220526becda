//! The waveform datagram: layout, round trip, refusals, damage.

use std::num::NonZeroU64;

use karman_grid_record::frame::{
    self, DATAGRAM_MAX_BYTES, FrameError, FrameHeader, HEADER_BYTES, SampleFormat, Samples,
};
use proptest::prelude::*;

const HEADER: FrameHeader<'static> = FrameHeader {
    meter: "ups-a.out",
    first_index: 0x0102_0304_0506_0708,
    first_unix_ns: NonZeroU64::new(1_700_000_000_000_000_000),
    rate_hz: 4_000.0,
    channels: 3,
};

fn encoded(header: &FrameHeader<'_>, samples: Samples<'_>) -> Result<Vec<u8>, FrameError> {
    let mut out = [0xa5; DATAGRAM_MAX_BYTES];
    frame::encode(header, samples, &mut out).map(<[u8]>::to_vec)
}

/// Changes bytes and puts the checksum right again.
fn forged(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut datagram =
        encoded(&HEADER, Samples::I16(&[1, -2, 300, 4, 5, -32_768])).expect("a good frame");
    datagram[at..at + bytes.len()].copy_from_slice(bytes);
    let end = datagram.len() - 4;
    let checksum = crc32c::crc32c(&datagram[..end]);
    datagram[end..].copy_from_slice(&checksum.to_le_bytes());
    datagram
}

#[test]
fn layout_is_the_documented_one() {
    let datagram = encoded(&HEADER, Samples::I16(&[1, -2, 300, 4, 5, -32_768])).unwrap();
    let mut expected = Vec::new();
    expected.extend(b"KGWF");
    expected.extend([1, 1]);
    expected.extend([3, 0]);
    expected.extend([2, 0]);
    expected.extend([0; 6]);
    expected.extend([8, 7, 6, 5, 4, 3, 2, 1]);
    expected.extend(1_700_000_000_000_000_000_u64.to_le_bytes());
    expected.extend(4_000.0_f64.to_le_bytes());
    expected.extend(b"ups-a.out");
    expected.resize(HEADER_BYTES, 0);
    expected.extend([1, 0, 0xfe, 0xff, 0x2c, 1, 4, 0, 5, 0, 0, 0x80]);
    assert_eq!(datagram[..datagram.len() - 4], expected);
    let checksum = datagram[datagram.len() - 4..].try_into().unwrap();
    assert_eq!(u32::from_le_bytes(checksum), bitwise_crc32c(&expected));
}

/// The example of `docs/reference/waveform-frames.md`; its checksum was computed by other code.
#[test]
fn the_documented_example_is_what_is_sent() {
    let header = FrameHeader {
        first_index: 1_000,
        first_unix_ns: None,
        ..HEADER
    };
    let datagram = encoded(&header, Samples::I16(&[1, -2, 300, 4, 5, -32_768])).unwrap();
    assert_eq!(datagram.len(), 120);
    assert_eq!(datagram[16..24], [0xe8, 3, 0, 0, 0, 0, 0, 0]);
    assert_eq!(datagram[32..40], [0, 0, 0, 0, 0, 0x40, 0xaf, 0x40]);
    assert_eq!(datagram[116..], [0xbb, 0x65, 0xba, 0xb6]);
}

/// CRC-32C by its definition (reflected polynomial 82F63B78), independent of the crate in use.
fn bitwise_crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ 0x82f6_3b78
            } else {
                crc >> 1
            };
        }
    }
    !crc
}

#[test]
fn checksum_has_the_published_check_value() {
    assert_eq!(bitwise_crc32c(b"123456789"), 0xe306_9283);
}

#[test]
fn values_come_back_by_frame_and_channel() {
    let bytes = encoded(&HEADER, Samples::I16(&[1, -2, 300, 4, 5, -32_768])).unwrap();
    let datagram = frame::decode(&bytes).unwrap();
    assert_eq!(datagram.header, HEADER);
    assert_eq!((datagram.format, datagram.frames), (SampleFormat::I16, 2));
    assert_eq!(datagram.value(0, 1), Some(-2.0));
    assert_eq!(datagram.value(1, 2), Some(-32_768.0));
    assert_eq!((datagram.value(2, 0), datagram.value(0, 3)), (None, None));
    assert_eq!(datagram.next_index(), HEADER.first_index + 2);
    assert!(datagram.i32s().is_none() && datagram.f32s().is_none());
    assert_eq!(datagram.values().len(), 6);
}

#[test]
fn an_unknown_utc_is_zero_on_the_wire() {
    let header = FrameHeader {
        first_unix_ns: None,
        ..HEADER
    };
    let bytes = encoded(&header, Samples::F32(&[1.0, 2.0, 3.0])).unwrap();
    assert_eq!(bytes[24..32], [0; 8]);
    assert_eq!(frame::decode(&bytes).unwrap().header.first_unix_ns, None);
}

#[test]
fn half_a_millisecond_is_the_most_but_one_frame_always_goes() {
    let at = |rate_hz, frames: usize| {
        let header = FrameHeader {
            rate_hz,
            channels: 1,
            ..HEADER
        };
        encoded(&header, Samples::I16(&vec![0; frames])).map(|bytes| bytes.len())
    };
    assert_eq!(at(32_000.0, 16), Ok(HEADER_BYTES + 32 + 4));
    let refused = FrameError::Span {
        frames: 17,
        rate_hz: 32_000.0,
    };
    assert_eq!(at(32_000.0, 17), Err(refused));
    assert!(at(50.0, 1).is_ok());
    assert!(matches!(
        at(50.0, 2),
        Err(FrameError::Span { frames: 2, .. })
    ));
    assert_eq!(at(1e9, 646), Ok(DATAGRAM_MAX_BYTES));
    assert_eq!(
        at(1e9, 647),
        Err(FrameError::TooLong {
            found: DATAGRAM_MAX_BYTES + 2
        })
    );
}

#[test]
fn frames_max_is_what_encode_takes() {
    assert_eq!(frame::frames_max(8, SampleFormat::I16, 32_000.0), 16);
    assert_eq!(frame::frames_max(8, SampleFormat::I16, 1e6), 80);
    assert_eq!(frame::frames_max(8, SampleFormat::F32, 1e6), 40);
    assert_eq!(frame::frames_max(3, SampleFormat::I16, 1_200.0), 1);
    assert_eq!(frame::frames_max(646, SampleFormat::I16, 1e6), 1);
    assert_eq!(frame::frames_max(647, SampleFormat::I16, 1e6), 0);
    assert_eq!(frame::frames_max(0, SampleFormat::I16, 1e6), 0);
    assert_eq!(frame::frames_max(1, SampleFormat::I16, f64::NAN), 0);
}

#[test]
fn a_sender_is_refused_what_a_receiver_would_refuse() {
    let three = Samples::I16(&[1, 2, 3]);
    let with = |change: fn(&mut FrameHeader<'static>)| {
        let mut header = HEADER;
        change(&mut header);
        encoded(&header, three).unwrap_err()
    };
    assert_eq!(with(|h| h.meter = ""), FrameError::Meter);
    assert_eq!(with(|h| h.meter = "-a"), FrameError::Meter);
    assert_eq!(with(|h| h.meter = "UPS"), FrameError::Meter);
    assert_eq!(with(|h| h.meter = "a\0"), FrameError::Meter);
    assert_eq!(
        with(|h| h.meter = "a123456789a123456789a123456789a123456789a123456789a123456789abcd"),
        FrameError::Meter
    );
    assert_eq!(with(|h| h.channels = 0), FrameError::Channels { found: 0 });
    assert_eq!(
        with(|h| h.channels = 2),
        FrameError::Ragged {
            samples: 3,
            channels: 2
        }
    );
    assert_eq!(with(|h| h.rate_hz = 0.0), FrameError::Rate { found: 0.0 });
    assert!(matches!(
        with(|h| h.rate_hz = f64::NAN),
        FrameError::Rate { .. }
    ));
    assert_eq!(
        with(|h| h.first_index = u64::MAX),
        FrameError::Index {
            first_index: u64::MAX,
            frames: 1
        }
    );
    assert_eq!(
        encoded(&HEADER, Samples::I16(&[])),
        Err(FrameError::Frames { found: 0 })
    );
    let not_finite = encoded(&HEADER, Samples::F32(&[0.0, f32::NAN, 0.0]));
    assert_eq!(not_finite, Err(FrameError::NotFinite { sample: 1 }));
    assert!(
        encoded(
            &FrameHeader {
                meter: &"a".repeat(63),
                ..HEADER
            },
            three
        )
        .is_ok()
    );
}

#[test]
fn a_datagram_with_a_good_checksum_is_still_checked_field_by_field() {
    assert!(frame::decode(&forged(0, b"K")).is_ok());
    let refused = |at, bytes: &[u8]| frame::decode(&forged(at, bytes)).unwrap_err();
    assert_eq!(refused(0, b"XGWF"), FrameError::Magic { found: *b"XGWF" });
    assert_eq!(refused(4, &[2]), FrameError::Version { found: 2 });
    assert_eq!(refused(5, &[0]), FrameError::Format { found: 0 });
    assert_eq!(refused(5, &[4]), FrameError::Format { found: 4 });
    assert_eq!(
        refused(5, &[2]),
        FrameError::SampleBytes {
            found: 12,
            expected: 24
        }
    );
    assert_eq!(refused(6, &[0, 0]), FrameError::Channels { found: 0 });
    assert_eq!(
        refused(6, &[0xff, 0xff]),
        FrameError::SampleBytes {
            found: 12,
            expected: 262_140
        }
    );
    assert_eq!(refused(8, &[0, 0]), FrameError::Frames { found: 0 });
    assert_eq!(
        refused(8, &[3, 0]),
        FrameError::Span {
            frames: 3,
            rate_hz: 4_000.0
        }
    );
    assert_eq!(
        refused(8, &[1, 0]),
        FrameError::SampleBytes {
            found: 12,
            expected: 6
        }
    );
    assert_eq!(refused(15, &[1]), FrameError::Reserved { at: 15 });
    assert!(matches!(refused(16, &[0xff; 8]), FrameError::Index { .. }));
    assert!(matches!(refused(32, &[0xff; 8]), FrameError::Rate { .. }));
    assert_eq!(
        refused(32, &(-50.0_f64).to_le_bytes()),
        FrameError::Rate { found: -50.0 }
    );
    let endless = refused(32, &f64::INFINITY.to_le_bytes());
    assert!(matches!(endless, FrameError::Rate { .. }));
    assert_eq!(refused(40, &[0]), FrameError::Meter);
    assert_eq!(refused(40, b"U"), FrameError::Meter);
    assert_eq!(
        refused(60, b"x"),
        FrameError::Meter,
        "a byte inside the padding"
    );
    assert_eq!(
        refused(40, &[b'a'; 64]),
        FrameError::Meter,
        "an id without its final zero"
    );

    let mut nan = encoded(&HEADER, Samples::F32(&[1.0, 2.0, 3.0])).unwrap();
    nan[HEADER_BYTES + 8..HEADER_BYTES + 12].copy_from_slice(&f32::INFINITY.to_le_bytes());
    let end = nan.len() - 4;
    let checksum = bitwise_crc32c(&nan[..end]);
    nan[end..].copy_from_slice(&checksum.to_le_bytes());
    assert_eq!(
        frame::decode(&nan),
        Err(FrameError::NotFinite { sample: 2 })
    );
}

#[test]
fn every_single_bit_flip_and_every_cut_is_refused() {
    let whole = encoded(&HEADER, Samples::I16(&[1, -2, 300, 4, 5, -32_768])).unwrap();
    assert!(frame::decode(&whole).is_ok());
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let refused = frame::decode(&flipped);
        assert!(refused.is_err(), "bit {bit} flipped and accepted");
    }
    for end in 0..whole.len() {
        assert!(
            frame::decode(&whole[..end]).is_err(),
            "cut to {end} bytes and accepted"
        );
    }
    let mut longer = whole;
    longer.resize(DATAGRAM_MAX_BYTES + 1, 0);
    assert_eq!(
        frame::decode(&longer),
        Err(FrameError::TooLong { found: 1401 })
    );
}

#[test]
fn errors_say_what_was_found_and_expected() {
    let error = frame::decode(&forged(4, &[9])).unwrap_err();
    assert_eq!(error.to_string(), "version: found 9, expected 1");
}

#[derive(Clone, Debug)]
enum Owned {
    I16(Vec<i16>),
    I32(Vec<i32>),
    F32(Vec<f32>),
}

/// Channels, frames and samples that fit one datagram.
fn shapes() -> impl Strategy<Value = (u16, Owned)> {
    let finite = any::<f32>().prop_filter("finite", |value| value.is_finite());
    (1_u16..=20, 1_usize..=16, 0..3).prop_flat_map(move |(channels, frames, format)| {
        let count = usize::from(channels) * frames;
        let samples = match format {
            0 => prop::collection::vec(any::<i16>(), count)
                .prop_map(Owned::I16)
                .boxed(),
            1 => prop::collection::vec(any::<i32>(), count)
                .prop_map(Owned::I32)
                .boxed(),
            _ => prop::collection::vec(finite.clone(), count)
                .prop_map(Owned::F32)
                .boxed(),
        };
        (Just(channels), samples)
    })
}

proptest! {
    #[test]
    fn what_is_sent_comes_back(
        meter in "[a-z0-9][a-z0-9.-]{0,62}",
        first_index in 0..=u64::MAX - 16,
        unix_ns in any::<u64>(),
        rate_hz in 32_000.0..1e9,
        (channels, owned) in shapes(),
    ) {
        let header = FrameHeader {
            meter: &meter,
            first_index,
            first_unix_ns: NonZeroU64::new(unix_ns),
            rate_hz,
            channels,
        };
        let samples = match &owned {
            Owned::I16(values) => Samples::I16(values),
            Owned::I32(values) => Samples::I32(values),
            Owned::F32(values) => Samples::F32(values),
        };
        let bytes = encoded(&header, samples)?;
        let datagram = frame::decode(&bytes)?;
        prop_assert_eq!(datagram.header, header);
        prop_assert_eq!(datagram.format, samples.format());
        prop_assert_eq!(usize::from(datagram.frames), samples.len() / usize::from(channels));
        let widened: Vec<f64> = match &owned {
            Owned::I16(values) => {
                prop_assert_eq!(&datagram.i16s().unwrap().collect::<Vec<_>>(), values);
                values.iter().map(|value| f64::from(*value)).collect()
            }
            Owned::I32(values) => {
                prop_assert_eq!(&datagram.i32s().unwrap().collect::<Vec<_>>(), values);
                values.iter().map(|value| f64::from(*value)).collect()
            }
            Owned::F32(values) => {
                prop_assert_eq!(&datagram.f32s().unwrap().collect::<Vec<_>>(), values);
                values.iter().map(|value| f64::from(*value)).collect()
            }
        };
        prop_assert_eq!(datagram.values().collect::<Vec<_>>(), widened);
    }

    #[test]
    fn any_bytes_are_an_error_or_a_datagram(bytes in prop::collection::vec(any::<u8>(), 0..1500)) {
        prop_assert!(frame::decode(&bytes).is_err());
    }

    /// Random fields under a right checksum: whatever is accepted is encoded to the same bytes.
    #[test]
    fn what_is_accepted_has_one_spelling(
        at in 4_usize..HEADER_BYTES + 12,
        bytes in prop::collection::vec(any::<u8>(), 1..3),
    ) {
        let bytes = forged(at, &bytes[..bytes.len().min(HEADER_BYTES + 12 - at)]);
        if let Ok(datagram) = frame::decode(&bytes) {
            let values: Vec<i16> = datagram.i16s().unwrap().collect();
            prop_assert_eq!(encoded(&datagram.header, Samples::I16(&values))?, bytes);
        }
    }
}
