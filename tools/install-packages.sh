#!/bin/sh
# Installs the pinned packages of requirements.lock into .venv: by uv where it can be had (several
# times faster), by pip otherwise.
set -eu
cd "$(dirname "$0")/.."
python=$(pwd -P)/.venv/bin/python

if ! "$python" -m uv --version >/dev/null 2>&1; then
  "$python" -m pip install --quiet --disable-pip-version-check 'uv>=0.13,<1' ||
    echo "setup: uv cannot be installed here; going on with pip" >&2
fi
echo "setup: installing the packages of requirements.lock"
if "$python" -m uv --version >/dev/null 2>&1; then
  "$python" -m uv pip install --quiet -p "$python" -r requirements.lock
else
  "$python" -m pip install --quiet --disable-pip-version-check -r requirements.lock
fi
