#!/bin/sh
# Makes .venv with a Python >= 3.12 unless a working one made for this folder is there already.
# A checkout that was moved, or whose interpreter went away, gets a new one. Needs no root.
set -eu
cd "$(dirname "$0")/.."
here=$(pwd -P)

works() {
  [ -x .venv/bin/python ] && .venv/bin/python -c '
import os, sys
ok = sys.version_info >= (3, 12) and os.path.realpath(sys.prefix) == os.path.realpath(sys.argv[1])
sys.exit(0 if ok else 1)
' "$here/.venv" 2>/dev/null && grep -qsF "$here/.venv" .venv/bin/activate
}

if works; then exit 0; fi
python=$(sh tools/find-python.sh)
echo "setup: making .venv with $("$python" --version) ($python)"
"$python" -m venv --clear .venv
