# One entry for everything. `make` alone prints the targets.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test check bench bench-speed bench-quality peers docs clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "twofold needs Python 3.11 or newer; say which: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "setting up $(VENV): a few minutes"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $(STAMP)

demo: $(STAMP) ## set up, then train, compare and recommend on MovieLens 100K
	$(BIN)/twofold demo

test: $(STAMP) ## set up, then run all tests and doctests
	OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -n 2  # the threads of one worker do not spin while the other one works

check: $(STAMP) ## lint, format, types
	$(BIN)/ruff check src tests benchmarks examples
	$(BIN)/ruff format --check src tests benchmarks examples
	$(BIN)/basedpyright

peers: $(STAMP) ## install the peers that the benchmarks run beside us
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/peers.txt
	$(PYTHON) -m venv .venv-peers-rectools
	.venv-peers-rectools/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/peers-rectools.txt
	$(PYTHON) -m venv .venv-peers-libreco
	.venv-peers-libreco/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/peers-libreco.txt
	$(PYTHON) -m venv .venv-peers-recbole
	.venv-peers-recbole/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/peers-recbole.txt

bench: bench-speed bench-quality ## run all benchmarks (hours)

bench-speed: $(STAMP) ## time every hot path beside its peers
	$(BIN)/python benchmarks/run.py speed

bench-quality: $(STAMP) ## measure accuracy beside the peers and the papers
	$(BIN)/python benchmarks/run.py quality

docs: $(STAMP) ## regenerate the generated parts of the documentation
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/figures.py

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .venv-peers .venv-peers-* .pytest_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
