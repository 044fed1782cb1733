# `make run` shows gstack working on its embedded CloudStack; `make test` passes the tests. Both need Python 3.11 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test test-clients contract witness pages fuzz lint bench bench-simulator clean

run: $(VENV)/run
	$(BIN)/gstack demo

test: $(VENV)/test
	$(BIN)/ruff check gstack tests bench tools
	$(BIN)/ruff format --check gstack tests bench tools
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n auto --dist worksteal -ra

# Every client, installed from its registry as its page says (Go, Node.js, a JDK with Maven and Terraform are there
# already): half an hour the first time. The result is docs/clients/results.md.
test-clients: $(VENV)/test
	$(BIN)/python tools/test_clients.py

# The CloudStack behaviours that gstack relies on: of the embedded cloud, or of the one GSTACK_LIVE_URL names.
contract: $(VENV)/test
	$(BIN)/python -m pytest -ra tests/contract

# How far the embedded CloudStack answers as a real one was recorded to: docs/witness.md.
witness: $(VENV)/test
	$(BIN)/python tools/make_witness.py

# 50,000 requests of any kind, without one 500: about six minutes.
fuzz: $(VENV)/test
	GSTACK_ANY_REQUESTS=50000 $(BIN)/python -m pytest -q tests/protocol/test_any_request.py

# The pages of settings, methods and fields; what fields are shown from is found out by a gateway, which takes a minute.
pages: $(VENV)/test
	$(BIN)/python tools/make_mapping.py
	$(BIN)/python tools/make_docs.py

bench: $(VENV)/bench
	$(BIN)/python -m bench

# Start, list and memory of the embedded CloudStack: docs/simulator.md.
bench-simulator: $(VENV)/run
	$(BIN)/python -m bench.simulator

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/run: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/test: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@ $(VENV)/run

$(VENV)/bench: $(VENV)/test
	$(BIN)/python -m pip install --quiet --editable '.[test,bench]'
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info
