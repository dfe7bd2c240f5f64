# Everything happens in .venv, made here by the system's Python; `make help` lists the words.

PYTHON ?= python3
EXPERIMENT ?= examples/digits.yaml
# A run's folder is never overwritten, so each `make run` gets a name of its own: make run NAME=mine
NAME ?= $(basename $(notdir $(EXPERIMENT)))-$(shell date +%Y%m%d-%H%M%S)

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --progress-bar off
PYTEST := $(BIN)/python -m pytest --no-loadscope-reorder
# On two cores. Tests of `make quick` compute; those of `make test` wait for processes that they start a fifth of the time, the others
# for Ray, Slurm and Docker half of it.
COMPUTING := --numprocesses 2
TRAINING := --numprocesses 3
WAITING := --numprocesses 4
# Dozens of processes import this project: without compiled files each of them compiles it first.
unexport PYTHONDONTWRITEBYTECODE
# Rooms whose tests import no TensorFlow and start few processes; tests/test_budgets.py is what a change breaks first.
QUICK := $(addprefix tests/,catalog config domains records report schedulers search sitter) tests/test_budgets.py \
  --ignore=tests/report/test_notebook.py
# Stamps: a step is done again only when pyproject.toml has changed since.
RUNNABLE := .venv/.installed
TESTABLE := .venv/.installed-dev
BENCHABLE := .venv/.installed-bench
FUZZABLE := .venv/.installed-fuzz

.DEFAULT_GOAL := help
.PHONY: help install run shell quick test test-all test-lowest format lint types contracts pytest pytest-quick \
  pytest-all pytest-cluster pages coverage properties fuzz parity bench bench-panda bench-search bench-race bench-drift record-tables \
  bench-hosts bench-fit bench-trials bench-workers bench-scale bench-same bench-lanes chaos integration-kubernetes docs lock clean

help:  ## this list
	@awk -F ':.*  ## ' '/^[a-z-]+:.*  ## / { printf "  make %-22s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(RUNNABLE)  ## .venv with the project in it; the command is .venv/bin/orchestrator

run: $(RUNNABLE)  ## the digits experiment to its table; EXPERIMENT=file.yaml and NAME=name for another
	$(BIN)/orchestrator run $(EXPERIMENT) --set name=$(NAME)
	@echo "To have the command orchestrator in this shell:  . .venv/bin/activate   (or: make shell)"

shell: $(RUNNABLE)  ## a shell in which orchestrator is a command; exit leaves it
	@VIRTUAL_ENV="$(CURDIR)/.venv" PATH="$(CURDIR)/$(BIN):$$PATH" $${SHELL:-/bin/sh}

quick: format lint contracts pytest-quick  ## while a change is in progress: a minute of checks, and of tests without TensorFlow

test: $(TESTABLE)  ## all checks, and the tests that need no root, no service and no minutes: one variant of each training
	@$(MAKE) --no-print-directory --jobs=2 format lint types contracts pytest

test-all: format lint types contracts pytest-all coverage  ## `make test` and its coverage, all variants, pages, hosts, Slurm, containers, chaos (some need root)

format: $(TESTABLE)  ## is every file laid out by the formatter?
	$(BIN)/ruff format --check --quiet .

lint: $(TESTABLE)  ## ruff's rules
	$(BIN)/ruff check --quiet .

types: $(TESTABLE)  ## mypy, strict
	$(BIN)/mypy

contracts: $(TESTABLE)  ## which room may import which
	$(BIN)/lint-imports

pytest: $(TESTABLE)  ## the tests of `make test` alone; ARGS='-k asha' for some of them
	$(PYTEST) $(TRAINING) -m 'not slow and not cluster' $(ARGS)

# In one go: where one of them waits for a cluster, another computes.
pytest-all: $(TESTABLE)  ## the tests of `make test-all` alone, measuring which lines those of `make test` run
	$(PYTEST) $(WAITING) --cov --cov-report= -m 'not slow' $(ARGS)

pytest-quick: $(TESTABLE)  ## those of rooms that import no TensorFlow, and the budgets; ARGS='tests/cli' for another room too
	$(PYTEST) $(COMPUTING) $(QUICK) -m 'not slow and not cluster' $(ARGS)

pytest-cluster: $(TESTABLE)  ## what `make test-all` adds alone; ORCHESTRATOR_TEST_INSTALL=1 has Slurm and Docker installed (Debian)
	$(PYTEST) $(WAITING) -m 'cluster and not slow' $(ARGS)

pages: $(TESTABLE)  ## the pages whose short forms train in one process, on Ray, and the README's experiments as long as shown
	$(PYTEST) $(WAITING) -m slow tests/test_readme.py tests/test_your_own_*.py tests/integration --ignore=tests/integration/kubernetes $(ARGS)

coverage: $(TESTABLE)  ## what `make test-all` measured: the files with the fewest lines covered, and the floor of 90 percent
	$(BIN)/python -m coverage report --sort=cover | sed -n 1,20p
	@printf 'lines of orchestrator/ that the tests of make test run, in percent: '
	@$(BIN)/python -m coverage report --format=total --precision=1 --fail-under=90

test-lowest: $(TESTABLE)  ## `make pytest` in .venv-lowest: the lowest allowed Ray, Keras, TensorFlow, pandas and pydantic
	$(PIP) uv
	$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python .venv-lowest
	$(BIN)/python -m tests.lowest > .venv-lowest/lowest.txt
	$(BIN)/uv pip install --quiet --python .venv-lowest/bin/python --constraint .venv-lowest/lowest.txt --editable '.[dev]'
	$(subst .venv,.venv-lowest,$(PYTEST)) $(TRAINING) -m 'not slow and not cluster' $(ARGS)

properties: $(TESTABLE)  ## the long form of the property tests: 14,000 experiments, spaces and overrides; ARGS=tests/schedulers for others too
	$(BIN)/python -m pytest tests/properties --hypothesis-profile=search $(ARGS)

fuzz: $(FUZZABLE)  ## the record reader and the space parser under a coverage-guided fuzzer; SECONDS=300 each
	$(BIN)/python -m tests.fuzz records $(or $(SECONDS),300)
	$(BIN)/python -m tests.fuzz spaces $(or $(SECONDS),300)

parity: $(TESTABLE)  ## 1,000 random models by plain Keras and by us; ARGS='200 --seed 1', ARGS='exam sequential lstm'
	$(BIN)/python -m tests.parity $(ARGS)

bench: $(BENCHABLE)  ## this project, Ray Tune, KerasTuner and Optuna on the same work; ARGS=--quick
	$(BIN)/python benchmarks/run.py $(ARGS)

bench-panda: $(BENCHABLE)  ## the sitter and Keras's callbacks from good and bad learning rates; ARGS=--quick
	$(BIN)/python benchmarks/panda.py $(ARGS)

bench-search: $(TESTABLE)  ## searches, Ray's ASHA and Optuna on recorded curves, in virtual time; ARGS=--quick
	$(BIN)/python benchmarks/search_quality.py $(ARGS)

bench-race: $(TESTABLE)  ## does the race of finalists tell the truth? made-up scores, recorded seeds; ARGS='--races 50'
	$(BIN)/python -m benchmarks.race $(ARGS)

bench-drift: $(TESTABLE)  ## does `reevaluate` name what changed? made shifts of scikit-learn's sets; ARGS='--runs 1'
	$(BIN)/python -m benchmarks.drift $(ARGS)

record-tables: $(TESTABLE)  ## the curves in benchmarks/tables anew, by our own runs: half an hour; ARGS='--data digits'
	$(BIN)/python benchmarks/record_tables.py $(ARGS)

bench-hosts: $(TESTABLE)  ## one, two and three Ray hosts against this machine, and each target's start; root; ARGS='--only targets'
	$(BIN)/python -m benchmarks.hosts $(ARGS)

bench-trials: $(RUNNABLE)  ## ten thousand trials that train nothing: what orchestration costs; ARGS='--trials 1000'
	$(BIN)/python benchmarks/many_trials.py $(ARGS)

bench-workers: $(RUNNABLE)  ## what a run's workers do with their time: epochs, tracing, waiting; ARGS='--case mnist5k-cnn --trials 16'
	$(BIN)/python benchmarks/worker_time.py $(ARGS)

bench-scale: $(RUNNABLE)  ## the rows of Ray Tune's scalability table, ours and plain Ray Tune; ARGS='--shorten 100 --rows trials'
	$(BIN)/python benchmarks/scale.py $(ARGS)

bench-same: $(RUNNABLE)  ## the same trials whole, by a run and by a loop of Keras's `fit`; ARGS='--case digits-mlp'
	$(BIN)/python benchmarks/same_work.py $(ARGS)

bench-fit: $(TESTABLE)  ## what Keras's `fit` trains (streams, own steps, callbacks), against plain Keras; ARGS='--turns 3'
	$(BIN)/python benchmarks/fit_path.py $(ARGS)

bench-lanes: $(TESTABLE)  ## 64 trials as lanes of one JAX program against one at a time; ARGS='--models mlp --lanes 16'
	$(BIN)/python benchmarks/lanes.py $(ARGS)

chaos: $(TESTABLE)  ## runs killed, torn and starved at random moments, and resumed; ARGS='--seed 1 --only node'
	$(BIN)/python -m tests.chaos $(ARGS)

integration-kubernetes: $(TESTABLE)  ## k8s/ on a real API server and node, built here: minutes, root, Debian
	$(BIN)/python -m pytest -m slow tests/integration/kubernetes

docs: $(TESTABLE)  ## the tables of keys in docs/experiment-file.md, from the fields of the options
	$(BIN)/python -m tests.experiment_page

lock: $(TESTABLE)  ## the container image's versions anew, from pyproject.toml
	$(PIP) uv
	PATH="$(CURDIR)/$(BIN):$$PATH" docker/lock.sh

clean:  ## remove .venv and caches; runs/ stays
	rm -rf .venv .venv-lowest .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
	find orchestrator models tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is %s: make PYTHON=python3.11" % sys.version.split()[0])'
	$(PYTHON) -m venv .venv || { rm -rf .venv; echo 'make: no venv came of it (on Debian and Ubuntu: apt install python3-venv)'; exit 1; }

$(RUNNABLE): pyproject.toml | $(BIN)/python
	@echo "installing into .venv: a minute or two, 2.3 GB on disk ..."
	$(PIP) --editable .
	@touch $@

$(TESTABLE): $(RUNNABLE)
	$(PIP) --editable '.[dev]'
	@touch $@

$(BENCHABLE): $(RUNNABLE)
	$(PIP) --editable '.[bench]'
	@touch $@

$(FUZZABLE): $(RUNNABLE)
	$(PIP) --editable '.[fuzz]'
	@touch $@
