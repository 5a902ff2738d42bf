# `make` lists the targets. Two are enough to begin with: `make run` and `make test`.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
HOST := 127.0.0.1
PORT ?= 5000

# The two environments are installed side by side, and so are checks and the second one.
MAKEFLAGS += --jobs=2

# Usage reports are off for everybody. The two variables speak to Kedro and to MLflow.
export DO_NOT_TRACK := 1
export MLFLOW_DISABLE_TELEMETRY := true

# ---------------------------------------------------------------- run and look

# A whole report values all 665,280 lists of 200 requests, which takes minutes where the rest of it takes one.
SHORT := evaluation.settings.exact_requests=4

.PHONY: run
run: $(VENV)/.installed ## Set up if needed, then the main job on the simulated shop (ARGS="--env=…" goes to kedro)
	$(BIN)/kedro run --params=$(SHORT) $(ARGS)
	@$(MAKE) --no-print-directory next

REPORTING ?= data/08_reporting

.PHONY: next
next: ## Say what to look at after a run
	@printf '\nWhat to look at next\n'
	@printf '  %-42s %s\n' \
	  '$(REPORTING)/evaluation/report.html' 'the report: tables, curves, example lists' \
	  '$(REPORTING)/gate/gate_report.html' 'whether the new model may serve, and why' \
	  '$(REPORTING)/data_docs/' 'what the data checks found (HTML)' \
	  'make ui' 'MLflow: the run and the registered model, http://$(HOST):$(PORT)' \
	  'make viz' 'kedro viz: the stages and the data between them' \
	  'notebooks/01_first_look.ipynb' 'one request from its log rows to its list'

.PHONY: ui
ui: $(VENV)/.installed ## Open the MLflow UI on mlflow.db at http://127.0.0.1:5000 (PORT=… for another)
	@echo 'MLflow at http://$(HOST):$(PORT) (Ctrl-C ends it)'
	MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false $(BIN)/mlflow server \
	  --backend-store-uri "$$($(BIN)/python -m degre_pipeline.locations)" --host $(HOST) --port $(PORT) --workers 1

.PHONY: serve
serve: $(VENV)/.installed-serving ## Serve the champion at http://127.0.0.1:8000 (ARGS="--alias challenger", "--help")
	$(BIN)/python -m degre_pipeline.serving.web \
	  --prediction-log data/07_model_output/predictions $(ARGS)

.PHONY: online
online: $(VENV)/.installed-serving ## The simulated A/B test through the running service, after `make run`
	$(BIN)/kedro run --pipeline=online_experiment $(ARGS)

.PHONY: viz
viz: $(VENV)/.installed ## Show the pipelines in kedro viz
	$(BIN)/kedro viz run --host $(HOST)

# ---------------------------------------------------------------- every day

AIRFLOW := .venv-airflow
AIRFLOW_PORT ?= 8080
AIRFLOW_HOME := $(CURDIR)/.airflow
AIRFLOW_URL := http://$(HOST):$(AIRFLOW_PORT)

.PHONY: airflow
airflow: export AIRFLOW_HOME := $(AIRFLOW_HOME)
airflow: export DEGRE_PARAMS ?= $(SHORT)
# The scheduler ends where SQLite is busy for longer than it waits, which is 5 seconds by itself.
airflow: export AIRFLOW__DATABASE__SQL_ALCHEMY_CONN := sqlite:///$(AIRFLOW_HOME)/airflow.db?timeout=120
airflow: export AIRFLOW__CORE__DAGS_FOLDER := $(CURDIR)/dags
airflow: export AIRFLOW__CORE__LOAD_EXAMPLES := False
airflow: export AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION := False
airflow: export AIRFLOW__CORE__PARALLELISM := 2
airflow: export AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS := True
airflow: export AIRFLOW__CORE__EXECUTION_API_SERVER_URL := $(AIRFLOW_URL)/execution/
airflow: export AIRFLOW__API__HOST := $(HOST)
airflow: export AIRFLOW__API__PORT := $(AIRFLOW_PORT)
airflow: export AIRFLOW__API__BASE_URL := $(AIRFLOW_URL)
airflow: export AIRFLOW__API__WORKERS := 1
airflow: export AIRFLOW__WORKERS__EXECUTION_API_RETRIES := 12
airflow: export AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT := 60
airflow: export PATH := $(CURDIR)/$(AIRFLOW)/bin:$(PATH)
airflow: $(VENV)/.installed $(AIRFLOW)/.installed ## Retrain every day, beginning with yesterday: Airflow at http://127.0.0.1:8080 (AIRFLOW_PORT=…)
	@case '$(CURDIR)' in *[%?]*) \
	  echo 'the project lies in $(CURDIR); allowed for make airflow: a path without % and ?' >&2; exit 2;; esac
	@mkdir -p '$(AIRFLOW_HOME)'
	@echo '==> Preparing $(AIRFLOW_HOME)'
	@airflow db migrate >'$(AIRFLOW_HOME)/prepare.log' 2>&1 && \
	  airflow pools set gpu 1 'one training at a time' >>'$(AIRFLOW_HOME)/prepare.log' 2>&1 || { \
	  cat '$(AIRFLOW_HOME)/prepare.log' >&2; exit 1; }
	@echo 'Airflow at $(AIRFLOW_URL)/dags/daily_retraining in about 20 seconds (Ctrl-C ends it)'
	airflow standalone

DAYS ?= 10
OPENS := $(shell sed -nE 's/^ *opens: "(.*)".*/\1/p' conf/base/parameters_living_shop.yml)
PARAMS ?=

.PHONY: living-shop
living-shop: $(VENV)/.installed ## A shop that changes: days that the champion serves, each followed by a retraining (DAYS=10)
	@for day in $$($(BIN)/python -c "import pandas; print(*pandas.date_range('$(OPENS)', periods=$(DAYS)).date)"); do \
	  echo "==> $$day"; \
	  $(BIN)/kedro run --env=living_shop --pipeline=living_shop --params="run_date=$$day" || exit; \
	  $(BIN)/kedro run --env=living_shop --params="run_date=$$day$(if $(PARAMS),$(COMMA)$(PARAMS))" || exit; \
	done
	@printf '\n  %s\n' 'data/08_reporting/living_shop/living_shop/report.html: retrained and frozen models by day'

COMMA := ,

# ---------------------------------------------------------------- MovieLens

.PHONY: ml1m-data
ml1m-data: $(if $(ZIP),$(VENV)/.installed) ## Check and unpack GroupLens' zip: make ml1m-data ZIP=path/to/ml-1m.zip
ifndef ZIP
	@printf '%s\n' >&2 \
	  'ZIP is not set. Download ml-1m.zip (6 MB) from https://grouplens.org/datasets/movielens/1m/' \
	  '(its README has the terms of use), then: make ml1m-data ZIP=path/to/ml-1m.zip'
	@exit 2
else
	$(BIN)/python -m degre_pipeline.sources.movielens --zip '$(ZIP)' --to data/01_raw/ml-1m
endif

.PHONY: ml1m
ml1m: $(VENV)/.installed ## The main job on MovieLens-1M with the paper's layers (about an hour on two cores)
	$(BIN)/kedro run --env=ml1m $(ARGS)
	@$(MAKE) --no-print-directory next REPORTING=data/08_reporting/ml1m

# ---------------------------------------------------------------- check

# A process of tests a core, each of one thread. A file's tests stay together, for they share its fixtures.
WORKERS ?= auto
SIDE_BY_SIDE := --numprocesses=$(WORKERS) --dist=loadfile --no-loadscope-reorder
test check: export OMP_NUM_THREADS ?= 1

.PHONY: test
test: lint $(AIRFLOW)/.installed ## Set up if needed, then all checks and the quick tests
	$(BIN)/pytest $(SIDE_BY_SIDE) -m 'not slow and not gpu and not browser and not torture' $(ARGS)

# What a change can break, in about a minute: all of `make lint`, and the tests that mirror the changed files.
.PHONY: check
check: lint ## Between commits: style, types, and the tests that the change since BASE=origin/main touches
	@tests=$$($(BIN)/python tests/touched_tests.py '$(BASE)') && echo "$$tests" && \
	  $(BIN)/pytest $(SIDE_BY_SIDE) -m 'not slow and not gpu and not browser and not torture and not airflow' $$tests $(ARGS)

BASE ?= origin/main

.PHONY: test-slow
test-slow: $(VENV)/.installed-dev ## The tests that need minutes
	$(BIN)/pytest -m 'slow and not gpu and not browser and not airflow' $(ARGS)

.PHONY: fuzz
fuzz: $(VENV)/.installed-dev ## Anything at all to a service on this machine: bodies, headers, slow clients
	$(BIN)/pytest tests/serving/web/test_fuzzing.py tests/serving/web/test_http_fuzzing.py $(ARGS)

.PHONY: test-torture
test-torture: $(VENV)/.installed-dev ## Kills, flipped bits, races, full disks, wrong clocks at random (SEED=0; quarter of an hour)
	DEGRE_TORTURE_SEED='$(SEED)' $(BIN)/pytest -m torture $(ARGS)

SEED ?= 0

.PHONY: test-airflow
test-airflow: $(VENV)/.installed-dev $(AIRFLOW)/.installed ## Whole days in a real Airflow, with faults (about half an hour)
	$(BIN)/pytest -m airflow $(ARGS)

.PHONY: test-browser
test-browser: chromium $(VENV)/.installed-dev ## Promotion by clicks in MLflow's UI (SCREENSHOTS=docs/how-to/pictures keeps pictures)
	SCREENSHOTS='$(SCREENSHOTS)' $(BIN)/pytest -m browser $(ARGS)

.PHONY: chromium
chromium:
	@for program in chromium chromedriver; do \
	  command -v $$program >/dev/null || { \
	    echo "$$program is not on the PATH, and the browser tests need it; on Debian: apt-get install chromium chromium-driver" >&2; \
	    exit 2; }; \
	done

.PHONY: bench
bench: $(VENV)/.installed ## Measure how fast the science is, as ratios: benchmarks/results.json (ARGS="mining --repeats 9")
	$(BIN)/python -m benchmarks $(ARGS)

.PHONY: publish-study
publish-study: $(VENV)/.installed ## Bring what a truth study found to docs/benchmarks (ARGS=data/08_reporting/ml1m/truth_study)
	$(BIN)/python -m benchmarks.publish_study $(ARGS)

SHOPS ?= 201 202 203 204 205
WORLDS ?= shop page leaving
SEEDS ?= 0

.PHONY: shops-study
shops-study: $(VENV)/.installed ## The default run on several simulated shops, by the truth (SHOPS="201 202", WORLDS, SEEDS)
	$(BIN)/python -m benchmarks.shops_study --shops $(SHOPS) --worlds $(WORLDS) --seeds $(SEEDS) $(ARGS)

.PHONY: publish-shops
publish-shops: $(VENV)/.installed ## Bring what it found so far to docs/benchmarks
	$(BIN)/python -m benchmarks.publish_shops $(ARGS)

.PHONY: lint
lint: $(VENV)/.installed-dev ## Style, format and types, without the tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --num-workers=auto

.PHONY: format
format: $(VENV)/.installed-dev ## Let ruff format and mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: clean
clean: ## Delete caches and data/02 … 08; keeps data/01_raw, mlflow.db and .venv
	find data/0[2-8]_* -mindepth 1 ! -name .gitkeep -delete
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .viz build dist
	find src tests dags -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help: ## This list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | \
	  awk -F ':.*## ' '{ printf "  \033[1m%-12s\033[0m %s\n", $$1, $$2 }'

# ---------------------------------------------------------------- environment

# pip by default; UV=1 takes uv when it is installed.
ifeq ($(UV)$(if $(shell command -v uv),+uv),1+uv)
CREATE_VENV = uv venv --quiet --python '$(PYTHON)' $(VENV)
# A local folder of wheels (UV_FIND_LINKS) decides which torch is taken; otherwise uv looks for a GPU.
CREATE_AIRFLOW_VENV = uv venv --quiet --python '$(PYTHON)' $(AIRFLOW)
INSTALL_AIRFLOW = uv pip install --quiet --python $(AIRFLOW)/bin/python
INSTALL = uv pip install --quiet --python $(BIN)/python $(if $(UV_FIND_LINKS),,--torch-backend=auto)
TORCH_INDEX := none
else
CREATE_VENV = $(PYTHON) -m venv $(VENV)
CREATE_AIRFLOW_VENV = $(PYTHON) -m venv $(AIRFLOW)
INSTALL_AIRFLOW = $(AIRFLOW)/bin/python -m pip install --quiet --disable-pip-version-check
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check
endif

# PyPI's torch for Linux brings gigabytes of CUDA along. With `auto`, a Linux machine without an NVIDIA driver
# takes the CPU build from PyTorch's own index, unless pip finds a CPU build anyway. `none` leaves it to pip.
TORCH_INDEX ?= auto
TORCH_CPU_INDEX := https://download.pytorch.org/whl/cpu
TORCH := $(shell sed -nE 's/^ *"(torch[<>=][^"]*)",$$/\1/p' pyproject.toml)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { \
	  echo "$(PYTHON) is $$($(PYTHON) --version 2>&1); Python 3.11, 3.12 or 3.13 is needed: make $(MAKECMDGOALS) PYTHON=python3.11" >&2; \
	  exit 2; }
	@echo '==> Creating $(VENV) with $(PYTHON)'
	@$(CREATE_VENV) || { rm -rf $(VENV); \
	  echo 'No environment could be made; Debian and Ubuntu need the package python3-venv' >&2; exit 2; }

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	@echo '==> Installing torch (step 1 of 2, about a minute)'
	@index='$(TORCH_INDEX)'; \
	if [ "$$index" = auto ]; then \
	  index=none; \
	  if [ "$$(uname -s)" = Linux ] && ! command -v nvidia-smi >/dev/null && \
	     ! $(INSTALL) --dry-run --no-deps --ignore-installed --report - '$(TORCH)' | grep '"version": "[0-9.]*+cpu"' >/dev/null; then \
	    echo '    no NVIDIA driver found: taking the CPU build (TORCH_INDEX=none for the build with CUDA)'; \
	    index='$(TORCH_CPU_INDEX)'; \
	  fi; \
	fi; \
	if [ "$$index" = none ]; then $(INSTALL) '$(TORCH)'; else $(INSTALL) --extra-index-url "$$index" '$(TORCH)'; fi
	@echo '==> Installing degre_pipeline and its libraries (step 2 of 2, about two minutes)'
	@$(INSTALL) --editable .
	@touch $@

$(VENV)/.installed-serving: $(VENV)/.installed
	@echo '==> Installing what the web service needs'
	@$(INSTALL) --editable '.[serving]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@echo '==> Installing the tools for tests and checks'
	@$(INSTALL) --editable '.[dev]'
	@touch $@

# Airflow keeps to itself: its web framework is an older one than the project's.
$(AIRFLOW)/.installed: dags/requirements.txt | $(BIN)/python
	@echo '==> Installing Airflow in $(AIRFLOW) (about a minute)'
	@$(CREATE_AIRFLOW_VENV)
	@$(INSTALL_AIRFLOW) --requirement dags/requirements.txt
	@touch $@
