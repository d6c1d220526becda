//! Codecs for waveform records: bytes in, values out.
//!
//! Owns the COMTRADE reader ([`comtrade`]) and the UDP waveform frame ([`frame`]). Both are pure:
//! no files, sockets, clocks or threads, and no state between calls, so a caller may use them from
//! any thread. They import no other crate of the workspace. Damaged input is a typed error or a
//! note beside the values that could be read; it never panics.

pub mod comtrade;
pub mod frame;
