# Needs Python 3.11 or newer and make; everything else is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
OLD := .venv-lowest
LOCK := $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
  --generate-hashes --no-header
IMAGE_EXTRAS := --extra auth --extra pubsub --extra storage
IMAGE = ucam-faas
LEFT_OUT := $(shell sed 's/^/--no-emit-package /' .ci/locks/left-out.txt)
OCI := --label org.opencontainers.image
LABELS = $(OCI).title=ucam-faas $(OCI).licenses=MIT \
  $(OCI).version=$(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml) \
  $(OCI).revision=$(shell git rev-parse HEAD)

# Without bytecode, reading and rewriting the tests takes as long as running the fast ones.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test test-fast test-lowest lint dist image lock benchmark benchmark-emulator benchmark-container benchmark-jobs benchmark-steps benchmark-processes benchmark-history benchmark-guard simulate trials variants pictures site clean

help:  ## show this
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 20

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "ucam_faas needs Python 3.11 or newer; found $$($(PYTHON) --version). Say which: make PYTHON=python3.13 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

run: $(STAMP)  ## serve the example tasks with a Pub/Sub and a scheduler of their own
	$(BIN)/ucam-faas dev example_tasks $(ARGS)

test: $(STAMP)  ## run every test, in four processes
	$(BIN)/python -m pytest -n 4 $(OPTIONS)

test-fast: $(STAMP)  ## run the tests that take less than 0.25 s each
	$(BIN)/python -m pytest -n 2 -m 'not slow'

# The lowest versions that have wheels for this Python: compiling the others takes longer than the
# tests. Its documents show the help of the newest click, and some of Google's older libraries warn of the
# years that this Python has left.
OLD_OPTIONS := --deselect tests/test_documents.py::test_the_generated_parts_are_up_to_date \
  -W "ignore:You are using a Python version:FutureWarning"
$(OLD)/.installed: pyproject.toml $(STAMP)
	$(BIN)/uv venv --quiet --clear --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" $(OLD)
	$(BIN)/uv pip compile --quiet --no-build --resolution lowest-direct --python $(OLD) --extra dev \
	  --output-file $(OLD)/versions.txt pyproject.toml
	$(BIN)/uv pip sync --quiet --python $(OLD) $(OLD)/versions.txt
	$(BIN)/uv pip install --quiet --python $(OLD) --no-deps --editable .
	@touch $@

test-lowest: export PYTHONWARNINGS = ignore:You are using a Python version:FutureWarning
test-lowest: $(OLD)/.installed  ## run the tests with the lowest versions that pyproject.toml allows
	PATH="$(CURDIR)/$(OLD)/bin:$$PATH" $(OLD)/bin/python -m pytest -n 4 $(OLD_OPTIONS) $(OPTIONS)

lint: $(STAMP)  ## check style, types and words
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python docs/words.py

dist: $(STAMP)  ## build the wheel and the sdist, the same bytes each time, and check them
	$(BIN)/python .ci/dist.py $(OPTIONS)

image:  ## build the two base images for tasks
	docker build --target build --tag $(IMAGE):build $(LABELS) $(OPTIONS) .
	docker build --target run --tag $(IMAGE):run $(LABELS) $(OPTIONS) .

lock: $(STAMP)  ## pin the newest versions of the image's packages
	$(LOCK) $(IMAGE_EXTRAS) $(LEFT_OUT) --output-file .ci/locks/image.txt pyproject.toml
	$(LOCK) $(IMAGE_EXTRAS) $(LEFT_OUT) --extra worker --no-annotate --constraint .ci/locks/image.txt \
	  --output-file .ci/locks/worker.txt pyproject.toml
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' | \
	  $(LOCK) --no-annotate --output-file .ci/locks/build.txt -

benchmark: $(STAMP)  ## compare speed and memory with 1.0.3 and others (needs wrk)
	$(BIN)/python benchmarks/serving.py

benchmark-emulator: $(STAMP)  ## compare the local Pub/Sub with Google's emulator (needs java and its SDK)
	$(BIN)/python benchmarks/emulator.py

benchmark-container: $(STAMP)  ## compare size and cold start with functions-framework's (needs docker)
	$(BIN)/python benchmarks/container.py

benchmark-jobs: $(STAMP)  ## compare jobs with DBOS, huey, procrastinate and pgqueuer (needs PostgreSQL)
	$(BIN)/python benchmarks/jobs.py

simulate: $(STAMP)  ## simulate days with ten million jobs in the cloud (minutes)
	$(BIN)/python benchmarks/simulate.py

benchmark-steps: $(STAMP)  ## compare the steps of a job with those of a DBOS workflow
	$(BIN)/python benchmarks/steps.py

benchmark-processes: $(STAMP)  ## compare a task that computes in processes with the same in threads
	$(BIN)/python benchmarks/processes.py

benchmark-history: $(STAMP)  ## time queries of a history of 1,000,000 messages, and pushes with one
	$(BIN)/python benchmarks/history.py

benchmark-dashboard: $(STAMP)  ## time the dashboard's pages with 1,000,000 messages and jobs
	$(BIN)/python benchmarks/dashboard.py

benchmark-guard: $(STAMP)  ## one short round of all, against the recorded ratios (needs wrk, java and the SDK)
	$(BIN)/python benchmarks/guard.py

trials: $(STAMP)  ## try jobs with real processes that are killed, stopped, replaced and crashed (minutes)
	TRIALS_STORE=$(STORE) $(BIN)/python -m pytest -o faulthandler_timeout=0 tests/trials/trial_*.py

variants: $(STAMP)  ## try a new collection of each kind: tests, check, plan, dev, image (minutes)
	VARIANTS=all $(BIN)/python -m pytest tests/scaffold/test_variants.py

pictures: $(STAMP)  ## take the pictures of the documents again (needs chromium and pngquant)
	$(BIN)/python docs/pictures.py

site: $(STAMP)  ## build the documentation as a web site in build/site/html
	$(BIN)/python docs/site/build.py $(ARGS)

clean:  ## remove installed and cached files
	rm -rf $(VENV) $(OLD) build dist benchmarks/.ucam-faas-* .pytest_cache .mypy_cache .ruff_cache .hypothesis
