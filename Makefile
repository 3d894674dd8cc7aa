# `make demo` and `make test` work in a fresh clone: they make a virtual environment in .venv first.

PYTHON ?= python3
EXTRAS ?= test
VENV := .venv
BIN := $(VENV)/bin
COMMA := ,
# one stamp for each set of extras that is installed
HAVE = $(VENV)/have-$(subst $(COMMA),-,$(1))
# BLAS starts a thread for each core in every process; the arrays here are too small to gain from it
export OMP_NUM_THREADS ?= 1

.PHONY: demo test slow lint bench accuracy clean
.DELETE_ON_ERROR:

demo: $(call HAVE,core)
	@$(BIN)/geoloc demo

test: $(call HAVE,$(EXTRAS))
	@$(BIN)/python -m pytest -n auto --dist loadfile -m "not slow"

slow: $(call HAVE,$(EXTRAS))
	@$(BIN)/python -m pytest -n auto --dist loadfile -m slow

lint: $(call HAVE,lint)
	@$(BIN)/ruff check .
	@$(BIN)/mypy

accuracy: $(call HAVE,test)
	@$(BIN)/python tools/accuracy.py

bench: $(call HAVE,bench)
	@$(BIN)/python tools/benchmarks_page.py

clean:
	rm -rf $(VENV) out build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "geoloc needs Python 3.11 or later; name one with: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "python3 -m venv failed; on Debian: apt-get install python3-venv"; exit 1; }

$(call HAVE,core): pyproject.toml | $(BIN)/python
	@echo "installing geoloc into $(VENV) ..." >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/have-%: pyproject.toml | $(BIN)/python
	@echo "installing geoloc and what its extra $* needs into $(VENV) ..." >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$(subst -,$(COMMA),$*)]'
	@touch $@
