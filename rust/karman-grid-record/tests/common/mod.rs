//! Where the tests find waveform records that others made.
#![expect(clippy::disallowed_methods, reason = "tests read records from files")]

use std::path::PathBuf;

/// The two files of a record, or `None` with the reason on stderr where the data are not here.
pub fn record(name: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let root = std::env::var_os("KARMAN_GRID_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let folder = root.join("waveforms");
    if !folder.is_dir() {
        eprintln!(
            "skipped: no folder {} (set KARMAN_GRID_DATA)",
            folder.display()
        );
        return None;
    }
    let read = |end: &str| {
        let path = folder.join(format!("{name}.{end}"));
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    Some((read("cfg"), read("dat")))
}
