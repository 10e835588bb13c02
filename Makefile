# Every command sets up what it needs. `make help` lists them; options go in ARGS: make up ARGS="--port 8080".

.DEFAULT_GOAL := help
.PHONY: help setup up test check format constraints clean

BIN := .venv/bin
SET_UP := .venv/.set-up

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(SET_UP) ## Install into .venv (PYTHON=python3.13 to choose one; 3.11 or newer)
	@true

$(SET_UP): pyproject.toml constraints.txt scripts/set_up.sh
	@PYTHON="$(PYTHON)" sh scripts/set_up.sh
	@touch $@

up: $(SET_UP) ## Start the whole system, until Ctrl-C
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

format: $(SET_UP) ## Lay out the code, and mend what can be mended without thinking
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

constraints: $(SET_UP) ## Pin the newest versions of everything (needs uv)
	@$(BIN)/python scripts/constraints.py

clean: ## Remove .venv and caches; a data directory stays
	@rm -rf .venv .pytest_cache .ruff_cache .hypothesis .import_linter_cache
