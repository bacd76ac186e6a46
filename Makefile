# `make repro` and `make test` are all a user needs; each sets up what it uses.
.DEFAULT_GOAL := help
.PHONY: help setup repro retrain field-day up down test integration lint types check docs lock clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
COVERAGE_FLOOR := 92
# Of the tests; each takes up to 2 GB of memory.
PROCESSES := -n logical --maxprocesses 4
DATA := $(shell sed -n '/^data:/,/^[a-z]/s/^ *raw: *\([^ ]*\).*/\1/p' params.yaml)

export PATH := $(CURDIR)/$(BIN):$(PATH)
export PYTHONUNBUFFERED := 1
export DO_NOT_TRACK := 1
export MLFLOW_DISABLE_TELEMETRY := true
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export GX_ANALYTICS_ENABLED := false
export HF_HUB_OFFLINE := 1
export PREFECT_HOME := $(CURDIR)/.prefect
export DVC_SITE_CACHE_DIR := $(CURDIR)/.dvc/site

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make the virtual environment

# uv does not read pip's settings; UV_FIND_LINKS lets it use the same local wheels where there are some.
$(STAMP): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^uv==' requirements.lock)"
	UV_FIND_LINKS="$${UV_FIND_LINKS:-$$PIP_FIND_LINKS}" $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $@

repro: setup ## Run the whole pipeline; only what changed runs again
	@test -n "$$(ls -d $(DATA)/*/batch.yaml 2>/dev/null)" || sensorproof simulate $(DATA)/embedded
	dvc repro
	@sensorproof summary

retrain: setup ## The same stages as a Prefect flow, without a server
	python pipelines/flows/retraining.py

field-day: setup ## Show a day of field data, from the inbox to a new champion, in a temporary project
	python examples/field_day.py

up: setup ## Start MLflow, Prefect, a worker and the Optuna dashboard on this machine
	sensorproof platform up

down: setup ## End them
	sensorproof platform down

test: setup ## Run the tests (no servers needed); with COVERAGE=yes, hold the coverage to its floor
	pytest $(PROCESSES) --dist worksteal $(if $(COVERAGE),--cov --cov-report=term:skip-covered --cov-fail-under=$(COVERAGE_FLOOR))

integration: setup ## Run the small pipeline, and the tests against real servers and a real browser
	pytest $(PROCESSES) --dist loadfile tests/integration

lint: setup ## Check style and the directions of imports
	ruff check .
	ruff format --check .
	lint-imports --no-cache

types: setup ## Check types
	mypy

check: lint types test ## Lint, types and tests

docs: setup ## Build the documentation site in artifacts/site; a broken link is an error
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet

# The pins that are there stay; `make lock UPGRADE=--upgrade` takes the newest. The CUDA packages are torch's own affair.
lock: setup ## Pin what pyproject.toml asks for
	UV_FIND_LINKS="$${UV_FIND_LINKS:-$$PIP_FIND_LINKS}" uv pip compile --quiet $(UPGRADE) --python-version 3.11 \
	  --no-header --no-annotate --no-emit-index-url --no-emit-find-links --extra pipeline --extra export --extra muses --extra dev pyproject.toml -o requirements.lock
	sed -i -E '/^(nvidia-|cuda-|triton)/d; s/^(torch==[0-9.]+)\+cpu/\1/' requirements.lock

clean: ## Remove what runs left behind (data stays)
	rm -rf artifacts mlflow.db mlruns mlartifacts .prefect dvc.lock
