# Everything needs only Python >= 3.11 and make: each target makes its own environment first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUN ?= runs/quick
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: run test lint install clean bench bench-stl oracle fuzz mutants doctor-matrix
FUZZ_SECONDS ?= 600

run: $(VENV)/.run
	if [ -f "$(RUN)/config.toml" ]; then $(BIN)/custodes train --resume "$(RUN)"; \
	else $(BIN)/custodes train --preset quick --specs default --out "$(RUN)"; fi
	$(BIN)/custodes evaluate "$(RUN)"
	$(BIN)/custodes data audit --run "$(RUN)" --no-trees
	$(BIN)/custodes report "$(RUN)"

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

install: $(VENV)/.dev

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks.train --install
	$(BIN)/python -m benchmarks.train --json

# Speed of the rules beside sentil, rtamt and stlcg++, each in an environment of its own.
bench-stl: $(VENV)/.dev
	$(BIN)/python -m benchmarks.stl --install
	$(BIN)/custodes stl bench --json

# The rules on 2,000 random formulas against their definition, and against two independent implementations.
oracle: $(VENV)/.dev
	CUSTODES_FORMULAS=2000 $(BIN)/python -m pytest -n 2 tests/stl/test_batched.py tests/stl/test_streaming.py
	$(BIN)/python -m benchmarks.stl --install
	$(BIN)/python -m benchmarks.stl_oracle

# FUZZ_SECONDS for each: formula texts, the streaming monitor, bytes on the wire.
fuzz: $(VENV)/.dev
	$(BIN)/python -m benchmarks.stl_fuzz --seconds $(FUZZ_SECONDS)
	$(BIN)/python -m benchmarks.bft_fuzz --seconds $(FUZZ_SECONDS)

# Every seeded defect of the agreement protocol, and which scenario finds it.
mutants: $(VENV)/.dev
	$(BIN)/python -m benchmarks.bft_mutants

# Every fault that `custodes train --inject` knows, 5 seeds, two presets, beside healthy runs and pairs of faults.
doctor-matrix: $(VENV)/.dev
	$(BIN)/python -m benchmarks.doctor_matrix

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "custodes needs Python 3.11 or newer; set PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) -e .
	touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) -e '.[dev]'
	touch $@ $(VENV)/.run

$(VENV)/.bench: $(VENV)/.dev
	$(PIP) -e '.[bench]'
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info src/*.egg-info .pytest_cache .mypy_cache .ruff_cache
