# make demo   the whole path on the embedded corpus: speech made, model trained, report written (about 5 minutes)
# make test   lint, types and the whole test suite
# make benchmark   LSTM layers and features against the usual ones, one thread (two minutes; the machine should be quiet)
# All set up .venv first where that is not done yet; Python 3.11 or newer and its venv are needed.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
OUT ?= demo

.PHONY: demo test lint check-long benchmark wheel clean

demo: $(VENV)/.installed
	$(BIN)/asr demo --out $(OUT)

test: lint
	$(BIN)/python -m pytest -n 2 -m "not long"

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check-long: $(VENV)/.installed
	$(BIN)/python -m pytest

benchmark: $(VENV)/.installed
	$(BIN)/python benchmarks/lstm.py --threads 1
	$(BIN)/python benchmarks/features.py

wheel: $(VENV)/.installed
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache

# The stamp is written last: an installation that was interrupted is done again. It is as new as pyproject.toml, so a
# second call installs nothing.
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	@echo "installing into $(VENV): 5 GB, which takes minutes"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@
