//! Decides who may draw how many watts right now: pure, no clock, no I/O.
