# Vectorfleet's commands. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
STAMP := $(VENV)/.stamp
WORKERS ?= $(shell n=$$(nproc); echo $$((n < 4 ? n : 4)))
PYTEST := $(BIN)/pytest -q -n $(WORKERS) --dist loadfile

help: ## show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(STAMP) ## make .venv from the lock file; leaves .venv/bin/vectorfleet

$(BIN)/uv: requirements/uv.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements/uv.txt
	@touch $@

$(STAMP): $(BIN)/uv requirements/dev.lock pyproject.toml
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

lock: $(BIN)/uv ## renew the lock files from pyproject.toml
	$(UV) pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --generate-hashes --custom-compile-command "make lock" --all-extras --group dev pyproject.toml -o requirements/dev.lock
	$(UV) pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --generate-hashes --custom-compile-command "make lock" --extra shardnode --extra gateway -c requirements/dev.lock pyproject.toml -o requirements/data-plane.lock
	$(UV) pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --generate-hashes --custom-compile-command "make lock" --extra operator -c requirements/dev.lock pyproject.toml -o requirements/operator.lock
	$(UV) pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --generate-hashes --custom-compile-command "make lock" -c requirements/dev.lock --group pyproject.toml:build -o requirements/build.lock
	$(UV) pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --generate-hashes --custom-compile-command "make lock" --group pyproject.toml:peers -o requirements/peers.lock

	$(UV) pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --generate-hashes --custom-compile-command "make lock" --group pyproject.toml:audit -o requirements/audit.lock

AUDIT := $(VENV)/audit

$(AUDIT)/.stamp: $(BIN)/uv requirements/audit.lock
	$(PYTHON) -m venv $(AUDIT)
	$(UV) pip install --quiet --python $(AUDIT)/bin/python --require-hashes -r requirements/audit.lock
	@touch $@

audit: $(AUDIT)/.stamp ## look up known vulnerabilities of what the images hold; 1 where there are any, 2 where that can't be told
	$(AUDIT)/bin/python requirements/audit.py

dependencies: setup sbom ## list what the images hold and look it up; fails where something is known, warns where that can't be told
	$(BIN)/pytest -q tests/dependencies
	$(AUDIT)/bin/python requirements/audit.py --lenient

sbom: $(AUDIT)/.stamp ## list what the images hold, as CycloneDX, in build/sbom
	$(AUDIT)/bin/python requirements/sbom.py build/sbom

generate: setup ## regenerate gRPC stubs, CRDs, the chart's copy, the field reference
	cd shardnode && ../$(BIN)/python -m grpc_tools.protoc -I . --python_out=. --pyi_out=. --grpc_python_out=. vectorfleet_shardnode/api/shard.proto vectorfleet_shardnode/api/replication.proto
	$(BIN)/vectorfleet-operator generate .

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

layers: setup
	$(BIN)/lint-imports

unit: setup ## unit, model and repository tests
	$(PYTEST) tests/unit tests/model tests/repo

integration: setup ## tests with real processes
	$(PYTEST) tests/integration

check: lint types layers unit ## lint, types, layers, unit tests: under two minutes

tools: ## install and build what a real Kubernetes needs, where it is missing (root, apt, Go)
	e2e/cluster/cluster packages
	e2e/cluster/cluster build

e2e: setup ## the stories on a real Kubernetes, three nodes on this machine (root)
	$(BIN)/pytest -q e2e

soak: setup ## thousands of crashes, an hour of load; SOAK_ROUNDS and SOAK_SEED choose how many and which
	$(BIN)/pytest -q -s -m soak tests/soak

test: ## everything, from nothing; installs what it needs
	$(MAKE) check
	$(MAKE) dependencies
	$(MAKE) tools
	$(MAKE) integration
	$(MAKE) e2e

run: setup ## a sharded index on this machine, loaded with Fashion-MNIST and measured
	$(BIN)/python examples/fashion_mnist/run.py $(ARGS)

bench: setup ## measure beside the raw library; a table and plots
	$(BIN)/python benchmarks/run.py $(ARGS)

peers: setup ## install what `make bench` measures beside us: a cache folder, apt, pip, Go
	cd benchmarks && ../$(BIN)/python -m peers.installed

pinecone-suite: setup ## Pinecone's own tests of its client against an index here; SOURCE: what git clones them from
	PYTHONPATH=tests $(BIN)/python -m conforming.pinecone_suite $(SOURCE)

format: setup ## format the code
	$(BIN)/ruff check --fix --quiet . || true
	$(BIN)/ruff format --quiet .

.PHONY: help setup lock audit sbom dependencies generate lint types layers unit integration check tools e2e soak test run bench peers pinecone-suite format
