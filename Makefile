# Two commands set everything up on a fresh machine with Python 3.11 or newer, pip and make: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= build/demo
# To rewrite the asserts takes each worker as long as a thirtieth of the whole run, and is of use to failures alone.
FAST := -n auto --dist worksteal --assert=plain
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt

.PHONY: help demo demo-rl test check wheel interpreters coverage slow benchmarks site clean

help:
	@echo "make demo          install two skills, evaluate, train, evaluate again (a quarter of an hour)"
	@echo "make demo-rl       reinforcement learning where right answers are few, beside more SFT (20 to 45 minutes)"
	@echo "make test          run the tests"
	@echo "make check         run ruff, mypy and import-linter"
	@echo "make wheel         build the wheel and test it in a clean environment"
	@echo "make interpreters  the same on every Python from 3.11 on that this machine has"
	@echo "make coverage      run the tests and print the branch coverage of each room"
	@echo "make slow          run the tests that need a real model or a package index"
	@echo "make benchmarks    run all benchmarks"
	@echo "make site          build the pages as a site in build/site, without network, and check its links"
	@echo "make clean         remove everything that these commands made"

demo: $(VENV)/.train
	$(BIN)/python demo/run.py --folder $(DEMO)

demo-rl: $(VENV)/.train
	$(PIP) --no-deps --upgrade --target build/demo-rl-plugins ./plugins/skillpm-rejection # not for the tests
	PYTHONPATH=$(CURDIR)/build/demo-rl-plugins $(BIN)/python demo/reinforcement.py --folder build/demo-rl

test: $(VENV)/.test
	$(BIN)/python -m compileall -q skillpm registry tests # some thousand processes read them, perhaps where no caches are written
	$(BIN)/python -m pytest -q $(FAST) || { $(BIN)/python -m pytest -q --last-failed; exit 1; } # again, with the values of the failed asserts

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

wheel: $(VENV)/.test
	.ci/wheel $(BIN)/python $(PYTHON)

interpreters: $(VENV)/.test
	.ci/wheel $(BIN)/python $$(.ci/pythons $(PYTHON))

coverage: $(VENV)/.test
	$(BIN)/python -m pytest -q -n auto --cov --cov-report=json:build/coverage.json
	$(BIN)/python .ci/coverage_by_room.py build/coverage.json

slow: $(VENV)/.test
	$(BIN)/python -m pytest -q -m "slow or network" --timeout 3600

benchmarks: $(VENV)/.test
	for script in $(filter-out benchmarks/gpu_trainer.py benchmarks/accuracies.py,$(wildcard benchmarks/*.py)); do $(BIN)/python $$script || exit 1; done

site: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "open build/site/index.html; \`python -m http.server -d build/site\` serves it with its search"

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.train: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) -e ".[train]"
	touch $@

# The tests ask the parser of langgraph-cli and the checker of bfcl-eval. They are installed without what only their
# servers and clients need.
$(VENV)/.test: $(VENV)/bin/python pyproject.toml registry/pyproject.toml constraints.txt
	$(PIP) -e ".[train,dev]" -e "./registry[fast,postgresql,stores]"
	$(PIP) --no-deps langgraph-cli bfcl-eval
	touch $@

$(VENV)/.docs: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) -e ".[docs]"
	touch $@

clean:
	rm -rf $(VENV) build dist .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
