# SPDX-License-Identifier: MIT
# The two commands of the README are `make benchmark` and `make test`.
# ARGS are handed to run-benchmark or pytest: make benchmark ARGS="--blocks 4"

BIN := .venv/bin

# Two processors are enough for the deadlines of the guests, and what `make test` is timed on.
WORKERS := 2

# The version of Linux beside the default, and the tests that are of the kernel.
OTHER := 7.2
KERNEL_TESTS := $(patsubst %,tests/guest/test_%.py,admission arming conformance direct_calls direct_share hardship kernel kernel_bugs kernel_faults nmi)

.PHONY: benchmark test check soak conformance lint build setup lock audit clean

## from nothing to a report: set up, build what is missing, run the default campaign
benchmark: setup
	@$(BIN)/run-benchmark $(ARGS)

## set up, then linters, types, unit tests, and the tests that boot guests or open a browser
test: lint build
	@$(BIN)/pytest -q --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

## the part of `test` that needs no guest, no browser and no patience, for each change
check: lint
	@$(BIN)/pytest -q --numprocesses auto --dist worksteal -m "not guest and not browser and not slow" $(ARGS)

## what `test` does a little of, for hours: fuzzing, kills, storms of NMIs, and the conformance of `make conformance`;
## then all of it that is of the kernel on the other version of Linux
soak: build
	@$(BIN)/pytest -q --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder -m soak $(ARGS)
	@$(MAKE) --no-print-directory conformance ARGS=
	@$(BIN)/pytest -q --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder -m "guest or soak" --kernel $(OTHER) $(KERNEL_TESTS)
	@$(MAKE) --no-print-directory conformance ARGS="--kernel $(OTHER)"

lint: setup
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo --cache-dir build/imports >build/imports.log || { cat build/imports.log; exit 1; }

## the kernel's own selftests and programs people know, from both prefixes on both kernels; takes an hour or two under TCG
conformance: setup
	@PYTHONPATH=kernel $(BIN)/python -m conformance $(ARGS)

## the kernels and the image, from the cache if nothing that goes into them has changed
build: setup
	@$(BIN)/kmlbench guest build
	@$(BIN)/kmlbench kernel build

## install what is missing; costs a fraction of a second when nothing is
setup:
	@tools/setup

## pin the newest dependencies that pyproject.toml allows
lock:
	@tools/lock

## check the pinned dependencies for known vulnerabilities; needs the vulnerability data of PyPI
audit:
	@tools/audit

## remove what was made in this tree; the cache of kernels and images stays
clean:
	rm -rf .venv build .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
