# The product's two commands are `make run` and `make test`. Everything else is for the people who build it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := 0.13.9

.DEFAULT_GOAL := help
.PHONY: help run test prove check bench fmt lock schema web

help: ## show this help
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

$(VENV)/.ready: requirements.lock pyproject.toml | $(BIN)/uv
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

run: $(VENV)/.ready ## set up, start everything and serve; Ctrl-C stops it, the data stays
	@exec $(BIN)/appointments run

test: $(VENV)/.ready ## set up and run every test, two files at a time
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

prove: $(VENV)/.ready ## the same proofs at full size; writes docs/proofs.md
	@$(BIN)/python -m tests.prove

check: $(VENV)/.ready ## formatting, lint, types, import contracts, migrations, schema snapshot, web build
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/squawk adapters/postgres/migrations/*.sql
	@$(BIN)/python -m pytest -q tests/architecture

bench: $(VENV)/.ready ## benchmarks beside the reference app: CPU time per request, and ratios
	@$(BIN)/python -m benchmarks

fmt: $(VENV)/.ready ## format the code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix --quiet .

$(BIN)/uv:
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV)

lock: $(BIN)/uv ## resolve dependencies again into requirements.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --all-extras --group dev pyproject.toml --output-file requirements.lock

schema: $(VENV)/.ready ## print the schema again into schema/schema.graphql
	@$(BIN)/appointments schema > schema/schema.graphql

web: ## rebuild the web pages (needs node)
	@cd app/web && npm ci --no-audit --no-fund --silent && npm run --silent build
