#!/bin/sh
# Prints the path of a CPython >= 3.12 that really runs and can make virtual environments.
# A name on PATH proves nothing: version managers leave `python3.12` launchers that exit 127.
# Fails with one sentence on stderr and status 1.
set -u

usable() {
  "$1" -c '
import sys, sysconfig
ok = (
    sys.version_info >= (3, 12)
    and sys.implementation.name == "cpython"
    and not sysconfig.get_config_var("Py_GIL_DISABLED")
)
if ok:
    import ensurepip, venv
sys.exit(0 if ok else 1)
' >/dev/null 2>&1
}

# The interpreter itself rather than a launcher, which could be redirected later.
answer() {
  "$1" -c 'import sys; print(sys.executable)'
  exit 0
}

if [ -n "${PYTHON:-}" ]; then
  if usable "$PYTHON"; then answer "$PYTHON"; fi
  echo "setup: PYTHON=$PYTHON is not a working CPython >= 3.12 with venv; looking for another" >&2
fi
for name in python3.12 python3.13 python3.14 python3; do
  if usable "$name"; then answer "$name"; fi
done
root=$(pyenv root 2>/dev/null) || root=${HOME:-}/.pyenv
for folder in "$root" "${HOME:-}/.pyenv"; do
  for file in "$folder"/versions/3.1[2-9]*/bin/python3; do
    if [ -x "$file" ] && usable "$file"; then answer "$file"; fi
  done
done
cat >&2 <<EOF
setup: karman-grid needs Python 3.12 or newer, with its venv module, and none was found
       (python3 is: $(python3 --version 2>&1 | head -n 1)).
       Install one (packages python3.12 and python3.12-venv, or pyenv), or name the one to use:
       make setup PYTHON=/path/to/python3.12
EOF
exit 1
