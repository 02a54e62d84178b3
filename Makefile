# Everything a new clone needs: `make demo`, `make test`.  Each target makes .venv and installs what it lacks.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 2

.PHONY: demo test test-all bench lint clean

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# one stamp per set of extras, so that nothing is installed twice
$(VENV)/stamp-%: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$*]'
	touch $@

demo: $(VENV)/stamp-examples
	$(BIN)/python -m adc demo

lint: $(VENV)/stamp-test
	$(BIN)/ruff check adc tests examples kernels
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest -m "not long" -n $(JOBS)

test-all: lint
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --skip-covered --fail-under=95
	ADC_PROGRAMS=2000 $(BIN)/python -m pytest tests/test_programs.py -n $(JOBS)

bench: $(VENV)/stamp-bench
	$(BIN)/python -m tests.bench.spine --write
	$(BIN)/python -m tests.bench.run --curves
	$(BIN)/python -m tests.bench.programs --write

clean:
	rm -rf $(VENV) build dist *.egg-info
