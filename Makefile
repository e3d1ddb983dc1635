# Every target sets up what it needs, with nothing but Python and pip on the machine: the demo what a user would install,
# in .venv-demo, the others the tools of a developer, in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := .venv-demo

.PHONY: demo test test-all test-browser screenshots lint types docs bench bench-server faults clean

demo: $(DEMO)/.ready
	$(DEMO)/bin/ainsights demo

test: $(VENV)/.ready
	$(BIN)/pytest $(ARGS)

# Every test, those marked slow too, and longer runs of hypothesis.
test-all: $(VENV)/.ready
	$(BIN)/pytest -m 'slow or not slow' --hypothesis-profile=long $(ARGS)

# The pages of `ainsights serve` in Chromium, which has to be installed: apt-get install chromium
test-browser: $(VENV)/.browser
	$(BIN)/pytest tests/browser -o addopts= -n 2 $(ARGS)

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
	$(BIN)/python benchmarks/stops.py
	$(BIN)/python benchmarks/startup.py

bench-server: $(VENV)/.ready
	$(BIN)/python benchmarks/server/ingest.py
	$(BIN)/python benchmarks/server/queries.py $(ARGS)

faults: $(VENV)/.ready
	$(BIN)/python benchmarks/faultbench $(ARGS)

$(VENV)/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable '.[clickhouse]' --group dev
	touch $@

# The pictures of the README, from the sample of the demo.
screenshots: $(VENV)/.browser
	$(BIN)/python docs/screenshots.py

$(VENV)/.browser: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --group browser
	touch $@

$(DEMO)/.ready: pyproject.toml examples/quickstart.py $(shell find src -type f -not -path '*/__pycache__/*')
	$(PYTHON) -m venv $(DEMO)
	$(DEMO)/bin/python -m pip install --quiet --disable-pip-version-check '.[server]'
	touch $@

clean:
	rm -rf $(VENV) $(DEMO)
