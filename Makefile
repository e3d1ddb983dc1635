# Every target sets up what it needs in .venv, with nothing but Python and pip on the machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint types docs bench faults clean

demo: $(VENV)/.ready
	$(BIN)/ainsights demo

test: $(VENV)/.ready
	$(BIN)/pytest $(ARGS)

lint: $(VENV)/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

types: $(VENV)/.ready
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python

docs: $(VENV)/.ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo 'Open site/index.html'

bench: $(VENV)/.ready
	$(BIN)/python benchmarks/senders.py
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/background.py
	$(BIN)/python benchmarks/privacy.py
	$(BIN)/python benchmarks/startup.py

faults: $(VENV)/.ready
	$(BIN)/python benchmarks/faultbench $(ARGS)

$(VENV)/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable '.[server]' --group dev
	touch $@

clean:
	rm -rf $(VENV)
