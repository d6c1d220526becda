//! The only crate with PyO3: handles, conversions, errors, the OS clock.
