# Set-up fetches everything; what follows works with the network cut. Works in any order, again and again.
VENV := .venv
PYTHON ?= python3
BIN := $(VENV)/bin
STAMP := $(VENV)/.bedplate-setup

.PHONY: help setup postgres demo test lint peers bench reference clean

help:
	@echo "make setup   own .venv with everything that demo and test need, and the demo's model and text"
	@echo "make demo    the main job: a real model's whole life in about ten minutes"
	@echo "make test    lint, types, layers and all tests"
	@echo "make lint    ruff, mypy --strict, import-linter"
	@echo "make reference   docs/reference/ from the settings classes and the command line"
	@echo "make bench   slow benchmarks, each beside its peers"
	@echo "make peers   environments of other programs (vLLM, lm-evaluation-harness) for the benchmarks, in the user's cache"
	@echo "make clean   remove .venv and caches of this checkout"

setup: $(STAMP) postgres
	@$(BIN)/python -m bedplate model fetch smollm2-135m-instruct --download-only --with-text \
	  || echo "setup: the demo's model or text could not be fetched; 'make demo' needs them, the tests skip what does" >&2

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else f"Python 3.11 to 3.13 is needed, this is {sys.version.split()[0]}; set PYTHON=python3.12, say")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(STAMP)

# Tests of shared state start a PostgreSQL server of their own. Where it cannot be installed they skip and say so.
# No cluster is made by the package: nothing of ours runs on this machine outside the tests.
POSTGRES_CONFIG := /etc/postgresql-common/createcluster.conf
APT_INSTALL := DEBIAN_FRONTEND=noninteractive timeout 300 apt-get -qq -y --no-install-recommends install postgresql

postgres:
	@if ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 && ! command -v initdb >/dev/null \
	  && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  { [ -e $(POSTGRES_CONFIG) ] || { mkdir -p $(dir $(POSTGRES_CONFIG)) && echo 'create_main_cluster = false' > $(POSTGRES_CONFIG); }; } \
	  && { $(APT_INSTALL) || { timeout 120 apt-get -qq update && $(APT_INSTALL); }; } >/dev/null 2>&1 \
	  || echo "setup: PostgreSQL could not be installed; the tests that need a server skip" >&2; fi

demo: setup
	$(BIN)/python -m bedplate run examples/lifecycle.yaml --explain

lint: $(STAMP)
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/python -m mypy
	$(BIN)/lint-imports --no-cache

# Two at a time: most tests wait for processes. A file stays on one worker, so what it starts once is started once.
test: setup lint
	$(BIN)/python -m pytest -n 2 --dist loadfile

peers: setup
	$(BIN)/python benchmarks/peers/environment.py

bench: setup peers
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python "$$file" || exit 1; done

reference: $(STAMP)
	$(BIN)/python -m bedplate.cli.reference docs/reference
	$(BIN)/python -m bedplate.compute.inventory.support docs/inventory.md

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
