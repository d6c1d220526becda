#!/bin/sh
# Builds the Rust core (release) and installs karman-grid, and every adapter, from this checkout
# into .venv as editable packages: Python edits act at once, Rust edits after the next run of this.
set -eu
cd "$(dirname "$0")/.."
python=$(pwd -P)/.venv/bin/python

set -- -e .
for manifest in adapters/*/pyproject.toml; do
  if [ -f "$manifest" ]; then set -- "$@" -e "${manifest%/pyproject.toml}"; fi
done
echo "setup: building the Rust core and installing karman-grid"
if "$python" -m uv --version >/dev/null 2>&1; then
  "$python" -m uv pip install --quiet -p "$python" -c requirements.lock --no-build-isolation "$@"
else
  "$python" -m pip install --quiet --disable-pip-version-check -c requirements.lock \
    --no-build-isolation "$@"
fi
