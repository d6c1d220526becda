# The commands of a checkout. `make` alone lists them. POSIX sh, GNU make 4.3; no root needed.
#
# Setting up is done in steps that leave a stamp inside .venv, so a step runs again only when what
# it reads has changed: the pinned packages after requirements.lock, the installed package after
# pyproject.toml or anything in the Rust workspace. Python is installed editable.

SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory
.SUFFIXES:

VENV := $(abspath .venv)
PY := $(VENV)/bin/python
PACKAGES_STAMP := .venv/.stamp-packages
PROJECT_STAMP := .venv/.stamp-project
RUST_SOURCES := Cargo.toml Cargo.lock $(shell find rust -type d \
  \( -name target -o -name tests -o -name benches \) -prune -o -print)
ADAPTERS := $(wildcard adapters/*/pyproject.toml)

# Crates that bind Python build with whatever python3 they find unless told.
export PYO3_PYTHON := $(PY)
export PATH := $(VENV)/bin:$(PATH)
export VIRTUAL_ENV := $(VENV)

# Compiler paths as a wheel for others should show them.
REMAP = --remap-path-prefix=$${CARGO_HOME:-$$HOME/.cargo}=/cargo --remap-path-prefix=$(CURDIR)=.

.PHONY: help setup run test check bench soak test-peers wheel lock format clean distclean

help: ## list the targets
	@echo "karman-grid: open power orchestration for AI data centres"
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | \
	  while IFS='|' read -r name text; do printf '%-20s %s\n' "$$name" "$$text"; done

setup: ## make .venv, install the pinned packages, build and install karman-grid
	@sh tools/check-cargo.sh
	@sh tools/ensure-venv.sh
	@$(MAKE) --silent $(PROJECT_STAMP)

$(PACKAGES_STAMP): requirements.lock tools/install-packages.sh
	@sh tools/install-packages.sh
	@touch $@

$(PROJECT_STAMP): $(PACKAGES_STAMP) pyproject.toml $(RUST_SOURCES) $(ADAPTERS)
$(PROJECT_STAMP): tools/install-project.sh
	@sh tools/install-project.sh
	@touch $@

run: setup ## set up, then run the service on the twin and tell its story (FOR=120: seconds)
	@$(VENV)/bin/karman-grid run --story $(if $(FOR),--for $(FOR))

test: setup ## set up, then run every test but the soak
	@sh tools/run-tests.sh

check: setup ## formatting, lints, types, import directions, tidiness
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- -D warnings
	ruff format --check .
	ruff check .
	mypy python/karman_grid
	mypy tests
	lint-imports
	stubtest --concise --allowlist tools/stubtest-allow.txt --ignore-unused-allowlist karman_grid._core
	pytest -q -m "not slow" tests/tidy

bench: setup ## measure speed and latency
	pytest -m bench -s --timeout=0 tests/bench

soak: setup ## the long gates: a thousand seeds and more
	pytest -m soak -s --timeout=0 tests/soak

test-peers: setup ## tests against real peers (brokers, servers)
	@pytest -m peers tests || { rc=$$?; [ $$rc -eq 5 ] || exit $$rc; echo "no such test yet"; }

wheel: setup ## build a wheel into dist/ that names no folder of this machine
	RUSTFLAGS="$(REMAP)" maturin build --release --target-dir target/wheel --out dist

lock: setup ## make requirements.lock anew from pyproject.toml
	@sh tools/make-lock.sh

format: setup ## format all code
	cargo fmt --all
	ruff format .
	ruff check --fix .

clean: ## remove what building and testing left, but not .venv
	rm -rf target build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	rm -f $(PROJECT_STAMP) python/karman_grid/_core*.so

distclean: clean ## remove .venv, too
	rm -rf .venv
