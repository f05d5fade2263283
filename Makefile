# Everything runs in an environment of the project's own, .venv, which the targets make.
# It needs Python 3.11 or newer, make and a package index. README.md shows it without make.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
	>/dev/null 2>&1 && { echo $$p; break; }; done)

# Where the demo listens.
HOST ?= 127.0.0.1
PORT ?= 5000
# small, or full for the sizes that the figures in the documentation name.
SIZE ?= small
# Test processes: one more than there are cores, since many tests wait for other processes.
JOBS ?= $(shell $(PYTHON) -c "import os; print((os.cpu_count() or 1) + 1)")
# Further words for pytest, for example: make test PYTEST="tests/people -x"
PYTEST ?=

export UV_PYTHON_DOWNLOADS := never
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# $(call install,WORDS): uv for its speed; pip, which knows more ways to be told of an index,
# where uv is not to be had or does not get through.
install = { test -x $(BIN)/uv && $(BIN)/uv pip install --quiet --python $(BIN)/python $(1); } \
	|| $(BIN)/python -m pip install --quiet $(1)

.PHONY: help demo test campaign bench docs lint format pins env env-test env-lint env-docs clean

help:
	@echo "make demo      a small product with a seeded past, and its dashboard, on SQLite"
	@echo "make test      all tests but the long campaigns"
	@echo "make campaign  the long fault campaigns"
	@echo "make bench     benchmarks (SIZE=full for the large sizes)"
	@echo "make docs      the documentation, into docs/_build/html"
	@echo "make lint      style, formatting, types"

demo: env
	@$(BIN)/flask --app example_app seed
	@echo
	@echo "The product:   http://$(HOST):$(PORT)/        (log in as one of its users)"
	@echo "The dashboard: http://$(HOST):$(PORT)/engage/ (log in as the operator)"
	@echo "Ctrl-C stops it; what you did is there next time."
	@echo
	@ENGAGE_BASE_URL=http://$(HOST):$(PORT) \
		$(BIN)/flask --app example_app run --host $(HOST) --port $(PORT)

test: env-test
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "not campaign" $(PYTEST)

campaign: env-test
	$(BIN)/python -m pytest -m campaign $(PYTEST)

bench: env-test
	$(BIN)/python -m tests.benchmarks --size $(SIZE)

docs: env-docs
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "The documentation is in docs/_build/html/index.html."

lint: env-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: env-lint
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format --quiet .

# --- the environment -------------------------------------------------------------------------

env: $(VENV)/.run
env-test: $(VENV)/.test
env-lint: $(VENV)/.lint
env-docs: $(VENV)/.docs

$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer (with venv) was found; " \
		"name yours: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet -r requirements/tool.txt \
		|| echo "uv could not be installed; pip does the rest, more slowly." >&2
	@touch $@

$(VENV)/.run: $(VENV)/.made requirements/run.txt pyproject.toml
	@$(call install,-r requirements/run.txt)
	@$(call install,--no-deps -e .)
	@touch $@

$(VENV)/.test: $(VENV)/.run requirements/test.txt
	@$(call install,-r requirements/test.txt)
	@touch $@

$(VENV)/.lint: $(VENV)/.test requirements/lint.txt
	@$(call install,-r requirements/lint.txt)
	@touch $@

$(VENV)/.docs: $(VENV)/.run requirements/docs.txt
	@$(call install,-r requirements/docs.txt)
	@touch $@

# --- pins ------------------------------------------------------------------------------------

PIN = $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	--no-emit-index-url --no-header --no-annotate

pins: $(VENV)/.made
	$(PIN) pyproject.toml requirements/run.in --extra example -o requirements/run.txt
	$(PIN) pyproject.toml requirements/test.in --extra test -o requirements/test.txt
	$(PIN) requirements/lint.in -o requirements/lint.txt
	$(PIN) requirements/docs.in -o requirements/docs.txt
	$(PIN) requirements/tool.in -o requirements/tool.txt

clean:
	rm -rf $(VENV) docs/_build build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis \
		tests/benchmarks/.peers
