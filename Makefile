# The commands of the README. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help run test check chaos ambiguity bench lock clean
SHELL := /bin/bash
BIN := .venv/bin

help:  ## list these commands
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

run:  ## install what is missing, then trade a simulated market on paper (ARGS='--cash 50000' goes to `appliance up`)
	@tools/bootstrap run && exec $(BIN)/appliance up $(ARGS)

test:  ## every test that needs no root, in twelve minutes on two cores (ARGS='-k guard' goes to pytest)
	@tools/bootstrap dev
	@$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

check:  ## lint, format, types, layers, the house rules
	@tools/bootstrap dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests/test_tidy.py

chaos:  ## kill -9 of any process, at least fifty times: the orders stay the same, byte for byte
	@tools/bootstrap dev
	@$(BIN)/python -m tests.chaos $(ARGS)

ambiguity:  ## brokers that fail in every way, for an hour: one order at most per intent, every fill booked, cash to the cent
	@tools/bootstrap dev
	@$(BIN)/python -m tests.ambiguity $(ARGS)

bench:  ## latency, speed of backtests, memory, many strategies, isolation, market data, brokers; each ends with one line of JSON
	@tools/bootstrap dev
	@for name in latency backtest orders vectorized memory strategies isolation history cache data failover gateway; do $(BIN)/python -m tests.bench $$name --json || exit; done

lock:  ## write the lock files anew from pyproject.toml
	@tools/bootstrap dev
	@tools/lock

clean:  ## remove what these commands made, .venv too; never your state directory
	rm -rf .venv *.egg-info .hypothesis .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
