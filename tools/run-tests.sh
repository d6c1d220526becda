#!/bin/sh
# Runs the Rust tests, then the Python tests, both in any case; fails if either failed. The runners'
# own summary lines come out as they print them, pytest's last.
set -u
cd "$(dirname "$0")/.."

status=0
cargo test --workspace --no-fail-fast || status=1
.venv/bin/python -m pytest || status=1
exit $status
