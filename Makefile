# make quickstart  set up and run the main job            make test  set up and run every check
# make fix         format and mend what can be mended      make acceptance  the slow proofs (see acceptance/)
PYTHON ?= python3
BIN := .venv/bin

.PHONY: quickstart test check fix acceptance wheel clean

quickstart: .venv/run
	$(BIN)/eyechart run

test: .venv/dev
	$(BIN)/ruff format --check src tests benchmarks examples acceptance
	$(BIN)/ruff check src tests benchmarks examples acceptance
	$(BIN)/pyright
	$(BIN)/pytest -q -n 2 --dist worksteal

fix: .venv/dev
	$(BIN)/ruff check --fix src tests benchmarks examples acceptance
	$(BIN)/ruff format src tests benchmarks examples acceptance

acceptance: .venv/dev
	$(BIN)/python acceptance/run_all.py

wheel: .venv/dev
	$(BIN)/python -m build --wheel --outdir dist

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/run: requirements/run.txt pyproject.toml | .venv/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements/run.txt -e .
	touch $@

.venv/dev: requirements/dev.txt .venv/run
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements/dev.txt
	touch $@

clean:
	rm -rf .venv dist build runs
