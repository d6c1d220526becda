//! Codecs for waveform records.
