//! Lines, fields and numbers of COMTRADE text, on bytes.
//!
//! Owns the cutting of text. It works on bytes because many recorders write names in a local
//! encoding; a comma or line end never occurs inside a double-byte character of GBK, Big5 or
//! EUC, so cutting first and decoding the pieces afterwards is safe.

/// Ctrl-Z, which older recorders leave at the end of a text file.
pub(super) const END_OF_FILE: u8 = 0x1a;

/// Integers up to this magnitude are exact in an f64.
const EXACT_INTEGER_DIGITS: usize = 15;

/// Splits off the next line without its end; `None` at the end of the text.
pub(super) fn take_line<'a>(text: &mut &'a [u8]) -> Option<&'a [u8]> {
    if text.is_empty() {
        return None;
    }
    let (line, rest) = match text.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (*text, &text[text.len()..]),
    };
    *text = rest;
    Some(line.strip_suffix(b"\r").unwrap_or(line))
}

/// True where nothing but white space and end-of-file marks is left.
pub(super) fn is_blank(text: &[u8]) -> bool {
    text.iter()
        .all(|byte| byte.is_ascii_whitespace() || *byte == END_OF_FILE)
}

/// Comma-separated fields without surrounding white space.
pub(super) fn split(line: &[u8]) -> Vec<&[u8]> {
    line.split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .collect()
}

/// Text of a field, undecodable bytes replaced.
pub(super) fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(field).into_owned()
}

/// A finite number, or `None`.
pub(super) fn finite(field: &[u8]) -> Option<f64> {
    number(field).filter(|value| value.is_finite())
}

/// A number as written; infinite where it is out of range. Plain integers, which is nearly every
/// value of an ASCII record, take the short way and are exact.
pub(super) fn number(field: &[u8]) -> Option<f64> {
    let field = field.trim_ascii();
    let (negative, digits) = match field.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        Some(_) => (false, field),
        None => return None,
    };
    if !digits.is_empty() && digits.len() <= EXACT_INTEGER_DIGITS {
        let mut magnitude = 0_i64;
        let mut plain = true;
        for digit in digits {
            plain &= digit.is_ascii_digit();
            magnitude = magnitude * 10 + i64::from(digit & 0x0f);
        }
        if plain {
            return Some((if negative { -magnitude } else { magnitude }) as f64);
        }
    }
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// A count such as `15` or, with `suffix` A, `15A`.
pub(super) fn count(field: &[u8], suffix: Option<u8>) -> Option<usize> {
    let digits = match (suffix, field.split_last()) {
        (Some(letter), Some((last, rest))) if last.eq_ignore_ascii_case(&letter) => rest,
        (Some(_), _) => return None,
        (None, _) => field,
    };
    let digits = digits.trim_ascii();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Nanoseconds of the day in `hh:mm:ss.fraction`, and the number of digits in the fraction.
pub(super) fn time_of_day_ns(field: &[u8]) -> Option<(u64, usize)> {
    let mut parts = field.split(|byte| *byte == b':');
    let hours = count(parts.next()?, None).filter(|value| *value < 24)? as u64;
    let minutes = count(parts.next()?, None).filter(|value| *value < 60)? as u64;
    let seconds_field = parts.next()?;
    if parts.next().is_some() {
        return None;
    }
    let mut halves = seconds_field.splitn(2, |byte| *byte == b'.');
    // 60: a leap second.
    let seconds = count(halves.next()?, None).filter(|value| *value <= 60)? as u64;
    let fraction = halves.next().unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut nanos = 0_u64;
    for place in 0..9 {
        let digit = fraction.get(place).map_or(0, |byte| u64::from(byte & 0x0f));
        nanos = nanos * 10 + digit;
    }
    let whole = (hours * 60 + minutes) * 60 + seconds;
    Some((whole * 1_000_000_000 + nanos, fraction.len()))
}
