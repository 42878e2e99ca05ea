# Everything a person or a machine starts here. The virtual environment is made on the way.

PYTHON ?= python3
PORT ?= 8000
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq install --require-hashes
export PORT

.PHONY: help setup up test lint bench bench-pages chaos
.DEFAULT_GOAL := help

help:
	@echo "make up      start the portal on http://127.0.0.1:$(PORT) (PORT=…, EVALPORTAL_DATA=… change it)"
	@echo "make test    every test, with lint and types; needs nothing running"
	@echo "make lint    ruff and mypy"
	@echo "make bench   the engine beside a loop that stores nothing, then bench-pages; kept in var/bench.jsonl"
	@echo "             (ARGS=--quick: a tenth of the engine alone)"
	@echo "make bench-pages  pages on runs of 100,000 and 1,000,000 items, and 500 sockets on 20 live runs"
	@echo "make chaos   kills, restarts and misleads everything while runs go on; appended to var/chaos.jsonl"
	@echo "make setup   the virtual environment with the development tools"

up: .venv/runtime.stamp
	@exec $(BIN)/python manage.py up --port $(PORT)

test: setup
	@data=$$(mktemp -d) && trap 'rm -rf "$$data"' EXIT && EVALPORTAL_DATA="$$data" $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadscope --no-loadscope-reorder $(ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup
	@$(BIN)/python -m bench $(ARGS)
	@$(if $(ARGS),,$(BIN)/python -m bench.pages)

bench-pages: setup
	@$(BIN)/python -m bench.pages $(ARGS)

chaos: setup
	@$(BIN)/python -m tests.chaos $(ARGS)

setup: .venv/dev.stamp

# A stamp is newer than its lock when the lock is installed; the development lock holds the other one.
.venv/runtime.stamp: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Evalportal needs Python 3.11 or newer")'
	@echo "Installing into .venv (once, about half a minute) …"
	@$(PYTHON) -m venv .venv
	@$(PIP) -r requirements.lock
	@touch $@

.venv/dev.stamp: requirements-dev.lock requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Evalportal needs Python 3.11 or newer")'
	@echo "Installing the development tools into .venv (once, about a minute) …"
	@$(PYTHON) -m venv .venv
	@$(PIP) -r requirements-dev.lock
	@touch .venv/runtime.stamp $@
