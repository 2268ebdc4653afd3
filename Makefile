# `make help` lists the targets. Everything is installed or built once, and a file in .venv/stamps
# records it. Targets that write into .venv take turns, by a lock.

PYTHON ?= python3
MAKEFLAGS += --no-print-directory
SHELL := /bin/sh

export PIP_QUIET := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
BIN := .venv/bin
STAMPS := .venv/stamps
TURN := flock .venv
PIP := $(TURN) $(BIN)/python -m pip install
RUST_SOURCES := Cargo.toml Cargo.lock $(shell find rust \( -name tests -o -name fuzz \) -prune -o -type f -print) \
	python/ktls_fast/_core.pyi
PACKAGE_SOURCES := pyproject.toml README.md $(shell find python \( -name __pycache__ -o -name '*.so' \) -prune -o -type f -print)

# Without ktls-py: the Python tests cover it, and a Rust test binary would need a shared libpython,
# which not every Python installation has.
TESTED_CRATES := --workspace --exclude ktls-py

# The versions that `make test-pythons` tests with.
PYTHONS ?= 3.11 3.12 3.13
# The number of processes for the Python tests: one for `make test`, four for `make test-pythons`.
PROCESSES ?=

# How long `make fuzz` runs each target.
FUZZ_SECONDS ?= 60

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-rust test-python test-pythons rules lint lint-rust lint-fuzz lint-python lint-stub lint-rules lint-layers format proof fuzz \
	bench bench-quick bench-pytest bench-programs bench-instructions bench-import \
	build wheel sdist clean need-rust need-c++ need-python

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 27

demo: $(STAMPS)/built ## build, then run the TLS 1.3 proxy with key updates, all bytes checked
	@$(BIN)/ktls-fast demo

test: test-rust test-python ## run all tests, Rust and Python

test-rust: need-rust ## run the Rust tests, doc tests included
	@if cargo nextest --version >/dev/null 2>&1; \
		then cargo nextest run $(TESTED_CRATES); \
		else cargo test --quiet $(TESTED_CRATES) --lib --bins --tests; fi
	@cargo test --quiet $(TESTED_CRATES) --doc

test-python: $(STAMPS)/built $(STAMPS)/dev ## run the Python tests
	@$(BIN)/python -m pytest --quiet $(addprefix --numprocesses ,$(PROCESSES)) tests

test-pythons: ## run the Python tests with CPython 3.11, 3.12 and 3.13, if the machine has them
	@report= failed=; for version in $(PYTHONS); do \
		if ! tests/find_python $$version >/dev/null; then outcome="not found, so not tested"; \
		elif $(MAKE) test-with-$$version; then outcome=passed; \
		else outcome=FAILED failed=1; fi; \
		report="$$report  Python $$version: $$outcome\n"; \
	done; printf "$$report"; [ ! "$$failed" ]

test-with-%: .venvs/%/installed
	@echo "testing with $$(.venvs/$*/bin/python --version)"
	@.venvs/$*/bin/python -m pytest --quiet --numprocesses $(or $(PROCESSES),4) tests

rules: need-python ## list the rules of docs/ with the code and tests that cite them; fails if a rule has no test
	@$(PYTHON) -m tests.rules

lint: lint-rust lint-fuzz lint-python lint-stub lint-rules lint-layers ## check the format, lints, types, the stub, the rules and the layers

lint-rust: need-rust ## check the Rust sources with rustfmt, clippy and rustdoc, without a warning
	@cargo fmt --check -- --files-with-diff || { echo "not formatted: run make format" >&2; exit 1; }
	@PYO3_PYTHON=$(PYTHON) cargo clippy --quiet --workspace --all-targets -- -D warnings
	@RUSTDOCFLAGS="-D warnings" cargo doc --quiet $(TESTED_CRATES) --no-deps --document-private-items

lint-fuzz: need-rust need-c++ ## check the fuzz targets, a separate workspace, with rustfmt and clippy
	@cd rust/fuzz && cargo fmt --check -- --files-with-diff || { echo "not formatted: run make format" >&2; exit 1; }
	@cd rust/fuzz && cargo clippy --quiet --release --locked -- -D warnings

lint-python: $(STAMPS)/built $(STAMPS)/dev ## check the Python sources with ruff and mypy --strict
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check . || { echo "not formatted: run make format" >&2; exit 1; }
	@$(BIN)/mypy --no-error-summary

lint-stub: $(STAMPS)/built $(STAMPS)/dev ## compare the stub of the compiled module with the module
	@$(BIN)/python -m mypy.stubtest --concise ktls_fast._core

lint-rules: need-python ## compare the rules of docs/ with the numbers that code, tests and documents cite
	@$(PYTHON) -m tests.rules --quiet

lint-layers: need-python ## compare imports and module docs with the layers and rooms of ARCHITECTURE.md
	@$(PYTHON) -m tests.layers

format: need-rust $(STAMPS)/dev ## format all Rust and Python sources
	@cargo fmt
	@cd rust/fuzz && cargo fmt
	@$(BIN)/ruff format --quiet .

proof: need-rust ## prove key updates under offload: 100,000 random runs, and every state of a small model
	@cargo run --quiet --release -p ktls-sim --bin proof -- --runs 100000

fuzz: need-rust need-c++ ## look for inputs that break AES-GCM or the record layer, FUZZ_SECONDS=60 for each of the two
	@rust/fuzz/run aead $(FUZZ_SECONDS)
	@rust/fuzz/run records $(FUZZ_SECONDS)

bench: $(STAMPS)/built $(STAMPS)/bench bench-programs ## measure against peers in the same run: tables, JSON, SVG
	@$(BIN)/python -m benches

bench-quick: $(STAMPS)/built $(STAMPS)/bench bench-programs ## measure in less than two minutes, less precisely
	@$(BIN)/python -m benches --quick

bench-pytest: $(STAMPS)/built $(STAMPS)/bench ## measure records with pytest-benchmark, whose options ARGS are
	@$(BIN)/python -m pytest --quiet benches --benchmark-columns=median,iqr,rounds $(ARGS)

bench-instructions: need-rust need-python ## count the instructions of the record path; fails at 5 % more than the table
	@cargo build --quiet --release --locked -p record-path
	@$(PYTHON) -m benches.instructions

bench-import: $(STAMPS)/built ## time the import of the package beside that of numpy
	@$(BIN)/python -m benches.import_time

# With ktls-net, so that aws-lc has the same features as in the package and is not compiled again.
bench-programs: need-rust ## build the AEADs without Python that the benches measure for comparison
	@cargo build --quiet --release --locked -p ktls-net -p ktls-aead --example raw_aead
	@if printf '#include <intel-ipsec-mb.h>\n' | cc -E - >/dev/null 2>&1; \
		then mkdir -p target/benches && cc -O2 -Wall -Wextra -Werror \
			-o target/benches/ipsec_mb benches/records/ipsec_mb.c -lIPSec_MB; \
		else echo "the series of libipsec-mb will be missing: install it (Debian: apt install libipsec-mb-dev)" >&2; fi

build: $(STAMPS)/built ## build the package in release mode into .venv

wheel: $(STAMPS)/maturin need-rust ## build a wheel into dist/
	@$(BIN)/maturin build --release --locked --out dist

sdist: $(STAMPS)/maturin need-rust ## build the source distribution into dist/
	@$(BIN)/maturin sdist --out dist

clean: ## remove everything that was built, .venv included
	rm -rf .venv .venvs target dist benches/results .mypy_cache .pytest_cache .ruff_cache .hypothesis
	rm -f python/ktls_fast/*.so
	find python tests benches -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMPS)/venv: | need-python
	@echo "making .venv with $(PYTHON)"
	@$(PYTHON) -m venv .venv
	@$(PIP) --upgrade "pip>=25.1"
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/maturin: pyproject.toml $(STAMPS)/venv
	@echo "installing maturin"
	@$(PIP) --group build
	@touch $@

$(STAMPS)/built: pyproject.toml $(RUST_SOURCES) $(STAMPS)/maturin | need-rust
	@echo "building ktls_fast in release mode"
	@touch $@.begun
	@VIRTUAL_ENV=$(CURDIR)/.venv $(TURN) $(BIN)/maturin develop --release --locked --quiet --extras cli,proxy
	@mv $@.begun $@

$(STAMPS)/dev: pyproject.toml $(STAMPS)/venv
	@echo "installing the test and lint tools"
	@$(PIP) --group bench --group lint
	@touch $@

$(STAMPS)/bench: pyproject.toml $(STAMPS)/venv
	@echo "installing the bench tools"
	@$(PIP) --group bench
	@touch $@

$(STAMPS)/wheel: $(PACKAGE_SOURCES) $(RUST_SOURCES) $(STAMPS)/maturin | need-rust
	@echo "building a wheel of ktls_fast in release mode"
	@rm -rf .venvs/wheel
	@touch $@.begun
	@$(TURN) $(BIN)/maturin build --release --locked --quiet --interpreter $(BIN)/python --out .venvs/wheel
	@mv $@.begun $@

# The other interpreters install that wheel: its module is for the stable ABI, so it is compiled only once.
.PRECIOUS: .venvs/%/dev .venvs/%/installed
.venvs/%/dev: pyproject.toml
	@echo "making .venvs/$* and installing the test tools"
	@"$$(tests/find_python $*)" -m venv --clear .venvs/$*
	@.venvs/$*/bin/python -m pip install --upgrade "pip>=25.1"
	@.venvs/$*/bin/python -m pip install --group bench
	@touch $@

.venvs/%/installed: $(STAMPS)/wheel .venvs/%/dev
	@.venvs/$*/bin/python -m pip install .venvs/wheel/*.whl
	@.venvs/$*/bin/python -m pip install --force-reinstall --no-deps .venvs/wheel/*.whl
	@touch $@

need-rust:
	@command -v cargo >/dev/null || { \
		echo "cargo is missing: install stable Rust from https://rustup.rs" >&2; exit 1; }
	@command -v cc >/dev/null || { \
		echo "cc is missing: install a C compiler (Debian: apt install gcc libc6-dev)" >&2; exit 1; }

need-c++:
	@command -v c++ >/dev/null || { \
		echo "c++ is missing: install a C++ compiler, for libFuzzer (Debian: apt install g++)" >&2; exit 1; }

need-python:
	@command -v $(PYTHON) >/dev/null || { \
		echo "$(PYTHON) is missing: install Python 3.11 or newer, or name one by PYTHON=" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "$$($(PYTHON) --version) is too old: name Python 3.11 or newer by PYTHON=" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
		echo "venv is missing: install it (Debian: apt install python3-venv)" >&2; exit 1; }
