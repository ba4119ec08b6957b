# `make help` lists what can be asked. Works as root, or with sudo for what needs it.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
RUN    ?= $(CURDIR)/.run
SUDO   := $(if $(filter 0,$(shell id -u)),,sudo)
PYTEST := $(BIN)/python -m pytest
ROOT   := $(SUDO) env MOBY_REQUIRE="$${MOBY_REQUIRE-containerd,kernel,registry,clients,boots}"
ROOTED := $(ROOT) $(PYTEST) -p no:cacheprovider
PROTOS := $(shell find src -name '*.proto' 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help setup up down test unit contract integration boots clients storm check format bench lock clean

help: ## Say what the targets do
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install what is missing: system packages, the virtual environment, generated stubs
	@scripts/packages.sh
	@$(MAKE) --silent --no-print-directory $(VENV)/.ready

$(VENV)/.ready: requirements.lock pyproject.toml $(wildcard setup.py) $(PROTOS)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

up: setup ## Start an engine of your own, load a busybox image, run a container
	@scripts/up.sh "$(RUN)"

down: ## Stop that engine with its containers and remove all it left
	@scripts/down.sh "$(RUN)"

test: setup ## Every test: unit, contract, integration, clients; in runs side by side
	@$(SUDO) scripts/cgroups.sh
	$(ROOT) $(BIN)/python -m tests.side_by_side

unit: setup ## The tests that need neither root nor network
	$(PYTEST) tests/unit

contract: setup ## Each route against the Engine API's definition
	$(PYTEST) tests/contract

integration: setup ## Against the real kernel, containerd and registry (root)
	@$(SUDO) scripts/cgroups.sh
	$(ROOTED) tests/integration

boots: setup ## Machines of real components, every form of them booted in qemu
	$(PYTEST) -p no:cacheprovider tests/integration/machine

clients: setup ## A whole engine, driven by the docker CLI and docker-py (root)
	@$(SUDO) scripts/cgroups.sh
	$(ROOTED) tests/clients

storm: setup ## Many clients who want opposite things, and crashes, for SECONDS=120 each (root)
	@$(SUDO) scripts/cgroups.sh
	$(SUDO) env MOBY_STORM_SECONDS=$(or $(SECONDS),120) MOBY_TEST_NETWORKS=500 $(PYTEST) -p no:cacheprovider \
		tests/clients/test_storm.py tests/clients/test_network_crowd.py tests/clients/test_crash_faults.py tests/clients/test_crowd_faults.py

check: setup ## Linters, formatting, layers, types, the house rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	PYTHONPATH=src $(BIN)/lint-imports
	$(BIN)/mypy
	$(PYTEST) -q tests/unit/test_house.py

format: setup ## Let ruff mend what it can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: setup ## Measure side by side with dockerd and print the ratios (root); pick some with NAMES="run logs"
	@$(SUDO) scripts/cgroups.sh
	$(SUDO) $(BIN)/python -m bench $(NAMES)

lock: ## Write requirements.lock anew from the newest versions that pyproject.toml allows
	@scripts/lock.sh "$(PYTHON)"

clean: ## Remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build
