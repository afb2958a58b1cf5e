# Everything a developer or an operator does here; `make help` explains.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

export UV_PYTHON_DOWNLOADS := never
# What runs from .venv finds its programs (python3.13 for SAM, uv for the layer) there first.
export PATH := $(CURDIR)/.venv/bin:$(PATH)

PYTHON_CODE := src backend local tests benchmarks tools
REGION ?= default
EVENT ?= events/schedule.json

.PHONY: help
help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

## ---- set-up -------------------------------------------------------------------------------------

.PHONY: setup
setup: .venv/.ready ## Make .venv (Python 3.13 where there is one) with everything locked

# uv from the PATH, or its own small environment in .tools, made with any Python from 3.11 on.
.tools/bin/uv:
	@for python in python3.13 python3.12 python3.11 python3 /usr/bin/python3; do \
	  if $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "setting up with $$($$python --version)"; \
	    $$python -m venv .tools && .tools/bin/python -m pip install -q --disable-pip-version-check uv && exit 0; \
	  fi; \
	done; echo "needs Python 3.11 or newer with its venv module (Debian: apt-get install python3-venv)" >&2; exit 1

UV := $(shell PATH="$(subst $(CURDIR)/.venv/bin:,,$(PATH))" command -v uv || echo .tools/bin/uv)

.venv/.ready: requirements-dev.txt .python-version | $(filter .tools/bin/uv,$(UV))
	@$(UV) venv -q --clear --python 3.13 .venv 2>/dev/null || $(UV) venv -q --clear --python '>=3.11' .venv
	@$(UV) pip sync -q --python .venv --require-hashes requirements-dev.txt
	@echo ".venv is ready: $$(.venv/bin/python --version)"
	@touch $@

.PHONY: lock
lock: setup ## Resolve the locked requirements anew (after changing a requirements*.in)
	@compile="$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header"; \
	$$compile requirements-dev.in -o requirements-dev.txt; \
	sed 's/ *\\$$//; /--hash/d' requirements-dev.txt | grep -E '^[a-z]' > .cache-constraints.txt; \
	$$compile layers/dependencies/requirements.in -c .cache-constraints.txt -o layers/dependencies/requirements.txt; \
	$$compile benchmarks/requirements-custodian.in -o benchmarks/requirements-custodian.txt; \
	rm .cache-constraints.txt

## ---- run it here ---------------------------------------------------------------------------------

.PHONY: demo
demo: setup ## Play the three acceptance scenarios on embedded parts
	@PYTHONPATH=src python -m local.demo

.PHONY: local
local: setup ## Start the embedded stack and leave it up; prints how to invoke the function on it
	@PYTHONPATH=src python -m local.up

.PHONY: invoke
invoke: setup ## Invoke the function on the stack that `make local` started (EVENT=events/...)
	@PYTHONPATH=src python -m local.up --invoke $(EVENT)

.PHONY: doctor
doctor: setup ## Examine the function on that stack, or on one of its own: what keeps it from working
	@PYTHONPATH=src python -m local.doctor

.PHONY: dashboard
dashboard: setup ## Draw the template's dashboards from a local week: pages in build/, pictures in docs/
	@PYTHONPATH=src python -m tools.dashboard_preview

## ---- check it ------------------------------------------------------------------------------------

.PHONY: test
test: setup lint types ## All checks and tests
	@python -m pytest -n auto --dist loadgroup -q

.PHONY: soak
soak: setup ## The long property, fault and crash tests; writes docs/reliability.md
	@SOAK=1 python -m pytest tests/reliability -q --timeout 1800
	@SOAK=1 python -m pytest tests/property/test_random_inventories.py tests/integration/test_housekeeping_random.py -q --timeout 1800

# Cloud Custodian, a peer that the benchmarks run beside, in an environment of its own.
.cache/custodian/.ready: benchmarks/requirements-custodian.txt .venv/.ready
	@$(UV) venv -q --clear --python .venv/bin/python .cache/custodian
	@$(UV) pip sync -q --python .cache/custodian --require-hashes $<
	@touch $@

.PHONY: bench
bench: setup .cache/custodian/.ready ## Measure beside the peers; writes docs/performance.md (BENCH="idle burst": only these)
	@PYTHONPATH=src python -m benchmarks $(BENCH)

.PHONY: lint
lint: setup ## ruff: rules and format
	@ruff check -q $(PYTHON_CODE) && ruff format -q --check $(PYTHON_CODE) && echo "ruff: clean"

.PHONY: types
types: setup ## mypy, strict
	@mypy $(PYTHON_CODE)

.PHONY: format
format: setup ## Format, and mend what ruff can
	@ruff check -q --fix $(PYTHON_CODE); ruff format -q $(PYTHON_CODE)

## ---- build and deploy ----------------------------------------------------------------------------

# SAM reads Fn::ForEach only when it is told so; a template that is not beside samconfig.toml needs this.
export SAM_CLI_ENABLE_LANGUAGE_EXTENSIONS := 1
# Something of an environment of samconfig.toml, as `p`. The dry run's stack runs beside the real one: it has
# another name, notifies nobody, and keeps its metrics to itself.
configured = $$(python -c "import tomllib; p = tomllib.load(open('samconfig.toml', 'rb'))['$(REGION)']['global']['parameters']; print($(1))")
DRY_STACK = $(call configured,p['stack_name'].removesuffix('-dry-run') + '-dry-run')
DRY_PARAMETERS = $(call configured,*(o for o in p['parameter_overrides'] if o.split('=')[0] not in ('DryRun', 'PowertoolsServiceName', 'AlarmEmail', 'AlarmTopicArn')))

.PHONY: validate
validate: setup ## Lint the template
	@sam validate --lint

.PHONY: build
build: setup ## Build the function and the layer
	@sam build --cached --parallel

.PHONY: deploy
deploy: setup ## Build and deploy an environment of samconfig.toml (REGION=us-east-1; default: a dry run)
	@sam build --config-env $(REGION) && sam deploy --config-env $(REGION)

.PHONY: dry-run
dry-run: setup ## Deploy the same beside it as a stack that only plans (REGION=us-east-1)
	@sam build --config-env $(REGION) && sam deploy --config-env $(REGION) --stack-name $(DRY_STACK) --s3-prefix $(DRY_STACK) \
	  --parameter-overrides $(DRY_PARAMETERS) DryRun=true PowertoolsServiceName=$(DRY_STACK)

.PHONY: destroy
destroy: setup ## Delete an environment's stack, once you have confirmed; its log stays (REGION=us-east-1)
	@sam delete --config-env $(REGION)

.PHONY: clean
clean: ## Remove everything that was made here
	@rm -rf .venv .tools .aws-sam .runtime .cache build .pytest_cache .mypy_cache .ruff_cache .hypothesis
