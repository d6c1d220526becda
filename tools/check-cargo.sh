#!/bin/sh
# Checks that a cargo >= 1.88 runs; says in words what to do where it does not.
set -u
need_minor=88

found=$(cargo --version 2>/dev/null) || found=
if [ -z "$found" ]; then
  cat >&2 <<EOF
setup: karman-grid's core is built with Rust, and no working cargo is on PATH.
       Install Rust 1.$need_minor or newer for your user from https://rustup.rs
       (no root needed) and open a new shell.
EOF
  exit 1
fi
number=${found#cargo }
number=${number%% *}
major=${number%%.*}
rest=${number#*.}
minor=${rest%%.*}
if [ "$major" -lt 1 ] || { [ "$major" -eq 1 ] && [ "$minor" -lt "$need_minor" ]; }; then
  cat >&2 <<EOF
setup: cargo $number is too old: karman-grid's core needs Rust 1.$need_minor or newer.
       Run: rustup update stable   (or install Rust from https://rustup.rs)
EOF
  exit 1
fi
