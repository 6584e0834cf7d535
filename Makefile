# All that a developer or a CI job runs. `make help` lists it; ARGS reaches the program behind a target.

PYTHON ?= python3
WORKERS ?= 3
ARGS ?=
ACCEPTANCE ?= ../shared/acceptance
MYSQL ?=

VENV := .venv
BIN := $(VENV)/bin
PLAIN := $(VENV)/.installed
FULL := $(VENV)/.installed-with-tools
PEERS := $(VENV)/.installed-with-peers
WITH_VENV := PATH="$(CURDIR)/$(BIN):$$PATH"
PYTEST := $(WITH_VENV) $(BIN)/pytest -n $(WORKERS) --dist worksteal

export PYTHON
.NOTPARALLEL:
.PHONY: help demo test test-mysql check types format bench bench-backup campaign acceptance chains servers clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(PLAIN) ## plan, apply, change and drift of a first environment, on SQLite
	@$(WITH_VENV) sh examples/demo/run.sh

test: $(FULL) servers ## all tests, on private throw-away servers (ARGS="tests/sql -k name")
	$(PYTEST) $(ARGS)

test-mysql: $(FULL) servers ## what concerns MySQL once more, on MySQL itself (MYSQL=folder of mysqld and mysql)
	programs="$(MYSQL)"; [ -n "$$programs" ] || programs=$$(.ci/provision mysql) && \
		DBOPS_TEST_MYSQL="$$programs" $(PYTEST) $(ARGS)

check: $(FULL) ## format, lint, types, imports between rooms, freshness of generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m dbops schema --all --check

types: $(FULL) ## how complete the package's types are for other checkers than mypy: 100% (pyright, fetched once)
	$(BIN)/pip install --quiet 'pyright[nodejs]'
	cd $(VENV) && VIRTUAL_ENV="$$PWD" PATH="$$PWD/bin:$$PATH" pyright --verifytypes dbops --ignoreexternal

format: $(FULL) ## write the format that check wants
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(PEERS) servers ## time and memory of whole commands, beside a yardstick of the same run
	$(WITH_VENV) $(BIN)/python -m bench $(ARGS)

bench-backup: $(PEERS) servers ## backups and restores beside the engines' own tools (ARGS="--size 2GiB --engines sqlite")
	$(WITH_VENV) $(BIN)/python -m bench backup $(ARGS)

campaign: $(FULL) servers ## the Hypothesis properties with many examples, and every failure at every place
	HYPOTHESIS_PROFILE=campaign $(PYTEST) -o faulthandler_timeout=0 -m "hypothesis or campaign" $(ARGS)

acceptance: $(FULL) servers ## converge the schema pairs in ACCEPTANCE=folder, where there is one
	$(WITH_VENV) $(BIN)/python -m bench.acceptance $(ACCEPTANCE) $(ARGS)

chains: $(FULL) servers ## walk the schemas of real projects in ACCEPTANCE=folder from version to version, with rows
	$(WITH_VENV) $(BIN)/python -m bench.chains $(ACCEPTANCE)/real $(ARGS)

clean: ## remove what the targets made
	rm -rf $(VENV) .demo .hypothesis .pytest_cache .mypy_cache .ruff_cache .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

servers: $(FULL)
	@.ci/provision servers $(BIN)/python

$(PLAIN): pyproject.toml
	@.ci/provision venv $(VENV)
	$(BIN)/pip install --quiet --editable .
	@touch $@

$(FULL): pyproject.toml
	@.ci/provision venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[test,check]'
	@touch $(PLAIN) $@

$(PEERS): $(FULL)
	$(BIN)/pip install --quiet --editable '.[bench]'
	@touch $@
