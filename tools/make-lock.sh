#!/bin/sh
# Writes requirements.lock anew: the newest versions that pyproject.toml allows, on any platform,
# without the address of any index.
set -eu
cd "$(dirname "$0")/.."

new=$(mktemp)
trap 'rm -f "$new"' EXIT
{
  echo "# Exact versions of everything a checkout uses, on Python 3.12 and later. Made by"
  echo "# \`make lock\` from pyproject.toml; names no index, so packages may come from any."
  .venv/bin/python -m uv pip compile --quiet --universal --python-version 3.12 -p .venv/bin/python \
    --extra dev --no-emit-index-url --no-header --no-annotate pyproject.toml
} >"$new"
cat "$new" >requirements.lock
