# Every command sets up what it needs. `make help` lists them; options go in ARGS: make up ARGS="--port 8080".

.DEFAULT_GOAL := help
.PHONY: help setup demo up test check simulate broken chaos bench bench-quick bench-growth format constraints clean

BIN := .venv/bin
SET_UP := .venv/.set-up
SET_UP_RUN := .venv/.set-up-run
SET_UP_BENCH := .venv/.set-up-bench

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(SET_UP) ## Install into .venv (PYTHON=python3.13 to choose one; 3.11 or newer)
	@true

$(SET_UP): pyproject.toml constraints.txt scripts/set_up.sh
	@PYTHON="$(PYTHON)" sh scripts/set_up.sh
	@touch $(SET_UP_RUN) $@

# Whoever looks at it for the first time does not wait for what only tests and checks need.
$(SET_UP_RUN): pyproject.toml constraints.txt scripts/set_up.sh
	@WHAT='.[embedded]' PYTHON="$(PYTHON)" sh scripts/set_up.sh
	@touch $@

# What only measuring needs is installed by whoever measures.
$(SET_UP_BENCH): $(SET_UP)
	@WHAT='.[bench,embedded,test]' PYTHON="$(PYTHON)" sh scripts/set_up.sh
	@touch $@

demo: $(SET_UP_RUN) ## See it work, in a minute, on a system of its own that is then removed
	@$(BIN)/hishab demo $(ARGS)

up: $(SET_UP_RUN) ## Start the whole system, until Ctrl-C
	@$(BIN)/hishab up $(ARGS)

test: $(SET_UP) ## Run the tests, on real servers, in random order
	@$(BIN)/pytest --numprocesses auto --maxprocesses 4 $(ARGS)

check: $(SET_UP) ## Check style, types, arrows, dependencies and order
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright
	@$(BIN)/lint-imports
	@$(BIN)/deptry .
	@$(BIN)/pytest --quiet tests/architecture

simulate: $(SET_UP) ## Simulate crashes and lost, doubled, late messages (SEED=7 to do the same again; SIMULATE_ARGS)
	@$(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED)) $(SIMULATE_ARGS)

broken: $(SET_UP) ## Take away what holds each promise, and see that the checker notices
	@$(BIN)/python -m tests.simulation.broken

bench: $(SET_UP_BENCH) ## Measure against references, in ten minutes (options in BENCH_ARGS; --help lists them)
	@$(BIN)/python -m tests.load $(BENCH_ARGS)

bench-quick: $(SET_UP_BENCH) ## The same in two minutes, one round
	@$(BIN)/python -m tests.load --quick --no-write $(BENCH_ARGS)

bench-growth: $(SET_UP_BENCH) ## Fill five million transfers, and measure again
	@$(BIN)/python -m tests.load --growth 5000000 $(BENCH_ARGS)

chaos: $(SET_UP_BENCH) ## Break a running system in every way, for ten minutes, and judge it (options in CHAOS_ARGS)
	@$(BIN)/python -m tests.chaos $(CHAOS_ARGS)

format: $(SET_UP) ## Lay out the code, and mend what can be mended without thinking
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

constraints: $(SET_UP) ## Pin the newest versions of everything (needs uv)
	@$(BIN)/python scripts/constraints.py

clean: ## Remove .venv and caches; a data directory stays
	@rm -rf .venv .pytest_cache .ruff_cache .hypothesis .import_linter_cache
